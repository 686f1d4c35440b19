"""R = GR(2^K, 4) = Z_{2^K}[X]/(X^4 + X + 1) on tuples of four integers, to be read beside 01 section 1.

The kernel has the same arithmetic, fast and on secret memory; this module is for its twin, for tests and for the few
public constants. Not constant-time: never for secrets in production.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import permutations
from math import prod

Element = tuple[int, int, int, int]
"""Coordinates of 1, X, X^2, X^3."""

ZERO: Element = (0, 0, 0, 0)
ONE: Element = (1, 0, 0, 0)
COORDINATES = 4
MAX_PARTY = 15
"""There are 16 0/1 polynomials of degree below 4; the one of 0 is the secret's place."""


def alpha(party: int) -> Element:
    """Point of a party: the bits of its index as a 0/1 polynomial; ValueError above 15.

    Any two points differ by a unit (01 section 1): mod 2 they are the 16 different elements of the field GF(16).
    """
    if not 0 <= party <= MAX_PARTY:
        raise ValueError(f"give a party from 1 to {MAX_PARTY} (0 is the secret's place), not {party}")
    return (party & 1, party >> 1 & 1, party >> 2 & 1, party >> 3 & 1)


def product(a: Element, b: Element) -> Element:
    """Product in Z[X]/(X^4 + X + 1), integers not reduced."""
    a0, a1, a2, a3 = a
    b0, b1, b2, b3 = b
    p4 = a1 * b3 + a2 * b2 + a3 * b1
    p5 = a2 * b3 + a3 * b2
    p6 = a3 * b3
    # X^4 = -1 - X, X^5 = -X - X^2, X^6 = -X^2 - X^3
    return (
        a0 * b0 - p4,
        a0 * b1 + a1 * b0 - p4 - p5,
        a0 * b2 + a1 * b1 + a2 * b0 - p5 - p6,
        a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0 - p6,
    )


def norm(a: Element) -> int:
    """Norm over Z: the determinant of multiplication by ``a``. An element of R is a unit iff it is odd."""
    return _determinant(_columns(a))


def adjugate(a: Element) -> Element:
    """norm(a) / a, an element of Z[X]/(X^4 + X + 1), by Cramer's rule."""
    columns = _columns(a)
    solved = [_determinant([*columns[:c], ONE, *columns[c + 1 :]]) for c in range(COORDINATES)]
    return (solved[0], solved[1], solved[2], solved[3])


def _columns(a: Element) -> list[Element]:
    """The matrix of multiplication by ``a``: column c is a * X^c."""
    x: Element = (0, 1, 0, 0)
    columns = [a]
    for _ in range(COORDINATES - 1):
        columns.append(product(columns[-1], x))
    return columns


def _determinant(columns: Sequence[Element]) -> int:
    """Leibniz' formula: exact on integers and short."""
    return sum(_sign(order) * prod(columns[c][row] for c, row in enumerate(order)) for order in permutations(range(4)))


def _sign(order: Sequence[int]) -> int:
    inversions = sum(order[i] > order[j] for j in range(len(order)) for i in range(j))
    return -1 if inversions % 2 else 1


@dataclass(frozen=True, slots=True)
class Ring:
    """R with K bits a coordinate; every result has its coordinates in 0 .. 2^K - 1."""

    k: int

    def reduce(self, a: Iterable[int]) -> Element:
        """Integers mod 2^K; ValueError unless there are four."""
        low = (1 << self.k) - 1
        a0, a1, a2, a3 = a
        return (a0 & low, a1 & low, a2 & low, a3 & low)

    def add(self, a: Element, b: Element) -> Element:
        """Sum a + b."""
        return self.reduce((a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]))

    def sub(self, a: Element, b: Element) -> Element:
        """Difference a - b."""
        return self.reduce((a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]))

    def mul(self, a: Element, b: Element) -> Element:
        """Product a * b."""
        return self.reduce(product(a, b))

    def scale(self, a: Element, factor: int) -> Element:
        """Times an integer, negative ones too."""
        return self.reduce((a[0] * factor, a[1] * factor, a[2] * factor, a[3] * factor))

    def sum(self, terms: Iterable[Element]) -> Element:
        """Sum of any number of elements."""
        total = [0, 0, 0, 0]
        for term in terms:
            for c in range(COORDINATES):
                total[c] += term[c]
        return self.reduce(total)

    def dot(self, left: Iterable[Element], right: Iterable[Element]) -> Element:
        """Sum of the products; ValueError for unequal lengths."""
        return self.sum(product(a, b) for a, b in zip(left, right, strict=True))

    def inverse(self, a: Element) -> Element:
        """1 / a = adjugate(a) / norm(a); ValueError when a is no unit."""
        determinant = norm(a)
        if determinant % 2 == 0:
            raise ValueError("give a unit: this element is zero mod 2 and has no inverse")
        return self.scale(adjugate(a), pow(determinant, -1, 1 << self.k))

    def evaluate(self, coefficients: Sequence[Element], at: Element) -> Element:
        """Polynomial at a point, constant coefficient first (Horner)."""
        value = ZERO
        for coefficient in reversed(coefficients):
            value = self.add(self.mul(value, at), coefficient)
        return value

    def lagrange(self, parties: Sequence[int], at: Element = ZERO) -> tuple[Element, ...]:
        """The lambda_i with f(at) = sum_i lambda_i f(alpha_i) for every f of degree < len(parties).

        Parties must be different; ValueError otherwise.
        """
        return _lagrange(self.k, tuple(parties), at)

    def interpolate(self, values: Mapping[int, Element], at: Element = ZERO) -> Element:
        """Value at a point of the polynomial of degree < len(values) through the parties' values."""
        return self.dot(self.lagrange(tuple(values), at), values.values())


@lru_cache(maxsize=1 << 14)
def _lagrange(k: int, parties: tuple[int, ...], at: Element) -> tuple[Element, ...]:
    """Pure, and asked for the same few sets again and again: hence the cache."""
    if len(set(parties)) != len(parties):
        raise ValueError(f"give different parties, not {list(parties)}")
    ring = Ring(k)
    coefficients = []
    for i in parties:
        coefficient = ONE
        for j in parties:
            if j != i:
                coefficient = ring.mul(coefficient, ring.mul(ring.sub(at, alpha(j)), _gap(k, i, j)))
        coefficients.append(coefficient)
    return tuple(coefficients)


@cache
def _gap(k: int, i: int, j: int) -> Element:
    """1 / (alpha_i - alpha_j)."""
    ring = Ring(k)
    return ring.inverse(ring.sub(alpha(i), alpha(j)))
