"""Corrupt parties for tests, as wrappers of the network port. Not measured, not reachable from `dkg-node`."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from dkg_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dkg_node.ceremony.phases import Segment
    from dkg_node.ceremony.ports import Network
    from dkg_node.protocols.session import Exchange, Role

KINDS = ("wrong-share", "crash")


def corrupt(kind: str, network: Network, segments: Sequence[Segment]) -> Network:
    """``KIND[@SLOT]``: what the party does in every slot whose name begins so (default: the openings of bodies)."""
    name, _, slot = kind.partition("@")
    if name not in KINDS:
        raise UsageError(f"unknown adversary {name!r}: choose {' or '.join(KINDS)}")
    places = frozenset(
        (segment.index, index)
        for segment in segments
        for index, one in enumerate(segment.schedule)
        if one.name.startswith(slot or "bodies.")
    )
    if not places:
        raise UsageError(f"no slot begins with {slot!r}: choose another for the adversary")
    return _Adversary(network, places, name)  # type: ignore[return-value]  # everything else is the network's own


class _Adversary:
    """A network whose exchange lies or dies in some slots."""

    def __init__(self, network: Network, places: frozenset[tuple[int, int]], kind: str) -> None:
        self._network, self._places, self._kind = network, places, kind

    def __getattr__(self, name: str) -> object:
        return getattr(self._network, name)

    async def exchange(self, request: Exchange) -> Mapping[Role, bytes | None]:
        if (request.tag.segment, request.tag.slot) in self._places:
            if self._kind == "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            wrong = {role: bytes([data[0] ^ 1]) + data[1:] if data else data for role, data in request.outgoing.items()}
            request = replace(request, outgoing=wrong)
        return await self._network.exchange(request)
