"""PRSS and PRZS: the shares of all parties lie on polynomials of exactly the promised degree and value."""

from __future__ import annotations

from types import ModuleType

import pytest

from dkg_node.algebra.encoding import kdf
from dkg_node.algebra.ring import ZERO
from dkg_node.algebra.twin.sets import all_sets, constants
from dkg_node.algebra.twin.words import aes_key, split, stream
from dkg_node.testing.dealing import World, elements_of, key_of

LABEL = b"label"
COUNT = 5


def expected(world: World, label: bytes, start: int) -> list[int]:
    """sum_A u_A psi_A from all keys together, psi_A of value v the word at v K/8 in signed 16-bit limbs."""
    width = world.k // 8
    totals = [0] * COUNT
    for mask in all_sets(world.n, world.t):
        words = split(stream(aes_key(key_of(mask, ""), label), start * width, COUNT * width), width)
        for v, word in enumerate(words):
            limbs = [int.from_bytes(word[q : q + 2], "little", signed=True) for q in range(0, width, 2)]
            totals[v] += constants(world.n, mask).unit * sum(limb << 16 * q for q, limb in enumerate(limbs))
    return [total % (1 << world.k) for total in totals]


@pytest.mark.parametrize("start", [0, 3])
def test_shares_of_all_parties_open_at_degree_t_to_the_sum_of_the_psi(world: World, start: int) -> None:
    shares = {i: world.impl.prss(keys, LABEL, world.k, start, COUNT) for i, keys in world.keys().items()}
    assert world.opened(shares, world.t) == [(value, 0, 0, 0) for value in expected(world, LABEL, start)]


def test_a_range_of_the_stream_is_a_slice_of_the_whole(small: World) -> None:
    keys = small.keys()[2]
    whole = elements_of(small.impl.prss(keys, LABEL, small.k, 0, 700))
    for start, count in [(0, 0), (1, 1), (3, 255), (255, 258), (513, 100), (699, 1)]:
        part = elements_of(small.impl.prss(keys, LABEL, small.k, start, count))
        assert part == whole[start : start + count]


def test_derived_keys_are_the_keys_of_the_derivation(world: World) -> None:
    party = world.n
    derived = world.keys()[party].derive(LABEL)
    masks = [mask for mask in all_sets(world.n, world.t) if mask >> (party - 1) & 1]
    by_hand = world.impl.Keys.from_bytes(
        world.n, world.t, party, b"".join(kdf(key_of(mask, ""), LABEL) for mask in masks)
    )
    made, wanted = (world.impl.prss(keys, b"x", world.k, 0, 3) for keys in (derived, by_hand))
    assert made.to_wire() == wanted.to_wire()
    assert (derived.n, derived.t, derived.party) == (world.n, world.t, party)


def test_przs_is_zero_on_degree_2t_and_on_no_lower_degree(world: World) -> None:
    shares = {i: world.impl.przs(keys, LABEL, world.k, 3) for i, keys in world.keys().items()}
    assert world.opened(shares, 2 * world.t) == [ZERO] * 3
    wire = {i: share.to_wire() for i, share in shares.items()}
    assert world.impl.lies_on(world.n, 2 * world.t, world.k, wire)
    assert not world.impl.lies_on(world.n, 2 * world.t - 1, world.k, wire)


def test_another_label_gives_other_values(small: World) -> None:
    keys, impl, k = small.keys()[1], small.impl, small.k
    assert impl.prss(keys, b"a", k, 0, 2).to_wire() != impl.prss(keys, b"b", k, 0, 2).to_wire()
    assert impl.przs(keys, b"a", k, 2).to_wire() != impl.przs(keys, b"b", k, 2).to_wire()


def test_values_of_64_bits_are_not_those_of_128_cut_off(impl: ModuleType) -> None:
    """The streams are read in words of K bits, so K stands in every label that serves both."""
    keys = World(impl, 4, 1, 64).keys()[1]
    assert impl.prss(keys, LABEL, 128, 1, 1).reduce64().to_wire() != impl.prss(keys, LABEL, 64, 1, 1).to_wire()
