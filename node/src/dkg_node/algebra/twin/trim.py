"""The wire's trimming: what matters only mod 2^(K-weight) travels so (01 section 4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dkg_node.algebra.ring import COORDINATES, Element
from dkg_node.algebra.twin.words import Buffer, ring_of


@dataclass(frozen=True, slots=True)
class Trim:
    """Trimming of y (halved False: K-i bits of a coordinate) or of an opened V = v/2 (halved True: K-i-1 bits)."""

    k: int
    weights: Sequence[int]
    halved: bool

    def __post_init__(self) -> None:
        """ValueError without weights or when a weight leaves no bit."""
        ring_of(self.k)
        if not self.weights or not all(0 <= weight < self.k - 1 for weight in self.weights):
            raise ValueError(f"give at least one weight, each of 0..{self.k - 2}, not {list(self.weights)}")

    def weight(self, m: int) -> int:
        """Weight of element m."""
        return self.weights[m % len(self.weights)]

    def kept(self, m: int) -> int:
        """Bits kept of a coordinate of element m."""
        return self.k - self.weight(m) - int(self.halved)

    def width(self, m: int) -> int:
        """Bytes of a coordinate of element m."""
        return -(-self.kept(m) // 8)

    def length(self, count: int) -> int:
        """Bytes of ``count`` elements."""
        return sum(COORDINATES * self.width(m) for m in range(count))

    def read(self, message: Buffer, count: int) -> list[Element] | None:
        """The elements as integers; None unless there are ``count`` with no bit above the trim."""
        data = bytes(message)
        if len(data) != self.length(count):
            return None
        elements: list[Element] = []
        at = 0
        for m in range(count):
            width = self.width(m)
            words = [int.from_bytes(data[at + c * width : at + (c + 1) * width], "little") for c in range(COORDINATES)]
            if any(word >> self.kept(m) for word in words):
                return None
            elements.append((words[0], words[1], words[2], words[3]))
            at += COORDINATES * width
        return elements

    def write(self, elements: Iterable[Element]) -> bytes:
        """The kept low bits of every coordinate."""
        return b"".join(self._written(elements))

    def _written(self, elements: Iterable[Element]) -> Iterator[bytes]:
        for m, element in enumerate(elements):
            low = (1 << self.kept(m)) - 1
            for word in element:
                yield (word & low).to_bytes(self.width(m), "little")

    def opened(self, message: Buffer, count: int) -> list[Element] | None:
        """The opened values v, where V = v/2 was sent for bits; None when not canonical."""
        elements = self.read(message, count)
        if elements is None or not self.halved:
            return elements
        return [(2 * a, 2 * b, 2 * c, 2 * d) for a, b, c, d in elements]
