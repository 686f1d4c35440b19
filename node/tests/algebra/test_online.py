"""Online: products of masked inputs, polynomial products mod X^N + 1, the public mask stream."""

from __future__ import annotations

from random import Random
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_node.algebra.ring import Element
from dkg_node.testing.dealing import World, elements_of


def words(values: list[int], k: int) -> bytes:
    return b"".join(value.to_bytes(k // 8, "little") for value in values)


def test_beaver_gives_the_products_of_the_inputs(world: World, rng: Random) -> None:
    """s = x + eps and S = y + delta: the sharing of s_i S_j at (row i, quad c), packed."""
    ring, top = world.ring, 1 << world.k
    x, y = world.base(rng, 3), world.base(rng, 8)
    eps, delta = ([rng.getrandbits(world.k) for _ in part] for part in (x, y))
    p = [ring.reduce(a[0] * y[4 * c + q][0] for q in range(4)) for a in x for c in range(2)]
    dealt = [world.handles(world.deal(rng, secrets, world.t)) for secrets in (p, x, y)]
    out = {
        i: world.impl.beaver(*(part[i] for part in dealt), words(eps, world.k), words(delta, world.k))
        for i in world.parties
    }
    s, S = ([(a[0] + e) % top for a, e in zip(part, by, strict=True)] for part, by in ((x, eps), (y, delta)))
    wanted = [ring.reduce(a * S[4 * c + q] for q in range(4)) for a in s for c in range(2)]
    assert world.opened(out, world.t) == wanted


def schoolbook(a: list[int], s: list[Element], k: int) -> list[Element]:
    """Product mod X^N + 1 by its definition."""
    n = len(a)
    out = [[0, 0, 0, 0] for _ in range(n)]
    for i, factor in enumerate(a):
        for j, element in enumerate(s):
            sign = -1 if i + j >= n else 1
            for c in range(4):
                out[(i + j) % n][c] += sign * factor * element[c]
    return [tuple(word % (1 << k) for word in row) for row in out]


@given(st.integers(0, 2**32), st.sampled_from([2, 4, 8, 16, 32]), st.integers(1, 3), st.integers(1, 3))
def test_negacyclic_equals_schoolbook(small: World, seed: int, n: int, polys: int, rows: int) -> None:
    rng, ring = Random(seed), small.ring
    secrets = [[small.element(rng) for _ in range(n)] for _ in range(polys)]
    public = [[[rng.getrandbits(small.k) for _ in range(n)] for _ in range(polys)] for _ in range(rows)]
    spectra = [small.impl.Spectrum(small.shares(secret)) for secret in secrets]
    masks = b"".join(words(poly, small.k) for row in public for poly in row)
    got = elements_of(small.impl.negacyclic(masks, spectra))
    wanted: list[Element] = []
    for row in public:
        parts = [schoolbook(a, s, small.k) for a, s in zip(row, secrets, strict=True)]
        wanted += [ring.sum(part[i] for part in parts) for i in range(n)]
    assert got == wanted


@pytest.mark.parametrize("n", [256, 2048, 4096])
def test_the_largest_coefficients_stay_exact(small: World, n: int) -> None:
    """All words 2^K - 1: coefficient i of the product is (2^K - 1)^2 (2 i + 2 - N)."""
    top = (1 << small.k) - 1
    spectrum = small.impl.Spectrum(small.shares([(top, 0, 1, top)] * n))
    got = elements_of(small.impl.negacyclic(words([top] * n, small.k), [spectrum]))
    full = [top * top * (2 * i + 2 - n) % (1 << small.k) for i in range(n)]
    one = [top * (2 * i + 2 - n) % (1 << small.k) for i in range(n)]
    assert got == [(a, 0, b, a) for a, b in zip(full, one, strict=True)]
    assert (spectrum.n, spectrum.k) == (n, small.k)


def test_x_to_the_n_is_minus_one(small: World) -> None:
    spectrum = small.impl.Spectrum(small.shares([(1, 2, 3, 4), *[(0, 0, 0, 0)] * 6, (5, 6, 7, 8)]))
    x = words([0, 1, 0, 0, 0, 0, 0, 0], small.k)
    got = elements_of(small.impl.negacyclic(x, [spectrum]))
    top = 1 << small.k
    assert got[:2] == [(top - 5, top - 6, top - 7, top - 8), (1, 2, 3, 4)]


@pytest.mark.parametrize("n", [0, 3, 12, 8192])
def test_a_length_that_is_no_power_of_two_is_refused(small: World, n: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        small.impl.Spectrum(small.impl.Shares.zeros(small.k, n))


@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(0, 4))
def test_inner_is_the_sum_of_products(small: World, seed: int, length: int, rows: int) -> None:
    rng, ring = Random(seed), small.ring
    s = [small.element(rng) for _ in range(length)]
    a = [[rng.getrandbits(small.k) for _ in s] for _ in range(rows)]
    got = elements_of(small.impl.inner(b"".join(words(row, small.k) for row in a), small.shares(s)))
    assert got == [ring.sum(ring.scale(e, word) for word, e in zip(row, s, strict=True)) for row in a]


SEED = 0x0123456789ABCDEFFEDCBA9876543210.to_bytes(16, "little")
STREAM = "765ef4fcbc20f00c06afa21cf0b91347315b57daff09bb4d757fba6f3b57b58b"


def test_the_mask_stream_is_the_one_of_the_design(impl: ModuleType) -> None:
    assert impl.mask_stream(SEED, 0, 32).hex() == STREAM


@given(st.integers(0, 5000), st.integers(0, 100))
def test_a_part_of_the_mask_stream_is_a_slice_of_it(impl: ModuleType, offset: int, length: int) -> None:
    whole = impl.mask_stream(SEED, 0, 5100)
    assert impl.mask_stream(SEED, offset, length) == whole[offset : offset + length]


def test_the_mask_stream_reaches_the_last_key(impl: ModuleType) -> None:
    """The last key of the production set ends after 1.6 GB of it."""
    far = 1_581_088_768 + 30_081_024
    assert impl.mask_stream(SEED, far, 40)[8:] == impl.mask_stream(SEED, far + 8, 32)
    assert impl.mask_stream(SEED, far, 8) != impl.mask_stream(SEED, far + 16, 8)


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_seed_of_another_length_is_refused(impl: ModuleType, size: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        impl.mask_stream(bytes(size), 0, 1)


def test_shares_mod_2_64_are_shares_of_the_value_mod_2_64(
    group: tuple[int, int], impl: ModuleType, rng: Random
) -> None:
    """Reduced before it is opened, a body tells nothing above 2^64."""
    wide, narrow = World(impl, *group, 128), World(impl, *group, 64)
    secrets = [wide.element(rng) for _ in range(3)]
    low = {i: share.reduce64() for i, share in wide.handles(wide.deal(rng, secrets, wide.t)).items()}
    assert narrow.opened(low, narrow.t) == [narrow.ring.reduce(secret) for secret in secrets]
    assert {share.k for share in low.values()} == {64}
