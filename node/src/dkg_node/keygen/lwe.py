"""Shares of LWE rows: b = <a, s> + message (02, "Layouts"). Noise is added by the caller, packed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_node.algebra import kernel
from dkg_node.algebra.kernel import Shares
from dkg_node.offline.chunk import PACK

if TYPE_CHECKING:
    from collections.abc import Sequence


def masked_rows(masks: bytes, key: Shares) -> Shares:
    """<a, s> of every row: ``masks`` holds len(key) words a row; one single element a row."""
    return kernel.inner(masks, key)


def gadget_rows(bits: Shares, factors: Sequence[int]) -> Shares:
    """Messages +s_i * factor in storage order [bit][level]; one single element a row."""
    if len(factors) == 1:
        return bits.scale(factors[0])
    scaled = [bits.scale(factor) for factor in factors]
    return Shares.concat([part.slice(i, i + 1) for i in range(len(bits)) for part in scaled])


def pack_rows(rows: Shares) -> Shares:
    """Four consecutive rows to an element; the last one is filled up with zeros."""
    lacking = -len(rows) % PACK
    if lacking:
        rows = Shares.concat([rows, Shares.zeros(rows.k, lacking)])
    return rows.pack()
