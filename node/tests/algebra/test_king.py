"""The king's opening: masks cancel in the full sum only; trimming is exact; V comes back without its zero bit."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_node.algebra.encoding import Mask, enc
from dkg_node.algebra.ring import Element
from dkg_node.algebra.twin.sets import all_sets, members
from dkg_node.algebra.twin.trim import Trim
from dkg_node.algebra.twin.words import aes_key, read_elements, stream
from dkg_node.testing.dealing import World, key_of

WEIGHTS = [0, 1, 7, 8, 20, 45, 0]


def sender_set(world: World) -> int:
    """Not the first parties: every second one from the end, filled up."""
    chosen = [*range(world.n, 0, -2), *range(1, world.n, 1)]
    return sum(1 << (i - 1) for i in list(dict.fromkeys(chosen))[: 2 * world.t + 1])


def even(world: World, rng: Random, count: int) -> list[Element]:
    """Elements whose coordinates are even, as a^2 + a is."""
    out = []
    for _ in range(count):
        a, b, c, d = world.element(rng)
        out.append((a & ~1, b & ~1, c & ~1, d & ~1))
    return out


def messages(world: World, secrets: list[Element], rng: Random, king: int, attempt: int = 0) -> dict[int, bytes]:
    shares = world.handles(world.deal(rng, secrets, 2 * world.t))
    keys, senders = world.keys(), sender_set(world)
    return {i: world.impl.king_share(shares[i], keys[i], senders, king, attempt, WEIGHTS) for i in members(senders)}


@pytest.mark.parametrize("bits", [True, False])
def test_the_sum_of_all_senders_is_the_trimmed_secret(world: World, rng: Random, bits: bool) -> None:  # noqa: FBT001
    count = 9
    secrets = even(world, rng, count)
    king = members(sender_set(world))[-1]
    y = list(messages(world, secrets, rng, king).values())
    opened = world.impl.king_sum(y, world.k, count, WEIGHTS, bits=bits)
    trim = Trim(world.k, WEIGHTS, halved=bits)
    wanted = [tuple(word >> bits for word in secret) for secret in secrets]
    assert opened == trim.write(wanted)  # type: ignore[arg-type]
    assert world.impl.canonical(opened, world.k, count, WEIGHTS, bits=bits)


def test_a_single_message_is_not_the_scaled_share(world: World, rng: Random) -> None:
    """y_i - lambda_i s_i is the sum of the pair streams, by hand from all sets that hold both parties."""
    secrets = [world.element(rng) for _ in range(3)]
    dealt = world.deal(rng, secrets, 2 * world.t)
    senders, king, attempt = sender_set(world), members(sender_set(world))[0], 3
    among = members(senders)
    ring = world.ring
    for i in (among[0], among[-1]):
        y = world.impl.king_share(world.shares(dealt[i]), world.keys()[i], senders, king, attempt, [0])
        scaled = [ring.mul(ring.lagrange(among)[among.index(i)], share) for share in dealt[i]]
        masked = read_elements(y, world.k)
        assert masked is not None
        masks = [ring.sub(a, b) for a, b in zip(masked, scaled, strict=True)]
        assert masks == pair_masks(world, i, senders, king, attempt)
        assert len(set(masks)) == 3


def pair_masks(world: World, i: int, senders: int, king: int, attempt: int) -> list[Element]:
    ring = world.ring
    total = [(0, 0, 0, 0)] * 3
    for j in members(senders):
        if j == i:
            continue
        label = enc("pair", min(i, j), max(i, j), king, Mask(senders), attempt)
        kappa = 0
        for mask in all_sets(world.n, world.t):
            if {i, j} <= set(members(mask)):
                kappa ^= int.from_bytes(aes_key(key_of(mask, ""), label), "big")
        words = read_elements(stream(kappa.to_bytes(16, "big"), 0, 3 * world.k // 2), world.k) or []
        total = [ring.add(t, ring.scale(w, 1 if j > i else -1)) for t, w in zip(total, words, strict=True)]
    return total


def test_no_proper_part_of_the_senders_sums_to_their_scaled_shares(small: World, rng: Random) -> None:
    secrets = [small.element(rng) for _ in range(2)]
    dealt = small.deal(rng, secrets, 2)
    senders = 0b1011
    among = members(senders)
    keys, ring = small.keys(), small.ring
    y = {i: small.impl.king_share(small.shares(dealt[i]), keys[i], senders, 1, 0, [0]) for i in among}
    scale = dict(zip(among, ring.lagrange(among), strict=True))
    for size in (1, 2, 3):
        for part in combinations(among, size):
            total = small.impl.king_sum([y[i] for i in part], small.k, 2, [0], bits=False)
            plain = [ring.sum(ring.mul(scale[i], dealt[i][m]) for i in part) for m in range(2)]
            assert (total == Trim(small.k, [0], halved=False).write(plain)) is (size == 3)


def test_masks_depend_on_king_set_and_try(small: World, rng: Random) -> None:
    """A mask used twice would give away the difference of two shares."""
    share, keys = small.shares([small.element(rng)]), small.keys()[2]
    cases = [(0b0111, 1, 0), (0b0111, 1, 1), (0b0111, 2, 0), (0b1110, 2, 0), (0b1011, 1, 0)]
    made = [small.impl.king_share(share, keys, *case, [0]) for case in cases]
    assert len(set(made)) == len(cases)


def test_a_message_of_another_try_does_not_fit_the_sum(small: World, rng: Random) -> None:
    secrets = even(small, rng, 1)
    y = messages(small, secrets, rng, king=4)
    late = messages(small, secrets, rng, king=4, attempt=1)
    sender = min(y)
    right = small.impl.king_sum(list(y.values()), small.k, 1, WEIGHTS, bits=True)
    mixed = small.impl.king_sum(list({**y, sender: late[sender]}.values()), small.k, 1, WEIGHTS, bits=True)
    assert right == Trim(small.k, WEIGHTS, halved=True).write([tuple(w >> 1 for w in secrets[0])])  # type: ignore[list-item]
    assert mixed != right


@given(st.integers(0, 2**32), st.integers(0, 12), st.booleans(), st.lists(st.integers(0, 62), min_size=1, max_size=5))
def test_only_the_kept_bits_are_canonical(small: World, seed: int, count: int, bits: bool, weights: list[int]) -> None:  # noqa: FBT001
    rng = Random(seed)
    trim = Trim(small.k, weights, halved=bits)
    message = trim.write(small.element(rng) for _ in range(count))
    ask = lambda data: small.impl.canonical(data, small.k, count, weights, bits=bits)  # noqa: E731
    assert ask(message)
    assert not ask(message + b"\0")
    at = 0
    for m in range(count):
        width = trim.width(m)
        for bit in range(trim.kept(m), 8 * width):
            bad = bytearray(message)
            bad[at + bit // 8] |= 1 << bit % 8
            assert not ask(bytes(bad))
        at += 4 * width
    assert len(message) == at
    if message:
        assert not ask(message[:-1])


def test_one_message_that_is_not_canonical_spoils_the_sum(small: World, rng: Random) -> None:
    trim = Trim(small.k, [1], halved=False)
    good = trim.write([small.element(rng)])
    bad = bytearray(good)
    bad[-1] |= 0x80
    total = lambda ys: small.impl.king_sum(ys, small.k, 1, [1], bits=True)  # noqa: E731
    assert total([good, good, good]) is not None
    for broken in (bytes(bad), good[:-1], good + b"\0", b""):
        assert total([good, broken, good]) is None
