"""Attacks on vote and check of a batch: t liars stop it at most, and never get a wrong value into it (01 section 4)."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from dkg_node.algebra import kernel
from dkg_node.algebra.kernel import Shares
from dkg_node.algebra.ring import Element, Ring, alpha
from dkg_node.errors import QuorumLost
from dkg_node.offline.check import DIGITS, accepted, w_bytes
from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.offline.labels import judged_state
from dkg_node.offline.votes import Vote, encode_votes
from dkg_node.protocols import broadcast
from dkg_node.protocols.session import Group, Role, Session
from dkg_node.testing.batches import Insider, dealt_keys, judged, kinds_of, simulate_batch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node.offline.batch import BatchResult
    from dkg_node.testing.lockstep import Move, Outgoing, Run

GROUPS = [Group(4, 1), Group(7, 2)]
ALL_GROUPS = [*GROUPS, Group(10, 3), Group(13, 4)]
BATCH = Batch(1, "noise", 64, tuple(Chunk(i, "noise", 64, 2, 1) for i in range(2)))
RING = Ring(64)
STATE = broadcast.HEAD


def signed_body(session: Session, slot: str, body: bytes) -> bytes:
    """A Broadcast's first message with another body, signed by the party that sends it."""
    digest = sha256(body).digest()
    signed = broadcast._signed(session, slot, session.me, digest)
    return session.identity.sign("broadcast", signed) + body


class Liars(Insider):
    """They Broadcast ``lie(sender, honest content, contents of the honest parties)`` instead; None is silence."""

    def __init__(self, slot: str, *corrupt: Role) -> None:
        super().__init__(*corrupt)
        self.slot = slot

    def lie(self, sender: Role, content: bytes, honest: Mapping[Role, bytes]) -> bytes | None:
        raise NotImplementedError

    def send(self, move: Move) -> Outgoing:
        if move.slot != f"{self.slot}.1":
            return move.honest
        start = broadcast.SIGNATURE + STATE
        own = next(iter(move.honest.values()))
        honest = {role: next(iter(out.values()))[start:] for role, out in move.seen.items()}
        lie = self.lie(move.sender, own[start:], honest)
        if lie is None:
            return {}
        message = signed_body(self.sessions[move.sender], self.slot, own[broadcast.SIGNATURE : start] + lie)
        return dict.fromkeys(move.honest, message)


def elements(body: bytes) -> list[Element]:
    words = [int.from_bytes(body[i : i + 8], "little") for i in range(0, len(body), 8)]
    return [(words[i], words[i + 1], words[i + 2], words[i + 3]) for i in range(0, len(words), 4)]


def wire(values: list[Element]) -> bytes:
    return b"".join(word.to_bytes(8, "little") for value in values for word in value)


def vanishing(at: Role, zeros: list[Role]) -> Element:
    """X * prod (X - alpha_h) at a party: value 0 at 0 and at the parties ``zeros``."""
    value = alpha(at)
    for zero in zeros:
        value = RING.mul(value, RING.sub(alpha(at), alpha(zero)))
    return value


def assert_convicted(group: Group, run: Run[BatchResult], named: dict[Role, str]) -> None:
    """The batch ends right after one redone generation, and exactly the liars are Corrupt."""
    result = judged(group, run, frozenset(named))
    assert kinds_of(result) == set(named.items())
    assert result.state.corrupt == set(named)
    assert result.generation == 1


class NearestCodeword(Liars):
    """t colluders see all honest W and move the word to within 2 shares of a wrong codeword of degree 2t."""

    def lie(self, sender: Role, content: bytes, honest: Mapping[Role, bytes]) -> bytes:
        zeros = sorted(honest)[2:]
        return wire([RING.add(value, vanishing(sender, zeros)) for value in elements(content)])


@pytest.mark.parametrize("group", [*GROUPS, Group(13, 4)], ids=str)
def test_colluders_on_the_nearest_wrong_codeword_are_refused_not_corrected(group: Group) -> None:
    adversary = NearestCodeword("W", *range(1, group.t + 1))
    run = simulate_batch(group, BATCH, adversary)
    assert_convicted(group, run, dict.fromkeys(adversary.corrupt, "check share"))


