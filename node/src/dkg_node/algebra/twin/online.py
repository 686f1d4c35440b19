"""Linear work on shares after the inputs are masked (01 section 5) and the public mask stream (02, "Layouts")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from dkg_node.algebra.ring import COORDINATES, Element, product
from dkg_node.algebra.twin.shares import Handle, Shares, packed, same_ring
from dkg_node.algebra.twin.words import AES_KEY, Buffer, read_elements, read_words, split, stream

MAX_DEGREE = 4096
SEPARATOR = b"TFHE_GEN"


def beaver(p: Shares, x: Shares, y: Shares, eps: Buffer, delta: Buffer) -> Shares:
    """Packed [s_i S_j] = p + eps_i y + delta x_i + eps_i delta_j at (row i, quad c), p = [x_i y_j] packed.

    eps = s - x and delta = S - y are opened words of K bits, one a value: s S = (x + eps)(y + delta).
    """
    same_ring(p, x, y)
    columns = packed(y)
    if len(p) != len(x) * len(columns):
        raise ValueError(f"give {len(x) * len(columns)} products, not {len(p)}")
    width = x.k // 8
    if len(eps) != len(x) * width or len(delta) != len(y) * width:
        raise ValueError(f"open {len(x)} and {len(y)} words of {width} bytes first")
    ring = x.ring
    deltas = read_elements(delta, x.k) or []
    out = []
    for i, (row, shift) in enumerate(zip(x.elements, read_words(eps, x.k), strict=True)):
        for c, (column, four) in enumerate(zip(columns, deltas, strict=True)):
            known = ring.scale(ring.add(column, four), shift)
            out.append(ring.sum([p.elements[i * len(columns) + c], known, product(row, four)]))
    return Shares(x.k, out)


@final
class Spectrum(Handle):
    """A secret polynomial made ready for products mod X^N + 1: here its coordinates as four big integers.

    A polynomial at X = 2^slot with slots wide enough for every coefficient of a product is one integer, and the
    product of two such integers holds the product of the polynomials (Kronecker substitution). The kernel uses a
    number-theoretic transform instead.
    """

    __slots__ = ("_k", "_n", "coordinates")

    def __init__(self, poly: Shares) -> None:
        """Element i = coefficient i; ValueError unless N = len(poly) is a power of two up to 4096."""
        n = len(poly)
        if not 1 <= n <= MAX_DEGREE or n & (n - 1):
            raise ValueError(f"give a power of two up to {MAX_DEGREE} coefficients, not {n}")
        self._n, self._k = n, poly.k
        slot = _slot(n, poly.k)
        self.coordinates = [_join([element[c] for element in poly.elements], slot) for c in range(COORDINATES)]

    @property
    def n(self) -> int:
        """Coefficients."""
        return self._n

    @property
    def k(self) -> int:
        """Bits of a coordinate."""
        return self._k


def negacyclic(masks: Buffer, polys: Sequence[Spectrum]) -> Shares:
    """For each row of len(polys) public polynomials A_p: sum_p A_p S_p mod (X^N + 1, 2^K).

    masks holds rows*len(polys)*N words of K bits; the result rows*N elements.
    """
    if len({(poly.n, poly.k) for poly in polys}) != 1:
        raise ValueError("give at least one polynomial, all of one N and one K")
    n, k = polys[0].n, polys[0].k
    row = len(polys) * n * k // 8
    if len(masks) % row:
        raise ValueError(f"give whole rows of {row} bytes, not {len(masks)} bytes")
    elements: list[Element] = []
    for public in split(masks, row):
        factors = [_join(read_words(part, k), _slot(n, k)) for part in split(public, n * k // 8)]
        sums = [
            _wrapped(sum(a * s.coordinates[c] for a, s in zip(factors, polys, strict=True)), n, k)
            for c in range(COORDINATES)
        ]
        elements += zip(*sums, strict=True)
    return Shares(k, elements)


def inner(masks: Buffer, s: Shares) -> Shares:
    """For each row of len(s) public words: sum_i a_i s_i. masks holds rows*len(s) words of K bits."""
    row = len(s) * s.k // 8
    if row == 0 or len(masks) % row:
        raise ValueError(f"give whole rows of {row} bytes, not {len(masks)} bytes")
    ring = s.ring
    rows = (zip(read_words(part, s.k), s.elements, strict=True) for part in split(masks, row))
    return Shares(s.k, (ring.sum(ring.scale(element, a) for a, element in terms) for terms in rows))


def mask_stream(seed: bytes, offset: int, length: int) -> bytes:
    """Bytes offset..offset+length of the mask stream of the 16-byte XOF seed.

    Key and first counter are the last two blocks of a CBC-MAC chain under the zero key over "TFHE_GEN" and the seed,
    zero padded, and their length in bits.
    """
    if len(seed) != AES_KEY:
        raise ValueError(f"give a seed of {AES_KEY} bytes, not {len(seed)}")
    data = SEPARATOR + seed
    blocks = split(data.ljust(2 * AES_KEY, b"\0") + (8 * len(data)).to_bytes(AES_KEY, "little"), AES_KEY)
    before, state = bytes(AES_KEY), bytes(AES_KEY)
    for block in blocks:
        mixed = bytes(a ^ b for a, b in zip(state, block, strict=True))
        before, state = state, stream(bytes(AES_KEY), 0, AES_KEY, first=int.from_bytes(mixed, "little"))
    return stream(state, offset, length, first=int.from_bytes(before, "little"))


def _slot(n: int, k: int) -> int:
    """Bytes of a slot: N products of two words of K bits, from up to 2^32 polynomials, never overflow it."""
    return (2 * k + n.bit_length() + 32 + 7) // 8


def _join(words: Sequence[int], slot: int) -> int:
    return int.from_bytes(b"".join(word.to_bytes(slot, "little") for word in words), "little")


def _wrapped(joined: int, n: int, k: int) -> list[int]:
    """Coefficients of a product mod X^N + 1 (the upper half comes back with a minus) and mod 2^K."""
    slot = _slot(n, k)
    low = (1 << k) - 1
    words = [int.from_bytes(word, "little") for word in split(joined.to_bytes(2 * n * slot, "little"), slot)]
    return [(words[i] - words[n + i]) & low for i in range(n)]
