"""Merkle tree over blocks of 4096 bytes: lets a king show one block of a signed message (01 section 4, steps 2 and 7).

leaf = SHA-256(0x00 | block), node = SHA-256(0x01 | left | right); a node without a right neighbour is carried up.
Leaves and nodes can't be taken for each other (RFC 6962, section 2.1). The length of the message is not in the root:
who verifies knows it from the plan and passes it.
"""

from __future__ import annotations

from hashlib import sha256

BLOCK = 4096
HASH = 32


def block_count(size: int) -> int:
    """Blocks of a message of ``size`` bytes; the last may be shorter."""
    return -(-size // BLOCK)


def block(data: bytes, index: int) -> bytes:
    """One block; IndexError when there is none."""
    _refuse_outside(len(data), index)
    return data[index * BLOCK : (index + 1) * BLOCK]


def root(data: bytes | memoryview) -> bytes:
    """Root of a message, 32 bytes; of an empty one SHA-256(0x00)."""
    return _levels(data)[-1][0]


def path(data: bytes, index: int) -> bytes:
    """Siblings of a block from the leaves up, 32 bytes each, none where a node is carried up.

    IndexError when there is no such block.
    """
    _refuse_outside(len(data), index)
    siblings = []
    for level in _levels(data)[:-1]:
        if index ^ 1 < len(level):
            siblings.append(level[index ^ 1])
        index //= 2
    return b"".join(siblings)


def path_bytes(size: int, index: int) -> int:
    """Length of the path of a block of a message of ``size`` bytes; IndexError when there is no such block."""
    _refuse_outside(size, index)
    count, total = block_count(size), 0
    while count > 1:
        total += HASH if index ^ 1 < count else 0
        index, count = index // 2, -(-count // 2)
    return total


def verify_path(wanted: bytes, size: int, index: int, content: bytes, siblings: bytes) -> bool:
    """Whether ``content`` is block ``index`` of the message of ``size`` bytes with root ``wanted``.

    False for anything broken: content and siblings come from peers and never raise.
    """
    count = block_count(size)
    if not 0 <= index < count or len(content) != min(BLOCK, size - index * BLOCK):
        return False
    node = _leaf(content)
    rest = siblings
    while count > 1:
        if index ^ 1 < count:
            if len(rest) < HASH:
                return False
            sibling, rest = rest[:HASH], rest[HASH:]
            node = _node(sibling, node) if index % 2 else _node(node, sibling)
        index, count = index // 2, -(-count // 2)
    return not rest and node == wanted


def _refuse_outside(size: int, index: int) -> None:
    if not 0 <= index < block_count(size):
        raise IndexError(f"give a block from 0 to {block_count(size) - 1}, not {index}")


def _levels(data: bytes | memoryview) -> list[list[bytes]]:
    """All hashes, leaves first, the root alone in the last level."""
    view = memoryview(data)
    level = [_leaf(view[at : at + BLOCK]) for at in range(0, len(data), BLOCK)] or [_leaf(b"")]
    levels = [level]
    while len(level) > 1:
        pairs = [_node(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
        levels.append(level)
    return levels


def _leaf(content: bytes | memoryview) -> bytes:
    return sha256(b"\x00" + content).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
