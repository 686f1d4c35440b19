"""All parties' vectors at once: deals, collects and opens what in a ceremony no party ever holds together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from types import ModuleType

from dkg_node.algebra import kernel
from dkg_node.algebra.encoding import digest
from dkg_node.algebra.ring import Element, Ring, alpha
from dkg_node.algebra.twin.sets import sets_of
from dkg_node.algebra.twin.words import read_elements, write_elements


@dataclass(frozen=True, slots=True)
class World:
    """One implementation (kernel or twin), group and K. Handles have the contract's types, which both implement."""

    impl: ModuleType
    n: int
    t: int
    k: int

    @property
    def parties(self) -> range:
        """All parties."""
        return range(1, self.n + 1)

    @property
    def ring(self) -> Ring:
        """R of this K."""
        return Ring(self.k)

    def keys(self, name: str = "") -> dict[int, kernel.Keys]:
        """PRSS keys of all parties; the key of a set is a hash of ``name`` and the set."""
        made = {i: b"".join(key_of(mask, name) for mask in sets_of(self.n, self.t, i)) for i in self.parties}
        return {i: self.impl.Keys.from_bytes(self.n, self.t, i, data) for i, data in made.items()}

    def shares(self, elements: Iterable[Element]) -> kernel.Shares:
        """A handle with the elements."""
        handle: kernel.Shares = self.impl.Shares.from_wire(self.k, write_elements(elements, self.k))
        return handle

    def handles(self, vectors: Mapping[int, Sequence[Element]]) -> dict[int, kernel.Shares]:
        """A handle a party."""
        return {i: self.shares(vector) for i, vector in vectors.items()}

    def wire(self, vectors: Mapping[int, Sequence[Element]]) -> dict[int, bytes]:
        """Wire bytes a party."""
        return {i: write_elements(vector, self.k) for i, vector in vectors.items()}

    def deal(self, rng: Random, secrets: Sequence[Element], degree: int) -> dict[int, list[Element]]:
        """Fresh sharings of exactly this degree (> 0): the top coefficient is a unit."""
        inner = [[self.element(rng) for _ in range(degree - 1)] for _ in secrets]
        polynomials = [[secret, *middle, self.unit(rng)] for secret, middle in zip(secrets, inner, strict=True)]
        return {i: [self.ring.evaluate(f, alpha(i)) for f in polynomials] for i in self.parties}

    def element(self, rng: Random) -> Element:
        """A uniform element."""
        return self.ring.reduce(rng.getrandbits(self.k) for _ in range(4))

    def unit(self, rng: Random) -> Element:
        """A random unit."""
        a, b, c, d = self.element(rng)
        return (a | 1, b, c, d)

    def base(self, rng: Random, count: int) -> list[Element]:
        """Uniform elements of B."""
        return [(rng.getrandbits(self.k), 0, 0, 0) for _ in range(count)]

    def opened(self, shares: Mapping[int, kernel.Shares], degree: int) -> list[Element]:
        """Secrets; AssertionError unless the shares of all these parties lie on polynomials of the degree."""
        vectors = {i: elements_of(share) for i, share in shares.items()}
        base = sorted(vectors)[: degree + 1]
        return [
            self._value({i: vector[m] for i, vector in vectors.items()}, base) for m in range(len(vectors[base[0]]))
        ]

    def _value(self, word: Mapping[int, Element], base: Sequence[int]) -> Element:
        known = {i: word[i] for i in base}
        off = [i for i in word if self.ring.interpolate(known, alpha(i)) != word[i]]
        if off:
            raise AssertionError(f"shares of {off} are not of degree {len(base) - 1}")
        return self.ring.interpolate(known)


@cache
def key_of(mask: int, name: str) -> bytes:
    """The key of a set."""
    return digest("world", name, mask)


def elements_of(shares: kernel.Shares) -> list[Element]:
    """The elements behind a handle."""
    return read_elements(shares.to_wire(), shares.k) or []
