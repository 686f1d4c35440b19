"""R = GR(2^K, 4): ring axioms, the exceptional set, interpolation."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_node.algebra.ring import ONE, ZERO, Element, Ring, adjugate, alpha, norm, product

words = st.integers(0, 2**128 - 1) | st.sampled_from([0, 1, 2, 2**63, 2**64 - 1, 2**127, 2**128 - 1])
any_element = st.tuples(words, words, words, words)
small = st.tuples(*[st.integers(-1000, 1000)] * 4)


@given(any_element, any_element, any_element)
def test_r_is_a_commutative_ring(k: int, a: Element, b: Element, c: Element) -> None:
    ring = Ring(k)
    a, b, c = map(ring.reduce, (a, b, c))
    assert ring.add(a, b) == ring.add(b, a)
    assert ring.mul(a, b) == ring.mul(b, a)
    assert ring.add(ring.add(a, b), c) == ring.add(a, ring.add(b, c))
    assert ring.mul(ring.mul(a, b), c) == ring.mul(a, ring.mul(b, c))
    assert ring.mul(a, ring.add(b, c)) == ring.add(ring.mul(a, b), ring.mul(a, c))
    assert ring.add(a, ZERO) == a
    assert ring.mul(a, ONE) == a
    assert ring.sub(ring.add(a, b), b) == a


def test_x_is_a_root_of_the_modulus(k: int) -> None:
    ring = Ring(k)
    x = (0, 1, 0, 0)
    fourth = ring.mul(ring.mul(x, x), ring.mul(x, x))
    assert ring.sum([fourth, x, ONE]) == ZERO


@given(any_element, st.integers(-(2**70), 2**200))
def test_scaling_is_multiplication_by_a_constant(k: int, a: Element, factor: int) -> None:
    ring = Ring(k)
    assert ring.scale(a, factor) == ring.mul(a, (factor, 0, 0, 0))


@given(any_element)
def test_an_element_is_a_unit_iff_it_is_not_zero_mod_2(k: int, a: Element) -> None:
    ring = Ring(k)
    a = ring.reduce(a)
    if any(word % 2 for word in a):
        assert ring.mul(a, ring.inverse(a)) == ONE
    else:
        with pytest.raises(ValueError, match="unit"):
            ring.inverse(a)


@given(small)
def test_the_adjugate_is_the_norm_divided_by_the_element(a: Element) -> None:
    assert product(a, adjugate(a)) == (norm(a), 0, 0, 0)


@given(small, small)
def test_the_norm_is_multiplicative(a: Element, b: Element) -> None:
    assert norm(product(a, b)) == norm(a) * norm(b)


def test_norms_of_the_points_are_those_of_the_design() -> None:
    assert [norm(alpha(j)) for j in range(1, 14)] == [1, 1, 1, 1, 5, 1, 3, 1, 1, 5, 3, 1, 9]


def test_all_differences_of_two_points_are_units(k: int) -> None:
    ring = Ring(k)
    pairs = list(combinations(range(16), 2))
    assert len(pairs) == 120
    for i, j in pairs:
        difference = ring.sub(alpha(i), alpha(j))
        assert ring.mul(difference, ring.inverse(difference)) == ONE


@pytest.mark.parametrize("party", [-1, 16])
def test_there_are_only_sixteen_points(party: int) -> None:
    with pytest.raises(ValueError, match="15"):
        alpha(party)


@given(st.lists(any_element, min_size=1, max_size=6), st.sets(st.integers(1, 15), min_size=6, max_size=9), words)
def test_interpolation_undoes_evaluation_at_zero_and_everywhere(
    k: int, f: list[Element], parties: set[int], place: int
) -> None:
    ring = Ring(k)
    values = {i: ring.evaluate(f, alpha(i)) for i in sorted(parties)}
    assert ring.interpolate(values) == ring.reduce(f[0])
    at = ring.reduce((place, place >> 1, place >> 2, 1))
    assert ring.interpolate(values, at) == ring.evaluate(f, at)


def test_too_few_points_do_not_determine_the_secret(k: int) -> None:
    ring = Ring(k)
    f = [(5, 0, 0, 0), (1, 2, 3, 4), (1, 0, 0, 0)]
    assert ring.interpolate({i: ring.evaluate(f, alpha(i)) for i in (1, 2)}) != f[0]


def test_a_party_given_twice_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="different"):
        Ring(k).lagrange([1, 2, 1])
