"""Opening degree-t words robustly, and testing words of a degree without correcting them (01 sections 1 and 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, combinations

from dkg_node.algebra.ring import Element, Ring, alpha
from dkg_node.algebra.twin.words import Buffer, check_group, check_party, read_elements, ring_of, write_elements

Word = dict[int, Element]
"""One element's shares by party."""


def robust_open(n: int, t: int, k: int, shares: Mapping[int, Buffer]) -> tuple[bytes, int] | None:
    """Open a vector of degree-t words: (secrets, mask of the parties with a wrong share anywhere).

    None when for some element no polynomial of degree t agrees with 2t+1 of the given shares, or lengths are broken.
    Two polynomials that agree with 2t+1 of at most 3t+1 shares share t+1 points: there is at most one.
    """
    check_group(n, t)
    ring = ring_of(k)
    words = _words(n, k, shares)
    if words is None or len(shares) <= 2 * t:
        return None
    secrets, liars = [], 0
    base: tuple[int, ...] = tuple(sorted(shares))[: t + 1]
    for word in words:
        decoded = _decode(ring, t, word, chain([base], combinations(sorted(word), t + 1)))
        if decoded is None:
            return None
        base, wrong = decoded
        secrets.append(ring.interpolate({i: word[i] for i in base}))
        for i in wrong:
            liars |= 1 << (i - 1)
    return write_elements(secrets, k), liars


def lies_on(n: int, degree: int, k: int, shares: Mapping[int, Buffer]) -> bool:
    """Whether for every element all given shares lie on one polynomial of that degree with value 0 at 0.

    f(0) = 0 means f = X g with g one degree lower: so the shares over alpha_i must lie on such a g.
    """
    ring = ring_of(k)
    words = _words(n, k, shares)
    if words is None:
        return False
    base = sorted(shares)[:degree]
    divisors = {i: ring.inverse(alpha(i)) for i in shares}
    quotients = ({i: ring.mul(share, divisors[i]) for i, share in word.items()} for word in words)
    return all(not _disagreeing(ring, base, word) for word in quotients)


def _decode(
    ring: Ring, t: int, word: Word, bases: Iterable[tuple[int, ...]]
) -> tuple[tuple[int, ...], list[int]] | None:
    """The first t+1 parties whose polynomial agrees with 2t+1 shares, and who disagrees."""
    for base in bases:
        wrong = _disagreeing(ring, base, word)
        if len(word) - len(wrong) > 2 * t:
            return base, wrong
    return None


def _disagreeing(ring: Ring, base: Sequence[int], word: Word) -> list[int]:
    """Parties whose share is not on the polynomial of degree < len(base) through the base's shares."""
    known = {i: word[i] for i in base}
    return [i for i, share in word.items() if i not in known and ring.interpolate(known, alpha(i)) != share]


def _words(n: int, k: int, shares: Mapping[int, Buffer]) -> list[Word] | None:
    """Element by element; None when a length is broken or differs; ValueError for a share of no party."""
    for party in shares:
        check_party(n, party)
    vectors = {party: read_elements(data, k) for party, data in shares.items()}
    if None in vectors.values() or len({len(data) for data in shares.values()}) > 1:
        return None
    rows = zip(*(vector or [] for vector in vectors.values()), strict=True)
    return [dict(zip(vectors, row, strict=True)) for row in rows]
