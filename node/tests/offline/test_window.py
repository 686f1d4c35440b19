"""A silent king or sender keeps nobody honest from being in time: the real mailbox and window, in virtual time."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

import pytest

from dkg_node.ceremony.phases import Timing
from dkg_node.offline.batch import BatchResult, batch_slots, run_batch
from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.protocols.session import Group, Role, Session
from dkg_node.protocols.state import PublicState
from dkg_node.protocols.store import MemoryStore
from dkg_node.testing.batches import SEGMENT, dealt_keys, judged
from dkg_node.testing.lockstep import Lockstep, Run, SimulatedIdentities, Traffic
from dkg_node.testing.simnet import Faults, Wires
from dkg_node.testing.virtual_time import run_virtual

if TYPE_CHECKING:
    from dkg_node.testing.simnet import Parcel

GROUP = Group(4, 1)
TIMING = Timing(round_timeout=8.0, min_rate=1e9, min_speed=1e3, start_grace=8.0)
"""Messages take 1 at most; bytes and work cost nothing, so that only waiting can make anybody late."""
LONG = Batch(1, "bits", 64, tuple(Chunk(i, "bits", 64, groups=1) for i in range(96)))
"""Every king has 24 chunks, three times the window."""
SILENT = 2
SID = Lockstep[None](GROUP).sessions[1].sid
"""The one that ``judged`` recomputes with."""


class Withheld(Faults):
    """Party 2 never sends in one slot."""

    def __init__(self, slot: int) -> None:
        self.slot = slot

    def sends(self, sender: Role, receiver: Role, parcel: Parcel) -> bool:
        return sender != SILENT or parcel.kind != "slot" or parcel.tag.slot != self.slot


def run_timed(faults: Faults) -> Run[BatchResult]:
    """The batch at every party over simulated wires with seeded delays."""
    schedule = batch_slots(GROUP, LONG)
    wires, identities = Wires(GROUP, Random(5), faults), SimulatedIdentities(GROUP, 5)

    async def party(role: Role) -> BatchResult:
        network = wires.up[role]
        start = network.now() + 1.0
        network.open_segment(SEGMENT, [start + end for end in TIMING.ends(schedule)])
        session = Session.of(GROUP, role, SID, network, identities.of(role)).enter(SEGMENT, schedule)
        return await run_batch(session, dealt_keys(GROUP, role), LONG, MemoryStore(), PublicState())

    async def everybody() -> dict[Role, BatchResult]:
        for role in GROUP.roles:
            wires.boot(role, TIMING.round_timeout)
        return dict(zip(GROUP.roles, await asyncio.gather(*map(party, GROUP.roles)), strict=True))

    return Run(run_virtual(everybody()), {}, Traffic())


def test_the_silent_king_has_more_chunks_than_the_window() -> None:
    assert len(LONG.chunks) // GROUP.n > 2 * 8


def test_an_honest_batch_of_many_chunks_is_in_time_over_slow_wires() -> None:
    result = judged(GROUP, run_timed(Faults()), frozenset())
    assert (result.rounds, result.state) == (1, PublicState())


def test_a_king_silent_for_all_its_chunks_makes_nobody_honest_late() -> None:
    result = judged(GROUP, run_timed(Withheld(1)), frozenset({SILENT}))
    assert (result.rounds, result.faults) == (2, ())
    assert result.state == PublicState(benched=frozenset({SILENT}), benches=frozenset({(SILENT, 1, 2)}))


def test_a_sender_silent_to_all_kings_makes_nobody_honest_late() -> None:
    result = judged(GROUP, run_timed(Withheld(0)), frozenset({SILENT}))
    assert result.faults == ()
    assert all(SILENT in pair for pair in result.state.disputes)
    assert result.state.benched <= {SILENT}


@pytest.mark.parametrize("slot", [0, 1])
def test_who_is_silent_to_kings_or_as_one_is_never_named(slot: int) -> None:
    assert judged(GROUP, run_timed(Withheld(slot)), frozenset({SILENT})).state.corrupt == frozenset()
