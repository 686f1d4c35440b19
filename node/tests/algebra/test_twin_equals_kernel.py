"""The kernel does what the readable twin does, byte for byte: every function, same inputs, both K, every group."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import product
from random import Random
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg_node.algebra import kernel, twin
from dkg_node.algebra.ring import Element
from dkg_node.algebra.twin.sets import all_sets, members
from dkg_node.algebra.twin.trim import Trim
from dkg_node.testing.dealing import World

GROUPS = [(4, 1), (7, 2), (10, 3), (13, 4)]
few = settings(max_examples=12)
seeds = st.integers(0, 2**32)
widths = st.sampled_from([64, 128])
groups = st.sampled_from(GROUPS)
weight_lists = st.lists(st.integers(0, 62), min_size=1, max_size=5)
Run = Callable[[ModuleType], Any]


def seen(value: object) -> object:
    """What a result shows: bytes, numbers, None, or a handle's wire bytes with its K and length."""
    if isinstance(value, tuple | list):
        return [seen(part) for part in value]
    if hasattr(value, "to_wire"):
        return value.k, len(value), value.to_wire()  # type: ignore[attr-defined, arg-type]
    return value


def same(run: Run) -> None:
    """Both give one result."""
    assert seen(run(kernel)) == seen(run(twin))


def same_or_refused(run: Run) -> None:
    """Both give one result, or both refuse: for inputs that may be a misuse."""
    assert outcome(run, kernel) == outcome(run, twin)


def outcome(run: Run, impl: ModuleType) -> object:
    try:
        return seen(run(impl))
    except ValueError:
        return ValueError


