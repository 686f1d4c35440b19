"""Ideal functionalities for tests: a dealer that hands out what the offline phase would have made, and knows it all."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from dkg_node.algebra.kernel import Keys, Shares
from dkg_node.keygen.preprocessing import Held
from dkg_node.offline.chunk import PACK
from dkg_node.offline.values import ProductBlock
from dkg_node.sharing.sets import contains, sets_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from dkg_node.keygen.parameters import ParameterSet
    from dkg_node.keygen.plan import Plan
    from dkg_node.sharing.sets import Group, Role

Words = "NDArray[np.uint64]"
"""Elements of R: (elements, 4 coordinates, K/64 limbs), all little endian."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the dealer knows: key bits in order, and by key the noise of all its groups (also of unused samples)."""

    bits: NDArray[np.uint8]
    noise: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Ideal:
    """Preprocessing of all parties, PRSS keys of all parties, and the truth."""

    preprocessing: Mapping[Role, Held]
    keys: Mapping[Role, Keys]
    secrets: Secrets


class Dealer:
    """Shamir sharings over R at the parties' points, from a seed."""

    def __init__(self, group: Group, seed: int) -> None:
        """``seed`` fixes all values and all polynomials."""
        self.group = group
        self.random = np.random.default_rng(seed)

    def share(self, secrets: NDArray[np.uint64]) -> dict[Role, Shares]:
        """Degree-t sharings of a vector of elements of R."""
        top = [self._uniform(secrets.shape) for _ in range(self.group.t)]
        return {role: self._at(role, secrets, top) for role in self.group.roles}

    def base(self, values: NDArray[np.int64], k: int) -> dict[Role, Shares]:
        """Base sharings of signed integers."""
        return self.share(_elements(values[:, None], k))

    def packed(self, values: NDArray[np.int64], k: int) -> dict[Role, Shares]:
        """Packed sharings of signed integers, four to an element."""
        return self.share(_elements(values.reshape(-1, PACK), k))

    def keys(self) -> dict[Role, Keys]:
        """PRSS keys as setup would make them."""
        group = self.group
        values = {mask: self.random.bytes(32) for mask in sets_of(group)}
        return {
            role: Keys.from_bytes(
                group.n, group.t, role, b"".join(values[mask] for mask in sets_of(group) if contains(mask, role))
            )
            for role in group.roles
        }

    def _uniform(self, shape: tuple[int, ...]) -> NDArray[np.uint64]:
        return self.random.integers(0, 1 << 64, shape, dtype=np.uint64)

    def _at(self, role: Role, secrets: NDArray[np.uint64], top: Iterable[NDArray[np.uint64]]) -> Shares:
        """Horner: (... (c_t alpha + c_(t-1)) alpha ...) alpha + secret."""
        value = np.zeros_like(secrets)
        for coefficient in top:
            value = _times_point(_add(value, coefficient), role)
        return Shares.from_wire(64 * secrets.shape[2], _add(value, secrets).tobytes())


def _elements(values: NDArray[np.int64], k: int) -> NDArray[np.uint64]:
    """(m, c) signed integers as the first c coordinates of m elements."""
    words = np.zeros((len(values), PACK, k // 64), dtype=np.uint64)
    words[:, : values.shape[1], 0] = values.astype(np.uint64)
    if k == 128:
        words[:, : values.shape[1], 1] = (values >> 63).astype(np.uint64)
    return words


def _add(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Coordinate-wise sum mod 2^64 or 2^128."""
    total = a + b
    if a.shape[-1] == 2:
        total[..., 1] += total[..., 0] < a[..., 0]
    return total


def _negated(a: NDArray[np.uint64]) -> NDArray[np.uint64]:
    flipped = ~a
    one = np.zeros_like(a)
    one[..., 0] = 1
    return _add(flipped, one)


def _times_x(a: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """X * (c0 + c1 X + c2 X^2 + c3 X^3) with X^4 = -X - 1."""
    last = _negated(a[:, 3])
    return np.stack([last, _add(a[:, 0], last), a[:, 1], a[:, 2]], axis=1)


def _times_point(a: NDArray[np.uint64], role: Role) -> NDArray[np.uint64]:
    """Times alpha_role, the bits of the role as a polynomial."""
    total = np.zeros_like(a)
    power = a
    for bit in range(role.bit_length()):
        if role >> bit & 1:
            total = _add(total, power)
        power = _times_x(power)
    return total


def tuniform(random: np.random.Generator, width: int, count: int) -> NDArray[np.int64]:
    """Samples b_0 - 2^w + sum_{j=1..w+1} b_j 2^(j-1)."""
    return random.integers(0, 2 << width, count) + random.integers(0, 2, count) - (1 << width)


def ideal(
    group: Group, params: ParameterSet, plan: Plan, seed: int, ends: Mapping[str, int] = MappingProxyType({})
) -> Ideal:
    """Deal everything the online phase of a set needs. ``ends`` fixes the first bit of some secret keys."""
    dealer = Dealer(group, seed)
    bits = dealer.random.integers(0, 2, params.key_bits, dtype=np.uint8)
    for segment, bit in ends.items():
        bits[params.segment(segment).start] = bit
    spare = -len(bits) % PACK
    dealt = np.concatenate([bits, dealer.random.integers(0, 2, spare, dtype=np.uint8)]).astype(np.int64)
    noise = {
        spec.name: tuniform(dealer.random, spec.width, PACK * sum(place.groups for place in plan.noise[spec.name]))
        for spec in params.keys
    }
    shared_bits = {
        (place.batch, place.chunk): dealer.base(dealt[PACK * place.start : PACK * (place.start + place.groups)], 128)
        for place in plan.bits
    }
    shared_noise = {
        (place.batch, place.chunk): dealer.packed(
            noise[spec.name][PACK * place.start : PACK * (place.start + place.groups)], spec.word_bits
        )
        for spec in params.keys
        for place in plan.noise[spec.name]
    }
    blocks = {
        (tile.batch, tile.chunk): _block(dealer, len(tile.rows), len(tile.columns), params.key(name).word_bits)
        for name, tiles in plan.products.items()
        for tile in tiles
    }
    held = {
        role: Held(
            {at: shares[role] for at, shares in shared_bits.items()},
            {at: shares[role] for at, shares in shared_noise.items()},
            {at: shares[role] for at, shares in blocks.items()},
        )
        for role in group.roles
    }
    return Ideal(held, dealer.keys(), Secrets(bits, noise))


def _block(dealer: Dealer, rows: int, columns: int, k: int) -> dict[Role, ProductBlock]:
    """Random x, y and their products; values of 31 bits, so that the products stay in range here."""
    x = dealer.random.integers(0, 1 << 31, rows)
    y = dealer.random.integers(0, 1 << 31, columns)
    p = np.multiply.outer(x, y).reshape(-1)
    shares = dealer.packed(p, k), dealer.base(x, k), dealer.base(y, k)
    return {role: ProductBlock(*(part[role] for part in shares)) for role in dealer.group.roles}
