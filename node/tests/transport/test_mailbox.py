"""The rules of an exchange's end, and what is kept, dropped and pulled: pure, with time as an argument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_node.protocols.session import Tag
from dkg_node.testing.world import ask
from dkg_node.transport.mailbox import SEGMENTS_AHEAD, Mailbox, Pending, cost

GRACE = 5.0
DEADLINE = 20.0
ROLES = (1, 2, 3, 4)


class Record:
    """Notes what the mailbox asks for."""

    def __init__(self) -> None:
        self.pulls: list[tuple[int, bytes]] = []
        self.consumed_bytes: Counter[int] = Counter()
        self.hurry: list[float] = []

    def pull(self, role: int, tag: Tag, digest: bytes) -> None:
        assert tag.segment >= 0
        self.pulls.append((role, digest))

    def hurry_at(self, instant: float) -> None:
        self.hurry.append(instant)

    def consumed(self, role: int, size: int) -> None:
        self.consumed_bytes[role] += size


def mailbox(early: int = 1 << 20) -> tuple[Mailbox, Record]:
    record = Record()
    box = Mailbox(1, record, GRACE, early)
    box.open((0, 0), [DEADLINE] * 4)
    return box, record


def begin(box: Mailbox, now: float = 0.0, **rules: Any) -> Pending:  # noqa: ANN401 - fields of Exchange
    return box.begin(ask({1: b"own"}, ROLES, **rules), 0, now)


def hear(box: Mailbox, role: int, body: bytes = b"x", slot: int = 0, now: float = 0.0) -> None:
    box.deliver(role, 0, Tag(0, slot, 0), body, now)


def three(got: Mapping[int, bytes]) -> bool:
    return len(got) >= 3


# --- the four ends


def test_it_ends_at_once_when_everybody_was_heard() -> None:
    box, _ = mailbox()
    pending = begin(box)
    for role in (2, 3):
        hear(box, role)
        assert not box.settle(pending, 0.0)
    hear(box, 4)
    assert box.settle(pending, 0.0)
    assert pending.result == {1: b"own", 2: b"x", 3: b"x", 4: b"x"}


def test_without_enough_it_waits_to_the_deadline() -> None:
    box, _ = mailbox()
    pending = begin(box)
    hear(box, 2)
    hear(box, 3)
    assert not box.settle(pending, DEADLINE - 0.001)
    assert box.settle(pending, DEADLINE)
    assert pending.result == {1: b"own", 2: b"x", 3: b"x", 4: None}


def test_after_the_grace_it_ends_as_soon_as_there_is_enough() -> None:
    box, _ = mailbox()
    pending = begin(box, enough=three)
    hear(box, 2)
    assert not box.settle(pending, GRACE)
    hear(box, 3)
    assert box.settle(pending, GRACE + 1)
    assert pending.result is not None
    assert pending.result[4] is None


def test_who_lags_is_not_waited_for_until_it_is_in_time_again() -> None:
    box, _ = mailbox()
    first = begin(box, enough=three)
    hear(box, 2)
    hear(box, 3)
    assert not box.settle(first, GRACE - 0.1)
    assert box.settle(first, GRACE)
    second = begin(box, GRACE, slot=1, enough=three)
    hear(box, 2, slot=1)
    hear(box, 3, slot=1)
    assert box.settle(second, GRACE), "nobody waits for party 4 again"
    hear(box, 4, slot=1)  # late
    third = begin(box, GRACE, slot=2, enough=three)
    hear(box, 4, slot=2)  # in time
    hear(box, 2, slot=2)
    assert not box.settle(third, GRACE), "party 3 does not lag"
    hear(box, 3, slot=2)
    assert box.settle(third, GRACE)
    fourth = begin(box, GRACE, slot=3, enough=three)
    hear(box, 2, slot=3)
    hear(box, 3, slot=3)
    assert not box.settle(fourth, GRACE), "party 4 is waited for again"


def test_lagging_without_enough_is_waited_for_to_the_deadline() -> None:
    box, _ = mailbox()
    first = begin(box, enough=three)
    hear(box, 2)
    hear(box, 3)
    box.settle(first, GRACE)
    second = begin(box, GRACE, slot=1)
    hear(box, 2, slot=1)
    hear(box, 3, slot=1)
    assert not box.settle(second, DEADLINE - 1)


def test_lagging_ends_with_its_segment() -> None:
    box, _ = mailbox()
    first = begin(box, enough=three)
    hear(box, 2)
    hear(box, 3)
    assert box.settle(first, GRACE)
    box.close((0, 0))
    box.open((0, 1), [50.0])
    pending = box.begin(ask({1: b""}, ROLES, segment=1, enough=three), 0, 20.0)
    for role in (2, 3):
        box.deliver(role, 0, Tag(1, 0, 0), b"", 20.0)
    assert not box.settle(pending, 20.0)


@given(
    st.permutations([2, 3, 4]),
    st.lists(st.floats(0, 30), min_size=3, max_size=3),
    st.sampled_from((None, 1, 2, 3, 4)),
)
def test_the_end_is_what_the_rules_say_whenever_messages_come(
    order: list[int], delays: list[float], needed: int | None
) -> None:
    times = sorted(delays)
    box, _ = mailbox()
    enough = None if needed is None else lambda got: len(got) >= needed
    pending = begin(box, enough=enough)
    events = sorted([*zip(times, order, strict=True), (GRACE, 0), (DEADLINE, 0)])
    ended = None
    for now, role in events:
        if role:
            hear(box, role, now=now)
        if box.settle(pending, now):
            ended = now
            break
    arrivals = [0.0, *times]
    all_heard = arrivals[3]
    satisfied = DEADLINE if needed is None else max(GRACE, arrivals[needed - 1])
    assert ended == min(all_heard, satisfied, DEADLINE)
    assert pending.result is not None
    in_time = {role for time, role in zip(times, order, strict=True) if time < ended} | {1}
    assert {role for role, body in pending.result.items() if body is not None} >= in_time


# --- what is taken


def test_a_message_over_the_limit_is_none_and_waited_for_no_longer() -> None:
    box, _ = mailbox()
    pending = box.begin(ask({}, [2], limit=10), 0, 0.0)
    hear(box, 2, bytes(11))
    assert box.settle(pending, 0.0)
    assert pending.result == {2: None}


def test_a_second_message_of_a_slot_changes_nothing() -> None:
    box, _ = mailbox()
    pending = begin(box)
    hear(box, 2, b"first")
    hear(box, 2, b"second")
    hear(box, 3, slot=1)
    hear(box, 3, b"again", slot=1)
    assert pending.heard[2] == b"first"
    assert box.begin(ask({}, [3], 1), 0, 0.0).heard[3] == b"x"
    assert box.counters["duplicate"] == 2


def test_who_is_not_expected_is_not_heard() -> None:
    box, _ = mailbox()
    pending = box.begin(ask({}, [2]), 0, 0.0)
    hear(box, 3)
    hear(box, 2)
    assert box.settle(pending, 0.0)
    assert pending.result == {2: b"x"}


@pytest.mark.parametrize(
    ("era", "segment", "slot", "why"),
    [(0, 0, 4, "foreign"), (0, SEGMENTS_AHEAD + 1, 0, "foreign")],
)
def test_what_no_honest_party_sends_now_is_dropped(era: int, segment: int, slot: int, why: str) -> None:
    box, record = mailbox()
    box.deliver(2, era, Tag(segment, slot, 0), b"body", 0.0)
    assert box.counters[why] == 1
    assert record.consumed_bytes[2] == cost(b"body")


def test_what_is_behind_is_late() -> None:
    box, _ = mailbox()
    box.close((0, 0))
    box.open((1, 0), [DEADLINE])
    box.deliver(2, 0, Tag(0, 0, 0), b"", 0.0)
    box.deliver(2, 0, Tag(1, 0, 0), b"", 0.0)
    assert box.counters["late"] == 2


def test_a_later_era_and_segments_ahead_are_kept() -> None:
    box, _ = mailbox()
    box.deliver(2, 0, Tag(1, 0, 0), b"next segment", 0.0)
    box.deliver(2, 1, Tag(0, 0, 0), b"next era", 0.0)
    box.close((0, 0))
    box.open((0, 1), [DEADLINE])
    assert box.begin(ask({}, [2], segment=1), 0, 0.0).heard == {2: b"next segment"}
    box.close((0, 1))
    box.open((1, 0), [DEADLINE])
    assert box.begin(ask({}, [2]), 1, 0.0).heard == {2: b"next era"}


@given(
    st.lists(
        st.tuples(st.sampled_from((2, 3)), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3000)), max_size=30
    )
)
def test_what_waits_is_bounded_and_every_byte_is_accounted_for(messages: list[tuple[int, int, int, int]]) -> None:
    box, record = mailbox(early=4000)
    delivered: Counter[int] = Counter()
    for role, slot, part, size in messages:
        box.deliver(role, 0, Tag(0, slot, part), bytes(size), 0.0)
        delivered[role] += cost(bytes(size))
        assert all(waiting <= 4000 for waiting in box._early_bytes.values())
    for slot in range(4):
        begin(box, slot=slot, part=1)
    box.close((0, 0))
    assert record.consumed_bytes == delivered


def test_mistakes_of_the_code_are_errors() -> None:
    box, _ = mailbox()
    begin(box)
    with pytest.raises(ValueError, match="once"):
        begin(box)
    with pytest.raises(ValueError, match="open the segment"):
        begin(box, slot=4)
    with pytest.raises(ValueError, match="open the segment"):
        begin(box, segment=1)
    with pytest.raises(ValueError, match="in order"):
        box.open((0, 0), [])


def test_closing_a_segment_ends_what_runs_in_it() -> None:
    box, _ = mailbox()
    pending = begin(box)
    hear(box, 2)
    assert box.close((0, 0)) == [pending]
    assert pending.result == {1: b"own", 2: b"x", 3: None, 4: None}
    assert box.close((0, 0)) == []


# --- bodies by digest

BODY = b"a body"
DIGEST = sha256(BODY).digest()


def naming(box: Mailbox, roles: tuple[int, ...] = ROLES) -> Pending:
    return box.begin(ask({}, roles, names=lambda _, message: [message], body_limit=100), 0, 0.0)


def answer(box: Mailbox, role: int, body: bytes = BODY, digest: bytes = DIGEST) -> list[Pending]:
    return box.body(role, 0, Tag(0, 0, 0), digest + body)


def test_a_message_counts_when_the_body_it_names_is_here() -> None:
    box, record = mailbox()
    pending = naming(box, (2,))
    hear(box, 2, DIGEST)
    assert record.pulls == [(2, DIGEST)]
    assert not box.settle(pending, 1.0)
    assert answer(box, 2) == [pending]
    assert box.settle(pending, 1.0)
    assert box.held(DIGEST) == BODY


def test_a_body_that_is_held_is_not_pulled() -> None:
    box, record = mailbox()
    box.offer(DIGEST, BODY)
    pending = naming(box, (2,))
    hear(box, 2, DIGEST)
    assert box.settle(pending, 0.0)
    assert record.pulls == []
    assert box.serve(0, 0, DIGEST) == BODY


@pytest.mark.parametrize("wrong", [b"", b"another", bytes(101)])
def test_a_wrong_answer_sends_the_question_to_the_next_who_names_it(wrong: bytes) -> None:
    box, record = mailbox()
    naming(box)
    hear(box, 2, DIGEST)
    hear(box, 3, DIGEST)
    assert answer(box, 2, wrong) == []
    assert record.pulls == [(2, DIGEST), (3, DIGEST)]
    assert len(answer(box, 3)) == 1
    assert box.held(DIGEST) == BODY


def test_no_answer_sends_it_to_the_next_after_a_while() -> None:
    box, record = mailbox()
    naming(box)
    hear(box, 2, DIGEST)
    hear(box, 3, DIGEST)
    box.hurry(0.5)
    assert record.pulls == [(2, DIGEST)]
    box.hurry(box.patience)
    assert record.pulls == [(2, DIGEST), (3, DIGEST)]
    assert answer(box, 2), "the first may still answer"


def test_t_silent_liars_cost_the_patience_once() -> None:
    box, record = mailbox()
    naming(box)
    for role in (2, 3, 4):
        hear(box, role, DIGEST)
    box.hurry(box.patience)
    assert record.pulls == [(2, DIGEST), (3, DIGEST), (4, DIGEST)]


def test_a_liar_that_names_a_body_first_and_never_serves_it_keeps_it_from_nobody() -> None:
    box, record = mailbox()
    naming(box)
    hear(box, 2, DIGEST)
    box.hurry(box.patience)
    hear(box, 3, DIGEST, now=box.patience / 2)
    assert record.hurry, "somebody must come back for it"
    box.hurry(max(record.hurry))
    assert record.pulls == [(2, DIGEST), (3, DIGEST)]


def test_a_slow_honest_answer_still_counts_after_a_liar_was_asked_next() -> None:
    box, record = mailbox()
    naming(box)
    hear(box, 2, DIGEST)
    hear(box, 3, DIGEST, now=box.patience)
    assert record.pulls == [(2, DIGEST), (3, DIGEST)]
    assert answer(box, 2), "the right bytes are the right bytes, whoever brings them"
    assert box.held(DIGEST) == BODY


def test_the_silent_are_asked_again_when_all_others_failed() -> None:
    box, record = mailbox()
    naming(box)
    hear(box, 2, DIGEST)
    hear(box, 3, DIGEST, now=box.patience)
    answer(box, 3, b"another")
    assert record.pulls == [(2, DIGEST), (3, DIGEST), (2, DIGEST)]


def test_one_who_names_a_body_long_after_the_silent_first_is_asked_at_once() -> None:
    box, record = mailbox()
    naming(box)
    hear(box, 2, DIGEST)
    hear(box, 3, DIGEST, now=box.patience)
    assert record.pulls == [(2, DIGEST), (3, DIGEST)]


@pytest.mark.parametrize("liar", [2, 3])
@pytest.mark.parametrize("empties", [1, 2, 5])
def test_a_liar_s_empty_answers_never_end_the_wait_for_an_honest_one_s(liar: int, empties: int) -> None:
    """Else two liars split a Broadcast: one names its digest, says at the end that it has no body, and it is None."""
    box, _ = mailbox()
    naming(box)
    honest = 5 - liar
    hear(box, 2, DIGEST)
    hear(box, 3, DIGEST, now=box.patience)
    for _ in range(empties):
        assert answer(box, liar, b"") == []
    assert answer(box, honest), "it was asked and has yet to answer"
    assert box.held(DIGEST) == BODY


def test_an_empty_answer_of_a_party_that_was_not_asked_ends_nothing() -> None:
    box, record = mailbox()
    naming(box)
    hear(box, 2, DIGEST)
    hear(box, 4, DIGEST)
    answer(box, 4, b"")
    answer(box, 1, b"")
    assert record.pulls == [(2, DIGEST)]
    assert answer(box, 2)


def test_when_all_who_name_a_body_have_it_not_the_next_one_who_does_is_asked() -> None:
    box, record = mailbox()
    naming(box)
    hear(box, 2, DIGEST)
    answer(box, 2, b"")
    hear(box, 3, DIGEST)
    assert record.pulls == [(2, DIGEST), (3, DIGEST)]
    assert answer(box, 3)


def test_a_body_nobody_asked_for_is_dropped() -> None:
    box, _ = mailbox()
    naming(box)
    assert answer(box, 4) == []
    hear(box, 2, DIGEST)
    assert answer(box, 2, digest=bytes(32)) == []
    assert box.held(DIGEST) is None


def test_bodies_are_served_one_segment_longer_than_they_are_held() -> None:
    box, _ = mailbox()
    box.offer(DIGEST, BODY)
    box.close((0, 0))
    box.open((0, 1), [DEADLINE])
    assert box.held(DIGEST) is None
    assert box.serve(0, 0, DIGEST) == BODY
    box.close((0, 1))
    box.open((0, 2), [DEADLINE])
    box.close((0, 2))
    assert box.serve(0, 0, DIGEST) is None
