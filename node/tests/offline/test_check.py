"""The check: right openings always pass, a forged element passes a digit one time in 16, masks hide everything else."""

from __future__ import annotations

import random
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg_node.algebra import kernel
from dkg_node.algebra.kernel import Keys, Shares
from dkg_node.errors import QuorumLost
from dkg_node.offline.check import DIGITS, accepted, w_bytes, w_of_chunk
from dkg_node.offline.chunk import Chunk
from dkg_node.offline.king import add_up, assign, own_y
from dkg_node.offline.labels import chi_key
from dkg_node.offline.values import draw, to_open
from dkg_node.protocols.session import Group, Role
from dkg_node.protocols.state import PublicState
from dkg_node.testing.batches import dealt_keys

GROUP = Group(4, 1)
TRIALS = 800
CHUNKS = [
    Chunk(0, "noise", 64, 3, 2),
    Chunk(0, "noise", 128, 17, 1),
    Chunk(0, "bits", 64, groups=6),
    Chunk(0, "product", 128, rows=2, cols=8),
]


class Opened:
    """A chunk with everybody's degree-2t shares and the right V."""

    def __init__(self, chunk: Chunk, group: Group = GROUP) -> None:
        self.chunk, self.group = chunk, group
        self.keys: dict[Role, Keys] = {role: dealt_keys(group, role).derive(b"chunk") for role in group.roles}
        self.s: dict[Role, Shares] = {role: to_open(draw(chunk, self.keys[role])) for role in group.roles}
        post = assign(group, PublicState(), [0], 0).posts[0]
        ys = {role: own_y(chunk, self.keys[role], post, self.s[role]) for role in post.senders}
        v = add_up(chunk, ys)
        assert v is not None
        self.v = v

    def sums(self, v: bytes, coin: bytes) -> dict[Role, bytes]:
        out = {}
        for role in self.group.roles:
            w = w_of_chunk(self.chunk, self.keys[role], self.s[role], v, coin, b"list")
            assert w is not None
            out[role] = w.to_wire()
        return out

    def passes(self, v: bytes, coin: bytes) -> bool:
        return kernel.lies_on(self.group.n, 2 * self.group.t, self.chunk.k, self.sums(v, coin))

    def passes_one_digit(self, v: bytes, chi: bytes) -> bool:
        """The same formula with D=1: the product has no such thing."""
        chunk, out = self.chunk, {}
        for role in self.group.roles:
            sums = kernel.check_shares(self.s[role], v, chi, 1, chunk.weights, bits=chunk.opens_bits)
            assert sums is not None
            out[role] = sums.add(kernel.przs(self.keys[role], b"zero" + chi, chunk.k, 1)).to_wire()
        return kernel.lies_on(self.group.n, 2 * self.group.t, chunk.k, out)

    def forged(self, *changes: tuple[int, int]) -> bytes:
        """V with ``delta`` added to the first coordinate of some elements (all of weight 0 in these tests)."""
        out = bytearray(self.v)
        size = self.chunk.k // 8
        period = len(self.chunk.weights)
        group_bytes = self.chunk.v_bytes // (self.chunk.elements // period)
        for element, delta in changes:
            assert element % period == 0
            at = element // period * group_bytes
            limit = 1 << (self.chunk.k - (1 if self.chunk.opens_bits else 0))
            value = (int.from_bytes(out[at : at + size], "little") + delta) % limit
            out[at : at + size] = value.to_bytes(size, "little")
        return bytes(out)


@pytest.mark.parametrize("chunk", CHUNKS, ids=lambda chunk: f"{chunk.kind}-{chunk.k}")
@pytest.mark.parametrize("group", [GROUP, Group(7, 2)], ids=str)
def test_right_openings_pass(chunk: Chunk, group: Group) -> None:
    opened = Opened(chunk, group)
    assert opened.passes(opened.v, b"k" * 16)


@pytest.mark.parametrize("chunk", CHUNKS, ids=lambda chunk: f"{chunk.kind}-{chunk.k}")
@pytest.mark.parametrize("delta", [1, 2, -1, 1 << 62])
def test_one_forged_element_does_not_pass_all_digits(chunk: Chunk, delta: int) -> None:
    opened = Opened(chunk)
    assert not opened.passes(opened.forged((0, delta)), b"k" * 16)


