"""The list of fuzz targets: each is a function of bytes that raises only when the guarantee of a decoder is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Seeds = Callable[[], Sequence[bytes]]
Body = Callable[[bytes], None]
MARGIN = 1 << 20
"""Bytes any decoder may take for itself, whatever comes."""


@dataclass(frozen=True, slots=True)
class Target:
    """One decoder, or some that are called together. ``run`` takes any bytes and returns; all else is a finding."""

    name: str
    run: Body
    seeds: Seeds
    """Good inputs, to start from."""
    memory: int
    """Bytes it may take for each byte of input, beside ``MARGIN``."""


TARGETS: dict[str, Target] = {}


def target(seeds: Seeds, *, memory: int = 64) -> Callable[[Body], Body]:
    """Put a function in the list under its own name."""

    def put(body: Body) -> Body:
        name = body.__name__
        TARGETS[name] = Target(name, body, seeds, memory)
        return body

    return put
