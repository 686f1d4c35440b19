"""What certificates name, as bytes: hash tables of setup, batches and public keys, key files' digests. Pure, strict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_node.algebra.encoding import Item, Mask, enc
from dkg_node.offline.king import Post
from dkg_node.offline.votes import Canonical
from dkg_node.protocols.decoding import decoded, is_integer
from dkg_node.protocols.state import mask_of, roles_of
from dkg_node.sharing.sets import members_of, sets_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dkg_node.protocols.prss import Certified
    from dkg_node.protocols.session import Group

HASH = 32
SEED = 16
BLOCK = 1 << 19
"""Bytes of a block of bodies as it is certified and fetched; the last one of a key may be shorter."""
KEY_FILES = ("keyset", "public_key", "server_key")


def encode_setup(group: Group, certified: Certified) -> bytes:
    """Of every set in order: the mask of the contributors that count, then their digests in order of index."""
    parts = []
    for mask in sets_of(group):
        row = certified[mask]
        parts.append(mask_of(row).to_bytes(2, "little") + b"".join(row[role] for role in sorted(row)))
    return enc("setup", b"".join(parts))


def decode_setup(group: Group, data: bytes) -> Certified | None:
    """Inverse of ``encode_setup``; None for anything else."""
    match decoded(data):
        case ("setup", bytes() as table):
            certified: Certified = {}
            position = 0
            for mask in sets_of(group):
                row = roles_of(int.from_bytes(table[position : position + 2], "little"))
                end = position + 2 + HASH * len(row)
                if not row or not set(row) <= set(members_of(mask, group)) or end > len(table):
                    return None
                hashes = [table[start : start + HASH] for start in range(position + 2, end, HASH)]
                certified[mask] = dict(zip(row, hashes, strict=True))
                position = end
            return certified if position == len(table) else None
    return None


def encode_batch(generation: int, opened: Sequence[Canonical]) -> bytes:
    """Generation, and of every chunk in order: try, king, senders, hash of V, who holds it."""
    rows: list[Item] = [
        [c.post.chunk, c.post.attempt, c.post.king, mask_of(c.post.senders), c.digest, mask_of(c.holders)]
        for c in opened
    ]
    return enc("batch", generation, rows)


def decode_batch(data: bytes) -> tuple[int, tuple[Canonical, ...]] | None:
    """Inverse of ``encode_batch``; None for anything else."""
    match decoded(data):
        case ("batch", int() as generation, tuple() as rows) if is_integer(generation):
            opened = tuple(_canonical(row) for row in rows)
            whole = tuple(one for one in opened if one is not None)
            return (generation, whole) if len(whole) == len(opened) else None
    return None


def _canonical(row: Item) -> Canonical | None:
    match row:
        case (
            int() as chunk,
            int() as attempt,
            int() as king,
            Mask() as senders,
            bytes() as digest,
            Mask() as holders,
        ) if all(map(is_integer, (chunk, attempt, king))) and len(digest) == HASH:
            return Canonical(Post(chunk, attempt, king, roles_of(senders)), digest, frozenset(roles_of(holders)))
    return None


@dataclass(frozen=True, slots=True)
class OpenedKey:
    """An opened public key: all that another party needs to get its bodies and to know them."""

    name: str
    seed: bytes
    """The public XOF seed of all masks, the same in every key."""
    blocks: tuple[bytes, ...]
    """SHA-256 of every ``BLOCK`` bytes of its bodies in storage order."""


def encode_key(key: OpenedKey) -> bytes:
    """Name, seed, hashes of the blocks."""
    return enc("key", key.name, key.seed, b"".join(key.blocks))


def decode_key(data: bytes) -> OpenedKey | None:
    """Inverse of ``encode_key``; None for anything else."""
    match decoded(data):
        case ("key", str() as name, bytes() as seed, bytes() as table) if len(seed) == SEED and len(table) % HASH == 0:
            blocks = tuple(table[start : start + HASH] for start in range(0, len(table), HASH))
            return OpenedKey(name, seed, blocks)
    return None


def encode_files(digests: Mapping[str, str]) -> bytes:
    """SHA-256 of the key files (hex in, bytes out) in order of ``KEY_FILES``."""
    return enc("files", *(bytes.fromhex(digests[name]) for name in KEY_FILES))


def decode_files(data: bytes) -> dict[str, str] | None:
    """Inverse of ``encode_files``; None for anything else."""
    match decoded(data):
        case ("files", *hashes) if len(hashes) == len(KEY_FILES):
            found = {name: item for name, item in zip(KEY_FILES, hashes, strict=True) if isinstance(item, bytes)}
            good = len(found) == len(KEY_FILES) and all(len(item) == HASH for item in found.values())
            return {name: item.hex() for name, item in found.items()} if good else None
    return None
