"""What a chunk is made of and what becomes of it once V is public: every party's local work (01 section 4, steps 1, 3).

A random bit costs the opening of one degree-2t value v = a^2 + a and no triple: with the even root r of r^2 + r = v the
bit is (r-a)/(1+2r) = a mod 2, and a and -1-a are equally likely given v (Orsini-Smart-Vercauteren 2020; Damgard et al.
2023; the even case of GenBits in ePrint 2025/699).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_node.algebra import kernel
from dkg_node.offline.chunk import PACK
from dkg_node.offline.labels import PSI

if TYPE_CHECKING:
    from dkg_node.algebra.kernel import Keys, Shares
    from dkg_node.offline.chunk import Chunk


@dataclass(frozen=True, slots=True)
class ProductBlock:
    """Shares of random x (rows), y (cols), p = [x_i y_j] packed: element i*cols/4+q has columns 4q..4q+3 of row i."""

    p: Shares
    x: Shares
    y: Shares


@dataclass(frozen=True, slots=True)
class Drawn:
    """A party's PRSS values of one chunk: bits and noise have ``a``; a product has the mask v (packed), x and y."""

    a: Shares
    x: Shares | None = None
    y: Shares | None = None


def draw(chunk: Chunk, keys: Keys) -> Drawn:
    """Base values under the chunk keys. Of a product: x_0.., then y_0.., then v row by row, one stream."""
    if chunk.kind != "product":
        return Drawn(kernel.prss(keys, PSI, chunk.k, 0, PACK * chunk.elements))
    rows, cols = chunk.rows, chunk.cols
    return Drawn(
        kernel.prss(keys, PSI, chunk.k, rows + cols, rows * cols).pack(),
        kernel.prss(keys, PSI, chunk.k, 0, rows),
        kernel.prss(keys, PSI, chunk.k, rows, cols),
    )


def to_open(drawn: Drawn) -> Shares:
    """Degree-2t shares of what the king opens: s_m = sum_j X^j (a_j^2 + a_j), or D_ij = x_i y_j + v_ij."""
    if drawn.x is None or drawn.y is None:
        return kernel.square_plus(drawn.a)
    return kernel.products(drawn.x, drawn.y, drawn.a)


def finish(chunk: Chunk, drawn: Drawn, v: bytes) -> Shares | ProductBlock | None:
    """The party's shares of the chunk's noise, bits or products given the public V; None if V is not canonical."""
    if chunk.kind == "noise":
        return kernel.noise_from_openings(drawn.a, v, chunk.weights, chunk.width)
    if drawn.x is None or drawn.y is None:
        return kernel.bits_from_openings(drawn.a, v, chunk.weights)
    p = kernel.products_from_openings(v, drawn.a)
    return None if p is None else ProductBlock(p, drawn.x, drawn.y)
