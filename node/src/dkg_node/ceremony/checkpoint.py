"""A batch's results as one vector of shares, so that a checkpoint is one sealed object, and back (01 section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_node.algebra.kernel import Shares
from dkg_node.offline.chunk import PACK
from dkg_node.offline.values import ProductBlock

if TYPE_CHECKING:
    from dkg_node.offline.batch import Result
    from dkg_node.offline.chunk import Batch, Chunk


@dataclass(frozen=True, slots=True)
class Made:
    """A certified batch's shares, by chunk."""

    batch: Batch
    results: tuple[Result, ...]


def lengths(chunk: Chunk) -> tuple[int, ...]:
    """Elements of a chunk's result: noise one a group, bits four a group; a product p, x and y."""
    if chunk.kind == "product":
        return (chunk.rows * chunk.cols // PACK, chunk.rows, chunk.cols)
    return (chunk.groups,) if chunk.kind == "noise" else (PACK * chunk.groups,)


def flat(made: Made) -> Shares:
    """All results, one after another."""
    parts: list[Shares] = []
    for result in made.results:
        parts += [result] if isinstance(result, Shares) else [result.p, result.x, result.y]
    return Shares.concat(parts)


def split(batch: Batch, shares: Shares) -> Made:
    """Inverse of ``flat``; ValueError for another number of elements."""
    results: list[Result] = []
    start = 0
    for chunk in batch.chunks:
        parts = []
        for length in lengths(chunk):
            parts.append(shares.slice(start, start + length))
            start += length
        results.append(parts[0] if len(parts) == 1 else ProductBlock(*parts))
    if start != len(shares):
        raise ValueError(f"the checkpoint of batch {batch.index} has another length")
    return Made(batch, tuple(results))
