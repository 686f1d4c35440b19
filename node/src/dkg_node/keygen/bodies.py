"""The share of a block of bodies: b = <A, S> + e + factor * message, four words to an element (01 section 5, 02).

All of it is local: the masks are public, the keys and the noise are shared, and products of secret bits come from the
masked inputs. Every share here has the K of the key's words, so a 64-bit body never sees a coordinate above 2^64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_node.algebra import kernel
from dkg_node.algebra.kernel import Shares, Spectrum
from dkg_node.keygen import glwe, lwe
from dkg_node.keygen.masks import block_masks
from dkg_node.keygen.parameters import Family
from dkg_node.keygen.preprocessing import noise_groups
from dkg_node.offline.chunk import PACK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_node.keygen.masks import Block
    from dkg_node.keygen.parameters import KeySpec
    from dkg_node.keygen.plan import Plan, Tile
    from dkg_node.keygen.preprocessing import KeyShares, Preprocessing


@dataclass(frozen=True, slots=True)
class Masked:
    """A product tile with what was opened for it: s - x of its rows and S - y of its columns, words little endian."""

    tile: Tile
    eps: bytes
    delta: bytes


@dataclass(frozen=True, slots=True)
class Material:
    """What the blocks of one key need: secrets as shares or transforms, public seed, opened inputs of the products."""

    spec: KeySpec
    seed: bytes
    bits: Shares | None
    """Bits that are encrypted."""
    key: Shares
    """The key that encrypts, one element a bit."""
    polynomials: tuple[Spectrum, ...]
    """The same as polynomials; none for LWE rows."""
    masked: tuple[Masked, ...]
    plan: Plan
    preprocessing: Preprocessing


def material(
    spec: KeySpec, plan: Plan, share: KeyShares, preprocessing: Preprocessing, seed: bytes, opened: bytes
) -> Material:
    """Prepare a key. ``opened``: the words of its masked inputs, empty where it has no products."""
    key = share.of(spec.target, spec.word_bits)
    polynomials: tuple[Spectrum, ...] = ()
    if spec.family is Family.COMPACT:
        polynomials = glwe.spectra(glwe.reversed_key(key), spec.noise.shape)
    elif spec.family in {Family.PACKING, Family.BOOTSTRAP}:
        polynomials = glwe.spectra(key, spec.noise.shape)
    bits = share.of(spec.source, spec.word_bits) if spec.source else None
    masked = unmasked_tiles(spec, plan.products.get(spec.name, ()), opened)
    return Material(spec, seed, bits, key, polynomials, masked, plan, preprocessing)


def masked_values(tiles: Sequence[Tile]) -> int:
    """Values opened for these tiles, with the zeros that fill up the last element of each."""
    return sum(len(tile.rows) + len(tile.columns) + -len(tile.rows) % PACK for tile in tiles)


def masked_inputs(spec: KeySpec, tiles: Sequence[Tile], share: KeyShares, preprocessing: Preprocessing) -> Shares:
    """Packed shares of s_i - x_i and S_j - y_j: tile by tile its rows, filled up with zeros to 4, then columns."""
    bits, key = share.of(spec.source, spec.word_bits), share.of(spec.target, spec.word_bits)
    parts = []
    for tile in tiles:
        random = preprocessing.products(tile.batch, tile.chunk)
        parts.append(lwe.pack_rows(bits.slice(tile.rows.start, tile.rows.stop).sub(random.x)))
        parts.append(key.slice(tile.columns.start, tile.columns.stop).sub(random.y).pack())
    return Shares.concat(parts)


def unmasked_tiles(spec: KeySpec, tiles: Sequence[Tile], opened: bytes) -> tuple[Masked, ...]:
    """Cut the opened words of ``masked_inputs``."""
    word = spec.word_bits // 8
    masked = []
    position = 0
    for tile in tiles:
        middle = position + (len(tile.rows) + -len(tile.rows) % PACK) * word
        end = middle + len(tile.columns) * word
        eps = opened[position : position + len(tile.rows) * word]
        masked.append(Masked(tile, eps, opened[middle:end]))
        position = end
    return tuple(masked)


def body_share(block: Block, given: Material) -> Shares:
    """This party's packed share of the block's bodies, one element a group of four words."""
    noise = noise_groups(given.plan.noise[block.spec.name], block.groups, given.preprocessing)
    masks = block_masks(given.seed, block)
    if block.spec.family in {Family.SWITCH, Family.ZEROS}:
        return _lwe_rows(block, given, masks).add(noise)
    rows = glwe.masked_rows(masks, given.polynomials).add(noise)
    if given.bits is None:
        return rows
    return rows.add(_glwe_message(block, given, given.bits.slice(block.units.start, block.units.stop)))


def _lwe_rows(block: Block, given: Material, masks: bytes) -> Shares:
    rows = lwe.masked_rows(masks, given.key)
    if given.bits is not None:
        bits = given.bits.slice(block.units.start, block.units.stop)
        rows = rows.add(lwe.gadget_rows(bits, block.spec.factors))
    return lwe.pack_rows(rows)


def _glwe_message(block: Block, given: Material, bits: Shares) -> Shares:
    spec = block.spec
    if spec.family is Family.PACKING:
        return glwe.constant_rows(bits, spec.factors, spec.noise.shape.size)
    return glwe.ggsw_rows(bits, secret_products(block, given), spec.factors, spec.noise.shape)


def secret_products(block: Block, given: Material) -> Shares:
    """Packed [s_i S_j] of the block's bits i and all coefficients j, bit by bit."""
    tiles = [one for one in given.masked if one.tile.rows.start <= block.units.start < one.tile.rows.stop]
    found = [_tile_products(one, block.units, given) for one in tiles]
    if len(found) == 1:
        return found[0]
    widths = [len(one.tile.columns) // PACK for one in tiles]
    return Shares.concat(
        [
            part.slice(i * width, (i + 1) * width)
            for i in range(len(block.units))
            for part, width in zip(found, widths, strict=True)
        ]
    )


def _tile_products(masked: Masked, units: range, given: Material) -> Shares:
    """Beaver 1991 on the rows of one tile that belong to ``units``: p + eps y + delta x + eps delta."""
    tile, word = masked.tile, given.spec.word_bits // 8
    random = given.preprocessing.products(tile.batch, tile.chunk)
    first, last = units.start - tile.rows.start, units.stop - tile.rows.start
    quads = len(tile.columns) // PACK
    return kernel.beaver(
        random.p.slice(first * quads, last * quads),
        random.x.slice(first, last),
        random.y,
        masked.eps[first * word : last * word],
        masked.delta,
    )
