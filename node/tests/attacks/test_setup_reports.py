"""Misreported setup hashes, truly signed: every honest contribution counts, and all members derive one key."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from dkg_node.algebra import kernel
from dkg_node.algebra.encoding import enc
from dkg_node.algebra.kernel import Secret
from dkg_node.protocols.prss import setup, setup_slots
from dkg_node.protocols.session import Group
from dkg_node.protocols.state import PublicState
from dkg_node.sharing.sets import members_of, sets_of
from dkg_node.testing.liars import Liars
from dkg_node.testing.lockstep import run_lockstep

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_node.protocols.prss import Setup
    from dkg_node.protocols.session import Role, Session
    from dkg_node.testing.lockstep import Move, Outgoing, Run

GROUPS = [Group(4, 1), Group(7, 2), Group(13, 4)]
WAYS: dict[str, Callable[[bytes, Move], bytes]] = {
    "each its own": lambda table, move: Random(move.sender).randbytes(len(table)),
    "all alike": lambda table, _: b"a" * len(table),
    "nothing came": lambda table, _: bytes(len(table)),
}


def run_setup(group: Group, liars: Liars) -> Run[Setup]:
    async def program(session: Session) -> Setup:
        entered = session.enter(0, setup_slots(group))
        if session.me in liars.corrupt:
            entered = liars.join(entered, PublicState())
        return await setup(entered, Secret.from_bytes(bytes([session.me]) * 32))

    return run_lockstep(group, program, liars)


def assert_one_key(group: Group, run: Run[Setup], liars: Liars) -> None:
    """All honest parties hold the same keys, with the contribution of every honest member in each."""
    honest = sorted(set(group.roles) - liars.corrupt)
    assert not {role: run.errors[role] for role in honest if role in run.errors}
    assert len({run.results[role].digest for role in honest}) == 1
    shares = {role: kernel.prss(run.results[role].keys, enc("x"), 64, 0, 4).to_wire() for role in honest}
    opened = kernel.robust_open(group.n, group.t, 64, shares)
    assert opened is not None
    assert opened[1] == 0
    certified = run.results[honest[0]].certified
    for mask in sets_of(group):
        assert set(members_of(mask, group)) - liars.corrupt <= set(certified[mask])


def colluders(group: Group) -> range:
    return range(1, group.t + 1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_t_parties_that_misreport_all_hashes_cost_no_honest_contribution(group: Group, way: str) -> None:
    liars = Liars(*colluders(group))
    for role in colluders(group):
        liars.say(role, "digests", WAYS[way])
    assert_one_key(group, run_setup(group, liars), liars)


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_split_contributions_with_misreports_for_one_half_give_all_members_one_key(group: Group) -> None:
    """Each colluder tells the members different values and vouches for all its friends' with one lie."""
    liars = Liars(*colluders(group))

    def split(move: Move) -> Outgoing:
        return {peer: bytes([peer % 2]) * len(data) if peer % 3 else data for peer, data in move.honest.items()}

    for role in colluders(group):
        liars.plan(role, "rho", split).say(role, "digests", WAYS["all alike"])
        liars.plan(role, "tell", lambda move: {peer: bytes(len(data)) for peer, data in move.honest.items()})
    assert_one_key(group, run_setup(group, liars), liars)


def test_the_lies_of_these_tests_are_signed_and_heard() -> None:
    """Were they not, a misreporting party would be as good as a silent one."""
    group = GROUPS[0]
    liars = Liars(1).say(1, "digests", WAYS["all alike"])
    heard: set[Role] = set()

    def listen(move: Move) -> None:
        """In slot t+1 the others relay what they accepted in the first: the liar's digest among it."""
        digests = {data[1:33] for row in move.seen.values() for data in row.values() if data[:1] == bytes([1])}
        heard.update(range(1, 1 + len(digests)))

    liars.plan(1, "digests.2", listen)
    run_setup(group, liars)
    assert heard
