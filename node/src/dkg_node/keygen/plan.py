"""The plan: which chunks of which batches make the randomness of a set, and where each piece of it goes (01 section 4).

A pure function of the parameter set, so all parties have the same. A chunk serves one key only: the segment of a key
needs that key's chunks and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from dkg_node.keygen.parameters import Family
from dkg_node.offline.chunk import MOST_CHUNKS, MOST_COLUMNS, MOST_ROWS, PACK, Batch, Chunk, bit_groups, noise_groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dkg_node.keygen.parameters import KeySpec, ParameterSet
    from dkg_node.offline.chunk import Kind

KEY_BIT_MODULUS = 128
"""All key bits are made mod 2^128; the same share mod 2^64 is the share of the same bit."""


@dataclass(frozen=True, slots=True)
class Place:
    """A chunk and the groups of four that it holds: ``groups`` of them from number ``start`` of its key on."""

    batch: int
    chunk: int
    """Position in the batch."""
    start: int
    groups: int


@dataclass(frozen=True, slots=True)
class Tile:
    """A product chunk and the block that it holds: bits of the source key times coefficients of the target key."""

    batch: int
    chunk: int
    rows: range
    columns: range


@dataclass(frozen=True, slots=True)
class Plan:
    """All batches in order, and for every public key the chunks that feed it."""

    batches: tuple[Batch, ...]
    bits: tuple[Place, ...]
    """Key bits in the order of SEGMENTS, in groups of four; the last group may be partly unused."""
    noise: Mapping[str, tuple[Place, ...]]
    """By key: groups of four consecutive bodies in storage order; the last group may be partly unused."""
    products: Mapping[str, tuple[Tile, ...]]
    """By bootstrapping key: rows of tiles in order, columns in order within a row of tiles."""


@dataclass(frozen=True, slots=True)
class _Want:
    """A chunk before it has a batch; ``owner`` is a key's name, or empty for the key bits."""

    owner: str
    kind: Kind
    k: int
    width: int
    groups: int
    start: int = 0
    rows: range = range(0)
    columns: range = range(0)


@cache
def plan_of(params: ParameterSet) -> Plan:
    """The plan of a set: key bits first, then noise mod 2^64, noise mod 2^128, products mod 2^64, mod 2^128."""
    batches: list[Batch] = []
    bits: list[Place] = []
    noise: dict[str, list[Place]] = {spec.name: [] for spec in params.keys}
    products: dict[str, list[Tile]] = {spec.name: [] for spec in params.keys if spec.products}
    for wants in _of_one_kind(params):
        for first in range(0, len(wants), MOST_CHUNKS):
            part = wants[first : first + MOST_CHUNKS]
            index = len(batches)
            batches.append(_batch(index, part))
            for position, want in enumerate(part):
                if want.kind == "product":
                    products[want.owner].append(Tile(index, position, want.rows, want.columns))
                else:
                    places = noise[want.owner] if want.owner else bits
                    places.append(Place(index, position, want.start, want.groups))
    return Plan(
        tuple(batches),
        tuple(bits),
        {name: tuple(places) for name, places in noise.items()},
        {name: tuple(tiles) for name, tiles in products.items()},
    )


def _batch(index: int, wants: list[_Want]) -> Batch:
    chunks = tuple(
        Chunk(position, want.kind, want.k, want.width, want.groups, len(want.rows), len(want.columns))
        for position, want in enumerate(wants)
    )
    return Batch(index, wants[0].kind, wants[0].k, chunks)


def _of_one_kind(params: ParameterSet) -> Iterator[list[_Want]]:
    """Lists of one kind and one K, in plan order; none is empty."""
    yield list(_key_bits(params))
    makers = (_noise, _products)
    for maker in makers:
        for k in (64, 128):
            wants = [want for spec in params.keys if spec.word_bits == k for want in maker(spec, params)]
            if wants:
                yield wants


def _cut(total: int, most: int) -> Iterator[range]:
    """0..total in ranges of at most ``most``."""
    for start in range(0, total, most):
        yield range(start, min(start + most, total))


def _groups(values: int) -> int:
    return -(-values // PACK)


def _key_bits(params: ParameterSet) -> Iterator[_Want]:
    for part in _cut(_groups(params.key_bits), bit_groups()):
        yield _Want("", "bits", KEY_BIT_MODULUS, 0, len(part), part.start)


def _noise(spec: KeySpec, _: ParameterSet) -> Iterator[_Want]:
    for part in _cut(_groups(spec.samples), noise_groups(spec.width)):
        yield _Want(spec.name, "noise", spec.word_bits, spec.width, len(part), part.start)


def _products(spec: KeySpec, params: ParameterSet) -> Iterator[_Want]:
    if spec.family is not Family.BOOTSTRAP:
        return
    for rows in _cut(params.segments[spec.source], MOST_ROWS):
        for columns in _cut(params.segments[spec.target], MOST_COLUMNS):
            yield _Want(spec.name, "product", spec.word_bits, 0, 0, 0, rows, columns)
