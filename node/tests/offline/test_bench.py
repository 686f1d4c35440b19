"""Disputes and benches: how long, how many, and never at the cost of an honest party (01 section 4, step 8)."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg_node.errors import QuorumLost
from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.offline.king import Post
from dkg_node.offline.votes import Canonical, Disputed, Kingless, consequences
from dkg_node.protocols.session import Group
from dkg_node.protocols.state import PublicState
from dkg_node.testing.batches import simulate_batch
from dkg_node.testing.liars import Liars

GROUPS = st.sampled_from([Group(4, 1), Group(7, 2), Group(13, 4)])


@settings(deadline=None)
@given(times=st.integers(1, 8), first=st.integers(0, 50))
def test_the_kth_bench_lasts_two_to_the_k_minus_one_batches(times: int, first: int) -> None:
    state, batch = PublicState(), first
    for k in range(1, times + 1):
        state = state.starting(batch).bench(3, batch)
        for later in range(batch, batch + (1 << (k - 1))):
            assert 3 in state.starting(later).benched
        batch += 1 << (k - 1)
        assert 3 not in state.starting(batch).benched


def test_a_bench_settles_the_disputes_of_the_benched_and_no_other() -> None:
    state = PublicState(disputes=frozenset({(1, 2), (2, 3), (3, 4)})).bench(2, 0)
    assert state.disputes == {(3, 4)}
    assert state.bench(2, 9) == state


@settings(deadline=None)
@given(data=st.data(), group=GROUPS)
def test_disputes_with_t_faulty_parties_bench_no_honest_one(data: st.DataObject, group: Group) -> None:
    faulty = data.draw(st.frozensets(st.sampled_from(list(group.roles)), max_size=group.t))
    pairs = [(min(a, b), max(a, b)) for a, b in product(faulty, group.roles) if a != b]
    chosen = data.draw(st.frozensets(st.sampled_from(pairs))) if pairs else frozenset()
    assert PublicState().disputed(group, chosen, 0).benched <= faulty


@pytest.mark.parametrize("group", [Group(4, 1), Group(7, 2), Group(13, 4)], ids=str)
def test_t_disputes_are_borne_and_one_more_benches(group: Group) -> None:
    pairs = [(1, role) for role in range(2, group.t + 3)]
    borne = PublicState().disputed(group, pairs[:-1], 0)
    assert (borne.benched, borne.disputes) == (frozenset(), frozenset(pairs[:-1]))
    over = PublicState().disputed(group, pairs, 0)
    assert (over.benched, over.disputes) == (frozenset({1}), frozenset())


def test_a_vote_has_the_consequences_of_the_design() -> None:
    group = Group(7, 2)
    post = Post(0, 0, 1, (1, 2, 3, 4, 5))
    other = Post(1, 0, 2, (2, 3, 4, 5, 6))
    canonical = Canonical(post, b"h" * 32, frozenset({1, 2, 3, 4, 5}))
    assert consequences(group, PublicState(), [canonical], 4) == PublicState()
    state = consequences(group, PublicState(), [Disputed(post, (2, 3)), Kingless(other)], 4)
    assert state.benched == {2}
    assert state.benches == {(2, 1, 5)}
    assert state.disputes == {(1, 3)}


def test_a_conviction_ends_all_other_talk_about_the_party() -> None:
    state = PublicState(
        absent=frozenset({2, 3}),
        benched=frozenset({2}),
        never_king=frozenset({2}),
        disputes=frozenset({(1, 2), (3, 4)}),
    )
    done = state.convicted({2}, {4})
    assert done == PublicState(
        corrupt=frozenset({2}), absent=frozenset({3}), never_king=frozenset({4}), disputes=frozenset({(3, 4)})
    )


def test_a_batch_that_finds_no_king_in_all_its_rounds_ends_the_era() -> None:
    """More than t kings that fail for ever: (t+1)^2 rounds, then an error that says so."""
    group = Group(4, 1)
    liars = Liars(1, 2, 3, 4)
    for role in group.roles:
        liars.plan(role, "V", lambda _: {})
    run = simulate_batch(group, Batch(0, "bits", 64, (Chunk(0, "bits", 64, groups=1),)), liars)
    assert not run.results
    for error in run.errors.values():
        assert isinstance(error, QuorumLost)
        assert "found no king" in str(error)
