"""Blocks of a public key: which rows are computed and opened at once, and their public masks (02, "Layouts").

The masks of the whole set are one AES-128-CTR byte stream of the XOF seed, consumed in storage order; a block takes its
piece at an offset that depends on the parameter set only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_node.algebra import kernel
from dkg_node.keygen.parameters import Family, KeySpec
from dkg_node.offline.chunk import PACK

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BODY_BYTES = 3 << 19
"""A block opens at most 1.5 MiB of bodies ..."""
MOST_MASK_BYTES = 8 << 20
"""... and takes at most 8 MiB of masks, unless one unit has more."""
MOST_UNITS = 32
"""A block of a bootstrapping key lies within one row of product tiles."""
SEED = 16


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive units of a key. A unit is all rows of one encrypted bit, or one row where nothing is encrypted."""

    spec: KeySpec
    index: int
    units: range

    @property
    def rows(self) -> range:
        """Rows of the key."""
        step = unit_rows(self.spec)
        return range(self.units.start * step, self.units.stop * step)

    @property
    def groups(self) -> range:
        """Groups of four bodies, the last one filled up where the key ends within it."""
        bodies = self.spec.row_bodies
        return range(self.rows.start * bodies // PACK, -(-self.rows.stop * bodies // PACK))

    @property
    def body_bytes(self) -> int:
        """Bytes of its bodies."""
        return len(self.rows) * self.spec.row_bodies * self.spec.word_bits // 8


def unit_rows(spec: KeySpec) -> int:
    """Rows of one encrypted bit."""
    levels = len(spec.factors) or 1
    return levels * (spec.noise.shape.dimension + 1) if spec.family is Family.BOOTSTRAP else levels


def blocks(spec: KeySpec) -> Iterator[Block]:
    """The key's blocks in storage order, each of a power of two of units (but for the last)."""
    rows = unit_rows(spec)
    word = spec.word_bits // 8
    least = PACK if spec.row_bodies % PACK else 1
    size = least
    while (
        2 * size * rows * spec.row_bodies * word <= MOST_BODY_BYTES
        and 2 * size * rows * spec.row_masks * word <= MOST_MASK_BYTES
        and (spec.family is not Family.BOOTSTRAP or 2 * size <= MOST_UNITS)
    ):
        size *= 2
    units = spec.rows // rows
    for index, start in enumerate(range(0, units, size)):
        yield Block(spec, index, range(start, min(start + size, units)))


def block_masks(seed: bytes, block: Block) -> bytes:
    """Masks of a block, row after row, words little endian. ``seed`` is the public XOF seed of 16 bytes."""
    row = block.spec.row_masks * block.spec.word_bits // 8
    return kernel.mask_stream(seed, block.spec.mask_offset + block.rows.start * row, len(block.rows) * row)
