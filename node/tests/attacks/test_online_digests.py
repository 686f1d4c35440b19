"""Attacks on the agreement about the key set: n-t equal digests or no key."""

import pytest

from dkg_node.errors import ProtocolError, QuorumLost
from dkg_node.keygen.online import agree_digest, confirm_digest, digest_slots
from dkg_node.protocols.session import Group, Role, Session
from dkg_node.testing.lockstep import Adversary, Move, Outgoing, Run, run_lockstep

GROUPS = [Group(4, 1), Group(7, 2), Group(13, 4)]
RIGHT, WRONG = b"r" * 32, b"w" * 32


class Silent(Adversary):
    def __init__(self, *corrupt: Role) -> None:
        self.corrupt = frozenset(corrupt)

    def send(self, move: Move) -> Outgoing:
        return {}


def agreed(group: Group, digests: dict[Role, bytes], adversary: Adversary | None = None) -> Run[bytes]:
    async def program(session: Session) -> bytes:
        entered = session.enter(1, digest_slots(group))
        return await agree_digest(entered, digests.get(session.me, RIGHT))

    return run_lockstep(group, program, adversary)


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_t_other_digests_change_nothing(group: Group) -> None:
    run = agreed(group, dict.fromkeys(range(1, group.t + 1), WRONG))
    assert set(run.results.values()) == {RIGHT}


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_t_silent_parties_change_nothing(group: Group) -> None:
    run = agreed(group, {}, Silent(*range(1, group.t + 1)))
    assert {run.results[role] for role in group.roles if role > group.t} == {RIGHT}


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_more_than_t_other_digests_end_it_and_name_nobody(group: Group) -> None:
    run = agreed(group, dict.fromkeys(range(1, group.t + 2), WRONG))
    assert run.results == {}
    for error in run.errors.values():
        assert isinstance(error, QuorumLost)
        assert error.culprits == frozenset()


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_more_than_t_silent_parties_are_missed_by_name(group: Group) -> None:
    silent = frozenset(range(1, group.t + 2))
    run = agreed(group, {}, Silent(*silent))
    for role in set(group.roles) - silent:
        error = run.errors[role]
        assert isinstance(error, QuorumLost)
        assert error.culprits == silent


def test_digest_of_a_wrong_length_is_no_digest() -> None:
    run = agreed(Group(4, 1), dict.fromkeys((1, 2), b"short"))
    assert all(isinstance(error, QuorumLost) for error in run.errors.values())
    assert len(run.errors) == 4


def test_party_with_other_bodies_than_the_rest_does_not_finish() -> None:
    """It can only be its own machine that is wrong: it must not seal or sign what nobody else has."""
    group = Group(4, 1)

    async def program(session: Session) -> None:
        own = WRONG if session.me == 1 else RIGHT
        await confirm_digest(session.enter(1, digest_slots(group)), own)

    run = run_lockstep(group, program)
    assert [type(error) for error in run.errors.values()] == [ProtocolError]
    assert set(run.results) == {2, 3, 4}
