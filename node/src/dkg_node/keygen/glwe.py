"""Shares of GLWE rows: B = sum_p A_p S_p + M mod X^N + 1, four coefficients packed to an element (02, "Layouts").

Noise is added by the caller. A packed row of N coefficients has N/4 elements; the coefficient of X^0 is the first
coordinate of the first one, so a single sharing in that place is the packed row's X^0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_node.algebra import kernel
from dkg_node.algebra.kernel import Shares, Spectrum
from dkg_node.offline.chunk import PACK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_node.keygen.parameters import Shape


def spectra(key: Shares, shape: Shape) -> tuple[Spectrum, ...]:
    """Transforms of the k polynomials of a GLWE key."""
    n = shape.size
    return tuple(Spectrum(key.slice(r * n, (r + 1) * n)) for r in range(shape.dimension))


def reversed_key(key: Shares) -> Shares:
    """rev(s)[i] = s[n-1-i], the key polynomial of a compact public key."""
    return Shares.concat([key.slice(i, i + 1) for i in reversed(range(len(key)))])


def masked_rows(masks: bytes, key: Sequence[Spectrum]) -> Shares:
    """sum_p A_p S_p of every row, packed: ``masks`` holds k*N words a row."""
    return kernel.negacyclic(masks, key).pack()


def constant_rows(bits: Shares, factors: Sequence[int], size: int) -> Shares:
    """Messages +s_i * factor in X^0, packed rows in storage order [bit][level]."""
    rest = Shares.zeros(bits.k, size // PACK - 1)
    scaled = [bits.scale(factor) for factor in factors]
    return Shares.concat([part for i in range(len(bits)) for level in scaled for part in (level.slice(i, i + 1), rest)])


def ggsw_rows(bits: Shares, products: Shares, factors: Sequence[int], shape: Shape) -> Shares:
    """Messages of GGSW encryptions of bits, packed rows in storage order [bit][level][row].

    ``products``: for every bit the packed s_i S_j over all k*N coefficients j. Row r < k holds -s_i S_r(X) * factor,
    the last row +s_i * factor in X^0.
    """
    quads = shape.coefficients // PACK
    negated = [products.scale(-factor) for factor in factors]
    constants = constant_rows(bits, factors, shape.size)
    last = shape.size // PACK
    parts = []
    for i in range(len(bits)):
        for level in range(len(factors)):
            parts.append(negated[level].slice(i * quads, (i + 1) * quads))
            row = i * len(factors) + level
            parts.append(constants.slice(row * last, (row + 1) * last))
    return Shares.concat(parts)
