"""How each kind of fault is done to a running party, at the moment its trap goes off."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg_node.service.command import EnvironmentFault
from dkg_node_software.chaos.nodes import POLL
from dkg_node_software.chaos.schedule import KILLING
from dkg_node_software.chaos.trap import Trap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dkg_node.protocols.session import Role
    from dkg_node_software.chaos.nodes import Nodes
    from dkg_node_software.chaos.proxy import Proxies, Way
    from dkg_node_software.chaos.schedule import Fault, Schedule

NAMED_WITHIN = 60.0
"""Seconds after which who is missed comes back though nobody has named it: the judge will say so."""


def trap_of(fault: Fault) -> str | None:
    """The trap that sets a fault off, as the node takes it; None for one that is there from the start."""
    if fault.step is None:
        return None
    action = "kill" if fault.kind in KILLING else "stop"
    return str(Trap(fault.step.segment, fault.step.slot, fault.moment, action))


def traps_of(faults: Sequence[Fault], party: Role) -> list[str]:
    """All traps of a party."""
    found = [trap_of(fault) for fault in faults if fault.party == party]
    return [trap for trap in found if trap is not None]


@dataclass(slots=True)
class Injector:
    """Does the faults of one run; cancel ``run`` to end it."""

    schedule: Schedule
    nodes: Nodes
    proxies: Proxies
    injected: dict[Fault, float] = field(default_factory=dict)
    """Faults that came about, and when (wall time)."""
    over: dict[Fault, float] = field(default_factory=dict)
    """When they were taken back."""
    named: Callable[[], bool] | None = None
    """Whether the others have said whom they miss; None: nobody has to come back only then."""

    async def run(self) -> None:
        """All parties at once, the faults of one party one after another."""
        parties = {fault.party for fault in self.schedule.faults}
        async with asyncio.TaskGroup() as group:
            for party in sorted(parties):
                group.create_task(self._suffer(party))

    async def _suffer(self, party: Role) -> None:
        own = [fault for fault in self.schedule.faults if fault.party == party]
        for number, fault in enumerate(own, 1):
            if await self._reached(fault, own[number:]):
                await self._do(fault)
                self.over[fault] = time.time()

    async def _reached(self, fault: Fault, later: Sequence[Fault]) -> bool:
        """Wait until the trap has gone off. False when that of a later one has: the party was silent at this place."""
        trap, passed = trap_of(fault), {trap_of(one) for one in later}
        if trap is None:
            self.injected[fault] = time.time()
            return True
        while trap not in (times := dict(self.nodes.fired(fault.party))):
            if passed & times.keys():
                return False
            await asyncio.sleep(POLL)
        while fault.kind not in KILLING and not self.nodes.stopped(fault.party):  # noqa: ASYNC110 - the kernel's word
            await asyncio.sleep(POLL)
        self.injected[fault] = times[trap]
        return True

    async def _do(self, fault: Fault) -> None:
        party = fault.party
        if fault.kind == "restart":
            await asyncio.sleep(fault.seconds)
            await self._until_named()
            left = set(traps_of(self.schedule.faults, party)) - {trap for trap, _ in self.nodes.fired(party)}
            await self.nodes.again(party, sorted(left))
        elif fault.kind == "pause":
            await asyncio.sleep(fault.seconds)
            self.nodes.signal(party, signal.SIGCONT)
        elif fault.kind not in ("kill", "stop", "byzantine"):
            await self._on_links(fault)

    async def _until_named(self) -> None:
        """Too many are away: they come back when the others, whose slots take their time, have said whom they miss."""
        end = time.monotonic() + NAMED_WITHIN
        while self.named is not None and not self.named() and time.monotonic() < end:  # noqa: ASYNC110 - what others say
            await asyncio.sleep(POLL)

    async def _on_links(self, fault: Fault) -> None:
        """A fault of the party's links; the party goes on at once."""
        ways = self.proxies.ways(fault.party, fault.detail or "both", fault.peers or None)
        if fault.kind == "reset":
            for link in self.proxies.of(fault.party, fault.peers or None):
                link.reset()
        else:
            begin, _ = _change(fault)
            for way in ways:
                begin(way)
        self.nodes.signal(fault.party, signal.SIGCONT)
        if fault.kind in ("reset", "cut off"):
            return
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            _, end = _change(fault)
            for way in ways:
                end(way)


def _change(fault: Fault) -> tuple[Callable[[Way], None], Callable[[Way], None]]:
    """What is done to each direction of a link, and how it is undone."""

    def slow(way: Way) -> None:
        way.delay = fault.figure

    def quick(way: Way) -> None:
        way.delay = 0.0

    def narrow(way: Way) -> None:
        way.rate = fault.figure

    def wide(way: Way) -> None:
        way.rate = None

    if fault.kind in ("cut off", "partition", "one-way"):
        return lambda way: way.cut(), lambda way: way.heal()
    if fault.kind in ("delay", "jitter"):
        return slow, quick
    if fault.kind in ("bandwidth", "thin line"):
        return narrow, wide
    raise EnvironmentFault(f"the schedule names a fault {fault.kind!r} that nobody knows how to do: correct it")
