"""Phase-exact faults, inside the node: its network port stops or kills the process at a tag (07, "Phase-exact faults").

A trap reads ``SEGMENT/SLOT/MOMENT=ACTION``: the index of the segment, the name of the slot (``open`` and ``close`` of
the segment itself), ``before`` | ``during`` | ``after``, ``kill`` | ``stop``. ``during``, for ``kill`` only: half of
the peers get what the party sends in the slot. Each goes off once; a line in the journal says so before it does.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dkg_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dkg_node.ceremony.ports import Network
    from dkg_node.protocols.session import Exchange, Role

MOMENTS = ("before", "during", "after")
ACTIONS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
OPEN, CLOSE = "open", "close"
LEAVE = 0.1
"""Seconds for half a slot's messages to leave the process before it dies."""


@dataclass(frozen=True, slots=True)
class Trap:
    """What happens where."""

    segment: int
    slot: str
    moment: str
    action: str

    def __str__(self) -> str:
        """As on the command line."""
        return f"{self.segment}/{self.slot}/{self.moment}={self.action}"


def parse_trap(text: str) -> Trap:
    """Inverse of ``str``. UsageError for anything else."""
    place, _, action = text.partition("=")
    parts = place.split("/")
    known = len(parts) == 3 and parts[2] in MOMENTS and action in ACTIONS and parts[0].lstrip("-").isdecimal()
    if not known or (parts[2], action) == ("during", "stop"):
        raise UsageError(f"give a trap as SEGMENT/SLOT/MOMENT=ACTION, not {text!r}")
    return Trap(int(parts[0]), parts[1], parts[2], action)


class Trapped:
    """A network with traps in it; everything else is the network's own."""

    def __init__(self, network: Network, traps: Sequence[Trap], journal: Path) -> None:
        """``journal``: a line for each trap that goes off."""
        self._network, self._traps, self._journal = network, list(traps), journal

    def __getattr__(self, name: str) -> object:
        """What has no traps."""
        return getattr(self._network, name)

    def open_segment(self, segment: int, deadlines: Sequence[float], era: int = 0) -> None:
        """See Network."""
        self._spring(segment, OPEN, "before")
        self._network.open_segment(segment, deadlines, era)
        self._spring(segment, OPEN, "after")

    def close_segment(self, segment: int, era: int = 0) -> None:
        """See Network."""
        self._spring(segment, CLOSE, "before")
        self._network.close_segment(segment, era)
        self._spring(segment, CLOSE, "after")

    async def exchange(self, request: Exchange) -> Mapping[Role, bytes | None]:
        """See Link."""
        segment, slot = request.tag.segment, request.slot
        self._spring(segment, slot, "before")
        if self._set(segment, slot, "during"):
            await asyncio.wait([asyncio.ensure_future(self._network.exchange(_half(request)))], timeout=LEAVE)
            self._spring(segment, slot, "during")
        got = await self._network.exchange(request)
        self._spring(segment, slot, "after")
        return got

    def _set(self, segment: int, slot: str, moment: str) -> Trap | None:
        return next((t for t in self._traps if (t.segment, t.slot, t.moment) == (segment, slot, moment)), None)

    def _spring(self, segment: int, slot: str, moment: str) -> None:
        trap = self._set(segment, slot, moment)
        if trap is None:
            return
        self._traps.remove(trap)
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"trap": str(trap), "time": time.time(), "pid": os.getpid()}) + "\n")
        os.kill(os.getpid(), ACTIONS[trap.action])


def _half(request: Exchange) -> Exchange:
    """What reaches the first half of the peers."""
    few = sorted(request.outgoing)[: len(request.outgoing) // 2]
    return replace(request, outgoing={role: request.outgoing[role] for role in few})
