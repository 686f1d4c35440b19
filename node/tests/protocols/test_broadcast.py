"""Reliable broadcast: agreement, validity, and the attacks it must stand."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg_node.algebra.encoding import enc
from dkg_node.errors import QuorumLost, StateDiverged
from dkg_node.protocols.broadcast import HEAD, Relay, broadcast, broadcast_slots, decode_relays, encode_relays
from dkg_node.protocols.session import Group, Slot
from dkg_node.testing.lockstep import Adversary, Lockstep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node.protocols.session import Role, Session
    from dkg_node.testing.lockstep import Move, Outgoing, Run

LIMIT = 64


async def program(session: Session) -> Mapping[Role, bytes | None]:
    session = session.enter(1, broadcast_slots("b", session.group, LIMIT))
    return await broadcast(session, "b", b"body of %d" % session.me, limit=LIMIT)


def run(group: Group, adversary: Adversary | None = None, **options: object) -> Run[Mapping[Role, bytes | None]]:
    lockstep: Lockstep[Mapping[Role, bytes | None]] = Lockstep(group, adversary, **options)  # type: ignore[arg-type]
    if adversary is not None:
        adversary.sessions = lockstep.sessions  # type: ignore[attr-defined]
    return lockstep.run(program)


def check(
    group: Group, outcome: Run[Mapping[Role, bytes | None]], corrupt: frozenset[Role]
) -> Mapping[Role, bytes | None]:
    """Agreement among honest parties and validity for honest senders; returns the common output."""
    honest = [role for role in group.roles if role not in corrupt]
    assert not {role: error for role, error in outcome.errors.items() if role in honest}
    outputs = [outcome.results[role] for role in honest]
    assert all(output == outputs[0] for output in outputs)
    for sender in honest:
        assert outputs[0][sender] == b"body of %d" % sender
    return outputs[0]


class Puppets(Adversary):
    """Corrupt parties 1..t with their signing keys."""

    sessions: dict[Role, Session]

    def __init__(self, group: Group) -> None:
        self.group = group
        self.corrupt = frozenset(range(1, group.t + 1))

    def signature(self, signer: Role, sender: Role, body: bytes) -> bytes:
        session = self.sessions[signer].enter(1, broadcast_slots("b", self.group, LIMIT))
        return session.identity.sign("broadcast", session.where("b.1") + enc(sender, sha256(body).digest()))

    def body(self, text: bytes) -> bytes:
        stamp = self.sessions[1].enter(1, broadcast_slots("b", self.group, LIMIT)).stamp()
        return stamp + bytes(HEAD - len(stamp)) + text


@pytest.mark.parametrize(("n", "t"), [(4, 1), (7, 2), (10, 3), (13, 4)])
def test_honest_senders_bodies_reach_everybody(n: int, t: int) -> None:
    group = Group(n, t)
    output = check(group, run(group), frozenset())
    assert output == {role: b"body of %d" % role for role in group.roles}


class Equivocate(Puppets):
    """Sign one body for the even parties and another for the odd ones."""

    def send(self, move: Move) -> Outgoing:
        if move.slot != "b.1":
            return {}
        bodies = {peer: self.body(b"even" if peer % 2 == 0 else b"odd") for peer in self.group.roles}
        return {peer: self.signature(move.sender, move.sender, body) + body for peer, body in bodies.items()}


@pytest.mark.parametrize(("n", "t"), [(4, 1), (7, 2), (13, 4)])
def test_a_sender_that_signs_two_bodies_is_none_for_all(n: int, t: int) -> None:
    group = Group(n, t)
    adversary = Equivocate(group)
    output = check(group, run(group, adversary), adversary.corrupt)
    assert all(output[sender] is None for sender in adversary.corrupt)


class LateReveal(Puppets):
    """All corrupt parties sign party 1's body and show it to one honest party in round ``number`` only."""

    def __init__(self, group: Group, number: int) -> None:
        super().__init__(group)
        self.number = number

    def send(self, move: Move) -> Outgoing:
        if move.slot != f"b.{self.number}":
            return {}
        body = self.body(b"late")
        self.sessions[move.sender].link.offer(sha256(body).digest(), body)
        chain = {signer: self.signature(signer, 1, body) for signer in self.corrupt}
        return {self.group.n: encode_relays([Relay(1, sha256(body).digest(), chain)])}


@pytest.mark.parametrize(("n", "t"), [(4, 1), (7, 2), (13, 4)])
def test_a_body_shown_late_to_one_party_splits_nobody(n: int, t: int) -> None:
    group = Group(n, t)
    for number in range(2, t + 2):
        adversary = LateReveal(group, number)
        output = check(group, run(group, adversary), adversary.corrupt)
        enough_signatures = t >= number
        assert output[1] == (b"late" if enough_signatures else None)


class WithholdBody(LateReveal):
    """As above, but nobody corrupt serves the body to anyone."""

    def serve(self, server: Role, asker: Role, digest: bytes, body: bytes | None) -> bytes | None:
        return None


def test_a_digest_whose_body_nobody_serves_is_not_accepted() -> None:
    group = Group(7, 2)
    adversary = WithholdBody(group, 2)
    assert check(group, run(group, adversary), adversary.corrupt)[1] is None


