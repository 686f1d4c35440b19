"""Slots that nobody needs fall out of the deadlines, and Broadcast stays agreed (01 section 2, "Slots")."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random

import pytest

from dkg_node.protocols.broadcast import _opening_message, broadcast, broadcast_slots
from dkg_node.protocols.session import Group, Role, Session, Slot, Tag, moved
from dkg_node.testing.lockstep import SimulatedIdentities, run_lockstep
from dkg_node.testing.simnet import Faults, Parcel, SimNetwork, Wires
from dkg_node.testing.virtual_time import run_virtual
from dkg_node.testing.world import ask
from dkg_node.transport.mailbox import Mailbox

GROUP = Group(4, 1)
DELAY = 1.0
"""The longest message delay of the simulated network."""
DELTA = 5.1 * DELAY
"""Hardly longer than the shortest slot the rules allow: start, relay, and a body that is asked for."""
LIMIT = 16
UNUSED = ("spare.1", "spare.2", "spare.3")
SCHEDULE = (
    *broadcast_slots("first", GROUP, LIMIT),
    *(Slot(name, 0, 0.0) for name in UNUSED),
    *broadcast_slots("second", GROUP, LIMIT),
)
LIAR = 4
SECOND = SCHEDULE[-GROUP.t - 1 :]
ENDS = tuple(DELTA * (number + 1) for number in range(len(SCHEDULE)))


@pytest.mark.parametrize(
    ("slots", "expected"),
    [((), (5, 10, 30, 31, 40)), ((2,), (5, 10, 10, 11, 20)), ((1, 3), (5, 5, 25, 25, 34)), ((4,), (5, 10, 30, 31, 31))],
)
def test_later_slots_come_forward_by_the_lengths_of_those_that_fall_away(
    slots: tuple[int, ...], expected: tuple[float, ...]
) -> None:
    assert moved((5, 10, 30, 31, 40), slots) == expected


@pytest.mark.parametrize("slot", [0, 5, -1])
def test_the_first_slot_and_those_that_are_none_never_fall_away(slot: int) -> None:
    with pytest.raises(ValueError, match="skip slots 1 to 4 only"):
        moved((5, 10, 30, 31, 40), (slot,))


class _Deaf:
    def pull(self, role: Role, tag: Tag, digest: bytes) -> None: ...

    def hurry_at(self, instant: float) -> None: ...

    def consumed(self, role: Role, size: int) -> None: ...


def _box() -> Mailbox:
    box = Mailbox(1, _Deaf(), 1.0, 1 << 16)
    box.open((0, 0), ENDS)
    return box


def test_no_deadline_moves_once_its_slot_has_begun() -> None:
    box = _box()
    pending = box.begin(ask({1: b"own"}, GROUP.roles, slot=3), 0, 0.0)
    for slot in (2, 3):
        with pytest.raises(ValueError, match="before they begin"):
            box.skip((0, 0), {slot})
    box.skip((0, 0), {4, 5})
    assert pending.deadline == ENDS[3]
    assert box.begin(ask({1: b"own"}, GROUP.roles, slot=6), 0, 0.0).deadline == pytest.approx(ENDS[4])


def test_a_slot_that_fell_away_takes_no_message_and_can_not_be_used() -> None:
    box = _box()
    box.skip((0, 0), {2})
    box.deliver(2, 0, Tag(0, 2, 0), b"late word", 0.0)
    assert box.counters["foreign"] == 1
    with pytest.raises(ValueError, match="use a slot once"):
        box.begin(ask({1: b"own"}, GROUP.roles, slot=2), 0, 0.0)


def test_what_came_early_for_a_slot_counts_however_its_deadline_moved() -> None:
    """Nothing can have been judged late by a deadline that moves: a message before its slot is kept."""
    box = _box()
    box.deliver(2, 0, Tag(0, 4, 0), b"early", now=0.0)
    box.skip((0, 0), {2, 3})
    assert box.begin(ask({1: b"own"}, (1, 2), slot=4), 0, 0.0).heard == {1: b"own", 2: b"early"}


def test_in_lock_step_too_a_slot_that_fell_away_can_not_be_used() -> None:
    async def program(session: Session) -> None:
        session = session.enter(1, SCHEDULE)
        session.skip(*UNUSED)
        await session.exchange(UNUSED[0], {}, limit=0)

    errors = run_lockstep(GROUP, program).errors
    assert {type(error) for error in errors.values()} == {ValueError}


async def _honest(
    network: SimNetwork, session: Session, start: float
) -> tuple[Mapping[Role, bytes | None], Mapping[Role, bytes | None], list[float]]:
    """Two Broadcasts with slots between them that fall away; the outputs, and when each slot of the second ends."""
    await asyncio.sleep(start)
    network.open_segment(1, [start + end for end in ENDS])
    one = await broadcast(session, "first", b"one", limit=LIMIT)
    session.skip(*UNUSED)
    ends = [end - start for end in network.mailbox.open_positions[0, 1].deadlines]
    return one, await broadcast(session, "second", b"two", limit=LIMIT), ends


async def _liar(wires: Wires, session: Session, fed: Role, when: float) -> None:
    """Honest at first; then its body reaches one party alone, in the last moment of that party's slot."""
    network = wires.up[LIAR]
    network.open_segment(1, ENDS)
    await broadcast(session, "first", b"one", limit=LIMIT)
    message = _opening_message(session, "second", session.stamp() + bytes(2) + b"lie")
    await asyncio.sleep(when - 1.01 * DELAY - asyncio.get_running_loop().time())
    wires.send(network, fed, Parcel("slot", 0, Tag(1, session.slot("second.1"), 0), message))


@pytest.mark.parametrize("fed", [1, 2, 3])
@pytest.mark.parametrize("seed", range(12))
def test_a_relay_in_the_last_moment_reaches_honest_parties_that_started_two_delays_apart(seed: int, fed: Role) -> None:
    """Who is fed alone relays at the end of its slot: that must lie within everybody's next one, whatever fell away."""
    starts = {1: 0.0, 2: 1.0 * DELAY, 3: 2.0 * DELAY}
    saved = DELTA * len(UNUSED)
    last_moment = starts[fed] + ENDS[SCHEDULE.index(SECOND[0])] - saved

    async def scene() -> list[tuple[Mapping[Role, bytes | None], Mapping[Role, bytes | None], list[float]]]:
        wires, identities = Wires(GROUP, Random(seed), Faults()), SimulatedIdentities(GROUP, seed)
        networks = {role: wires.boot(role, DELTA) for role in GROUP.roles}
        sessions = {
            role: Session.of(GROUP, role, b"sid", network, identities.of(role)).enter(1, SCHEDULE)
            for role, network in networks.items()
        }
        lying = asyncio.ensure_future(_liar(wires, sessions[LIAR], fed, last_moment))
        made = [_honest(networks[role], sessions[role], start) for role, start in starts.items()]
        found = await asyncio.gather(*made)
        await lying
        return list(found)

    found = run_virtual(scene())
    for one, two, ends in found:
        assert one == dict.fromkeys(GROUP.roles, b"one")
        assert two == {1: b"two", 2: b"two", 3: b"two", LIAR: b"lie"}
        assert ends[-1] == pytest.approx(ENDS[-1] - saved)
