"""The one encoding: fixed bytes, and never the same bytes for two different lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_node.algebra.encoding import Item, Mask, digest, enc, kdf

items = st.recursive(
    st.binary(max_size=9) | st.text(max_size=5) | st.integers(0, 2**64 - 1) | st.integers(0, 2**16 - 1).map(Mask),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=8,
)


def typed(item: object) -> object:
    """Items with their types, so that 1, Mask(1) and "1" differ."""
    if isinstance(item, list):
        return [typed(part) for part in item]
    return (type(item).__name__, int(item) if isinstance(item, Mask) else item)


def parse(data: bytes) -> list[object]:
    """A reader written from the rule alone: if it undoes ``enc``, no two lists encode alike."""
    out: list[object] = []
    while data:
        tag, size = data[0], int.from_bytes(data[1:5], "little")
        content, data = data[5 : 5 + size], data[5 + size :]
        assert len(content) == size
        readers = {
            1: lambda c: ("bytes", c),
            2: lambda c: ("str", c.decode()),
            3: lambda c: ("int", int.from_bytes(c, "little")),
            4: lambda c: ("Mask", int.from_bytes(c, "little")),
            5: parse,
        }
        out.append(readers[tag](content))
    return out


@given(st.lists(items, max_size=5))
def test_an_encoding_can_be_read_back_so_no_two_lists_share_one(values: list[Item]) -> None:
    assert parse(enc(*values)) == [typed(value) for value in values]


@given(st.lists(items, max_size=3), st.lists(items, max_size=3))
def test_moving_a_boundary_between_items_changes_the_hash(left: list[Item], right: list[Item]) -> None:
    same = [typed(v) for v in left] == [typed(v) for v in right]
    assert (digest(*left) == digest(*right)) is same


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        (b"", "0100000000"),
        (b"ab", "01020000006162"),
        ("é", "0202000000c3a9"),
        (1, "03080000000100000000000000"),
        (2**64 - 1, "0308000000ffffffffffffffff"),
        (Mask(0x1FFF), "0402000000ff1f"),
        ([1, b"a"], "0513000000" + "03080000000100000000000000" + "010100000061"),
        ([], "0500000000"),
    ],
)
def test_vectors_of_every_kind_of_item(item: Item, wanted: str) -> None:
    assert enc(item).hex() == wanted


def test_vectors_of_hash_and_key_derivation() -> None:
    assert digest("prss", b"sid", Mask(7), 1).hex() == (
        "0e07d4eb1a3a7cb860d5e9e4fbb84b2e5a04d27e66cb3df580990ff785121acc"
    )
    # RFC 4231, test case 2, with the key zero padded: HMAC pads short keys itself.
    assert kdf(b"Jefe".ljust(32, b"\0"), b"what do ya want for nothing?").hex() == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


@pytest.mark.parametrize("item", [True, 1.5, None, {1: 2}])
def test_an_item_without_an_encoding_is_refused(item: Item) -> None:
    with pytest.raises(TypeError):
        enc(item)


@pytest.mark.parametrize("item", [-1, 2**64, Mask(2**16)])
def test_an_integer_that_does_not_fit_is_refused(item: int) -> None:
    with pytest.raises(OverflowError):
        enc(item)
