"""Robust openings: t wrong or missing shares change nothing and are named; more raise, never give a wrong value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg_node.algebra import kernel
from dkg_node.algebra.encoding import enc
from dkg_node.algebra.kernel import Keys
from dkg_node.errors import QuorumLost
from dkg_node.protocols.coin import coin, coin_slot
from dkg_node.protocols.opening import opening_slot, robust_open
from dkg_node.protocols.session import Group
from dkg_node.sharing.sets import sets_of
from dkg_node.testing.lockstep import Adversary, run_lockstep

if TYPE_CHECKING:
    from dkg_node.protocols.opening import Opening
    from dkg_node.protocols.session import Role, Session
    from dkg_node.testing.lockstep import Move, Outgoing

SIZES = [(4, 1), (7, 2), (13, 4)]


def dealt(group: Group, party: Role) -> Keys:
    """Ideal setup: the key of a set is its mask."""
    own = [mask for mask in sets_of(group) if mask >> (party - 1) & 1]
    return Keys.from_bytes(group.n, group.t, party, b"".join(mask.to_bytes(32, "little") for mask in own))


async def program(session: Session) -> Opening:
    session = session.enter(1, [opening_slot("open", session.group, 64, 16)])
    return await robust_open(session, "open", kernel.prss(dealt(session.group, session.me), enc("v"), 64, 0, 16))


class Wrong(Adversary):
    """``count`` parties send another share; the others are told nothing."""

    def __init__(self, count: int, data: bytes | None) -> None:
        self.corrupt = frozenset(range(1, count + 1))
        self.data = data

    def send(self, move: Move) -> Outgoing:
        if self.data is None:
            return {}
        return {peer: self.data + data[len(self.data) :] for peer, data in move.honest.items()}


@pytest.mark.parametrize(("n", "t"), SIZES)
def test_t_wrong_shares_are_corrected_and_their_senders_named(n: int, t: int) -> None:
    group = Group(n, t)
    expected = run_lockstep(group, program).results[n].values
    outcome = run_lockstep(group, program, Wrong(t, b"wrong"))
    for role in range(t + 1, n + 1):
        assert outcome.results[role].values == expected
        assert outcome.results[role].liars == frozenset(range(1, t + 1))


@pytest.mark.parametrize(("n", "t"), SIZES)
def test_t_missing_shares_change_nothing_and_are_listed(n: int, t: int) -> None:
    group = Group(n, t)
    expected = run_lockstep(group, program).results[n].values
    outcome = run_lockstep(group, program, Wrong(t, None))
    for role in range(t + 1, n + 1):
        assert outcome.results[role].values == expected
        assert outcome.results[role].missing == frozenset(range(1, t + 1))


class Mute(Wrong):
    """``count`` parties send empty messages, as who came back and must not speak yet."""

    def send(self, move: Move) -> Outgoing:
        return dict.fromkeys(move.honest, b"")


@pytest.mark.parametrize(("n", "t"), SIZES)
def test_an_empty_share_is_a_missing_one_and_makes_nobody_a_liar(n: int, t: int) -> None:
    outcome = run_lockstep(Group(n, t), program, Mute(t, None))
    for role in range(t + 1, n + 1):
        assert outcome.results[role].liars == frozenset()
        assert outcome.results[role].missing == frozenset(range(1, t + 1))


@pytest.mark.parametrize(("n", "t"), SIZES)
@pytest.mark.parametrize("data", [b"wrong", None])
def test_more_than_t_wrong_or_missing_raise_and_never_open_another_value(n: int, t: int, data: bytes | None) -> None:
    outcome = run_lockstep(Group(n, t), program, Wrong(t + 1, data))
    assert all(isinstance(outcome.errors[role], QuorumLost) for role in range(t + 2, n + 1))


def test_a_share_of_another_length_is_wrong_not_fatal() -> None:
    class Short(Wrong):
        def send(self, move: Move) -> Outgoing:
            return {peer: data[:-1] for peer, data in move.honest.items()}

    outcome = run_lockstep(Group(4, 1), program, Short(1, b""))
    assert outcome.results[4].liars == frozenset({1})


def test_a_coin_is_common_and_differs_by_label() -> None:
    async def toss(session: Session, label: bytes) -> bytes:
        session = session.enter(1, [coin_slot("coin", session.group)])
        return (await coin(session, "coin", dealt(session.group, session.me), label)).values

    group = Group(4, 1)
    first = run_lockstep(group, lambda session: toss(session, enc("a")))
    second = run_lockstep(group, lambda session: toss(session, enc("b")))
    assert len(set(first.results.values())) == 1
    assert len(first.results[1]) == 64
    assert first.results[1] != second.results[1]
