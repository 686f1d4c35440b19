"""Attacks on the online openings: t parties change nothing and are named; more stop it (01 sections 1, 5)."""

from collections.abc import Callable, Mapping
from functools import cache, reduce

import numpy as np
import pytest

from dkg_node.algebra.ring import Element, Ring, alpha
from dkg_node.errors import QuorumLost
from dkg_node.keygen.plan import plan_of
from dkg_node.protocols.session import Group, Role, Tag
from dkg_node.testing.ideal import Ideal, ideal
from dkg_node.testing.lockstep import Adversary, Move, Outgoing
from dkg_node.testing.online_runs import OnlineRun, online_in_lockstep
from dkg_node.testing.small_sets import TOY

GROUPS = [Group(4, 1), Group(7, 2), Group(10, 3), Group(13, 4)]
OPENINGS = ("seed", "inputs", "bodies")
Lie = Callable[[Group, Move, Role, bytes], bytes | None]


@cache
def dealt(group: Group) -> Ideal:
    return ideal(group, TOY, plan_of(TOY), seed=31)


@cache
def honest(group: Group) -> OnlineRun:
    return online_in_lockstep(group, TOY, dealt(group))


class Liars(Adversary):
    """Corrupt parties send what ``lies`` says instead of their shares in the openings of ``slots``; None is silence."""

    def __init__(self, group: Group, lies: Mapping[Role, Lie], slots: tuple[str, ...] = OPENINGS) -> None:
        self.corrupt = frozenset(lies)
        self.group, self.lies, self.slots = group, lies, slots

    def send(self, move: Move) -> Outgoing:
        if move.slot.split(".")[0] not in self.slots:
            return move.honest
        lie = self.lies[move.sender]
        told = {peer: lie(self.group, move, peer, data) for peer, data in move.honest.items()}
        return {peer: data for peer, data in told.items() if data is not None}


def words_of(slot: str) -> int:
    return 128 if slot == "seed" else TOY.key(slot.split(".")[1]).word_bits


def silence(_group: Group, _move: Move, _peer: Role, _data: bytes) -> None:
    return None


def another_share(_group: Group, move: Move, _peer: Role, data: bytes) -> bytes:
    return np.random.default_rng([move.sender, move.tag.slot, move.tag.part]).bytes(len(data))


def another_share_each(_group: Group, move: Move, peer: Role, data: bytes) -> bytes:
    return np.random.default_rng([move.sender, peer, move.tag.slot, move.tag.part]).bytes(len(data))


def one_bit(_group: Group, _move: Move, _peer: Role, data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 0x80])


def too_short(_group: Group, _move: Move, _peer: Role, data: bytes) -> bytes:
    return data[:-1]


def nothing(_group: Group, _move: Move, _peer: Role, _data: bytes) -> bytes:
    return b""


def nearest_codeword(group: Group, move: Move, _peer: Role, data: bytes) -> bytes:
    """Shares of a word of degree t that agrees with the true one at t honest points: add prod (X - alpha_h)."""
    ring = Ring(words_of(move.slot))
    allies = [role for role in group.roles if role not in range(1, group.t + 1)][: group.t]
    factors = [ring.sub(alpha(move.sender), alpha(ally)) for ally in allies]
    one: Element = (1, 0, 0, 0)
    offset = reduce(ring.mul, factors, one)
    size = ring.k // 8
    lies = []
    for start in range(0, len(data), size):
        word = int.from_bytes(data[start : start + size], "little") + offset[start // size % 4]
        lies.append((word % (1 << ring.k)).to_bytes(size, "little"))
    return b"".join(lies)


NAMED = [another_share, another_share_each, one_bit, too_short, nearest_codeword]


def assert_same_key(group: Group, done: OnlineRun, corrupt: frozenset[Role], named: frozenset[Role]) -> None:
    right = honest(group)
    for role in group.roles:
        if role in corrupt:
            continue
        assert done.run.errors.get(role) is None
        result, expected = done.run.results[role], right.run.results[role]
        assert (result.seed, result.digest, result.bodies) == (expected.seed, expected.digest, expected.bodies)
        assert result.liars == named
        assert done.sinks[role].bodies == right.sinks[role].bodies


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("lie", NAMED)
def test_wrong_shares_of_t_parties_are_corrected_and_their_senders_named(group: Group, lie: Lie) -> None:
    corrupt = frozenset(range(1, group.t + 1))
    done = online_in_lockstep(group, TOY, dealt(group), Liars(group, dict.fromkeys(corrupt, lie)))
    assert_same_key(group, done, corrupt, corrupt)


@pytest.mark.parametrize("slot", OPENINGS)
def test_liars_of_every_single_opening_are_named(slot: str) -> None:
    group = Group(4, 1)
    done = online_in_lockstep(group, TOY, dealt(group), Liars(group, {3: one_bit}, (slot,)))
    assert_same_key(group, done, frozenset({3}), frozenset({3}))


@pytest.mark.parametrize("quiet", [silence, nothing])
@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_t_silent_parties_are_done_without_and_not_named(group: Group, quiet: Lie) -> None:
    corrupt = frozenset(range(group.n - group.t + 1, group.n + 1))
    done = online_in_lockstep(group, TOY, dealt(group), Liars(group, dict.fromkeys(corrupt, quiet)))
    assert_same_key(group, done, corrupt, frozenset())


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_t_parties_that_crash_in_the_bodies_are_done_without(group: Group) -> None:
    corrupt = frozenset(range(1, group.t + 1))

    def stop_at(role: Role, tag: Tag) -> bool:
        return role in corrupt and tag.segment >= 2 and tag.part >= 1

    done = online_in_lockstep(group, TOY, dealt(group), stop_at=stop_at)
    assert set(done.run.errors) == set(corrupt)
    assert_same_key(group, done, corrupt, frozenset())


@pytest.mark.parametrize("group", GROUPS[1:], ids=str)
def test_any_mixture_of_t_liars_and_silent_parties_is_survived(group: Group) -> None:
    lies: dict[Role, Lie] = dict.fromkeys(range(2, group.t + 1), nearest_codeword)
    lies[1] = silence
    done = online_in_lockstep(group, TOY, dealt(group), Liars(group, lies))
    assert_same_key(group, done, frozenset(lies), frozenset(lies) - {1})


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("lie", [another_share, one_bit, too_short, silence])
@pytest.mark.parametrize("slot", OPENINGS)
def test_more_than_t_end_in_an_error_and_never_in_a_wrong_key(group: Group, lie: Lie, slot: str) -> None:
    corrupt = frozenset(range(1, group.t + 2))
    done = online_in_lockstep(group, TOY, dealt(group), Liars(group, dict.fromkeys(corrupt, lie), (slot,)))
    right = honest(group).sinks[group.n].bodies
    for role in set(group.roles) - corrupt:
        error = done.run.errors[role]
        assert isinstance(error, QuorumLost)
        assert slot in str(error)
        for name, written in done.sinks[role].bodies.items():
            assert right[name].startswith(written)
    assert not set(done.run.results) - corrupt


@pytest.mark.parametrize("group", GROUPS[:2], ids=str)
def test_silent_parties_are_missed_by_name_when_too_many(group: Group) -> None:
    corrupt = frozenset(range(1, group.t + 2))
    done = online_in_lockstep(group, TOY, dealt(group), Liars(group, dict.fromkeys(corrupt, silence), ("bodies",)))
    for role in set(group.roles) - corrupt:
        error = done.run.errors[role]
        assert isinstance(error, QuorumLost)
        assert error.culprits == corrupt
