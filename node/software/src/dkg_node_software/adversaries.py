"""Corrupt parties for tests. They lie in here alone: not measured, not reachable from `dkg-node`.

``KIND[@WHERE]``: the lies of the network port take the beginning of a slot's name, all others the index of a segment.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dkg_node.errors import UsageError
from dkg_node_software.lies import LIES, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dkg_node.ceremony.phases import Segment
    from dkg_node.ceremony.ports import Network
    from dkg_node.protocols.session import Exchange, Role

ROUND = re.compile(r"\.r\d+$")
TOP_BIT = 0x80


def base_name(slot: str) -> str:
    """The slot's name without its round: ``votes.2.r1`` is ``votes.2``."""
    return ROUND.sub("", slot)


def _bent(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:] if data else data


def _some(request: Exchange) -> tuple[Role, ...]:
    """The second half of the peers."""
    roles = sorted(request.outgoing)
    return tuple(roles[len(roles) // 2 :])


def _wrong_share(request: Exchange) -> Exchange:
    return replace(request, outgoing={role: _bent(data) for role, data in request.outgoing.items()})


def _crash(request: Exchange) -> Exchange:
    os.kill(os.getpid(), signal.SIGKILL)
    return request


def _silent(request: Exchange) -> Exchange:
    return replace(request, outgoing={})


def _selective(request: Exchange) -> Exchange:
    few = _some(request)
    return replace(request, outgoing={role: data for role, data in request.outgoing.items() if role not in few})


def _split(request: Exchange) -> Exchange:
    few = _some(request)
    out = {role: _bent(data) if role in few else data for role, data in request.outgoing.items()}
    return replace(request, outgoing=out)


def _odd(request: Exchange) -> Exchange:
    """Set a bit that the wire's trimming leaves none of: of a product it is a wrong value, of bits no V at all."""
    out = {role: data[:7] + bytes([data[7] ^ TOP_BIT]) + data[8:] if data else data for role, data in _items(request)}
    return replace(request, outgoing=out)


def _items(request: Exchange) -> list[tuple[Role, bytes]]:
    return list(request.outgoing.items())


def _relay_slot(slot: str) -> bool:
    name, _, number = slot.rpartition(".")
    return number.isdecimal() and int(number) > 1 and name != ""


NETWORK: dict[str, tuple[Callable[[Exchange], Exchange], Callable[[str], bool]]] = {
    "wrong-share": (_wrong_share, lambda slot: slot.startswith("bodies.")),
    "crash": (_crash, lambda slot: slot.startswith("bodies.")),
    "wrong-coin-share": (_wrong_share, lambda slot: slot == "coin"),
    "silent": (_silent, lambda _: True),
    "selective-silence": (_selective, lambda _: True),
    "silent-king": (_silent, lambda slot: slot == "V"),
    "split-king": (_split, lambda slot: slot == "V"),
    "odd-king": (_odd, lambda slot: slot == "V"),
    "setup-splitter": (_split, lambda slot: slot == "rho"),
    "withheld-relay": (_selective, _relay_slot),
}
"""Lies of the network port: what is done to an exchange, and in which slots where nothing else is said."""

KINDS = (*NETWORK, *LIES)


def check_kind(kind: str) -> None:
    """UsageError for a kind that is not, before anything is started."""
    name, _, where = kind.partition("@")
    if name not in KINDS:
        raise UsageError(f"unknown adversary {name!r}: choose {', '.join(KINDS)}")
    if name in LIES and where and not where.isdecimal():
        raise UsageError(f"give the segment of {name!r} as its index, not {where!r}")


def corrupt(kind: str, network: Network, segments: Sequence[Segment]) -> Network:
    """The network of a party that lies as ``kind`` says. UsageError for a kind or place that is not."""
    check_kind(kind)
    name, _, where = kind.partition("@")
    if name in LIES:
        stage = Stage(only=int(where) if where else None)
        return _Staged(LIES[name](stage).onto(network), stage)  # type: ignore[return-value]  # the network's otherwise
    if where and not any(slot.name.startswith(where) for segment in segments for slot in segment.schedule):
        raise UsageError(f"no slot begins with {where!r}: choose another for the adversary")
    change, wanted = NETWORK[name]
    return _Adversary(network, (lambda slot: slot.startswith(where)) if where else wanted, change)  # type: ignore[return-value]  # everything else is the network's own


class _Adversary:
    """A network whose exchange lies or dies in some slots."""

    def __init__(self, network: Network, wanted: Callable[[str], bool], change: Callable[[Exchange], Exchange]) -> None:
        self._network, self._wanted, self._change = network, wanted, change

    def __getattr__(self, name: str) -> object:
        return getattr(self._network, name)

    async def exchange(self, request: Exchange) -> Mapping[Role, bytes | None]:
        if self._wanted(base_name(request.slot)):
            request = self._change(request)
        return await self._network.exchange(request)


@dataclass(frozen=True, slots=True)
class _Staged:
    """A network that tells a lie in which segment the party is."""

    network: Network
    stage: Stage

    def __getattr__(self, name: str) -> object:
        return getattr(self.network, name)

    def open_segment(self, segment: int, deadlines: Sequence[float], era: int = 0) -> None:
        self.stage.segment = segment
        self.network.open_segment(segment, deadlines, era)
