"""Vectors of shares behind their handles: arithmetic, shapes, and what a handle refuses."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from random import Random
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_node.algebra.ring import Element
from dkg_node.algebra.twin.words import write_elements
from dkg_node.testing.dealing import World, elements_of

coordinates = st.integers(0, 2**128 - 1)
vectors = st.lists(st.tuples(coordinates, coordinates, coordinates, coordinates), max_size=8)


@given(vectors, vectors, st.integers(-(2**200), 2**200))
def test_arithmetic_is_that_of_r_element_by_element(
    small: World, left: list[Element], right: list[Element], factor: int
) -> None:
    ring = small.ring
    size = min(len(left), len(right))
    a, b = ([ring.reduce(e) for e in vector[:size]] for vector in (left, right))
    x, y = small.shares(a), small.shares(b)
    assert len(x) == size
    assert elements_of(x.add(y)) == [ring.add(p, q) for p, q in zip(a, b, strict=True)]
    assert elements_of(x.sub(y)) == [ring.sub(p, q) for p, q in zip(a, b, strict=True)]
    assert elements_of(x.scale(factor)) == [ring.scale(p, factor) for p in a]
    assert elements_of(small.impl.Shares.concat([x, y, x])) == a + b + a
    assert elements_of(small.impl.Shares.zeros(small.k, size)) == [(0, 0, 0, 0)] * size
    assert (elements_of(x), elements_of(y)) == (a, b)


@given(vectors, st.data())
def test_slices_are_those_of_a_list(small: World, vector: list[Element], data: st.DataObject) -> None:
    a = [small.ring.reduce(e) for e in vector]
    start = data.draw(st.integers(0, len(a)))
    stop = data.draw(st.integers(start, len(a)))
    assert elements_of(small.shares(a).slice(start, stop)) == a[start:stop]


def test_packing_carries_four_base_values_as_coordinates(world: World, rng: Random) -> None:
    secrets = world.base(rng, 8)
    shares = world.handles(world.deal(rng, secrets, world.t))
    packed = world.opened({i: share.pack() for i, share in shares.items()}, world.t)
    assert [word for element in packed for word in element] == [secret[0] for secret in secrets]


def test_packing_multiplies_by_powers_of_x_where_shares_fill_r(small: World, rng: Random) -> None:
    a = [small.element(rng) for _ in range(4)]
    ring, x = small.ring, (0, 1, 0, 0)
    horner = ring.add(a[0], ring.mul(x, ring.add(a[1], ring.mul(x, ring.add(a[2], ring.mul(x, a[3]))))))
    assert elements_of(small.shares(a).pack()) == [horner]


HANDLES: dict[str, Callable[[ModuleType], object]] = {
    "secret": lambda impl: impl.Secret.from_bytes(b"S" * 32),
    "keys": lambda impl: impl.Keys.from_bytes(4, 1, 2, b"S" * 96),
    "contributions": lambda impl: impl.Contributions(4, 1, 2, impl.Secret.from_bytes(b"S" * 32)),
    "shares": lambda impl: impl.Shares.from_wire(64, b"S" * 64),
    "spectrum": lambda impl: impl.Spectrum(impl.Shares.from_wire(64, b"S" * 64)),
}


@pytest.fixture(params=HANDLES)
def make(request: pytest.FixtureRequest) -> Callable[[ModuleType], object]:
    return HANDLES[request.param]


def test_a_handle_prints_nothing_of_its_secret(impl: ModuleType, make: Callable[[ModuleType], object]) -> None:
    handle = make(impl)
    for text in (repr(handle), str(handle), f"{handle}", ascii([handle])):
        assert "redacted" in text
        assert type(handle).__name__ in text
        assert not any(part in text for part in ("SS", "53", "83", str(0x53535353)))
        assert len(text) < 40


def test_a_handle_is_neither_copied_nor_pickled(impl: ModuleType, make: Callable[[ModuleType], object]) -> None:
    handle = make(impl)
    for take in (copy.copy, copy.deepcopy, pickle.dumps, lambda h: pickle.dumps(h, 0), lambda h: copy.copy([h][0])):
        with pytest.raises(TypeError):
            take(handle)
    with pytest.raises(TypeError):
        pickle.dumps({"nested": [handle]})


def test_a_handle_is_not_compared_or_hashed_by_value(impl: ModuleType, make: Callable[[ModuleType], object]) -> None:
    one, other = make(impl), make(impl)
    with pytest.raises(TypeError):
        one == other  # noqa: B015
    with pytest.raises(TypeError):
        one != other  # noqa: B015
    with pytest.raises(TypeError):
        one < other  # type: ignore[operator]  # noqa: B015
    with pytest.raises(TypeError):
        hash(one)
    with pytest.raises(TypeError):
        {one}  # noqa: B018


def test_a_handle_shows_no_bytes_by_other_doors(impl: ModuleType, make: Callable[[ModuleType], object]) -> None:
    handle = make(impl)
    readers: tuple[Callable[[Any], object], ...] = (bytes, memoryview, iter, list)
    for read in readers:
        with pytest.raises(TypeError):
            read(handle)


def test_two_random_secrets_differ(impl: ModuleType) -> None:
    key = impl.Secret.from_bytes(bytes(32))
    streams = {
        impl.Contributions(4, 1, 1, seed).digests(b"sid") for seed in (impl.Secret.random(), impl.Secret.random(), key)
    }
    assert len(streams) == 3


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_buffer_is_read_and_not_kept(impl: ModuleType, kind: type) -> None:
    source = bytearray(write_elements([(1, 2, 3, 4)], 64))
    shares = impl.Shares.from_wire(64, kind(source))
    source[0] = 99
    assert elements_of(shares) == [(1, 2, 3, 4)]
