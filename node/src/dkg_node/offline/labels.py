"""Keys and hashes of the offline phase: what is bound to what (01 section 3, "Key derivation", section 4).

r_A -> batch keys -> chunk keys -> "psi" | "pair" (inside the kernel) | "zero". psi never depends on the try: a chunk
that is opened again by another king has the same values, only fresh masks. One AES key never serves two of these.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from dkg_node.algebra.encoding import Item, bytes_head, digest, enc
from dkg_node.protocols.state import mask_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_node.algebra.kernel import Keys
    from dkg_node.offline.chunk import Batch, Chunk
    from dkg_node.offline.king import Post

PSI = enc("psi")
CHI_KEY = 16


class Place(Protocol):
    """Where in the ceremony something happens: a session is one."""

    @property
    def sid(self) -> bytes:
        """Digest of terms and attempt."""
        ...

    @property
    def era(self) -> int:
        """Era."""
        ...

    @property
    def segment(self) -> int:
        """Position of the segment."""
        ...


def batch_keys(place: Place, keys: Keys, batch: Batch, generation: int) -> Keys:
    """k_A^{b,E,g} = KDF(r_A, sid|kind|K|b|E|g)."""
    return keys.derive(enc("batch", place.sid, batch.kind, batch.k, batch.index, place.era, generation))


def chunk_keys(place: Place, keys_of_batch: Keys, chunk: Chunk, generation: int) -> Keys:
    """k_A^{c,E,g}."""
    return keys_of_batch.derive(enc("chunk", chunk.index, place.era, generation))


def opened_prefix(place: Place, batch: Batch, generation: int, post: Post) -> bytes:
    """What stands before V in the body that is hashed, stored and pulled: (sid, E, kind, K, b, c, g, try, k, S)."""
    return enc(
        "V",
        place.sid,
        place.era,
        batch.kind,
        batch.k,
        batch.index,
        post.chunk,
        generation,
        post.attempt,
        post.king,
        mask_of(post.senders),
    )


def opened_body(prefix: bytes, v: bytes) -> bytes:
    """The body whose SHA-256 is voted on: H(sid|E|...|k|S|V) of ``opened_prefix``."""
    return prefix + enc(v)


def hash_of_body(body: bytes) -> bytes:
    """The hash of such a body: SHA-256."""
    return sha256(body).digest()


def opened_value(prefix: bytes, body: bytes) -> bytes | None:
    """V out of such a body; None if the body is another chunk's, try's or king's."""
    size = len(body) - len(opened_body(prefix, b""))
    if size < 0:
        return None
    head = prefix + bytes_head(size)
    return body[len(head) :] if body.startswith(head) else None


def list_digest(place: Place, batch: Batch, generation: int, opened: Sequence[tuple[int, bytes]]) -> bytes:
    """H(canonical list): (chunk, hash) of every canonical chunk of this round, in chunk order."""
    entries: list[Item] = [[chunk, hashed] for chunk, hashed in opened]
    return digest("list", place.sid, place.era, place.segment, batch.kind, batch.k, batch.index, generation, entries)


def coin_label(place: Place, batch: Batch, generation: int, round_: int, listing: bytes) -> bytes:
    """sid|"coin"|E|batch|round|H(list): one coin serves one list."""
    return enc("coin", place.sid, place.era, batch.kind, batch.k, batch.index, generation, round_, listing)


def chi_key(coin: bytes, listing: bytes, chunk: Chunk) -> bytes:
    """16-byte public AES key of the chunk's digits: PRF(H(coin|list), c|...); the kernel counts element and digit."""
    return digest("chi", digest("chi key", coin, listing), chunk.index)[:CHI_KEY]


def zero_label(coin: bytes, listing: bytes) -> bytes:
    """Label of the check's PRZS under the chunk keys: "zero"|H(list)|coin. Digit d is value d of the one stream."""
    return enc("zero", listing, coin)


def judged_state(state: bytes, listing: bytes, coin: bytes, signed_under: bytes) -> bytes:
    """H(public state | list | coin | state of y): what the Broadcast of W carries, so every W vouches for all four.

    ``signed_under`` is the public state under which the round's y were signed. A fault record needs somebody's word for
    it: under any other one the senders' true signatures look forged, and their honest king would be to blame.
    """
    return digest("state, list, coin and state of y", state, listing, coin, signed_under)


def about_fault(where: bytes, batch: Batch, generation: int) -> bytes:
    """What a party signs that saw the check of (E, b, g) fail: it never signs a certificate of (E, b, g)."""
    return where + enc("fault", batch.kind, batch.k, batch.index, generation)
