"""An Absent party is fed alone in round 1 of a Broadcast: it may be led astray, the others never (01 section 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg_node.errors import DkgError, StateDiverged
from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.protocols.broadcast import broadcast, broadcast_slots
from dkg_node.protocols.session import Group
from dkg_node.protocols.state import PublicState
from dkg_node.testing.batches import judged, simulate_batch
from dkg_node.testing.liars import Liars
from dkg_node.testing.lockstep import Run, run_lockstep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node.protocols.session import Role, Session
    from dkg_node.testing.lockstep import Move, Outgoing

CASES = [(Group(7, 2), 1), (Group(13, 4), 2)]
"""Liars and as many honest Absent parties: t in all."""
LIMIT = 64
Outputs = tuple["Mapping[Role, bytes | None]", ...]


def bits(chunks: int) -> Batch:
    return Batch(5, "bits", 64, tuple(Chunk(i, "bits", 64, groups=1) for i in range(chunks)))


def absent_of(group: Group, count: int) -> frozenset[Role]:
    return frozenset(range(group.n - count + 1, group.n + 1))


def feeding(count: int, absent: frozenset[Role], *names: str) -> Liars:
    """Liars that send round 1 of these Broadcasts to the Absent parties and to themselves alone."""
    liars = Liars(*range(1, count + 1))

    def feed(move: Move) -> Outgoing:
        return {peer: body for peer, body in move.honest.items() if peer in absent | {move.sender}}

    for role in liars.corrupt:
        for name in names:
            liars.plan(role, f"{name}.1", feed)
    return liars


def two_broadcasts(group: Group, absent: frozenset[Role], liars: Liars) -> Run[Outputs]:
    async def program(session: Session) -> Outputs:
        slots = (*broadcast_slots("a", group, LIMIT), *broadcast_slots("b", group, LIMIT))
        session = PublicState(absent=absent).bind(session.enter(3, slots))
        return tuple([await broadcast(session, name, b"said", limit=LIMIT) for name in ("a", "b")])

    return run_lockstep(group, program, liars)


@pytest.mark.parametrize(("group", "count"), CASES, ids=str)
def test_who_feeds_an_absent_party_alone_is_none_for_all_others_and_the_absent_one_notices(
    group: Group, count: int
) -> None:
    """It relays what it heard with a true signature, but nothing of an Absent party counts."""
    absent = absent_of(group, count)
    liars = feeding(count, absent, "a")
    run = two_broadcasts(group, absent, liars)
    others = set(group.roles) - absent - liars.corrupt
    for role in others:
        assert all(outputs[liar] is None for outputs in run.results[role] for liar in liars.corrupt)
        assert all(outputs[other] == b"said" for outputs in run.results[role] for other in others)
    assert all(isinstance(run.errors[role], StateDiverged) for role in absent)


@pytest.mark.parametrize(("group", "count"), CASES, ids=str)
def test_an_absent_party_that_hears_what_all_hear_ends_with_the_same_outputs(group: Group, count: int) -> None:
    """So the test above is about the feeding."""
    run = two_broadcasts(group, absent_of(group, count), Liars())
    assert not run.errors
    assert len({str(outputs) for outputs in run.results.values()}) == 1


@pytest.mark.parametrize("name", ["votes", "W"])
@pytest.mark.parametrize(("group", "count"), CASES, ids=str)
def test_a_batch_ends_alike_for_all_others_when_an_absent_party_is_fed_alone(
    group: Group, count: int, name: str
) -> None:
    absent = absent_of(group, count)
    liars = feeding(count, absent, name)
    run = simulate_batch(group, bits(2), liars, state=PublicState(absent=absent))
    result = judged(group, run, liars.corrupt | absent)
    assert result.state.absent == liars.corrupt | absent
    assert result.state.corrupt == frozenset()
    assert all(isinstance(run.errors[role], DkgError) for role in absent)
