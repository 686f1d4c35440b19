"""Setup of the PRSS keys: all members of a set end with one key that no outsider can derive, whatever t parties do."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from dkg_node.algebra import kernel
from dkg_node.algebra.encoding import enc
from dkg_node.algebra.kernel import Secret
from dkg_node.errors import QuorumLost, SetupIncomplete
from dkg_node.protocols.prss import ABSENT, certify, read_table, setup, setup_slots
from dkg_node.protocols.session import Group
from dkg_node.sharing.sets import members_of, sets_of
from dkg_node.testing.lockstep import Adversary, run_lockstep

if TYPE_CHECKING:
    from dkg_node.protocols.prss import Setup
    from dkg_node.protocols.session import Role, Session
    from dkg_node.testing.lockstep import Move, Outgoing, Run


async def program(session: Session) -> Setup:
    session = session.enter(0, setup_slots(session.group))
    return await setup(session, Secret.from_bytes(bytes([session.me]) * 32))


def agree(group: Group, outcome: Run[Setup], corrupt: frozenset[Role] = frozenset()) -> None:
    """The shares that honest parties derive lie on one polynomial of degree t: they hold the same keys."""
    honest = [role for role in group.roles if role not in corrupt]
    assert not {role: error for role, error in outcome.errors.items() if role in honest}
    assert len({outcome.results[role].digest for role in honest}) == 1
    shares = {role: kernel.prss(outcome.results[role].keys, enc("x"), 64, 0, 8).to_wire() for role in honest}
    opened = kernel.robust_open(group.n, group.t, 64, shares)
    assert opened is not None
    assert opened[1] == 0


@pytest.mark.parametrize(("n", "t"), [(4, 1), (7, 2), (10, 3), (13, 4)])
def test_honest_parties_derive_the_same_keys(n: int, t: int) -> None:
    group = Group(n, t)
    agree(group, run_lockstep(group, program))


class Split(Adversary):
    """Sends different contributions to different members (contribution splitting), in every set."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.corrupt = frozenset(range(1, group.t + 1))

    def send(self, move: Move) -> Outgoing:
        if move.slot != "rho":
            return move.honest
        return {peer: bytes([peer % 2]) * len(data) if peer % 3 else data for peer, data in move.honest.items()}


class Misreport(Split):
    """Reports random digests for every contribution."""

    def send(self, move: Move) -> Outgoing:
        if move.slot != "digests.1":
            return move.honest
        return {peer: data[:64] + Random(move.sender).randbytes(len(data) - 64) for peer, data in move.honest.items()}


class Silent(Split):
    """Says nothing at all."""

    def send(self, move: Move) -> Outgoing:
        return {}


class LieInAnswers(Split):
    """Splits its contributions, then answers requests with wrong values."""

    def send(self, move: Move) -> Outgoing:
        if move.slot == "tell":
            return {peer: bytes(len(data)) for peer, data in move.honest.items()}
        return super().send(move)


@pytest.mark.parametrize(("n", "t"), [(4, 1), (7, 2), (13, 4)])
@pytest.mark.parametrize("attack", [Split, Misreport, Silent, LieInAnswers])
def test_t_parties_cannot_make_honest_members_derive_different_keys(n: int, t: int, attack: type[Split]) -> None:
    group = Group(n, t)
    adversary = attack(group)
    agree(group, run_lockstep(group, program, adversary), adversary.corrupt)


def table(group: Group, reporter: Role, entry: bytes) -> bytes:
    sets = [mask for mask in sets_of(group) if mask >> (reporter - 1) & 1]
    return entry * sum(len(members_of(mask, group)) for mask in sets)


def test_t_reports_alike_do_not_make_a_contribution_count() -> None:
    group = Group(4, 1)
    reports: dict[Role, bytes | None] = {role: table(group, role, bytes([role]) * 32) for role in group.roles}
    with pytest.raises(SetupIncomplete, match="no contribution counts"):
        certify(group, reports)


@pytest.mark.parametrize("missing", [None, ABSENT], ids=["silent", "heard nobody"])
def test_a_set_that_lacks_a_party_waits_for_it_instead_of_ending_the_attempt(missing: bytes | None) -> None:
    """One liar reports wrong digests, one honest party was away: the set {1, 3, 4} has one good reporter left."""
    group = Group(4, 1)
    reports: dict[Role, bytes | None] = {role: table(group, role, b"a" * 32) for role in group.roles}
    reports[3], reports[4] = None if missing is None else table(group, 3, missing), table(group, 4, b"b" * 32)
    with pytest.raises(QuorumLost, match=r"bring them back") as caught:
        certify(group, reports)
    assert caught.value.culprits == {3}


def test_t_plus_1_reports_alike_make_it_count_and_name_one_digest() -> None:
    group = Group(4, 1)
    reports: dict[Role, bytes | None] = {role: table(group, role, b"a" * 32) for role in group.roles}
    reports[4] = table(group, 4, b"b" * 32)
    certified = certify(group, reports)
    assert all(row == dict.fromkeys(members_of(mask, group), b"a" * 32) for mask, row in certified.items())


def test_a_table_of_a_wrong_length_reports_nothing() -> None:
    group = Group(4, 1)
    assert read_table(group, 1, table(group, 1, b"a" * 32)[:-1]) == []


def test_there_are_715_sets_at_13_4_and_a_party_is_in_495() -> None:
    sets = sets_of(Group(13, 4))
    assert len(sets) == 715
    assert all(sum(mask >> i & 1 for mask in sets) == 495 for i in range(13))
