"""What an accused king shows: of every other sender the signed root and the block with the first wrong element.

Bytes, per sender in increasing order: signature (64), root (32), then each block that the element touches (two where it
lies across a border) with its Merkle path. All lengths follow from the plan, so an honest showing has one length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_node.algebra import merkle
from dkg_node.offline.chunk import PACK
from dkg_node.offline.king import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node.offline.chunk import Chunk
    from dkg_node.offline.king import Post
    from dkg_node.protocols.session import Role

HEAD = SIGNATURE + merkle.HASH


@dataclass(frozen=True, slots=True)
class Shown:
    """What a king shows of one sender."""

    signature: bytes
    root: bytes
    blocks: tuple[bytes, ...]
    paths: tuple[bytes, ...]


def widths(chunk: Chunk, dropped: int) -> tuple[int, ...]:
    """Bytes of a coordinate of each element of a group on the wire: y (``dropped`` 0) or V of bits (1)."""
    return tuple(-(-(chunk.k - weight - dropped) // 8) for weight in chunk.weights)


def span(chunk: Chunk, element: int, dropped: int = 0) -> tuple[int, int]:
    """First byte of an element in y (or V: ``dropped`` as above) and the first byte after it."""
    sizes = [PACK * width for width in widths(chunk, dropped)]
    group, place = divmod(element, len(sizes))
    start = group * sum(sizes) + sum(sizes[:place])
    return start, start + sizes[place]


def first_difference(chunk: Chunk, v: bytes, true: bytes) -> int | None:
    """The first element in which two V of the chunk differ; None where they are equal."""
    if v == true:
        return None
    dropped = 1 if chunk.opens_bits else 0
    places = (m for m in range(chunk.elements) if _part(v, chunk, m, dropped) != _part(true, chunk, m, dropped))
    return next(places, None)


def _part(data: bytes, chunk: Chunk, element: int, dropped: int) -> bytes:
    start, stop = span(chunk, element, dropped)
    return data[start:stop]


def blocks_of(chunk: Chunk, element: int) -> range:
    """The Merkle blocks of y that an element touches."""
    start, stop = span(chunk, element)
    return range(start // merkle.BLOCK, (stop - 1) // merkle.BLOCK + 1)


def make_showing(chunk: Chunk, element: int, messages: Mapping[Role, bytes]) -> bytes:
    """The king's bytes out of the signed messages (signature and y) of the other senders."""
    out = []
    for _, message in sorted(messages.items()):
        y = message[SIGNATURE:]
        out += [message[:SIGNATURE], merkle.root(y)]
        out += [part for index in blocks_of(chunk, element) for part in (merkle.block(y, index), merkle.path(y, index))]
    return b"".join(out)


def read_showing(chunk: Chunk, element: int, post: Post, data: bytes) -> dict[Role, Shown] | None:
    """Inverse of ``make_showing``; None for another length: nothing was shown."""
    found, position = {}, 0

    def take(size: int) -> bytes:
        nonlocal position
        position += size
        return data[position - size : position]

    for sender in post.senders:
        if sender == post.king:
            continue
        signature, root = take(SIGNATURE), take(merkle.HASH)
        blocks, paths = [], []
        for index in blocks_of(chunk, element):
            blocks.append(take(min(merkle.BLOCK, chunk.y_bytes - index * merkle.BLOCK)))
            paths.append(take(merkle.path_bytes(chunk.y_bytes, index)))
        found[sender] = Shown(signature, root, tuple(blocks), tuple(paths))
    return found if position == len(data) else None


def sum_of(chunk: Chunk, element: int, parts: list[bytes]) -> bytes:
    """The element of V that these bytes of y (the element's, one of each sender) add up to, trimmed as on the wire."""
    weight = chunk.weights[element % len(chunk.weights)]
    wide, narrow = (widths(chunk, dropped)[element % len(chunk.weights)] for dropped in (0, int(chunk.opens_bits)))
    out = []
    for c in range(PACK):
        total = sum(int.from_bytes(part[c * wide : (c + 1) * wide], "little") for part in parts) % (
            1 << (chunk.k - weight)
        )
        out.append((total >> int(chunk.opens_bits)).to_bytes(narrow, "little"))
    return b"".join(out)


def element_in_blocks(chunk: Chunk, element: int, blocks: tuple[bytes, ...]) -> bytes:
    """The element's bytes out of the blocks that hold it."""
    start, stop = span(chunk, element)
    base = blocks_of(chunk, element).start * merkle.BLOCK
    return b"".join(blocks)[start - base : stop - base]
