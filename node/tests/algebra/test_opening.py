"""Degree t is corrected up to t wrong or missing shares and never beyond; degree 2t is only ever tested."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg_node.algebra import kernel
from dkg_node.algebra.ring import ONE, Element, alpha
from dkg_node.algebra.twin.words import write_elements
from dkg_node.testing.dealing import World

Vectors = dict[int, list[Element]]


def wreck(world: World, rng: Random, vector: list[Element]) -> list[Element]:
    """Another value in at least one place."""
    hit = rng.randrange(len(vector))
    return [
        world.ring.add(share, world.unit(rng)) if m == hit or rng.random() < 0.3 else share
        for m, share in enumerate(vector)
    ]


def mask_of(parties: set[int]) -> int:
    return sum(1 << (i - 1) for i in parties)


@given(seed=st.integers(0, 2**32))
def test_any_t_wrong_or_missing_shares_are_corrected_and_named(world: World, seed: int) -> None:
    rng = Random(seed)
    secrets = [world.element(rng) for _ in range(3)]
    shares = world.deal(rng, secrets, world.t)
    faulty = rng.sample(world.parties, rng.randint(0, world.t))
    cut = rng.randint(0, len(faulty))
    liars, missing = set(faulty[:cut]), set(faulty[cut:])
    given_shares: Vectors = {
        i: wreck(world, rng, v) if i in liars else v for i, v in shares.items() if i not in missing
    }
    opened = world.impl.robust_open(world.n, world.t, world.k, world.wire(given_shares))
    assert opened == (write_elements(secrets, world.k), mask_of(liars))


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32))
def test_one_fault_more_than_t_is_refused(world: World, seed: int) -> None:
    rng = Random(seed)
    shares = world.deal(rng, [world.element(rng)], world.t)
    faulty = rng.sample(world.parties, world.t + 1)
    liars = set(faulty[: rng.randint(1, len(faulty))])
    given_shares: Vectors = {
        i: wreck(world, rng, v) if i in liars else v for i, v in shares.items() if i not in set(faulty) - liars
    }
    assert world.impl.robust_open(world.n, world.t, world.k, world.wire(given_shares)) is None


def test_fewer_than_2t_plus_1_shares_open_nothing(world: World, rng: Random) -> None:
    shares = world.wire(world.deal(rng, [world.element(rng)], world.t))
    few = {i: shares[i] for i in rng.sample(world.parties, 2 * world.t)}
    assert world.impl.robust_open(world.n, world.t, world.k, few) is None
    assert world.impl.robust_open(world.n, world.t, world.k, {}) is None
    assert world.impl.robust_open(world.n, world.t, world.k, dict.fromkeys(few, b"")) is None


def test_other_parties_may_lie_in_other_elements(world: World, rng: Random) -> None:
    """The bound holds element by element: here every party lies somewhere, t at a time."""
    count = -(-world.n // world.t)
    secrets = [world.element(rng) for _ in range(count)]
    shares = world.deal(rng, secrets, world.t)
    for i in world.parties:
        m = (i - 1) // world.t
        shares[i][m] = world.ring.add(shares[i][m], ONE)
    opened = world.impl.robust_open(world.n, world.t, world.k, world.wire(shares))
    assert opened == (write_elements(secrets, world.k), mask_of(set(world.parties)))


def off_at(world: World, factor: Element, roots: tuple[int, ...]) -> Vectors:
    """Shares of factor * prod(X - alpha_h)."""
    ring = world.ring
    out: Vectors = {}
    for i in world.parties:
        value = factor
        for h in roots:
            value = ring.mul(value, ring.sub(alpha(i), alpha(h)))
        out[i] = [value]
    return out


def moved(world: World, shares: Vectors, by: Vectors, colluders: set[int]) -> dict[int, bytes]:
    """Colluders add their part of the wrong codeword, honest shares stay."""
    return world.wire({i: [world.ring.add(v[0], by[i][0])] if i in colluders else v for i, v in shares.items()})


@pytest.mark.parametrize("step", [1, 1 << 31])
def test_the_nearest_wrong_codeword_of_degree_t_is_corrected(world: World, rng: Random, step: int) -> None:
    """t colluders move towards the codeword that agrees with t honest shares: 2t agree, and 2t+1 are needed.

    Also with a small difference: an element that is 0 mod 2 is no unit, and still no codeword.
    """
    n, t, k = world.n, world.t, world.k
    secret = world.element(rng)
    shares = world.deal(rng, [secret], t)
    order = rng.sample(world.parties, n)
    colluders, honest = set(order[:t]), tuple(order[t : 2 * t])
    by = off_at(world, world.ring.scale(world.unit(rng), step), honest)
    opened = world.impl.robust_open(n, t, k, moved(world, shares, by, colluders))
    assert opened == (write_elements([secret], k), mask_of(colluders))


@pytest.mark.parametrize("step", [1, 1 << 31, 1 << 63])
def test_the_nearest_wrong_codeword_of_degree_2t_is_refused_and_never_corrected(
    world: World, rng: Random, step: int
) -> None:
    """For W: c X prod(X - alpha_h) over 2t-1 honest points is 0 at 0 and on degree 2t; t colluders pretend it."""
    n, t, k = world.n, world.t, world.k
    shares = world.deal(rng, [(0, 0, 0, 0)], 2 * t)
    assert world.impl.lies_on(n, 2 * t, k, world.wire(shares))
    order = rng.sample(world.parties, n)
    colluders, fooled = set(order[:t]), tuple(order[t : 3 * t - 1])
    by = off_at(world, world.ring.scale(world.unit(rng), step), (0, *fooled))
    word = moved(world, shares, by, colluders)
    assert not world.impl.lies_on(n, 2 * t, k, word)
    assert world.impl.robust_open(n, t, k, word) is None
    # The limit that the protocol states: were the two other honest parties missing, the word would fit.
    assert world.impl.lies_on(n, 2 * t, k, {i: word[i] for i in {*colluders, *fooled}})
    assert not world.impl.lies_on(n, 2 * t, k, {i: word[i] for i in world.parties if i != order[-1]})


def test_a_masked_value_moved_to_another_codeword_is_refused(world: World, rng: Random) -> None:
    """Without the zero at 0: c prod(X - alpha_h) over 2t honest points agrees with all honest parties but one."""
    n, t, k = world.n, world.t, world.k
    shares = world.deal(rng, [(0, 0, 0, 0)], 2 * t)
    order = rng.sample(world.parties, n)
    colluders, fooled = set(order[:t]), tuple(order[t : 3 * t])
    word = moved(world, shares, off_at(world, world.unit(rng), fooled), colluders)
    assert not world.impl.lies_on(n, 2 * t, k, word)
    assert world.impl.robust_open(n, t, k, word) is None


def test_nothing_in_the_api_corrects_degree_2t(world: World, rng: Random) -> None:
    """robust_open takes no degree but t = (n-1)/3, and an honest word of degree 2t is nothing it opens."""
    word = world.wire(world.deal(rng, [world.element(rng)], 2 * world.t))
    assert world.impl.robust_open(world.n, world.t, world.k, word) is None
    with pytest.raises(ValueError, match="n/t"):
        world.impl.robust_open(world.n, 2 * world.t, world.k, word)
    decoders = [name for name in kernel.__all__ if "open" in name and "from_openings" not in name]
    assert decoders == ["robust_open"]


def test_a_value_other_than_zero_is_refused(world: World, rng: Random) -> None:
    for secret in (ONE, (0, 0, 0, 1 << world.k - 1)):
        word = world.wire(world.deal(rng, [secret], 2 * world.t))
        assert not world.impl.lies_on(world.n, 2 * world.t, world.k, word)


def test_one_wrong_share_in_any_element_is_refused(world: World, rng: Random) -> None:
    shares = world.deal(rng, [(0, 0, 0, 0)] * 3, 2 * world.t)
    assert world.impl.lies_on(world.n, 2 * world.t, world.k, world.wire(shares))
    for i in world.parties:
        bad = {**shares, i: wreck(world, rng, shares[i])}
        assert not world.impl.lies_on(world.n, 2 * world.t, world.k, world.wire(bad))
        quorum = {j: v for j, v in bad.items() if j != i}
        assert world.impl.lies_on(world.n, 2 * world.t, world.k, world.wire(quorum))


def test_any_2t_shares_fit_so_the_caller_must_count(small: World, rng: Random) -> None:
    for two in combinations(small.parties, 2):
        shares = {i: [small.element(rng)] for i in two}
        assert small.impl.lies_on(4, 2, small.k, small.wire(shares))
        assert not small.impl.lies_on(4, 1, small.k, small.wire(shares))


@pytest.mark.parametrize("party", [0, 5])
def test_a_share_of_no_party_is_a_misuse(small: World, party: int) -> None:
    shares = dict.fromkeys([1, 2, 3, party], bytes(small.k // 2))
    for ask in (
        lambda: small.impl.robust_open(4, 1, small.k, shares),
        lambda: small.impl.lies_on(4, 2, small.k, shares),
    ):
        with pytest.raises(ValueError, match=rf"\b{party}\b"):
            ask()