@pytest.mark.parametrize("group", ALL_GROUPS, ids=str)
def test_the_nearest_wrong_codeword_would_fit_without_two_honest_shares(group: Group) -> None:
    """So the test above is about the one rule that counts: all shares are read, no subset is picked."""
    word = {role: kernel.przs(dealt_keys(group, role), b"w", 64, DIGITS).to_wire() for role in group.roles}
    colluders, zeros = range(1, group.t + 1), list(group.roles)[group.t + 2 :]
    for role in colluders:
        word[role] = wire([RING.add(value, vanishing(role, zeros)) for value in elements(word[role])])
    subset = {role: share for role, share in word.items() if role in {*colluders, *zeros}}
    assert kernel.lies_on(group.n, 2 * group.t, 64, subset)
    assert not accepted(group, 64, word, frozenset(group.roles))


@pytest.mark.parametrize("group", ALL_GROUPS, ids=str)
def test_shares_of_too_high_a_degree_are_refused(group: Group) -> None:
    """X * prod over 2t parties has degree 2t+1 and value 0 at 0: one more than the check allows."""
    zeros = list(group.roles)[: 2 * group.t]
    word: dict[Role, bytes | None] = {role: wire([vanishing(role, zeros)] * DIGITS) for role in group.roles}
    assert not accepted(group, 64, word, frozenset(group.roles))
    lower: dict[Role, bytes | None] = {role: wire([vanishing(role, zeros[1:])] * DIGITS) for role in group.roles}
    assert accepted(group, 64, lower, frozenset(group.roles))


class Garbage(Liars):
    """They send a share that has nothing to do with theirs."""

    def lie(self, sender: Role, content: bytes, honest: Mapping[Role, bytes]) -> bytes:
        return bytes([sender]) * len(content)


@pytest.mark.parametrize("liars", [(1,), (1, 2), (3, 7)], ids=str)
def test_wrong_check_shares_of_a_right_batch_are_never_outvoted_but_convicted(liars: tuple[Role, ...]) -> None:
    adversary = Garbage("W", *liars)
    run = simulate_batch(Group(7, 2), BATCH, adversary)
    assert_convicted(Group(7, 2), run, dict.fromkeys(adversary.corrupt, "check share"))


class CoveringUp(Liars):
    """King 1 adds to V, and all colluders send the W that fits the honest shares of t+1 parties and a zero."""

    def lie(self, sender: Role, content: bytes, honest: Mapping[Role, bytes]) -> bytes:
        near = sorted(honest)[: len(self.corrupt) + 1]
        return wire([self.through(near, [elements(honest[r])[d] for r in near], sender) for d in range(DIGITS)])

    def through(self, places: list[Role], values: list[Element], at: Role) -> Element:
        """The polynomial of lowest degree with value 0 at 0 and these values, at a party."""
        total: Element = (0, 0, 0, 0)
        for place, value in zip(places, values, strict=True):
            others = [role for role in places if role != place]
            factor = RING.mul(vanishing(at, others), RING.inverse(vanishing(place, others)))
            total = RING.add(total, RING.mul(value, factor))
        return total

    def send(self, move: Move) -> Outgoing:
        if move.slot == "V" and move.sender == 1:
            return {peer: bytes([v[0] ^ 1]) + v[1:] for peer, v in move.honest.items()}
        return super().send(move)


@pytest.mark.parametrize("group", [*GROUPS, Group(13, 4)], ids=str)
def test_a_king_and_colluders_who_fit_their_shares_to_the_honest_ones_are_refused(group: Group) -> None:
    adversary = CoveringUp("W", *range(1, group.t + 1))
    result = judged(group, simulate_batch(group, BATCH, adversary), adversary.corrupt)
    assert kinds_of(result) == {(1, "king"), *((role, "check share") for role in adversary.corrupt)}
    assert result.generation == 1


class Silent(Liars):
    def lie(self, sender: Role, content: bytes, honest: Mapping[Role, bytes]) -> None:
        return None


@pytest.mark.parametrize("group", [*GROUPS, Group(13, 4)], ids=str)
@pytest.mark.parametrize("slot", ["votes", "W"])
def test_t_parties_silent_in_a_broadcast_do_not_stop_a_batch_and_are_named(group: Group, slot: str) -> None:
    adversary = Silent(slot, *range(group.n - group.t + 1, group.n + 1))
    run = simulate_batch(group, BATCH, adversary)
    honest = set(group.roles) - adversary.corrupt
    assert honest <= set(run.results)
    assert all(run.results[role].silent == adversary.corrupt for role in honest)


