"""The slots of a batch with what they carry and cost, for the deadlines (01 section 2, "Slots"). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_node.offline.check import DIGITS, w_bytes
from dkg_node.offline.king import SIGNATURE, assign
from dkg_node.offline.votes import ENTRY_LIMIT
from dkg_node.protocols.broadcast import broadcast_slots
from dkg_node.protocols.coin import coin_slot
from dkg_node.protocols.session import Slot
from dkg_node.protocols.state import PublicState

if TYPE_CHECKING:
    from dkg_node.offline.chunk import Batch
    from dkg_node.protocols.session import Group

# Core-seconds of one party a base value, by (n, K): steps 1 to 3 with a king's part of the sums, and the check.
OPEN_SECONDS = {
    (4, 64): 1.0e-6,
    (4, 128): 2.0e-6,
    (7, 64): 1.5e-6,
    (7, 128): 3.0e-6,
    (10, 64): 3.0e-6,
    (10, 128): 6.0e-6,
    (13, 64): 8.0e-6,
    (13, 128): 16.0e-6,
}
CHECK_SECONDS = 1.0e-6
CHUNK_SECONDS = 0.05
"""Fixed work a chunk: key derivations, Merkle root, signatures, PRZS."""


def votes_limit(batch: Batch) -> int:
    """Most bytes of one party's votes."""
    return ENTRY_LIMIT * len(batch.chunks)


def batch_slots(group: Group, batch: Batch, state: PublicState | None = None) -> tuple[Slot, ...]:
    """One round of the batch: y to kings; V to all; Broadcast of votes; V by hash; coin; Broadcast of W.

    ``state`` is the public state at the start (default: all parties fit): it says who is king how often.
    Chunks overlap, so that a late chunk's y waits for early chunks' V: slot "y" has the time of both.
    """
    values = 4 * sum(chunk.elements for chunk in batch.chunks)
    opening = OPEN_SECONDS[group.n, batch.k] * values + CHUNK_SECONDS * len(batch.chunks)
    y_size, v_size = _traffic(group, batch, state or PublicState())
    check = 2 * CHECK_SECONDS * values + CHUNK_SECONDS * len(batch.chunks)
    w = broadcast_slots("W", group, w_bytes(batch.k))
    return (
        Slot("y", y_size + v_size, opening),
        Slot("V", v_size, opening),
        *broadcast_slots("votes", group, votes_limit(batch)),
        Slot("v-by-hash", sum(chunk.v_bytes for chunk in batch.chunks) * (group.t + 1), opening),
        coin_slot("coin", group),
        Slot(w[0].name, w[0].size, w[0].work + check + DIGITS * CHUNK_SECONDS),
        *w[1:],
    )


def _traffic(group: Group, batch: Batch, state: PublicState) -> tuple[int, int]:
    """The most bytes one party sends plus receives in slots "y" and "V"."""
    posts = assign(group, state, [chunk.index for chunk in batch.chunks], 0).posts
    in_y = dict.fromkeys(group.roles, 0)
    in_v = dict.fromkeys(group.roles, 0)
    for chunk, post in zip(batch.chunks, posts, strict=True):
        for sender in post.senders:
            in_y[sender] += chunk.y_bytes + SIGNATURE
        in_y[post.king] += (2 * group.t - 1) * (chunk.y_bytes + SIGNATURE)
        for role in group.roles:
            in_v[role] += chunk.v_bytes * (group.n - 1 if role == post.king else 1)
    return max(in_y.values()), max(in_v.values())