class Fuzz(Puppets):
    """Drops, truncates, repeats and swaps messages at random, and signs what it likes."""

    def __init__(self, group: Group, seed: int) -> None:
        super().__init__(group)
        self.random = Random(seed)
        self.heard: list[bytes] = [b""]

    def send(self, move: Move) -> Outgoing:
        self.heard += [data for row in move.seen.values() for data in row.values()][:20]
        out = {}
        for peer, data in move.honest.items():
            choice = self.random.randrange(6)
            body = self.body(b"%d" % self.random.randrange(3))
            forged = {
                signer: self.signature(signer, move.sender, body)
                for signer in self.corrupt
                if self.random.random() < 0.8
            }
            self.sessions[move.sender].link.offer(sha256(body).digest(), body)
            made = (
                self.signature(move.sender, move.sender, body) + body
                if move.slot == "b.1"
                else encode_relays([Relay(move.sender, sha256(body).digest(), forged)])
            )
            replay = self.random.choice(self.heard)
            if choice < 5:
                out[peer] = (data, data[: len(data) // 2], replay, made, made)[choice]
        return out

    def serve(self, server: Role, asker: Role, digest: bytes, body: bytes | None) -> bytes | None:
        return body if self.random.random() < 0.5 else b"another"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.sampled_from([(4, 1), (7, 2), (10, 3)]))
def test_agreement_and_validity_hold_against_random_behaviour(seed: int, size: tuple[int, int]) -> None:
    group = Group(*size)
    adversary = Fuzz(group, seed)
    check(group, run(group, adversary), adversary.corrupt)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_crashed_senders_are_none_for_all_or_for_nobody(seed: int) -> None:
    group = Group(7, 2)
    crash = {role: Random(seed + role).randrange(3) for role in (2, 5)}
    outcome = run(group, stop_at=lambda role, tag: crash.get(role) == tag.slot)
    check(group, outcome, frozenset(crash))


def test_another_public_state_makes_a_body_none() -> None:
    async def other_state(session: Session) -> Mapping[Role, bytes | None]:
        return await program(replace(session, state=b"\1" * 32) if session.me == 3 else session)

    outcome = Lockstep["Mapping[Role, bytes | None]"](Group(4, 1)).run(other_state)
    assert outcome.results[1][3] is None
    assert isinstance(outcome.errors[3], StateDiverged)


def test_who_is_none_in_a_broadcast_is_not_waited_for_afterwards() -> None:
    async def twice(session: Session) -> frozenset[Role]:
        session = session.enter(1, (*broadcast_slots("b", session.group, LIMIT), Slot("after", 1, 0)))
        await broadcast(session, "b", b"x", limit=LIMIT)
        await session.exchange("after", dict.fromkeys(session.group.roles, b"y"), limit=1)
        return session.present

    outcome = Lockstep[frozenset[int]](Group(4, 1), stop_at=lambda role, tag: role == 2 and tag.slot == 0).run(twice)
    assert outcome.results == {1: {1, 3, 4}, 3: {1, 3, 4}, 4: {1, 3, 4}}


def test_more_than_t_silent_parties_lose_the_quorum_and_are_named() -> None:
    outcome = run(Group(4, 1), stop_at=lambda role, _: role in {1, 2})
    assert {type(outcome.errors[role]) for role in (3, 4)} == {QuorumLost}
    assert all(error.culprits == {1, 2} for role, error in outcome.errors.items() if role > 2)  # type: ignore[attr-defined]


@given(data=st.binary(max_size=400))
def test_relays_decode_to_what_encodes_to_the_same_bytes(data: bytes) -> None:
    relays = decode_relays(data, 4)
    assert relays is None or encode_relays(relays) == data


@given(
    st.lists(
        st.builds(
            Relay,
            st.integers(1, 4),
            st.binary(min_size=32, max_size=32),
            st.dictionaries(st.integers(1, 4), st.binary(min_size=64, max_size=64)),
        ),
        max_size=5,
    )
)
def test_relays_survive_the_wire(relays: list[Relay]) -> None:
    assert decode_relays(encode_relays(relays), 4) == relays


class NameManyBodies(Puppets):
    """Lists digests of large bodies in every relay: unsigned, and more than two that are signed."""

    def send(self, move: Move) -> Outgoing:
        if move.slot == "b.1":
            return move.honest
        relays = []
        for number in range(20):
            body = self.body(b"%d" % number)
            digest = sha256(body).digest()
            self.sessions[move.sender].link.offer(digest, body)
            chain = {signer: self.signature(signer, move.sender, body) for signer in self.corrupt} if number < 5 else {}
            relays.append(Relay(move.sender, digest, chain))
        return dict.fromkeys(self.group.roles, encode_relays(relays))


def test_nobody_pulls_bodies_without_signatures_or_more_than_two_a_sender() -> None:
    group = Group(7, 2)
    adversary = NameManyBodies(group)
    outcome = run(group, adversary)
    check(group, outcome, adversary.corrupt)
    honest, size = group.n - group.t, len(adversary.body(b"0"))
    assert sum(outcome.traffic.of("pull").values()) <= honest * group.t * 2 * group.t * size
