"""Kings and sender sets are a function of the public state, and no party serves where it must not."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg_node.errors import QuorumLost
from dkg_node.offline.king import assign
from dkg_node.protocols.session import Group
from dkg_node.protocols.state import PublicState

GROUPS = st.sampled_from([Group(4, 1), Group(7, 2), Group(10, 3), Group(13, 4)])


@st.composite
def situations(draw: st.DrawFn) -> tuple[Group, PublicState]:
    group = draw(GROUPS)
    some = st.frozensets(st.sampled_from(list(group.roles)))
    out = draw(st.frozensets(st.sampled_from(list(group.roles)), max_size=group.t))
    corrupt = draw(st.frozensets(st.sampled_from(sorted(out)))) if out else frozenset()
    pairs = st.frozensets(st.sampled_from(list(combinations(group.roles, 2))))
    return group, PublicState(corrupt, out - corrupt, draw(some), draw(some), draw(pairs))


@settings(deadline=None)
@given(situation=situations(), attempt=st.integers(0, 30))
def test_every_chunk_gets_a_king_with_senders_who_may_serve(situation: tuple[Group, PublicState], attempt: int) -> None:
    group, state = situation
    roster = assign(group, state, range(2 * group.n), attempt)
    for post in roster.posts:
        assert len(set(post.senders)) == 2 * group.t + 1
        assert post.king in post.senders
        assert not set(post.senders) & (state.corrupt | state.absent)
        assert post.senders == tuple(sorted(post.senders))
    last = roster.posts[-1]
    assert not set(last.senders) & roster.state.benched
    assert last.king not in roster.state.never_king
    assert not any(roster.state.in_dispute(last.king, sender) for sender in last.senders)


@settings(deadline=None)
@given(situation=situations())
def test_the_roster_depends_on_nothing_but_state_and_chunks(situation: tuple[Group, PublicState]) -> None:
    group, state = situation
    assert assign(group, state, [5, 3, 9], 1) == assign(group, state, (3, 5, 9), 1)


@settings(deadline=None)
@given(group=GROUPS)
def test_everybody_is_king_equally_often_and_the_next_try_has_another_king(group: Group) -> None:
    posts = assign(group, PublicState(), range(3 * group.n), 0).posts
    assert set(Counter(post.king for post in posts).values()) == {3}
    again = assign(group, PublicState(), range(3 * group.n), 1).posts
    assert all(a.king != b.king for a, b in zip(posts, again, strict=True))


def test_the_first_kings_and_senders_are_the_ones_of_the_design() -> None:
    group = Group(4, 1)
    assert [(p.king, p.senders) for p in assign(group, PublicState(), range(5), 0).posts] == [
        (1, (1, 2, 3)),
        (2, (2, 3, 4)),
        (3, (1, 3, 4)),
        (4, (1, 2, 4)),
        (1, (1, 2, 3)),
    ]


def test_a_disputed_sender_is_passed_over_and_a_king_without_senders_is_benched() -> None:
    group = Group(4, 1)
    one = assign(group, PublicState(disputes=frozenset({(1, 2)})), range(4), 0)
    assert one.posts[0].senders == (1, 3, 4)
    assert one.state.benched == frozenset()
    two = assign(group, PublicState(disputes=frozenset({(1, 2), (1, 3)})), range(4), 0)
    assert two.state.benched == {1}
    assert [post.king for post in two.posts] == [2, 3, 4, 2]
    assert all(1 not in post.senders for post in two.posts)


def test_benches_and_disputes_are_lifted_when_nobody_is_left() -> None:
    group = Group(4, 1)
    stuck = PublicState(benched=frozenset({1, 2}), never_king=frozenset({3, 4}), disputes=frozenset({(3, 4)}))
    lifted = assign(group, stuck, [0], 0)
    assert lifted.posts[0].king == 1
    assert lifted.state == PublicState(never_king=frozenset({3, 4}))
    kingless = PublicState(never_king=frozenset({1, 2, 3, 4}))
    assert assign(group, kingless, [1], 0).posts[0].king == 2
    assert assign(group, kingless, [1], 0).state == PublicState()


def test_more_than_t_parties_out_is_a_lost_quorum_that_names_them() -> None:
    with pytest.raises(QuorumLost) as caught:
        assign(Group(4, 1), PublicState(corrupt=frozenset({2}), absent=frozenset({3})), [0], 0)
    assert caught.value.culprits == {2, 3}


def test_every_part_of_the_public_state_is_in_its_digest() -> None:
    states = [
        PublicState(),
        PublicState(corrupt=frozenset({1})),
        PublicState(absent=frozenset({1})),
        PublicState(benched=frozenset({1})),
        PublicState(never_king=frozenset({1})),
        PublicState(disputes=frozenset({(1, 2)})),
        PublicState(generations=frozenset({(1, 2)})),
        PublicState(benches=frozenset({(1, 1, 2)})),
    ]
    assert len({state.digest() for state in states}) == len(states)
