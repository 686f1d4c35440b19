"""From opened values to bits, noise and products, and the check that holds the opened values."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given
from hypothesis import strategies as st

from dkg_node.algebra import kernel
from dkg_node.algebra.ring import Element, alpha
from dkg_node.algebra.twin.offline import even_root
from dkg_node.algebra.twin.trim import Trim
from dkg_node.testing.dealing import World, elements_of

CHI = bytes(range(16))
LABEL = b"a"


def random_values(world: World, count: int) -> tuple[dict[int, kernel.Shares], list[int]]:
    """PRSS shares of every party and the values behind them."""
    shares = {i: world.impl.prss(keys, LABEL, world.k, 0, count) for i, keys in world.keys().items()}
    return shares, [value[0] for value in world.opened(shares, world.t)]


def opening(world: World, a: dict[int, kernel.Shares], weights: Sequence[int]) -> bytes:
    """V by the king's way: every sender's message and their sum."""
    senders = (1 << 2 * world.t + 1) - 1
    keys = world.keys("chunk")
    y = [
        world.impl.king_share(world.impl.square_plus(a[i]), keys[i], senders, 1, 0, weights)
        for i in range(1, 2 * world.t + 2)
    ]
    v: bytes = world.impl.king_sum(y, world.k, len(a[1]) // 4, weights, bits=True)
    return v


def words_of(elements: Sequence[Element]) -> list[int]:
    return [word for element in elements for word in element]


def test_squares_are_of_degree_2t_with_four_values_an_element(world: World) -> None:
    a, values = random_values(world, 8)
    s = {i: world.impl.square_plus(share) for i, share in a.items()}
    assert words_of(world.opened(s, 2 * world.t)) == [(v * v + v) % (1 << world.k) for v in values]


def test_a_bit_is_the_parity_of_its_random_value(world: World) -> None:
    a, values = random_values(world, 24)
    v = opening(world, a, [0])
    bits = {i: world.impl.bits_from_openings(share, v, [0]) for i, share in a.items()}
    assert world.opened(bits, world.t) == [(value % 2, 0, 0, 0) for value in values]
    assert {value % 2 for value in values} == {0, 1}


def test_a_weighted_bit_matters_mod_its_kept_bits_only(world: World) -> None:
    weights = [3, 17]
    a, values = random_values(world, 16)
    v = opening(world, a, weights)
    bits = {i: world.impl.bits_from_openings(share, v, weights) for i, share in a.items()}
    for at, (bit, value) in enumerate(zip(world.opened(bits, world.t), values, strict=True)):
        weight = weights[at // 4 % 2]
        assert world.ring.scale(bit, 1 << weight) == world.ring.scale((value % 2, 0, 0, 0), 1 << weight)


@pytest.mark.parametrize("width", [0, 3])
def test_noise_is_the_tuniform_sum_of_its_bits(world: World, width: int) -> None:
    hold_noise_to_the_formula(world, width)


@pytest.mark.parametrize("width", [17, 45])
def test_noise_of_the_production_widths(small: World, width: int) -> None:
    hold_noise_to_the_formula(small, width)


def hold_noise_to_the_formula(world: World, width: int) -> None:
    """e = sum_{i=0..w} 2^i b_i + b_{w+1} - 2^w, four samples to an element, elements in the order (group, bit)."""
    weights = [*range(width + 1), 0]
    groups = 2
    a, values = random_values(world, 4 * len(weights) * groups)
    v = opening(world, a, weights)
    noise = {i: world.impl.noise_from_openings(share, v, weights, width) for i, share in a.items()}
    samples = words_of(world.opened(noise, world.t))
    assert len(samples) == 4 * groups
    for at, sample in enumerate(samples):
        group, j = divmod(at, 4)
        bits = [values[4 * (group * len(weights) + i) + j] % 2 for i in range(len(weights))]
        e = sum(bit << weight for bit, weight in zip(bits, weights, strict=True)) - (1 << width)
        assert sample == e % (1 << world.k)
        assert -(1 << width) <= e <= 1 << width


@given(st.integers(0, 2**127 - 1))
def test_the_even_root_is_even_and_a_root(k: int, half: int) -> None:
    v = 2 * half % (1 << k)
    root = even_root(v, k)
    assert root % 2 == 0
    assert (root * root + root - v) % (1 << k) == 0


def test_products_open_masked_and_come_out_at_degree_t(world: World, rng: Random) -> None:
    rows, columns = world.base(rng, 3), world.base(rng, 8)
    masks = [world.element(rng) for _ in range(3 * 2)]
    x, y, v = (world.handles(world.deal(rng, secrets, world.t)) for secrets in (rows, columns, masks))
    d = {i: world.impl.products(x[i], y[i], v[i]) for i in world.parties}
    opened = world.opened(d, 2 * world.t)
    ring = world.ring
    wanted = [ring.reduce(row[0] * columns[4 * c + q][0] for q in range(4)) for row in rows for c in range(2)]
    assert opened == [ring.add(product, mask) for product, mask in zip(wanted, masks, strict=True)]
    wire = world.wire({1: opened})[1]
    p = {i: world.impl.products_from_openings(wire, v[i]) for i in world.parties}
    assert world.opened(p, world.t) == wanted


def checked(
    world: World, s: dict[int, kernel.Shares], v: bytes, weights: Sequence[int], digits: int
) -> dict[int, bytes]:
    """What every party Broadcasts: the combination of its shares plus its share of zero."""
    keys = world.keys("chunk")
    out = {}
    for i, share in s.items():
        w = world.impl.check_shares(share, v, CHI, digits, weights, bits=True)
        out[i] = w.add(world.impl.przs(keys[i], b"zero", world.k, digits)).to_wire()
    return out


def test_the_check_holds_for_the_right_values(world: World) -> None:
    weights = [0, 1, 2, 0]
    a, _ = random_values(world, 20)
    v = opening(world, a, weights)
    s = {i: world.impl.square_plus(share) for i, share in a.items()}
    w = checked(world, s, v, weights, 4)
    assert world.impl.lies_on(world.n, 2 * world.t, world.k, w)
    assert not world.impl.lies_on(world.n, 2 * world.t - 1, world.k, w)


@given(st.integers(0, 2**32), st.sampled_from(["lowest", "highest", "any"]))
def test_the_check_fails_for_one_changed_bit_of_v(small: World, seed: int, where: str) -> None:
    rng = Random(seed)
    weights = [0, 1, 7]
    a, _ = random_values(small, 24)
    v = opening(small, a, weights)
    trim = Trim(small.k, weights, halved=True)
    values = [list(element) for element in trim.read(v, 6) or []]
    m, c = rng.randrange(6), rng.randrange(4)
    bit = {"lowest": 0, "highest": trim.kept(m) - 1, "any": rng.randrange(trim.kept(m))}[where]
    values[m][c] ^= 1 << bit
    forged = trim.write([(e[0], e[1], e[2], e[3]) for e in values])
    s = {i: small.impl.square_plus(share) for i, share in a.items()}
    assert not small.impl.lies_on(small.n, 2, small.k, checked(small, s, forged, weights, 32))
    assert small.impl.lies_on(small.n, 2, small.k, checked(small, s, v, weights, 32))


def test_a_bit_above_the_trim_is_worth_nothing_to_the_check(small: World, rng: Random) -> None:
    """2^weight kills what trimming drops: s and s + 2^(K-weight) give one W."""
    share = small.element(rng)
    moved = small.ring.add(share, (1 << small.k - 5, 0, 0, 0))
    v = Trim(small.k, [5], halved=True).write([(1, 2, 3, 4)])
    w = [small.impl.check_shares(small.shares([s]), v, CHI, 8, [5], bits=True).to_wire() for s in (share, moved)]
    assert w[0] == w[1]


def test_a_forged_element_passes_a_digit_iff_its_challenge_is_zero(small: World) -> None:
    """W_d - W'_d = chi_{m,d} times the forgery: with 16 challenges, one of 16 digits passes on average."""
    count, digits = 40, 32
    s = small.impl.Shares.zeros(small.k, count)
    passed = 0
    for m in range(count):
        forged = Trim(small.k, [0], halved=False).write([(int(at == m), 0, 0, 0) for at in range(count)])
        w = small.impl.check_shares(s, forged, CHI, digits, [0], bits=False).to_wire()
        width = small.k // 2
        passed += sum(not any(w[d * width : (d + 1) * width]) for d in range(digits))
    # 1,280 digits, 80 expected, standard deviation 8.7.
    assert 45 <= passed <= 115


