"""Sets of n-t parties and the small integer constants of PRSS (01 section 3)."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from math import gcd, prod
from typing import NamedTuple

from dkg_node.algebra.encoding import Mask
from dkg_node.algebra.ring import ONE, Element, adjugate, alpha, norm, product
from dkg_node.algebra.twin.words import check_group, check_party


class SetConstants(NamedTuple):
    """f_A (1 at 0, 0 outside of A) times the odd u_A, so that all coordinates are small integers."""

    unit: int
    """u_A, the value at 0."""
    gamma: int
    """gamma_A, the common divisor taken out."""
    values: dict[int, Element]
    """g_A(i) of the members i, coordinates as signed integers."""


def members(mask: int) -> tuple[int, ...]:
    """Parties of a set, increasing."""
    return tuple(i for i in range(1, mask.bit_length() + 1) if mask >> (i - 1) & 1)


@cache
def sets_of(n: int, t: int, party: int) -> tuple[Mask, ...]:
    """Sets of n-t parties with the party in them, increasing mask."""
    check_group(n, t)
    check_party(n, party)
    return tuple(mask for mask in all_sets(n, t) if mask >> (party - 1) & 1)


@cache
def all_sets(n: int, t: int) -> tuple[Mask, ...]:
    """All sets of n-t parties, increasing mask."""
    return tuple(sorted(Mask(sum(1 << (i - 1) for i in A)) for A in combinations(range(1, n + 1), n - t)))


@cache
def constants(n: int, mask: Mask) -> SetConstants:
    """The g_A(i), u_A and gamma_A of one set.

    g_A(i) = (1/gamma_A) prod_{j not in A} adj_j (alpha_j - alpha_i) and u_A = (1/gamma_A) prod_{j not in A} N_j, with
    N_j = Norm(alpha_j), adj_j = N_j / alpha_j, and gamma_A the gcd of prod N_j and all coordinates.
    """
    outside = [j for j in range(1, n + 1) if j not in members(mask)]
    norms = prod(norm(alpha(j)) for j in outside)
    values = {}
    for i in members(mask):
        value = ONE
        for j in outside:
            value = product(value, _factor(j, i))
        values[i] = value
    gamma = gcd(norms, *(coordinate for value in values.values() for coordinate in value))
    return SetConstants(norms // gamma, gamma, {i: _quotient(value, gamma) for i, value in values.items()})


def prss_constants(n: int, t: int, party: int) -> list[tuple[int, Element]]:
    """(mask, g_A(party)) for every A with the party, increasing mask, coordinates as signed integers. Public."""
    return [(int(mask), constants(n, mask).values[party]) for mask in sets_of(n, t, party)]


@cache
def _factor(j: int, i: int) -> Element:
    """The factor adj_j (alpha_j - alpha_i): N_j at 0 (i = 0), zero at i = j."""
    a, b = alpha(j), alpha(i)
    return product(adjugate(a), (a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]))


def _quotient(a: Element, divisor: int) -> Element:
    return (a[0] // divisor, a[1] // divisor, a[2] // divisor, a[3] // divisor)
