"""Merkle paths: every block shows, nothing else does."""

from __future__ import annotations

from hashlib import sha256
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_node.algebra.merkle import BLOCK, HASH, block, block_count, path, root, verify_path

sizes = st.integers(0, 9 * BLOCK) | st.sampled_from([1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK, 7 * BLOCK])


def message(size: int) -> bytes:
    return Random(size).randbytes(size)


def leaf(content: bytes) -> bytes:
    return sha256(b"\0" + content).digest()


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def test_the_root_is_the_one_of_the_written_rule() -> None:
    a, b, c = b"a" * BLOCK, b"b" * BLOCK, b"c"
    assert root(b"") == leaf(b"")
    assert root(a) == leaf(a)
    assert root(a + b) == node(leaf(a), leaf(b))
    assert root(a + b + c) == node(node(leaf(a), leaf(b)), leaf(c))
    five = node(node(leaf(a), leaf(b)), node(leaf(a), leaf(b)))
    assert root(a + b + a + b + c) == node(five, leaf(c))


@given(sizes)
def test_every_block_verifies_at_its_place_and_at_no_other(size: int) -> None:
    data = message(size)
    top, count = root(data), block_count(size)
    for index in range(count):
        content, siblings = block(data, index), path(data, index)
        assert verify_path(top, size, index, content, siblings)
        others = [other for other in range(-1, count + 2) if other != index]
        assert not any(verify_path(top, size, other, content, siblings) for other in others)


@given(sizes.filter(bool), st.data())
def test_a_changed_byte_anywhere_is_refused(size: int, data: st.DataObject) -> None:
    body = message(size)
    index = data.draw(st.integers(0, block_count(size) - 1))
    parts = [root(body), block(body, index), path(body, index)]
    which = data.draw(st.sampled_from([i for i, part in enumerate(parts) if part]))
    at = data.draw(st.integers(0, len(parts[which]) - 1))
    bad = bytearray(parts[which])
    bad[at] ^= 1 << data.draw(st.integers(0, 7))
    parts[which] = bytes(bad)
    assert not verify_path(parts[0], size, index, parts[1], parts[2])


@given(sizes.filter(bool))
def test_a_longer_or_shorter_path_or_block_is_refused(size: int) -> None:
    data = message(size)
    top, content, siblings = root(data), block(data, 0), path(data, 0)
    for broken in (
        siblings + bytes(HASH),
        siblings + b"x",
        siblings[:-1] if siblings else b"x",
        siblings[HASH:] + b"y",
    ):
        assert not verify_path(top, size, 0, content, broken)
    assert not verify_path(top, size, 0, content + b"x", siblings)
    assert not verify_path(top, size, 0, content[:-1], siblings)


def test_an_inner_node_does_not_pass_as_a_block() -> None:
    """Second preimage: 64 bytes of two hashes as the only block of a short message."""
    data = message(2 * BLOCK)
    inner = leaf(data[:BLOCK]) + leaf(data[BLOCK:])
    assert not verify_path(root(data), len(inner), 0, inner, b"")


@given(
    st.binary(max_size=40),
    st.integers(-3, 5 * BLOCK),
    st.integers(-3, 9),
    st.binary(max_size=99),
    st.binary(max_size=99),
)
def test_bytes_of_a_peer_never_raise(top: bytes, size: int, index: int, content: bytes, siblings: bytes) -> None:
    assert verify_path(top, size, index, content, siblings) is False


@pytest.mark.parametrize(("size", "index"), [(0, 0), (BLOCK, 1), (BLOCK + 1, 2), (5, -1)])
def test_a_block_that_is_not_there_is_refused(size: int, index: int) -> None:
    with pytest.raises(IndexError):
        path(bytes(size), index)
    with pytest.raises(IndexError):
        block(bytes(size), index)
