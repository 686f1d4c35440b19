"""The slots of a batch with what they carry and cost, for the deadlines (01 section 2, "Slots"). Pure."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

from dkg_node.algebra import merkle
from dkg_node.offline.check import w_bytes
from dkg_node.offline.king import SIGNATURE, assign
from dkg_node.offline.votes import ENTRY_LIMIT
from dkg_node.protocols.broadcast import broadcast_slots
from dkg_node.protocols.coin import coin_slot
from dkg_node.protocols.session import Slot
from dkg_node.protocols.state import PublicState
from dkg_node.sharing.sets import contains, sets_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_node.offline.chunk import Batch
    from dkg_node.protocols.session import Group

# Core-seconds of one party a base value, by (n, K): drawing, squaring, masks, its part of the kings' sums, roots.
# Measured on full chunks, the slowest kind of each, one core of a two-core cloud machine, portable kernel, in ns (K=64,
# K=128): 4/1 48, 120; 7/2 63, 128; 10/3 152, 324; 13/4 837, 1534. Four times that, so that a deadline is no race.
OPEN_SECONDS = {
    (4, 64): 0.2e-6,
    (4, 128): 0.5e-6,
    (7, 64): 0.3e-6,
    (7, 128): 0.6e-6,
    (10, 64): 0.7e-6,
    (10, 128): 1.4e-6,
    (13, 64): 3.5e-6,
    (13, 128): 6.5e-6,
}
CHECK_SECONDS = 0.1e-6
"""The same for the check: 8 to 24 ns."""
CHUNK_SECONDS = 0.05
"""Fixed work a chunk: key derivations, Merkle roots, hashes, signatures, PRZS: a few milliseconds."""
KEY = 32
PATH = 10 * merkle.HASH
"""Longest Merkle path: the largest message, 65,536 values of 16 bytes, has 256 blocks; room for more."""


def votes_limit(batch: Batch) -> int:
    """Most bytes of one party's votes."""
    return ENTRY_LIMIT * len(batch.chunks)


def most_rounds(group: Group) -> int:
    """Rounds a batch may take: (t+1)^2 of votes, and one more for each of the 2t fault events of a run at most.

    More need more than t faulty parties (or restarts beside them): the era ends then.
    """
    return (group.t + 1) ** 2 + 2 * group.t


def batch_slots(group: Group, batch: Batch, state: PublicState | None = None) -> tuple[Slot, ...]:
    """All slots a batch may take: ``most_rounds`` times a round and what a failed check adds, in order.

    An honest run ends with the first round (``first_round``) and pays nothing for the others. ``state`` is the public
    state at the start (default: all parties fit): it says who is king how often.
    """
    block = (*round_slots(group, batch, state), *fault_slots(group, batch))
    return tuple(
        replace(slot, name=slot.name if number == 0 else f"{slot.name}.r{number}")
        for number in range(most_rounds(group))
        for slot in block
    )


def first_round(schedule: Sequence[Slot]) -> tuple[Slot, ...]:
    """The slots of any segment that an honest run takes: all, or of a batch those before the first "fault"."""
    return tuple(takewhile(lambda slot: slot.name != "fault", schedule))


def round_slots(group: Group, batch: Batch, state: PublicState | None = None) -> tuple[Slot, ...]:
    """One round: y to kings; V to all; Broadcast of votes; V by hash; coin; Broadcast of W.

    Chunks overlap, so that a late chunk's y waits for early chunks' V: slot "y" has the time of both. At most t parties
    lack a canonical V, and one holder may have to serve them all.
    """
    opening = _opening_work(group, batch)
    y_size, v_size = _traffic(group, batch, state or PublicState())
    check = CHECK_SECONDS * 4 * _elements(batch) + CHUNK_SECONDS * len(batch.chunks)
    w = broadcast_slots("W", group, w_bytes(batch.k))
    return (
        Slot("y", y_size + v_size, opening),
        Slot("V", v_size, opening),
        *broadcast_slots("votes", group, votes_limit(batch)),
        Slot("v-by-hash", group.t * sum(chunk.v_bytes for chunk in batch.chunks), opening),
        coin_slot("coin", group),
        Slot(w[0].name, w[0].size, w[0].work + check),
        *w[1:],
    )


def fault_slots(group: Group, batch: Batch) -> tuple[Slot, ...]:
    """What a failed check adds: `fault` signatures; Broadcast of batch keys; Broadcast of the kings' showing.

    Between the last two everybody recomputes what all n parties did.
    """
    show = broadcast_slots("show", group, showing_limit(group))
    recomputing = group.n * (_opening_work(group, batch) + CHECK_SECONDS * 4 * _elements(batch))
    return (
        Slot("fault", 2 * group.n * SIGNATURE, 0.01),
        *broadcast_slots("keys", group, keys_limit(group)),
        Slot(show[0].name, show[0].size, show[0].work + recomputing),
        *show[1:],
    )


def keys_limit(group: Group) -> int:
    """Bytes of one party's keys: 32 for every set of n-t parties that it is in."""
    return KEY * len([mask for mask in sets_of(group) if contains(mask, 1)])


def showing_limit(group: Group) -> int:
    """Most bytes of one king's showing: of 2t senders signature, root, and at most two blocks with their paths."""
    return 2 * group.t * (SIGNATURE + merkle.HASH + 2 * (merkle.BLOCK + PATH))


def _elements(batch: Batch) -> int:
    return sum(chunk.elements for chunk in batch.chunks)


def _opening_work(group: Group, batch: Batch) -> float:
    """Core-seconds of one party for steps 1 to 3 of all chunks."""
    return OPEN_SECONDS[group.n, batch.k] * 4 * _elements(batch) + CHUNK_SECONDS * len(batch.chunks)


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