def data(rng: Random, k: int, count: int) -> bytes:
    """Elements of R; every fourth vector of extreme words."""
    if rng.random() < 0.25:
        return rng.choice([b"\0", b"\xff", b"\x80", b"\x7f"]) * (k // 2 * count)
    return rng.randbytes(k // 2 * count)


def keys(impl: ModuleType, n: int, t: int, party: int, seed: int) -> Any:  # noqa: ANN401 - of either implementation
    count = sum(mask >> (party - 1) & 1 for mask in all_sets(n, t))
    return impl.Keys.from_bytes(n, t, party, Random(seed).randbytes(32 * count))


def canonical_v(rng: Random, trim: Trim, count: int) -> bytes:
    """A message of full random words, cut to the trim."""
    words = [[rng.getrandbits(trim.k) for _ in range(4)] for _ in range(count)]
    return trim.write([(a, b, c, d) for a, b, c, d in words])


def test_both_have_the_same_names_and_parameters() -> None:
    assert sorted(kernel.__all__) == sorted(twin.__all__)
    for name in kernel.__all__:
        theirs, ours = getattr(kernel, name), getattr(twin, name)
        if inspect.isclass(ours):
            methods = {m for m in vars(theirs) if not m.startswith("_")}
            assert methods <= set(dir(ours)), name
        else:
            assert [str(p) for p in inspect.signature(theirs).parameters] == [
                str(p) for p in inspect.signature(ours).parameters
            ], name


@pytest.mark.parametrize(("n", "t"), GROUPS)
def test_constants(n: int, t: int) -> None:
    for party in range(1, n + 1):
        same(lambda impl, p=party: [list(row) for row in impl.prss_constants(n, t, p)])


@few
@given(groups, widths, seeds, st.binary(max_size=40), st.integers(0, 2000), st.integers(0, 12))
def test_prss_and_przs(shape: tuple[int, int], k: int, seed: int, label: bytes, start: int, count: int) -> None:
    party = 1 + seed % shape[0]
    same(lambda impl: impl.prss(keys(impl, *shape, party, seed), label, k, start, count))
    same(lambda impl: impl.prss(keys(impl, *shape, party, seed).derive(label), label, k, start, 1))
    same(lambda impl: impl.przs(keys(impl, *shape, party, seed), label, k, count // 3))


def test_prss_over_many_blocks_of_the_kernels_buffers() -> None:
    for k, start in product((64, 128), (0, 1, 255)):
        same(lambda impl, k=k, s=start: impl.prss(keys(impl, 4, 1, 3, k), b"long", k, s, 1100))
    same(lambda impl: impl.przs(keys(impl, 4, 1, 3, 5), b"long", 128, 300))


@given(groups, seeds, st.binary(max_size=20), st.integers(0, 2**63))
def test_contributions(shape: tuple[int, int], seed: int, sid: bytes, era: int) -> None:
    n, t = shape
    rng = Random(seed)
    me, peer = rng.sample(range(1, n + 1), 2)
    own = [int(mask) for mask in all_sets(n, t) if mask >> (me - 1) & 1]
    message = rng.randbytes(32 * sum(mask >> (peer - 1) & 1 for mask in own))

    def run(impl: ModuleType) -> list[object]:
        draws = impl.Contributions(n, t, me, impl.Secret.from_bytes(Random(seed).randbytes(32)))
        counted = {mask: [i for i in members(mask) if i in {me, peer}] for mask in own}
        return [
            draws.message_for(peer),
            draws.receive(peer, message),
            draws.digests(sid),
            [draws.rho(own[0], i) for i in range(1, n + 1)],
            draws.fill(sid, own[0], me, message[:32], sid),
            impl.prss(draws.keys(sid, era, counted), b"x", 64, 0, 1),
        ]

    same(run)


@given(widths, seeds, st.integers(0, 9), st.integers(-(2**140), 2**140))
def test_vectors(k: int, seed: int, count: int, factor: int) -> None:
    rng = Random(seed)
    one, other = data(rng, k, count), data(rng, k, count)
    start = rng.randint(0, count)

    def run(impl: ModuleType) -> list[object]:
        a, b = impl.Shares.from_wire(k, one), impl.Shares.from_wire(k, other)
        return [
            a.add(b), a.sub(b), a.scale(factor), a.reduce64(), a.slice(start, count), impl.Shares.concat([a, b, a]),
            impl.Shares.zeros(k, count), len(a), a.k,
        ]  # fmt: skip

    same(run)
    same_or_refused(lambda impl: impl.Shares.from_wire(k, one).pack())
    same_or_refused(lambda impl: impl.square_plus(impl.Shares.from_wire(k, one)))


@given(widths, seeds, st.integers(0, 3), st.integers(0, 3))
def test_products(k: int, seed: int, rows: int, quads: int) -> None:
    rng = Random(seed)
    x, y, v = data(rng, k, rows), data(rng, k, 4 * quads), data(rng, k, rows * quads)
    eps, delta = data(rng, k, rows)[: rows * k // 8], data(rng, k, quads)

    def run(impl: ModuleType) -> list[object]:
        a, b, c = (impl.Shares.from_wire(k, part) for part in (x, y, v))
        return [impl.products(a, b, c), impl.products_from_openings(v[::-1], c), impl.beaver(c, a, b, eps, delta)]

    same(run)


@few
@given(groups, widths, seeds, weight_lists, st.integers(0, 2**64 - 1), st.integers(0, 300))
def test_king_share(shape: tuple[int, int], k: int, seed: int, weights: list[int], attempt: int, count: int) -> None:
    n, t = shape
    rng = Random(seed)
    among = rng.sample(range(1, n + 1), 2 * t + 1)
    senders = sum(1 << (i - 1) for i in among)
    s = data(rng, k, count)
    same(
        lambda impl: impl.king_share(
            impl.Shares.from_wire(k, s), keys(impl, n, t, among[0], seed), senders, among[1], attempt, weights
        )
    )


@given(widths, seeds, weight_lists, st.integers(0, 9), st.booleans())
def test_king_sum_and_canonical(k: int, seed: int, weights: list[int], count: int, bits: bool) -> None:  # noqa: FBT001
    rng = Random(seed)
    trim = Trim(k, weights, halved=False)
    messages = [canonical_v(rng, trim, count) for _ in range(rng.randint(1, 5))]
    if messages[0] and rng.random() < 0.3:
        messages[0] = messages[0][:-1] + b"\xff"
    same(lambda impl: impl.king_sum(messages, k, count, weights, bits=bits))
    same(lambda impl: impl.canonical(messages[0], k, count, weights, bits=bits))


@given(widths, seeds, st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(0, 3), st.integers(0, 63))
def test_bits_and_noise(k: int, seed: int, weights: list[int], quads: int, width: int) -> None:
    """A bit of weight i is compared times 2^i: above K-i bits its root is free."""
    rng = Random(seed)
    count = quads * len(weights)
    a = data(rng, k, 4 * count)
    v = canonical_v(rng, Trim(k, weights, halved=True), count)
    same(lambda impl: impl.noise_from_openings(impl.Shares.from_wire(k, a), v, weights, width))

    def shifted(impl: ModuleType) -> list[Any]:
        bits = impl.bits_from_openings(impl.Shares.from_wire(k, a), v, weights)
        return [bits.slice(i, i + 1).scale(1 << weights[i // 4 % len(weights)]) for i in range(len(bits))]

    same(shifted)
    plain = canonical_v(rng, Trim(k, [0], halved=True), count)
    same(lambda impl: impl.bits_from_openings(impl.Shares.from_wire(k, a), plain, [0]))


@given(widths, seeds, weight_lists, st.integers(0, 300), st.integers(1, 32), st.booleans())
def test_check_shares(
    k: int, seed: int, weights: list[int], count: int, digits: int, bits: bool  # noqa: FBT001
) -> None:  # fmt: skip
    rng = Random(seed)
    s, chi = data(rng, k, count), rng.randbytes(16)
    v = canonical_v(rng, Trim(k, weights, halved=bits), count)
    same(lambda impl: impl.check_shares(impl.Shares.from_wire(k, s), v, chi, digits, weights, bits=bits))


@given(widths, seeds, st.sampled_from([1, 2, 4, 64, 256]), st.integers(1, 4), st.integers(0, 3))
def test_negacyclic_and_inner(k: int, seed: int, n: int, polys: int, rows: int) -> None:
    rng = Random(seed)
    secrets = [data(rng, k, n) for _ in range(polys)]
    masks = b"".join(data(rng, k, n)[: n * k // 8] for _ in range(rows * polys))

    def run(impl: ModuleType) -> list[object]:
        vectors = [impl.Shares.from_wire(k, secret) for secret in secrets]
        spectra = [impl.Spectrum(vector) for vector in vectors]
        return [impl.negacyclic(masks, spectra), impl.inner(masks, vectors[0])]

    same(run)


@pytest.mark.parametrize(("k", "n", "polys"), [(64, 2048, 2), (128, 2048, 2), (128, 1024, 6), (64, 4096, 1)])
def test_negacyclic_at_the_sizes_of_the_keys(k: int, n: int, polys: int) -> None:
    rng = Random(n)
    secrets = [rng.randbytes(n * k // 2) for _ in range(polys)]
    masks = rng.randbytes(polys * n * k // 8)
    same(lambda impl: impl.negacyclic(masks, [impl.Spectrum(impl.Shares.from_wire(k, s)) for s in secrets]))


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**40), st.integers(0, 99))
def test_mask_stream(seed: bytes, offset: int, length: int) -> None:
    same(lambda impl: impl.mask_stream(seed, offset, length))


@few
@given(groups, widths, seeds, st.integers(0, 3))
def test_openings(shape: tuple[int, int], k: int, seed: int, count: int) -> None:
    """Words near a codeword with any number of wrong and missing shares, and words that are nothing."""
    n, t = shape
    rng = Random(seed)
    dealt = dealing(rng, n, rng.choice([t, 2 * t]), k, count)
    wrong = rng.sample(range(1, n + 1), rng.randint(0, t + 2 if t < 3 else t))
    for i in wrong:
        dealt[i] = data(rng, k, count)
    for i in rng.sample(range(1, n + 1), rng.choice([0, 0, 1, t])):
        del dealt[i]
    same(lambda impl: impl.robust_open(n, t, k, dealt))
    for degree in (t, 2 * t - 1, 2 * t):
        same(lambda impl, d=degree: impl.lies_on(n, d, k, dealt))


def dealing(rng: Random, n: int, degree: int, k: int, count: int) -> dict[int, bytes]:
    """Sharings as wire bytes, half of them of zero."""
    world = World(twin, n, (n - 1) // 3, k)
    secrets: list[Element] = [rng.choice([(0, 0, 0, 0), world.element(rng)]) for _ in range(count)]
    return world.wire(world.deal(rng, secrets, degree))
