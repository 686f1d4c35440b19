"""Strict inverse of ``algebra.encoding.enc`` for peers' bytes: what is no exact encoding is None, never an error."""

from __future__ import annotations

from dkg_node.algebra.encoding import (
    INTEGER_BYTES,
    SET_BYTES,
    TAG_BYTES,
    TAG_INTEGER,
    TAG_LIST,
    TAG_SET,
    TAG_TEXT,
    Item,
    Mask,
)

HEAD = 5
"""Tag and length of an item."""
DEPTH = 6
"""Lists in lists; nothing of ours is deeper, and a peer must not exhaust the stack."""


def decoded(data: bytes, depth: int = DEPTH, most: int | None = None) -> tuple[Item, ...] | None:
    """The items of ``enc(*items)`` (lists as tuples); None unless ``enc`` of the result is ``data``.

    Also None, before the rest is looked at, when there are more than ``most`` items, or a list has more.
    """
    items: list[Item] = []
    position = 0
    while position < len(data):
        end = position + HEAD + int.from_bytes(data[position + 1 : position + HEAD], "little")
        if position + HEAD > len(data) or end > len(data) or len(items) == most:
            return None
        item = _item(data[position], data[position + HEAD : end], depth, most)
        if item is None:
            return None
        items.append(item)
        position = end
    return tuple(items)


def _item(tag: int, content: bytes, depth: int, most: int | None) -> Item | None:
    if tag == TAG_BYTES:
        return content
    if tag == TAG_INTEGER and len(content) == INTEGER_BYTES:
        return int.from_bytes(content, "little")
    if tag == TAG_SET and len(content) == SET_BYTES:
        return Mask.from_bytes(content, "little")
    if tag == TAG_LIST and depth > 0:
        return decoded(content, depth - 1, most)
    return _text(content) if tag == TAG_TEXT else None


def _text(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def is_integer(item: object) -> bool:
    """Whether an item is a plain integer (a set is none)."""
    return isinstance(item, int) and not isinstance(item, Mask)
