"""The vote on what the kings sent: which V is canonical, which king or sender failed (01 section 4, step 4).

A hash that n-t parties report is canonical: only one can be, and t+1 honest parties hold its V. All decisions are pure
functions of Broadcast outputs, so all honest parties decide alike.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_node.errors import QuorumLost
from dkg_node.protocols.state import mask_of, pair, roles_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dkg_node.offline.king import Post
    from dkg_node.protocols.session import Group, Role
    from dkg_node.protocols.state import PublicState

DIGEST = 32
NONE, HASH, MISSING = 0, 1, 2
ENTRY_LIMIT = 1 + DIGEST


@dataclass(frozen=True, slots=True)
class Vote:
    """One party's word on one chunk: the hash of its V, or (of the king only) whose y is missing, or nothing."""

    digest: bytes | None = None
    missing: tuple[Role, ...] = ()


Votes = tuple[Vote, ...]


@dataclass(frozen=True, slots=True)
class Canonical:
    """n-t parties or more reported this hash; ``holders`` are the ones that did."""

    post: Post
    digest: bytes
    holders: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Disputed:
    """The king says that these senders sent it nothing valid: one of each pair is corrupt or was away."""

    post: Post
    missing: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class Kingless:
    """The king got no V to n-t parties and excused itself with no valid ``missing``."""

    post: Post


Decision = Canonical | Disputed | Kingless


def encode_votes(votes: Sequence[Vote]) -> bytes:
    """One entry a chunk: 0 | 1 and the hash (32 bytes) | 2 and the missing senders (2-byte mask)."""
    out = bytearray()
    for vote in votes:
        if vote.digest is not None:
            out += bytes([HASH]) + vote.digest
        elif vote.missing:
            out += bytes([MISSING]) + mask_of(vote.missing).to_bytes(2, "little")
        else:
            out.append(NONE)
    return bytes(out)


def decode_votes(data: bytes, count: int) -> Votes | None:
    """Inverse of ``encode_votes``; None unless there are exactly ``count`` entries, each as it would be written."""
    sizes = {NONE: 0, HASH: DIGEST, MISSING: 2}
    votes, position = [], 0
    while position < len(data):
        size = sizes.get(data[position])
        content = data[position + 1 : position + 1 + (size or 0)]
        if size is None or len(content) != size:
            return None
        votes.append(Vote(content) if size == DIGEST else Vote(missing=roles_of(int.from_bytes(content, "little"))))
        position += 1 + size
    exact = len(votes) == count and encode_votes(votes) == data
    return tuple(votes) if exact else None


def read_votes(bodies: Mapping[Role, bytes | None], count: int) -> dict[Role, Votes]:
    """The votes of everybody whose Broadcast output can be read."""
    read = {role: decode_votes(body, count) for role, body in bodies.items() if body is not None}
    return {role: votes for role, votes in read.items() if votes is not None}


def decide(
    group: Group, state: PublicState, posts: Sequence[Post], votes: Mapping[Role, Votes]
) -> tuple[Decision, ...]:
    """Judge every chunk in order. QuorumLost, naming the silent, when fewer than n-t parties voted at all."""
    if len(votes) < group.quorum:
        silent = state.active(group) - set(votes)
        raise QuorumLost("fewer than n-t parties voted on the chunks; bring the silent ones back", silent)
    return tuple(
        _decide_one(group, state, post, {role: row[place] for role, row in votes.items()})
        for place, post in enumerate(posts)
    )


def _decide_one(group: Group, state: PublicState, post: Post, votes: Mapping[Role, Vote]) -> Decision:
    counted = Counter(vote.digest for vote in votes.values() if vote.digest is not None)
    for digest, count in counted.most_common(1):
        if count >= group.quorum:
            holders = frozenset(role for role, vote in votes.items() if vote.digest == digest)
            return Canonical(post, digest, holders)
    missing = votes[post.king].missing if post.king in votes else ()
    excused = missing and all(
        role in post.senders and role != post.king and not state.in_dispute(role, post.king) for role in missing
    )
    return Disputed(post, missing) if excused else Kingless(post)


def consequences(group: Group, state: PublicState, decisions: Sequence[Decision], batch: int) -> PublicState:
    """The public state after a vote: {king, missing sender} in dispute, a king without excuse benched.

    All disputes of the round count at once; who has more than t is benched, too.
    """
    pairs = [pair(d.post.king, sender) for d in decisions if isinstance(d, Disputed) for sender in d.missing]
    state = state.disputed(group, pairs, batch)
    for decision in decisions:
        if isinstance(decision, Kingless):
            state = state.bench(decision.post.king, batch)
    return state