@pytest.mark.parametrize("slot", ["votes", "W"])
def test_a_body_that_can_not_be_read_is_silence(slot: str) -> None:
    class Short(Liars):
        def lie(self, sender: Role, content: bytes, honest: Mapping[Role, bytes]) -> bytes:
            return content[:-1]

    group = Group(4, 1)
    run = simulate_batch(group, BATCH, Short(slot, 4))
    assert {1, 2, 3} <= set(run.results)
    assert all(run.results[role].silent == {4} for role in (1, 2, 3))


@pytest.mark.parametrize("slot", ["votes", "W"])
def test_more_than_t_silent_parties_are_a_lost_quorum_that_names_them(slot: str) -> None:
    group = Group(4, 1)
    run = simulate_batch(group, BATCH, Silent(slot, 3, 4))
    for role in (1, 2):
        error = run.errors[role]
        assert isinstance(error, QuorumLost)
        assert error.culprits == {3, 4}


class SelectivelySilent(Insider):
    """Speaks in every Broadcast and coin to one honest party only."""

    def send(self, move: Move) -> Outgoing:
        apart = move.slot.split(".")[0] in {"votes", "W", "coin"}
        return {peer: m for peer, m in move.honest.items() if not apart or peer in {1, move.sender}}


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_parties_that_speak_to_one_honest_party_only_split_nobody(group: Group) -> None:
    adversary = SelectivelySilent(*range(group.n - group.t + 1, group.n + 1))
    run = simulate_batch(group, BATCH, adversary)
    honest = sorted(set(group.roles) - adversary.corrupt)
    assert set(honest) <= set(run.results)
    assert len({(run.results[role].listing, run.results[role].silent) for role in honest}) == 1


class OtherList(Liars):
    """Their W is under another list of openings, or under none: it belongs to another check."""

    def __init__(self, listing: bytes | None, *corrupt: Role) -> None:
        super().__init__("W", *corrupt)
        self.listing = listing

    def send(self, move: Move) -> Outgoing:
        if move.slot != "W.1":
            return move.honest
        content = next(iter(move.honest.values()))[broadcast.SIGNATURE + STATE :]
        session = self.sessions[move.sender]
        own = session.state
        state = own if self.listing is None else judged_state(own, self.listing, b"c" * 64, own)
        stamp = replace(session, state=state).stamp()
        message = signed_body(session, "W", stamp + bytes(broadcast.MASK) + content)
        return dict.fromkeys(move.honest, message)


@pytest.mark.parametrize("listing", [None, b"l" * 32], ids=["no list", "another list"])
def test_a_share_of_another_list_counts_as_none(listing: bytes | None) -> None:
    run = simulate_batch(Group(4, 1), BATCH, OtherList(listing, 4))
    assert all(run.results[role].silent == {4} for role in (1, 2, 3))


class FalseVotes(Liars):
    """They vote for openings nobody sent, or excuse a king that is not them."""

    def __init__(self, vote: Vote, *corrupt: Role) -> None:
        super().__init__("votes", *corrupt)
        self.vote = vote

    def lie(self, sender: Role, content: bytes, honest: Mapping[Role, bytes]) -> bytes:
        return encode_votes([self.vote] * len(BATCH.chunks))


@pytest.mark.parametrize("vote", [Vote(b"x" * 32), Vote(), Vote(missing=(1, 2))], ids=["hash", "none", "missing"])
@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_t_false_votes_change_no_list(group: Group, vote: Vote) -> None:
    adversary = FalseVotes(vote, *range(group.n - group.t + 1, group.n + 1))
    run, honest = simulate_batch(group, BATCH, adversary), simulate_batch(group, BATCH)
    for role in set(group.roles) - adversary.corrupt:
        assert run.results[role].listing == honest.results[role].listing
        assert all(isinstance(part, Shares) for part in run.results[role].results)


def test_the_shares_of_these_tests_are_as_long_as_the_ones_of_a_run() -> None:
    assert w_bytes(64) == len(wire([(0, 0, 0, 0)] * DIGITS))
