"""Attacks on the king openings: whatever a king or sender sends, no wrong value becomes a result (01 section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg_node.algebra.kernel import Shares
from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.offline.king import SIGNATURE, assign, y_message
from dkg_node.protocols.session import Group, Role
from dkg_node.protocols.state import PublicState
from dkg_node.testing.batches import Insider, judged, kinds_of, simulate_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_node.offline.batch import BatchResult
    from dkg_node.testing.lockstep import Move, Outgoing, Run

GROUPS = [Group(4, 1), Group(7, 2)]
BATCH = Batch(5, "noise", 64, tuple(Chunk(i, "noise", 64, 3, 2) for i in range(3)))
BITS = Batch(5, "bits", 128, tuple(Chunk(i, "bits", 128, groups=2) for i in range(3)))
PRODUCTS = Batch(5, "product", 64, tuple(Chunk(i, "product", 64, rows=2, cols=8) for i in range(3)))
KING = 2
CHUNK = 1
PART = CHUNK + 1
"""The king of chunk 1 is party 2, its child session part 2."""


class Tamper(Insider):
    """One party changes what it sends in one slot of chunk 1: ``change(peer, message)``; None is silence."""

    def __init__(self, liar: Role, slot: str, change: Callable[[Role, bytes], bytes | None]) -> None:
        super().__init__(liar)
        self.slot, self.change = slot, change

    def send(self, move: Move) -> Outgoing:
        if move.slot != self.slot or move.tag.part not in {0, PART}:
            return move.honest
        changed = {peer: self.change(peer, message) for peer, message in move.honest.items()}
        return {peer: message for peer, message in changed.items() if message is not None}


def plus(data: bytes, at: int, delta: int, size: int = 8) -> bytes:
    """Add to the little-endian word at byte ``at``."""
    word = (int.from_bytes(data[at : at + size], "little") + delta) % (1 << (8 * size - 1))
    return data[:at] + word.to_bytes(size, "little") + data[at + size :]


def assert_convicted(group: Group, run: Run[BatchResult], named: set[tuple[Role, str]]) -> None:
    """The batch ends right, after one redone generation, and exactly these parties are Corrupt."""
    result = judged(group, run, frozenset(role for role, _ in named))
    assert kinds_of(result) == named
    assert result.state.corrupt == {role for role, _ in named}
    assert (result.generation, result.state.disputes, result.state.benched) == (1, frozenset(), frozenset())


def assert_passed_over(group: Group, run: Run[BatchResult], liar: Role, state: PublicState) -> None:
    """The batch ends right in a second round: nobody is named, nothing is discarded."""
    result = judged(group, run, frozenset({liar}))
    assert (result.rounds, result.faults) == (2, ())
    assert result.state == state


BENCHED = PublicState(benched=frozenset({KING}), benches=frozenset({(KING, 1, 6)}))
"""The king is out for one batch, the fifth."""


def wires(run: Run[BatchResult], role: Role) -> list[bytes]:
    return [part.to_wire() for part in run.results[role].results if isinstance(part, Shares)]


def assert_same_as_honest(group: Group, batch: Batch, run: Run[BatchResult]) -> None:
    honest = simulate_batch(group, batch)
    assert set(run.results) == set(group.roles)
    for role in group.roles:
        assert wires(run, role) == wires(honest, role)


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("batch", [BATCH, BITS, PRODUCTS], ids=lambda batch: batch.kind)
@pytest.mark.parametrize("delta", [1, -1, 1 << 60])
def test_a_king_that_adds_to_its_opening_is_caught_by_the_check(group: Group, batch: Batch, delta: int) -> None:
    run = simulate_batch(group, batch, Tamper(KING, "V", lambda _, v: plus(v, 0, delta)))
    assert_convicted(group, run, {(KING, "king")})


def test_a_king_of_a_single_chunk_is_caught_by_the_check() -> None:
    group, batch = GROUPS[0], Batch(6, "bits", 64, (Chunk(0, "bits", 64, groups=1),))
    adversary = Tamper(1, "V", lambda _, v: plus(v, 0, 1))
    adversary.send = lambda move: (  # type: ignore[method-assign]
        {peer: plus(v, 0, 1) for peer, v in move.honest.items()} if move.slot == "V" else move.honest
    )
    run = simulate_batch(group, batch, adversary)
    assert_convicted(group, run, {(1, "king")})


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_an_equivocating_king_gets_no_canonical_opening(group: Group) -> None:
    half = group.n // 2
    run = simulate_batch(group, BATCH, Tamper(KING, "V", lambda peer, v: plus(v, 0, 1) if peer > half else v))
    assert_passed_over(group, run, KING, BENCHED)


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("change", [lambda v: plus(v, 0, 1), lambda _: None, lambda v: v[:-1], lambda v: v + b"\0"])
def test_t_parties_that_the_king_cheats_fetch_the_canonical_opening_by_hash(
    group: Group, change: Callable[[bytes], bytes | None]
) -> None:
    last = group.n - group.t
    run = simulate_batch(group, BATCH, Tamper(KING, "V", lambda peer, v: change(v) if peer > last else v))
    assert not run.errors
    assert_same_as_honest(group, BATCH, run)
    assert sum(run.traffic.of("pull").values()) > 0


def test_a_cheated_party_is_served_although_t_holders_refuse() -> None:
    group = GROUPS[1]

    class Refusing(Tamper):
        def serve(self, server: Role, asker: Role, digest: bytes, body: bytes | None) -> bytes | None:
            return None if asker == 7 else b"junk"

    adversary = Refusing(KING, "V", lambda peer, v: None if peer == 7 else v)
    adversary.corrupt = frozenset({KING, 1})
    run = simulate_batch(group, BATCH, adversary)
    assert not run.errors
    assert_same_as_honest(group, BATCH, run)


@pytest.mark.parametrize("bad", ["bits above the trim", "short", "long", "empty"])
def test_an_opening_that_is_not_canonical_is_no_opening(bad: str) -> None:
    group = GROUPS[0]
    changes: dict[str, Callable[[bytes], bytes]] = {
        "bits above the trim": lambda v: v[:7] + bytes([v[7] | 0x80]) + v[8:],
        "short": lambda v: v[:-1],
        "long": lambda v: v + b"\0",
        "empty": lambda _: b"",
    }
    run = simulate_batch(group, BATCH, Tamper(KING, "V", lambda _, v: changes[bad](v)))
    assert_passed_over(group, run, KING, BENCHED)


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_a_silent_king_is_benched_and_its_chunk_goes_to_another(group: Group) -> None:
    run = simulate_batch(group, BATCH, Tamper(KING, "V", lambda *_: None))
    assert_passed_over(group, run, KING, BENCHED)


# --- senders ----------------------------------------------------------------------------------------------------------


class LyingSender(Insider):
    """Party 3, a sender of chunk 1, adds to its y and signs the lie."""

    def __init__(self, delta: int, group: Group) -> None:
        super().__init__(3)
        self.delta = delta
        self.post = assign(group, PublicState(), range(3), 0).posts[CHUNK]

    def send(self, move: Move) -> Outgoing:
        if move.slot != "y" or move.tag.part != PART:
            return move.honest
        y = move.honest[KING][SIGNATURE:]
        word = (int.from_bytes(y[:8], "little") + self.delta) % (1 << 64)
        lie = word.to_bytes(8, "little") + y[8:]
        return {KING: y_message(self.sessions[3], BATCH, 0, self.post, lie)}


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("delta", [2, -2, 1 << 40])
def test_a_sender_that_adds_to_its_share_is_caught_by_the_check(group: Group, delta: int) -> None:
    run = simulate_batch(group, BATCH, LyingSender(delta, group))
    assert_convicted(group, run, {(3, "sender")})


def test_a_sender_that_makes_the_sum_odd_changes_nothing() -> None:
    """v = a^2 + a is even and its lowest bit is dropped before anybody sees it: V stays what it was."""
    run = simulate_batch(GROUPS[0], BATCH, LyingSender(1, GROUPS[0]))
    assert_same_as_honest(GROUPS[0], BATCH, run)


@pytest.mark.parametrize("change", [lambda m: plus(m, SIGNATURE, 2), lambda m: plus(m, 0, 1), lambda _: None])
def test_a_share_without_its_signature_was_never_sent(change: Callable[[bytes], bytes | None]) -> None:
    group = GROUPS[0]
    run = simulate_batch(group, BATCH, Tamper(3, "y", lambda _, message: change(message)))
    assert_passed_over(group, run, 3, PublicState(disputes=frozenset({(KING, 3)})))


class Replayer(Insider):
    """Party 3 sends its king a validly signed y that is of another chunk, try, generation, king, set or state."""

    def __init__(self, what: str, group: Group) -> None:
        super().__init__(3)
        self.what = what
        self.posts = assign(group, PublicState(), range(3), 0).posts
        self.again = assign(group, PublicState(), range(3), 1).posts

    def send(self, move: Move) -> Outgoing:
        if move.slot != "y" or move.tag.part != PART:
            return move.honest
        y, session, post = move.honest[KING][SIGNATURE:], self.sessions[3], self.posts[CHUNK]
        state = PublicState(benched=frozenset({1}))
        other = {
            "chunk": lambda: y_message(session, BATCH, 0, self.posts[0], y),
            "try": lambda: y_message(session, BATCH, 0, self.again[CHUNK], y),
            "generation": lambda: y_message(session, BATCH, 1, post, y),
            "batch": lambda: y_message(session, Batch(6, "noise", 64, BATCH.chunks), 0, post, y),
            "state": lambda: y_message(state.bind(session), BATCH, 0, post, y),
            "segment": lambda: y_message(session.enter(9, session.schedule), BATCH, 0, post, y),
            "nothing": lambda: y_message(session, BATCH, 0, post, y),
        }
        return {KING: other[self.what]()}


@pytest.mark.parametrize("what", ["chunk", "try", "generation", "batch", "state", "segment"])
def test_a_signed_share_of_another_place_is_refused(what: str) -> None:
    group = GROUPS[0]
    run = simulate_batch(group, BATCH, Replayer(what, group))
    assert_passed_over(group, run, 3, PublicState(disputes=frozenset({(KING, 3)})))


def test_the_replaying_sender_would_be_heard_if_it_sent_the_right_one() -> None:
    group = GROUPS[0]
    assert_same_as_honest(group, BATCH, simulate_batch(group, BATCH, Replayer("nothing", group)))