@given(st.binary(min_size=16, max_size=16), st.integers(0, 40))
def test_challenges_are_the_nibbles_of_the_counter_blocks(small: World, key: bytes, m: int) -> None:
    """Element m is 1, all others 0: W_d is chi_{m,d}, nibble d of block m, the low one of byte 0 first."""
    s = small.shares([(int(at == m), 0, 0, 0) for at in range(m + 2)])
    v = bytes((m + 2) * small.k // 2)
    w = elements_of(small.impl.check_shares(s, v, key, 32, [0], bits=False))
    encryptor = Cipher(AES128(key), ECB()).encryptor()  # noqa: S305 - one block
    block = encryptor.update(m.to_bytes(16, "little"))
    nibbles = [int(digit, 16) for byte in block for digit in reversed(f"{byte:02x}")]
    assert w == [alpha(nibble) for nibble in nibbles]


@given(st.binary(min_size=16, max_size=16), st.integers(1, 32))
def test_fewer_digits_are_the_first_of_more(small: World, key: bytes, digits: int) -> None:
    rng = Random(digits)
    s = small.shares([small.element(rng) for _ in range(3)])
    v = Trim(small.k, [0], halved=False).write([small.element(rng) for _ in range(3)])
    ask = lambda count: small.impl.check_shares(s, v, key, count, [0], bits=False)  # noqa: E731
    assert ask(digits).to_wire() == ask(32).slice(0, digits).to_wire()