@pytest.mark.parametrize("weight", range(4))
def test_the_highest_bit_that_is_opened_counts_at_every_weight(weight: int) -> None:
    """2^weight * 2 * 2^(K-weight-2) = 2^(K-1) is not zero, so trimming leaves no room for a lie."""
    opened = Opened(CHUNKS[0])
    wrong = bytearray(opened.v)
    top = 64 - weight - 2
    wrong[32 * weight + top // 8] ^= 1 << top % 8
    assert not opened.passes(bytes(wrong), b"k" * 16)


@pytest.mark.parametrize("changes", [((0, 1),), ((0, 1 << 62),), ((0, 5), (1, -5))], ids=["unit", "top bit", "pair"])
def test_with_one_digit_a_forgery_passes_about_one_time_in_sixteen(changes: tuple[tuple[int, int], ...]) -> None:
    opened = Opened(Chunk(0, "bits", 64, groups=2))
    wrong = opened.forged(*changes)
    rng = random.Random(7)
    passed = sum(opened.passes_one_digit(wrong, rng.randbytes(16)) for _ in range(TRIALS))
    deviation = sqrt(TRIALS * 15) / 16
    assert abs(passed - TRIALS / 16) < 4 * deviation


def test_the_sums_of_two_coins_tell_nothing_alike() -> None:
    """Without its PRZS a sum would be the same function of s for equal digits; with it every coin has fresh ones."""
    opened = Opened(CHUNKS[0])
    one, other = (opened.sums(opened.v, b"k" * 16)[1], opened.sums(opened.v, b"l" * 16)[1])
    assert one != other
    chi = chi_key(b"k" * 16, b"list", opened.chunk)
    bare = kernel.check_shares(opened.s[1], opened.v, chi, DIGITS, opened.chunk.weights, bits=True)
    assert bare is not None
    assert bare.to_wire() != one


# --- acceptance: who can move it ------------------------------------------------------------------------------------


def zero_word(group: Group, seed: int, k: int = 64) -> dict[Role, Shares]:
    """Honest W of a right batch: shares of zero of degree 2t."""
    label = seed.to_bytes(8, "little")
    return {role: kernel.przs(dealt_keys(group, role), label, k, DIGITS) for role in group.roles}


def wires(word: dict[Role, Shares]) -> dict[Role, bytes | None]:
    return {role: shares.to_wire() for role, shares in word.items()}


def ok(group: Group, word: dict[Role, bytes | None]) -> bool:
    return accepted(group, 64, word, frozenset(group.roles))


@pytest.mark.parametrize("group", [Group(4, 1), Group(7, 2), Group(13, 4)], ids=str)
def test_any_t_may_be_silent_but_not_one_more(group: Group) -> None:
    word = wires(zero_word(group, 1))
    silent = {role: None if role <= group.t else body for role, body in word.items()}
    assert ok(group, word)
    assert ok(group, silent)
    short = {**silent, group.n: b"short"}
    with pytest.raises(QuorumLost) as caught:
        ok(group, short)
    assert caught.value.culprits == {*range(1, group.t + 1), group.n}


@settings(max_examples=30, deadline=None)
@given(data=st.data(), group=st.sampled_from([Group(4, 1), Group(7, 2)]))
def test_no_lie_of_t_parties_makes_a_wrong_batch_pass(data: st.DataObject, group: Group) -> None:
    """The 2t+1 honest shares of a value that is not zero, and a zero, lie on no polynomial of degree 2t."""
    word = zero_word(group, 2)
    one = kernel.prss(dealt_keys(group, 1), b"other", 64, 0, DIGITS).to_wire()
    off = int.from_bytes(one[:8], "little") | 1
    shift = Shares.from_wire(64, (off.to_bytes(8, "little") + bytes(24)) * DIGITS)
    wrong = {role: shares.add(shift) for role, shares in word.items()}
    lies = {role: data.draw(st.binary(min_size=w_bytes(64), max_size=w_bytes(64))) for role in range(1, group.t + 1)}
    assert not ok(group, {**wires(wrong), **lies})


@settings(max_examples=30, deadline=None)
@given(liars=st.integers(1, 4), bit=st.integers(0, 8 * w_bytes(64) - 1))
def test_one_wrong_bit_of_any_share_is_a_fault(liars: int, bit: int) -> None:
    group = Group(13, 4)
    word = wires(zero_word(group, 3))
    for liar in range(1, liars + 1):
        body = bytearray(word[liar] or b"")
        body[bit // 8] ^= 1 << bit % 8
        word[liar] = bytes(body)
    assert not ok(group, word)
