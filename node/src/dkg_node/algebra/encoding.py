"""The one encoding of all that is hashed, keyed or signed: length-prefixed items with type tags (01 section 3).

An item is one tag byte, the length of its content (4 bytes, little endian) and the content. Two different lists of
items never encode alike, so a label of one purpose is never read as one of another. The kernel has the same rules.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256

TAG_BYTES = 1
TAG_TEXT = 2
TAG_INTEGER = 3
TAG_SET = 4
TAG_LIST = 5
INTEGER_BYTES = 8
SET_BYTES = 2


class Mask(int):
    """A set of parties: bit i-1 stands for party i."""


Item = bytes | str | int | Mask | Sequence["Item"]


def enc(*items: Item) -> bytes:
    """Encode the items in order; TypeError for a bool or an unknown type, OverflowError for a negative integer."""
    return b"".join(map(_item, items))


def bytes_head(size: int) -> bytes:
    """What stands before the content of an item of ``size`` bytes."""
    return _head(TAG_BYTES, size)


def digest(*items: Item) -> bytes:
    """H of the design: SHA-256 of the encoded items."""
    return sha256(enc(*items)).digest()


def kdf(key: bytes, label: bytes) -> bytes:
    """KDF: HMAC-SHA256, 32 bytes. Secret keys stay in the kernel; this is for public ones and the twin."""
    return hmac.digest(key, label, "sha256")


def _item(item: Item) -> bytes:
    if isinstance(item, bool):
        msg = "a bool has no encoding; encode 0 or 1 as what it stands for"
        raise TypeError(msg)
    if isinstance(item, bytes):
        return _tagged(TAG_BYTES, item)
    if isinstance(item, str):
        return _tagged(TAG_TEXT, item.encode())
    if isinstance(item, Mask):
        return _tagged(TAG_SET, item.to_bytes(SET_BYTES, "little"))
    if isinstance(item, int):
        return _tagged(TAG_INTEGER, item.to_bytes(INTEGER_BYTES, "little"))
    if isinstance(item, Sequence):
        return _tagged(TAG_LIST, enc(*item))
    msg = f"no encoding for {type(item).__name__}"  # type: ignore[unreachable] # by a caller without types
    raise TypeError(msg)


def _tagged(tag: int, content: bytes) -> bytes:
    return _head(tag, len(content)) + content


def _head(tag: int, size: int) -> bytes:
    return bytes([tag]) + size.to_bytes(4, "little")
