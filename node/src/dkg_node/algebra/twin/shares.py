"""The handles of the twin: what they forbid, the 32-byte secret and the vector of shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn, SupportsIndex, final

from dkg_node.algebra.encoding import enc, kdf
from dkg_node.algebra.ring import COORDINATES, ONE, ZERO, Element, product
from dkg_node.algebra.twin.sealed import REFUSED, random32, seal, unseal
from dkg_node.algebra.twin.words import Buffer, element_bytes, read_elements, ring_of, write_elements

SECRET = 32
X_POWERS: tuple[Element, ...] = (ONE, (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))


class Handle:
    """A secret that prints as redacted and can't be copied, pickled, compared or hashed."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Nothing of the content."""
        return f"<{type(self).__name__} (redacted)>"

    def __eq__(self, other: object) -> NoReturn:
        """Secrets are compared by protocols, never by value."""
        raise TypeError(f"do not compare {type(self).__name__}, a handle of secrets")

    def __hash__(self) -> NoReturn:
        """A hash would tell equal secrets."""
        raise TypeError(f"do not hash {type(self).__name__}, a handle of secrets")

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Pickle and copy both come here."""
        raise TypeError(f"do not copy or pickle {type(self).__name__}, a handle of secrets")


@final
class Secret(Handle):
    """32 secret bytes."""

    __slots__ = ("value",)

    def __init__(self, value: bytes) -> None:
        """For the twin's own use; callers draw or take bytes."""
        self.value = value

    @staticmethod
    def random() -> Secret:
        """Draw from the operating system."""
        return Secret(random32())

    @staticmethod
    def from_bytes(data: Buffer) -> Secret:
        """Take 32 bytes; ValueError for another length."""
        if len(data) != SECRET:
            raise ValueError(f"give {SECRET} bytes, not {len(data)}")
        return Secret(bytes(data))

    def derive(self, label: bytes) -> Secret:
        """KDF(self, label)."""
        return Secret(kdf(self.value, label))

    def sealed(self, key: Secret, aad: bytes) -> bytes:
        """Seal in frames."""
        return seal(key.value, enc("secret"), aad, self.value)

    @staticmethod
    def unsealed(key: Secret, aad: bytes, blob: Buffer) -> Secret:
        """Open ``sealed``; ValueError when blob, aad or key do not belong together."""
        return Secret.from_bytes(unseal(key.value, enc("secret"), aad, blob))


@final
class Shares(Handle):
    """A vector of shares: elements of R with K bits a coordinate."""

    __slots__ = ("elements", "ring")

    def __init__(self, k: int, elements: Iterable[Element]) -> None:
        """For the twin's own use; elements are reduced."""
        self.ring = ring_of(k)
        self.elements = tuple(elements)

    @property
    def k(self) -> int:
        """Bits of a coordinate."""
        return self.ring.k

    def __len__(self) -> int:
        """Number of elements of R."""
        return len(self.elements)

    @staticmethod
    def zeros(k: int, count: int) -> Shares:
        """A vector of zeros."""
        return Shares(k, [ZERO] * count)

    @staticmethod
    def from_wire(k: int, data: Buffer) -> Shares:
        """From 4*K/8 bytes an element; ValueError for a broken length."""
        elements = read_elements(data, ring_of(k).k)
        if elements is None:
            raise ValueError(f"give whole elements of {element_bytes(k)} bytes, not {len(data)} bytes")
        return Shares(k, elements)

    @staticmethod
    def concat(parts: Sequence[Shares]) -> Shares:
        """One vector of all; ValueError for none or for different K."""
        if len({part.k for part in parts}) != 1:
            raise ValueError("give at least one vector, all of one K")
        return Shares(parts[0].k, (element for part in parts for element in part.elements))

    def slice(self, start: int, stop: int) -> Shares:
        """Elements start..stop-1; ValueError outside of the vector."""
        if not 0 <= start <= stop <= len(self):
            raise ValueError(f"take a range inside of {len(self)} elements, not {start}..{stop}")
        return Shares(self.k, self.elements[start:stop])

    def add(self, other: Shares) -> Shares:
        """Sum, element by element."""
        same_shape(self, other)
        return Shares(self.k, map(self.ring.add, self.elements, other.elements))

    def sub(self, other: Shares) -> Shares:
        """Difference, element by element."""
        same_shape(self, other)
        return Shares(self.k, map(self.ring.sub, self.elements, other.elements))

    def scale(self, factor: int) -> Shares:
        """Times one public integer."""
        return Shares(self.k, (self.ring.scale(element, factor) for element in self.elements))

    def pack(self) -> Shares:
        """sum_j X^j s_{4m+j}; ValueError unless the length is a multiple of 4."""
        return Shares(self.k, packed(self))

    def reduce64(self) -> Shares:
        """The same shares mod 2^64."""
        low = ring_of(64)
        return Shares(64, map(low.reduce, self.elements))

    def to_wire(self) -> bytes:
        """4*K/8 bytes an element."""
        return write_elements(self.elements, self.k)

    def sealed(self, key: Secret, aad: bytes) -> bytes:
        """One byte K, then the sealed wire bytes."""
        return bytes([self.k]) + seal(key.value, _kind(self.k), aad, self.to_wire())

    @staticmethod
    def unsealed(key: Secret, aad: bytes, blob: Buffer) -> Shares:
        """Open ``sealed``; K is part of the frame key, so a changed first byte opens nothing."""
        data = bytes(blob)
        if data[:1] not in {bytes([64]), bytes([128])}:
            raise ValueError(REFUSED)
        return Shares.from_wire(data[0], unseal(key.value, _kind(data[0]), aad, data[1:]))


def _kind(k: int) -> bytes:
    return enc("shares", k)


def same_ring(*vectors: Shares) -> None:
    """ValueError unless all have one K."""
    if len({vector.k for vector in vectors}) != 1:
        raise ValueError(f"give vectors of one K, not of {[vector.k for vector in vectors]} bits")


def same_shape(left: Shares, right: Shares) -> None:
    """ValueError unless both have one K and one length."""
    same_ring(left, right)
    if len(left) != len(right):
        raise ValueError(f"give vectors of one length, not of {len(left)} and {len(right)} elements")


def quads(vector: Shares) -> list[tuple[Element, ...]]:
    """Four elements at a time; ValueError unless the length is a multiple of 4."""
    if len(vector) % COORDINATES:
        raise ValueError(f"give a multiple of 4 elements, not {len(vector)}")
    return [vector.elements[at : at + COORDINATES] for at in range(0, len(vector), COORDINATES)]


def packed(vector: Shares) -> list[Element]:
    """sum_j X^j s_{4m+j} of every four."""
    return [join(vector, quad) for quad in quads(vector)]


def join(vector: Shares, quad: Iterable[Element]) -> Element:
    """sum_j X^j of one quad: four base sharings become one with four coordinates (01 section 1, "Packing")."""
    return vector.ring.sum(product(power, element) for power, element in zip(X_POWERS, quad, strict=True))
