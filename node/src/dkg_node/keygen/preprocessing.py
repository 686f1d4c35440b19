"""What the online phase takes from the offline phase, piece by piece, so that a key never has to be held whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dkg_node.algebra.kernel import Shares

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dkg_node.keygen.parameters import ParameterSet
    from dkg_node.keygen.plan import Place, Plan
    from dkg_node.offline.batch import Result
    from dkg_node.offline.chunk import Batch


class Products(Protocol):
    """Shares of one block of random products: x of its rows, y of its columns, p = x_i y_j packed by four columns."""

    @property
    def p(self) -> Shares:
        """The rows * columns/4 packed elements, row by row."""
        ...

    @property
    def x(self) -> Shares:
        """One base sharing a row."""
        ...

    @property
    def y(self) -> Shares:
        """One base sharing a column."""
        ...


class Results(Protocol):
    """A batch's shares, by chunk."""

    @property
    def batch(self) -> Batch:
        """What it is of."""
        ...

    @property
    def results(self) -> tuple[Result, ...]:
        """One a chunk."""
        ...


class Preprocessing(Protocol):
    """Certified results of the batches, by batch and position of the chunk in it. May load them from sealed storage."""

    def bits(self, batch: int, chunk: int) -> Shares:
        """Single random bits, four a group."""
        ...

    def noise(self, batch: int, chunk: int) -> Shares:
        """Noise samples, four packed in an element."""
        ...

    def products(self, batch: int, chunk: int) -> Products:
        """A block of products."""
        ...


class KeyShares:
    """This party's share of every secret key bit, K=128: what remains when the ceremony is over.

    Base sharings in the order of SEGMENTS. Prints as redacted.
    """

    __slots__ = ("_narrow", "_params", "_wide")

    def __init__(self, params: ParameterSet, shares: Shares) -> None:
        """``shares``: one element a key bit of the set; ValueError for another number or K."""
        if shares.k != 128 or len(shares) != params.key_bits:
            raise ValueError("give one element of K=128 for every key bit of the parameter set")
        self._params = params
        self._wide = shares
        self._narrow = shares.reduce64()

    def __repr__(self) -> str:
        """Nothing of the secret."""
        return f"<KeyShares of {self._params.name}, redacted>"

    @property
    def all(self) -> Shares:
        """All bits, K=128."""
        return self._wide

    def of(self, segment: str, k: int) -> Shares:
        """The bits of one secret key mod 2^k."""
        where = self._params.segment(segment)
        return (self._wide if k == 128 else self._narrow).slice(where.start, where.stop)

    def items(self) -> Iterator[tuple[str, Shares]]:
        """Every secret key the set has, with its shares at K=128."""
        for segment, count in self._params.segments.items():
            if count:
                yield segment, self.of(segment, 128)


def key_shares(params: ParameterSet, plan: Plan, source: Preprocessing) -> KeyShares:
    """Take the key bits; surplus bits of the last group are dropped."""
    parts = [source.bits(place.batch, place.chunk) for place in plan.bits]
    return KeyShares(params, Shares.concat(parts).slice(0, params.key_bits))


def noise_groups(places: tuple[Place, ...], wanted: range, source: Preprocessing) -> Shares:
    """Packed noise of the groups ``wanted`` of one key, out of all chunks that they lie in."""
    parts = []
    for place in places:
        first = max(wanted.start, place.start)
        last = min(wanted.stop, place.start + place.groups)
        if first < last:
            held = source.noise(place.batch, place.chunk)
            parts.append(held.slice(first - place.start, last - place.start))
    return Shares.concat(parts)


class Held:
    """Preprocessing that is in memory: results by (batch, chunk)."""

    def __init__(
        self,
        bits: Mapping[tuple[int, int], Shares],
        noise: Mapping[tuple[int, int], Shares],
        products: Mapping[tuple[int, int], Products],
    ) -> None:
        """Each mapping holds the chunks of its kind."""
        self._bits, self._noise, self._products = bits, noise, products

    @classmethod
    def of(cls, batches: Iterable[Results]) -> Held:
        """Results as ``run_batch`` gives them."""
        bits: dict[tuple[int, int], Shares] = {}
        noise: dict[tuple[int, int], Shares] = {}
        products: dict[tuple[int, int], Products] = {}
        for done in batches:
            for chunk, result in zip(done.batch.chunks, done.results, strict=True):
                at = done.batch.index, chunk.index
                if not isinstance(result, Shares):
                    products[at] = result
                elif chunk.kind == "bits":
                    bits[at] = result
                else:
                    noise[at] = result
        return cls(bits, noise, products)

    def bits(self, batch: int, chunk: int) -> Shares:
        """See Preprocessing."""
        return self._bits[batch, chunk]

    def noise(self, batch: int, chunk: int) -> Shares:
        """See Preprocessing."""
        return self._noise[batch, chunk]

    def products(self, batch: int, chunk: int) -> Products:
        """See Preprocessing."""
        return self._products[batch, chunk]
