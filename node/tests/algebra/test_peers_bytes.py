"""Bytes that come from peers never raise: whatever they are, the answer is a value, None or False."""

from __future__ import annotations

from types import ModuleType

from hypothesis import given, settings
from hypothesis import strategies as st

from dkg_node.algebra.twin.trim import Trim
from dkg_node.testing.dealing import World

WEIGHTS = [0, 3, 9]
COUNT = 6

many = settings(max_examples=60)


@st.composite
def peer_bytes(draw: st.DrawFn, *sizes: int) -> bytes:
    """Any bytes, often of exactly or nearly a length that fits."""
    size = draw(st.sampled_from([*sizes, *(s + 1 for s in sizes), *(s - 1 for s in sizes if s)]) | st.integers(0, 80))
    fill = draw(st.sampled_from([None, 0, 0xFF]))
    return draw(st.binary(min_size=size, max_size=size)) if fill is None else bytes([fill]) * size


def trimmed(k: int, count: int, *, bits: bool) -> int:
    return Trim(k, WEIGHTS, halved=bits).length(count)


LENGTHS = [trimmed(k, count, bits=bits) for k in (64, 128) for count in (1, 3, COUNT) for bits in (True, False)]
message = peer_bytes(*LENGTHS)
whole = peer_bytes(*(4 * k // 8 * count for k in (64, 128) for count in (1, 3)))


@many
@given(message, st.booleans())
def test_canonical_answers(small: World, data: bytes, bits: bool) -> None:  # noqa: FBT001
    fits = small.impl.canonical(data, small.k, COUNT, WEIGHTS, bits=bits)
    assert fits is (Trim(small.k, WEIGHTS, halved=bits).read(data, COUNT) is not None)


@many
@given(st.lists(message, min_size=1, max_size=4), st.booleans())
def test_king_sum_answers(small: World, messages: list[bytes], bits: bool) -> None:  # noqa: FBT001
    total = small.impl.king_sum(messages, small.k, COUNT, WEIGHTS, bits=bits)
    good = all(small.impl.canonical(m, small.k, COUNT, WEIGHTS, bits=False) for m in messages)
    assert (total is not None) is good
    assert total is None or small.impl.canonical(total, small.k, COUNT, WEIGHTS, bits=bits)


@many
@given(message)
def test_openings_answer(small: World, v: bytes) -> None:
    impl, k = small.impl, small.k
    a, s = impl.Shares.zeros(k, 4 * COUNT), impl.Shares.zeros(k, COUNT)
    good = impl.canonical(v, k, COUNT, WEIGHTS, bits=True)
    answers = [
        impl.bits_from_openings(a, v, WEIGHTS),
        impl.noise_from_openings(a, v, WEIGHTS, 5),
        impl.check_shares(s, v, bytes(16), 4, WEIGHTS, bits=True),
    ]
    assert [answer is not None for answer in answers] == [good] * 3
    d = impl.products_from_openings(v, s)
    assert (d is not None) is (len(v) == COUNT * k // 2)


@many
@given(st.dictionaries(st.integers(1, 4), whole, max_size=4))
def test_robust_open_and_lies_on_answer(small: World, shares: dict[int, bytes]) -> None:
    opened = small.impl.robust_open(4, 1, small.k, shares)
    lengths = {len(data) for data in shares.values()}
    broken = len(lengths) > 1 or any(size % (small.k // 2) for size in lengths)
    assert opened is None or (len(opened[0]) in lengths and not broken)
    fits = small.impl.lies_on(4, 2, small.k, shares)
    assert fits in {True, False}
    assert not (broken and fits)


@many
@given(peer_bytes(32, 64, 96), st.binary(max_size=40), st.integers(0, 2**16 - 1), st.integers(0, 255))
def test_setup_messages_answer(impl: ModuleType, data: bytes, digest: bytes, mask: int, contributor: int) -> None:
    draws = impl.Contributions(4, 1, 1, impl.Secret.from_bytes(bytes(32)))
    # Sets of 3 of 4 parties with two given ones: two.
    assert draws.receive(2, data) is (len(data) == 64)
    assert draws.fill(b"sid", mask, contributor, data, digest) is False
    rho = draws.rho(mask, contributor)
    assert rho is None or len(rho) == 32
