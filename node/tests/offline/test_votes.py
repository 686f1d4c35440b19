"""Votes: read strictly, decided alike by everybody, and no excuse but the king's own and a valid one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg_node.errors import QuorumLost
from dkg_node.offline.king import Post
from dkg_node.offline.votes import (
    Canonical,
    Disputed,
    Kingless,
    Vote,
    decide,
    decode_votes,
    encode_votes,
    read_votes,
)
from dkg_node.protocols.session import Group
from dkg_node.protocols.state import PublicState

GROUP = Group(7, 2)
POST = Post(0, 0, 1, (1, 2, 3, 4, 5))
H, G = b"h" * 32, b"g" * 32

ONE = st.one_of(
    st.just(Vote()),
    st.binary(min_size=32, max_size=32).map(Vote),
    st.frozensets(st.integers(1, 13), min_size=1).map(lambda roles: Vote(missing=tuple(sorted(roles)))),
)


def test_the_limits_are_those_of_the_group() -> None:
    assert (GROUP.quorum, GROUP.degree2_quorum) == (5, 5)


@settings(deadline=None)
@given(votes=st.lists(ONE, max_size=20))
def test_votes_read_back_as_they_were_written(votes: list[Vote]) -> None:
    assert decode_votes(encode_votes(votes), len(votes)) == tuple(votes)
    assert decode_votes(encode_votes(votes), len(votes) + 1) is None


@settings(deadline=None)
@given(data=st.binary(max_size=80), count=st.integers(0, 5))
def test_any_bytes_are_votes_in_one_way_or_none(data: bytes, count: int) -> None:
    votes = decode_votes(data, count)
    assert votes is None or encode_votes(votes) == data


def decided(votes: dict[int, Vote], state: PublicState | None = None) -> object:
    rows = {role: (votes.get(role, Vote()),) for role in GROUP.roles}
    return decide(GROUP, state or PublicState(), [POST], rows)[0]


def test_n_minus_t_equal_hashes_are_canonical_and_one_less_are_not() -> None:
    got = decided({role: Vote(H) for role in (1, 2, 3, 6, 7)})
    assert got == Canonical(POST, H, frozenset({1, 2, 3, 6, 7}))
    assert decided({role: Vote(H) for role in (1, 2, 3, 6)}) == Kingless(POST)
    assert decided({**{role: Vote(H) for role in (1, 2, 3, 6)}, 4: Vote(G)}) == Kingless(POST)


def test_only_the_king_may_excuse_itself_and_only_by_its_own_undisputed_senders() -> None:
    assert decided({1: Vote(missing=(3, 5))}) == Disputed(POST, (3, 5))
    assert decided({2: Vote(missing=(3,))}) == Kingless(POST)
    for bad in ((1,), (6,), (3, 6)):
        assert decided({1: Vote(missing=bad)}) == Kingless(POST)
    assert decided({1: Vote(missing=(3,))}, PublicState(disputes=frozenset({(1, 3)}))) == Kingless(POST)


def test_a_king_that_reports_missing_senders_does_not_undo_a_canonical_v() -> None:
    votes = {role: Vote(H) for role in (2, 3, 4, 5, 6)}
    assert isinstance(decided({**votes, 1: Vote(missing=(3,))}), Canonical)


def test_too_few_votes_are_a_lost_quorum_that_names_the_silent() -> None:
    bodies = {role: encode_votes([Vote(H)]) if role < 5 else (None if role < 7 else b"junk") for role in GROUP.roles}
    votes = read_votes(bodies, 1)
    assert set(votes) == {1, 2, 3, 4}
    with pytest.raises(QuorumLost) as caught:
        decide(GROUP, PublicState(), [POST], votes)
    assert caught.value.culprits == {5, 6, 7}
