"""Attacks on check, reveal and showing, followed to the verdict: nobody honest is named, 2t events at most (01, 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg_node.errors import QuorumLost
from dkg_node.offline.batch import batch_slots, run_batch
from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.offline.fault import Vows
from dkg_node.offline.slots import most_rounds
from dkg_node.protocols.session import Group, Role, Session
from dkg_node.protocols.state import PublicState
from dkg_node.protocols.store import MemoryStore
from dkg_node.testing.batches import dealt_keys, judged, kinds_of, simulate_batch
from dkg_node.testing.liars import Liars, flipped, moved, slot_of
from dkg_node.testing.lockstep import run_lockstep

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_node.offline.batch import BatchResult
    from dkg_node.testing.lockstep import Move, Outgoing

GROUPS = [Group(4, 1), Group(7, 2), Group(13, 4)]
FAULT_SLOTS = ("fault", "keys", "show")


def bits(chunks: int) -> Batch:
    return Batch(5, "bits", 64, tuple(Chunk(i, "bits", 64, groups=1) for i in range(chunks)))


def colluders(group: Group) -> range:
    return range(1, group.t + 1)


def run(group: Group, batch: Batch, liars: Liars) -> BatchResult:
    return judged(group, simulate_batch(group, batch, liars), liars.corrupt)


def wrong_share(content: bytes, _: Move) -> bytes:
    return flipped(content)


def assert_named(result: BatchResult, kinds: set[tuple[Role, str]], events: int = 1) -> None:
    assert kinds_of(result) == kinds
    assert result.state.corrupt == {role for role, _ in kinds}
    assert len(result.faults) == result.generation == events


# --- W ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "count"),
    [(group, count) for group in GROUPS for count in range(1, group.t + 1)],
    ids=str,
)
def test_liars_in_the_check_on_the_nearest_wrong_codeword_are_named(group: Group, count: int) -> None:
    """c * X * prod (X - alpha_h) over 2t-1 honest points: degree 2t, 0 at 0, fits all but two honest shares."""
    liars = Liars(*range(1, count + 1))
    zeros = list(range(group.t + 1, 3 * group.t))
    for role in liars.corrupt:
        liars.say(role, "W", lambda content, move: moved(content, move.sender, zeros))
    assert_named(run(group, bits(1), liars), {(role, "check share") for role in liars.corrupt})


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_who_lies_in_the_check_and_is_silent_later_is_named_all_the_same(group: Group) -> None:
    liars = Liars(*colluders(group))
    for role in colluders(group):
        liars.silent(role, *FAULT_SLOTS).say(role, "W", wrong_share)
    liars.only_in(lambda number: number == 0)
    result = run(group, bits(2), liars)
    assert_named(result, {(role, "check share") for role in liars.corrupt})


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_a_king_that_forges_and_lies_in_the_check_is_named_for_both(group: Group) -> None:
    liars = Liars(1).add_to_v(1).say(1, "W", wrong_share)
    assert_named(run(group, bits(1), liars), {(1, "king"), (1, "check share")})


@pytest.mark.parametrize("slots", [("W",), FAULT_SLOTS], ids=["in the check", "after it"])
@pytest.mark.parametrize("group", GROUPS[1:], ids=str)
def test_a_right_opening_with_lying_shares_beside_silent_honest_parties_names_none_of_them(
    group: Group, slots: tuple[str, ...]
) -> None:
    """t lie in W, two honest parties fall silent: over t in all, so the era may end, but nobody honest is named."""
    liars = Liars(*colluders(group))
    silent = [group.n, group.n - 1]
    for role in colluders(group):
        liars.say(role, "W", wrong_share)
    liars.corrupt |= frozenset(silent)
    for role in silent:
        liars.silent(role, *slots)
    done = simulate_batch(group, bits(1), liars)
    for role in set(group.roles) - liars.corrupt:
        if role in done.results:
            assert done.results[role].state.corrupt <= frozenset(colluders(group))
        else:
            error = done.errors[role]
            assert isinstance(error, QuorumLost)
            assert error.culprits >= set(silent)


# --- reveal -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("at", ["the first key", "the last key", "all keys"])
def test_who_reveals_another_key_is_named_and_changes_nothing(group: Group, at: str) -> None:
    changes: dict[str, Callable[[bytes], bytes]] = {
        "the first key": flipped,
        "the last key": lambda keys: flipped(keys, len(keys) - 1),
        "all keys": lambda keys: bytes(len(keys)),
    }
    liars = Liars(*colluders(group)).add_to_v(1)
    for role in colluders(group):
        liars.say(role, "keys", lambda content, _: changes[at](content))
    expected = {(role, "key") for role in liars.corrupt} | {(1, "king")}
    assert_named(run(group, bits(1), liars), expected)


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_t_parties_that_reveal_nothing_stop_no_verdict(group: Group) -> None:
    liars = Liars(*colluders(group)).add_to_v(1)
    for role in list(colluders(group))[1:]:
        liars.silent(role, "keys")
    result = run(group, bits(1), liars)
    assert kinds_of(result) == {(1, "king")}
    assert result.state.absent == liars.corrupt - {1}


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("junk", [b"", b"x" * 64], ids=["none", "junk"])
def test_t_missing_fault_signatures_stop_no_reveal(group: Group, junk: bytes) -> None:
    liars = Liars(*colluders(group)).add_to_v(1)
    for role in colluders(group):
        liars.plan(role, "fault", lambda move: dict.fromkeys(move.honest, junk))
    assert_named(run(group, bits(1), liars), {(1, "king")})


@pytest.mark.parametrize("junk", [None, b"x" * 64], ids=["none", "junk"])
@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_nothing_is_revealed_without_n_minus_t_fault_signatures(group: Group, junk: bytes | None) -> None:
    """t+1 withhold theirs: the era ends, and no key has left anybody."""
    liars = Liars(*range(1, group.t + 2)).add_to_v(1)
    for role in liars.corrupt:
        liars.plan(role, "fault", lambda move: {} if junk is None else dict.fromkeys(move.honest, junk))
    done = simulate_batch(group, bits(1), liars)
    honest = set(group.roles) - liars.corrupt
    assert all(isinstance(done.errors[role], QuorumLost) for role in honest)
    assert all(done.errors[role].culprits == liars.corrupt for role in honest)  # type: ignore[attr-defined]
    assert not [name for role, name in done.traffic.sent if name == "keys" and role in honest]


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_a_party_that_cries_fault_after_a_good_check_is_heard_by_nobody(group: Group) -> None:
    done = simulate_batch(group, bits(2))
    assert not [slot for _, slot in done.traffic.sent if slot in FAULT_SLOTS]
    assert all((result.faults, result.rounds) == ((), 1) for result in done.results.values())


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_keys_of_a_wrong_length_are_silence(group: Group) -> None:
    liars = Liars(*colluders(group)).say(1, "W", wrong_share)
    for role in colluders(group):
        liars.say(role, "keys", lambda keys, _: keys[:-1])
    result = run(group, bits(1), liars)
    assert kinds_of(result) == {(1, "check share")}
    assert result.state.absent == liars.corrupt - {1}


def test_the_guard_hears_of_a_fault_before_its_signature_leaves() -> None:
    group, guards = GROUPS[0], {role: Vows() for role in GROUPS[0].roles}
    liars = Liars(1).add_to_v(1)
    sworn: dict[Role, set[tuple[int, int, int]]] = {}

    def look(move: Move) -> None:
        sworn.update({role: set(guards[role].sworn) for role in move.seen})

    liars.plan(1, "fault", look)

    async def program(session: Session) -> BatchResult:
        entered = session.enter(3, batch_slots(group, bits(1)))
        if session.me == 1:
            liars.sessions[1] = entered
        keys = dealt_keys(group, session.me)
        return await run_batch(entered, keys, bits(1), MemoryStore(), PublicState(), guards[session.me])

    done = run_lockstep(group, program, liars)
    assert len(done.results) >= 3
    assert all(sworn[role] == {(0, 5, 0)} for role in (2, 3, 4))
    assert not guards[2].may_sign(0, 5, 0)
    assert guards[2].may_sign(0, 5, 1)


def test_who_signed_a_fault_never_signs_a_certificate_of_it() -> None:
    vows = Vows()
    vows.vow(2, 7, 0)
    assert not vows.may_sign(2, 7, 0)
    assert vows.may_sign(2, 7, 1)
    assert vows.may_sign(3, 7, 0)
    assert vows.may_sign(2, 8, 0)


# --- showing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("way", ["silent", "nothing", "short", "long"])
def test_a_king_that_shows_nothing_is_never_king_again_and_not_named(group: Group, way: str) -> None:
    liars = Liars(1).add_to_v(1)
    if way == "silent":
        liars.silent(1, "show")
    else:
        liars.say(1, "show", lambda content, _: {"nothing": b"", "short": content[:-1], "long": content + b"x"}[way])
    result = run(group, bits(2), liars)
    assert (kinds_of(result), result.generation) == (set(), 1)
    assert set(result.state.never_king) == {1}
    assert 1 not in {c.post.king for c in result.opened}


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("at", [0, 64, 96, -1], ids=["signature", "root", "block", "path or last block"])
def test_a_king_that_shows_what_nobody_signed_is_named_and_no_sender(group: Group, at: int) -> None:
    liars = Liars(1).add_to_v(1)
    liars.say(1, "show", lambda content, _: flipped(content, at % len(content)))
    assert_named(run(group, bits(1), liars), {(1, "king")})


@pytest.mark.parametrize("group", GROUPS[1:], ids=str)
def test_a_king_that_shows_one_senders_share_as_anothers_is_named(group: Group) -> None:
    liars = Liars(1).add_to_v(1)

    def swapped(content: bytes, _: Move) -> bytes:
        size = len(content) // (2 * group.t)
        return content[size : 2 * size] + content[:size] + content[2 * size :]

    assert_named(run(group, bits(1), liars.say(1, "show", swapped)), {(1, "king")})


@pytest.mark.parametrize("group", GROUPS[:2], ids=str)
def test_only_the_lowest_wrong_chunk_of_a_king_is_judged_and_that_suffices(group: Group) -> None:
    """It is king of every n-th chunk and forges them all."""
    chunks = group.n + 1
    assert_named(run(group, bits(chunks), Liars(1).add_to_v(1)), {(1, "king")})


# --- Broadcast: split, late ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("name", ["W", "keys", "show"])
def test_a_message_fed_to_one_honest_party_alone_splits_nobody(group: Group, name: str) -> None:
    """Heard in the first slot by one party, relayed by it: everybody has it."""
    liars = Liars(*colluders(group)).add_to_v(1)
    for role in colluders(group):
        liars.plan(role, f"{name}.1", lambda m: {p: body for p, body in m.honest.items() if p in {group.n, m.sender}})
    assert_named(run(group, bits(1), liars), {(1, "king")})


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("name", ["votes", "W", "keys", "show"])
def test_a_message_withheld_until_the_last_slot_is_none_for_everybody(group: Group, name: str) -> None:
    """The colluders pass it among themselves and show it to one honest party in slot t+1, with t signatures."""
    liars = Liars(*colluders(group)).add_to_v(1)
    last = f"{name}.{group.t + 1}"

    def hold_back(move: Move) -> Outgoing:
        late = slot_of(move)[0] == last
        return {p: body for p, body in move.honest.items() if p in liars.corrupt or (late and p == group.n)}

    for role in colluders(group):
        for number in range(1, group.t + 2):
            liars.plan(role, f"{name}.{number}", hold_back)
    result = run(group, bits(group.t + 1), liars)
    assert result.state.absent == liars.corrupt - result.state.corrupt
    assert result.state.corrupt <= {1}


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_two_signed_showings_are_none_and_take_the_office_only(group: Group) -> None:
    liars = Liars(1).add_to_v(1)
    liars.say(1, "show", lambda content, _: flipped(content))
    other = liars.lies[1, "show.1"]

    def both(move: Move) -> Outgoing:
        lie = other(move) or {}
        return {peer: lie[peer] if peer % 2 else body for peer, body in move.honest.items()}

    result = run(group, bits(1), liars.plan(1, "show.1", both))
    assert (kinds_of(result), set(result.state.never_king)) == (set(), {1})


# --- the bound --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_liars_that_take_turns_cost_2t_generations_and_no_more(group: Group) -> None:
    """First each forges as a king and shows nothing, then each lies in a check: the most events there can be."""
    liars = Liars(*colluders(group))

    def forge(move: Move) -> Outgoing | None:
        turn = slot_of(move)[1]
        return {p: v and flipped(v) for p, v in move.honest.items()} if move.sender == turn + 1 else None

    def lie(content: bytes, move: Move) -> bytes:
        turn = slot_of(move)[1]
        return flipped(content) if turn - group.t + 1 == move.sender else content

    for role in colluders(group):
        liars.plan(role, "V", forge).say(role, "W", lie)
        liars.say(role, "show", lambda *_: b"")
    result = run(group, bits(1), liars)
    assert result.generation == 2 * group.t
    assert result.state.corrupt == liars.corrupt
    assert result.rounds <= most_rounds(group)


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_a_fault_in_a_later_round_throws_away_what_earlier_rounds_accepted(group: Group) -> None:
    """Their keys are revealed, too. A chunk finds no king at first; in its second round a check share is wrong."""
    liars = Liars(2).plan(2, "V", lambda m: {} if slot_of(m)[1] == 0 else None)
    liars.say(2, "W", lambda w, m: flipped(w) if slot_of(m)[1] == 1 else w)
    result = run(group, bits(3), liars)
    assert result.rounds == 3
    assert kinds_of(result) == {(2, "check share")}
    assert {c.post.chunk for c in result.opened} == {0, 1, 2}


def test_everything_a_fault_leaves_is_in_the_state_and_in_its_generation() -> None:
    group = GROUPS[0]
    result = run(group, bits(3), Liars(1).add_to_v(1))
    assert result.state.generation(5) == result.generation == 1
    assert {c.post.chunk for c in result.opened} == {0, 1, 2}
    assert result.silent == frozenset()
