"""Kings and senders: who opens which chunk, and the opening itself (01 section 4, steps 2 and 3).

Damgard-Nielsen 2007 opening of degree-2t sharings through a king, with pairwise masks as in Araki et al. 2016 and
Bonawitz et al. 2017 whose keys come out of the PRSS *(ours)*: king and corrupt senders see only the sum over the honest
senders. The opening proves nothing by itself: a king or sender may send anything; the check of the batch (``check``)
tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_node.algebra import kernel, merkle
from dkg_node.algebra.encoding import enc
from dkg_node.errors import QuorumLost
from dkg_node.protocols.state import mask_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dkg_node.algebra.kernel import Keys, Shares
    from dkg_node.offline.chunk import Batch, Chunk
    from dkg_node.protocols.session import Group, Role, Session
    from dkg_node.protocols.state import PublicState

PURPOSE = "chunk"
SIGNATURE = 64


@dataclass(frozen=True, slots=True)
class Post:
    """Who opens a chunk at a try: the king and the 2t+1 senders, the king among them, increasing."""

    chunk: int
    attempt: int
    king: Role
    senders: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class Roster:
    """The posts of a round in chunk order, and the public state after kings without enough senders were benched."""

    posts: tuple[Post, ...]
    state: PublicState


def assign(group: Group, state: PublicState, chunks: Sequence[int], attempt: int, batch: int = 0) -> Roster:
    """Give every chunk of a round its king and senders: a pure function of the state at the round's start.

    The king is the (c+try)-th of the kings, cyclically; the senders are the king and the next 2t eligible parties that
    are not in dispute with it. A king left with fewer is benched for this and all later chunks. When nobody is left to
    choose from, benches and disputes are lifted. QuorumLost when more than t parties are Corrupt or Absent.
    """
    if len(state.active(group)) < group.quorum:
        missing = frozenset(group.roles) - state.active(group)
        raise QuorumLost("more than t parties are corrupt or absent; bring the absent ones back", missing)
    posts = []
    for chunk in sorted(chunks):
        post, state = _post(group, state, (chunk, attempt), batch)
        posts.append(post)
    return Roster(tuple(posts), state)


def _post(group: Group, state: PublicState, what: tuple[int, int], batch: int) -> tuple[Post, PublicState]:
    """One (chunk, try)'s post and the state after it. Ends: every turn benches one more king or lifts everything."""
    chunk, attempt = what
    place: int | None = None
    while True:
        if len(state.eligible(group)) < group.degree2_quorum or not state.kings(group):
            state, place = state.lifted(group), None
        kings = state.kings(group)
        place = (chunk + attempt if place is None else place) % len(kings)
        king = kings[place]
        senders = _senders(group, state, king)
        if len(senders) == group.degree2_quorum:
            return Post(chunk, attempt, king, tuple(sorted(senders))), state
        state = state.bench(king, batch)


def _senders(group: Group, state: PublicState, king: Role) -> list[Role]:
    """The king and the next 2t eligible parties not in dispute with it, cyclically in order of index; maybe fewer."""
    eligible = state.eligible(group)
    start = eligible.index(king)
    around = eligible[start:] + eligible[:start]
    return [role for role in around if not state.in_dispute(king, role)][: group.degree2_quorum]


@dataclass(frozen=True, slots=True)
class YPlace:
    """Where and under which public state the y of a round are signed."""

    where: bytes
    """(sid, era, segment, slot "y" of the round)."""
    state: bytes

    @classmethod
    def of(cls, session: Session) -> YPlace:
        """The running round's."""
        return cls(session.where("y"), session.state)

    def signed(self, batch: Batch, generation: int, post: Post, root: bytes) -> bytes:
        """What a sender signs: slot, batch, (c, g, try, k, S), public state, and the Merkle root over its blocks."""
        return self.where + enc(
            batch.kind,
            batch.k,
            batch.index,
            post.chunk,
            generation,
            post.attempt,
            post.king,
            mask_of(post.senders),
            self.state,
            root,
        )


def y_message(session: Session, batch: Batch, generation: int, post: Post, y: bytes) -> bytes:
    """Signature (64 bytes) and trimmed elements. The signature is what convicts a sender when a batch is disputed."""
    signed = YPlace.of(session).signed(batch, generation, post, merkle.root(y))
    return session.identity.sign(PURPOSE, signed) + y


def read_y(
    session: Session, batch: Batch, generation: int, post: Post, sender: Role, message: bytes | None
) -> bytes | None:
    """The whole message if signature, length and encoding are right, else None: it never was sent."""
    if message is None or len(message) < SIGNATURE:
        return None
    chunk, y = batch.chunks[post.chunk], memoryview(message)[SIGNATURE:]
    if not kernel.canonical(y, chunk.k, chunk.elements, chunk.weights, bits=False):
        return None
    signed = YPlace.of(session).signed(batch, generation, post, merkle.root(y))
    return message if session.identity.verify(sender, PURPOSE, signed, message[:SIGNATURE]) else None


def own_y(chunk: Chunk, keys: Keys, post: Post, s: Shares) -> bytes:
    """y_i = lambda_i^S s_i plus the pair masks, trimmed. ``keys`` are the chunk keys."""
    return kernel.king_share(s, keys, mask_of(post.senders), post.king, post.attempt, chunk.weights)


def add_up(chunk: Chunk, ys: Mapping[Role, bytes | memoryview]) -> bytes | None:
    """The king's V from the y of all senders."""
    messages = [ys[role] for role in sorted(ys)]
    return kernel.king_sum(messages, chunk.k, chunk.elements, chunk.weights, bits=chunk.opens_bits)


async def collect(
    session: Session, batch: Batch, generation: int, post: Post, y: bytes | None
) -> Mapping[Role, bytes | None]:
    """Slot "y": senders send to the king; the king returns with every other sender's valid message or None.

    All others return with nothing.
    """
    chunk, me = batch.chunks[post.chunk], session.me
    others = frozenset(post.senders) - {post.king}
    outgoing = {}
    if y is not None and me != post.king:
        outgoing = {post.king: y_message(session, batch, generation, post, y)}
    got = await session.exchange(
        "y", outgoing, expect=others if me == post.king else (), limit=SIGNATURE + chunk.y_bytes
    )
    return {sender: read_y(session, batch, generation, post, sender, message) for sender, message in got.items()}


async def spread(session: Session, chunk: Chunk, post: Post, v: bytes | None) -> bytes | None:
    """Slot "V": the king sends V to all (an empty one, but in time, when it has none). Not judged yet."""
    king = session.me == post.king
    outgoing = {role: v or b"" for role in session.active if role != post.king} if king else {}
    got = await session.exchange("V", outgoing, expect=() if king else (post.king,), limit=chunk.v_bytes)
    return v if king else got[post.king]
