"""Chunks and batches: the units of the offline phase, as pure values (01 section 4, "Chunk", "Batch")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["bits", "noise", "product"]

MOST_VALUES = 65_536
"""Base values opened in one chunk: four to an element."""
MOST_CHUNKS = 512
MOST_ROWS = 32
MOST_COLUMNS = 2_048
PACK = 4
"""Base values in one element of R."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one king opens at once.

    ``bits``: ``groups`` groups of four random bits. ``noise``: ``groups`` groups of four TUniform(``width``) samples of
    ``width``+2 bits each. ``product``: all ``rows`` x ``cols`` products of random values, ``cols`` a multiple of 4.
    ``index`` is the chunk's place in its batch, ``k`` the bits of a coordinate (64 or 128).

    Elements are ordered (group, bit): bit b of group g is element g*(width+2)+b and opens base values 4 times that and
    the three after it. Of a product the element of row i and columns 4q..4q+3 is i*cols/4+q.
    """

    index: int
    kind: Kind
    k: int
    width: int = 0
    groups: int = 0
    rows: int = 0
    cols: int = 0

    def __post_init__(self) -> None:
        """ValueError for a chunk that no plan may hold."""
        if self.k not in (64, 128) or self.index not in range(MOST_CHUNKS):
            raise ValueError(f"chunk {self.index} at K={self.k}: K is 64 or 128, index below {MOST_CHUNKS}")
        if self.kind == "product":
            fits = 0 < self.rows <= MOST_ROWS and 0 < self.cols <= MOST_COLUMNS and self.cols % PACK == 0
            plain = self.groups == self.width == 0
        else:
            fits = self.groups > 0 and self.elements * PACK <= MOST_VALUES
            plain = self.rows == self.cols == 0 <= self.width < self.k - 2 and (self.kind == "noise" or not self.width)
        if not (fits and plain):
            raise ValueError(f"shape of {self} is not one of a {self.kind} chunk: plan it smaller")

    @property
    def weights(self) -> tuple[int, ...]:
        """Bit weights of one group: element m has weight ``weights[m % len(weights)]``."""
        return (*range(self.width + 1), 0) if self.kind == "noise" else (0,)

    @property
    def elements(self) -> int:
        """Opened elements of R."""
        return self.rows * self.cols // PACK if self.kind == "product" else self.groups * len(self.weights)

    @property
    def opens_bits(self) -> bool:
        """Whether v is even and opened without its lowest bit; of a product all K bits are opened."""
        return self.kind != "product"

    @property
    def y_bytes(self) -> int:
        """Length of one sender's trimmed elements: ceil((K-i)/8) bytes a coordinate at weight i."""
        return self._trimmed(0)

    @property
    def v_bytes(self) -> int:
        """Length of what the king sends: ceil((K-i-1)/8) bytes a coordinate, without the dropped bit."""
        return self._trimmed(1 if self.opens_bits else 0)

    def _trimmed(self, dropped: int) -> int:
        group = sum(PACK * -(-(self.k - weight - dropped) // 8) for weight in self.weights)
        return group * (self.elements // len(self.weights))


@dataclass(frozen=True, slots=True)
class Batch:
    """Up to 512 chunks of one K and one kind: one segment, one coin, one check. ``index`` is its place in the plan."""

    index: int
    kind: Kind
    k: int
    chunks: tuple[Chunk, ...]

    def __post_init__(self) -> None:
        """ValueError for a batch that no plan may hold."""
        if not self.chunks or [chunk.index for chunk in self.chunks] != list(range(len(self.chunks))):
            raise ValueError(f"batch {self.index}: number its chunks 0, 1, ... and give it at least one")
        if any((chunk.kind, chunk.k) != (self.kind, self.k) for chunk in self.chunks):
            raise ValueError(f"batch {self.index}: all its chunks must be {self.kind} at K={self.k}")


def noise_groups(width: int) -> int:
    """Most groups of four samples in one noise chunk: floor(65,536 / (4(w+2)))."""
    return MOST_VALUES // (PACK * (width + 2))


def bit_groups() -> int:
    """Most groups of four bits in one chunk of bits."""
    return MOST_VALUES // PACK
