"""Bits, noise, products and their check from opened values (01 section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

from dkg_node.algebra.ring import ONE, ZERO, Element, Ring, alpha, product
from dkg_node.algebra.twin.shares import Shares, join, packed, quads, same_ring
from dkg_node.algebra.twin.trim import Trim
from dkg_node.algebra.twin.words import AES_KEY, BLOCK, Buffer, read_elements, split, stream

MAX_DIGITS = 2 * BLOCK
"""A counter block holds 32 challenges of 4 bits."""


def square_plus(a: Shares) -> Shares:
    """s_m = sum_j X^j (a_{4m+j}^2 + a_{4m+j}), of degree 2t."""
    ring = a.ring
    squares = ([ring.mul(value, ring.add(value, ONE)) for value in quad] for quad in quads(a))
    return Shares(a.k, (join(a, quad) for quad in squares))


def products(x: Shares, y: Shares, v: Shares) -> Shares:
    """D = sum_q X^q x_i y_{4c+q} + v[i * len(y)/4 + c] at (row i, quad c), of degree 2t; v is packed."""
    same_ring(x, y, v)
    columns = packed(y)
    if len(v) != len(x) * len(columns):
        raise ValueError(f"give {len(x) * len(columns)} masks, not {len(v)}")
    ring = x.ring
    crossed = (ring.mul(row, column) for row in x.elements for column in columns)
    return Shares(x.k, map(ring.add, crossed, v.elements))


def bits_from_openings(a: Shares, v: Buffer, weights: Sequence[int]) -> Shares | None:
    """Bits b = (r - a) / (1 + 2r), r the even root of r^2 + r = v: an element a bit. None if V is not canonical."""
    values = _opened_words(a, v, weights)
    return None if values is None else Shares(a.k, map(_bit, repeat(a.ring), a.elements, values))


def noise_from_openings(a: Shares, v: Buffer, weights: Sequence[int], width: int) -> Shares | None:
    """Packed TUniform(width) samples sum_j X^j e_{4g+j}, e = sum_i 2^weights[i] b_i - 2^width.

    Elements stand in the order (group, bit). None if V is not canonical.
    """
    group = 4 * len(weights)
    if group == 0 or len(a) % group:
        raise ValueError(f"give whole groups of {group} elements, not {len(a)} elements")
    if not 0 <= width < a.k:
        raise ValueError(f"give a width of 0..{a.k - 1}, not {width}")
    bits = bits_from_openings(a, v, weights)
    if bits is None:
        return None
    ring = a.ring
    centre = ring.scale((1, 1, 1, 1), -(1 << width))
    samples = []
    quad = packed(bits)
    for at in range(0, len(quad), len(weights)):
        weighted = [ring.scale(bit, 1 << weight) for bit, weight in zip(quad[at:], weights, strict=False)]
        samples.append(ring.sum([centre, *weighted]))
    return Shares(a.k, samples)


def products_from_openings(d: Buffer, v: Shares) -> Shares | None:
    """[x_i y_j] packed = D - v, of degree t. None if D is not canonical."""
    opened = read_elements(d, v.k)
    if opened is None or len(opened) != len(v):
        return None
    return Shares(v.k, map(v.ring.sub, opened, v.elements))


def check_shares(
    s: Shares, v: Buffer, chi_key: bytes, digits: int, weights: Sequence[int], *, bits: bool
) -> Shares | None:
    """W_d = sum_m chi_{m,d} 2^weight(m) (s_m - v_m), without the PRZS mask (Furukawa-Lindell 2019 over R).

    chi_{m,d} is nibble d of counter block m, low nibble of byte 0 first, as a 0/1 polynomial. None if V is not
    canonical.
    """
    if len(chi_key) != AES_KEY:
        raise ValueError(f"give a challenge key of {AES_KEY} bytes, not {len(chi_key)}")
    if not 1 <= digits <= MAX_DIGITS:
        raise ValueError(f"check 1..{MAX_DIGITS} digits, not {digits}")
    trim = Trim(s.k, weights, halved=bits)
    opened = trim.opened(v, len(s))
    if opened is None:
        return None
    ring = s.ring
    sums = [ZERO] * digits
    for m, block in enumerate(split(stream(chi_key, 0, len(s) * BLOCK), BLOCK)):
        defect = ring.scale(ring.sub(s.elements[m], opened[m]), 1 << trim.weight(m))
        for d in range(digits):
            chi = alpha(block[d // 2] >> 4 * (d % 2) & 15)
            sums[d] = ring.add(sums[d], product(chi, defect))
    return Shares(s.k, sums)


def even_root(v: int, k: int) -> int:
    """The even r with r^2 + r = v mod 2^K, v even: Newton from r = 0, whose derivative 2r + 1 is odd."""
    r = 0
    right = 1
    while right < k:
        r -= (r * r + r - v) * pow(2 * r + 1, -1, 1 << k)
        right *= 2
    return r % (1 << k)


def _bit(ring: Ring, a: Element, v: int) -> Element:
    r = even_root(v, ring.k)
    return ring.scale(ring.sub((r, 0, 0, 0), a), pow(2 * r + 1, -1, 1 << ring.k))


def _opened_words(a: Shares, v: Buffer, weights: Sequence[int]) -> list[int] | None:
    """The v of every a: coordinate j of element m belongs to a_{4m+j}."""
    elements = Trim(a.k, weights, halved=True).opened(v, len(quads(a)))
    return None if elements is None else [word for element in elements for word in element]
