"""One batch, one segment: values, king openings, vote, coin, check (01 section 4, steps 1 to 6).

Rounds: slots "y", "V", t+1 of the votes, "v-by-hash", "coin", t+1 of W. Holds while liars and missing parties are t at
most; what comes out is right except with probability 2^-128. Nothing is used before the check has passed, and then only
once n-t parties have signed the list (the ceremony's certificate).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from dkg_node.algebra.kernel import Shares
from dkg_node.errors import BatchFault, ProtocolError, QuorumLost
from dkg_node.offline import labels
from dkg_node.offline.check import DIGITS, accepted, read_w, w_bytes, w_of_chunk
from dkg_node.offline.king import Post, add_up, assign, collect, own_y, spread
from dkg_node.offline.slots import batch_slots, votes_limit
from dkg_node.offline.values import ProductBlock, draw, finish, to_open
from dkg_node.offline.votes import Canonical, Decision, Disputed, Vote, decide, encode_votes, read_votes
from dkg_node.protocols.broadcast import broadcast
from dkg_node.protocols.coin import coin
from dkg_node.protocols.store import fetched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dkg_node.algebra.kernel import Keys
    from dkg_node.offline.chunk import Batch, Chunk
    from dkg_node.protocols.session import Group, Role, Session
    from dkg_node.protocols.state import PublicState
    from dkg_node.protocols.store import ObjectStore

__all__ = ["BatchResult", "Work", "batch_slots", "restored", "run_batch"]

WINDOW = 8
"""Chunks in flight: enough to keep the processor busy over a slow link; each holds its base values in memory."""
ROUND = 0
ATTEMPT = 0

Result = Shares | ProductBlock


@dataclass(frozen=True, slots=True)
class BatchResult:
    """A party's shares out of an accepted batch, by chunk, and what is public about it.

    ``results``: noise - packed, one element a group of four samples; bits - single, four a group; product - a block.
    ``opened``: who opened each chunk and the hash of its V, the table a certificate signs; ``listing`` is its digest.
    ``silent``: active parties whose Broadcast of votes or W was None: Absent from the next segment on.
    """

    batch: Batch
    generation: int
    results: tuple[Result, ...]
    opened: tuple[Canonical, ...]
    listing: bytes
    silent: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Work:
    """What every step of a batch needs: the batch, its generation and keys, the store for V."""

    batch: Batch
    generation: int
    keys: Keys
    store: ObjectStore

    @classmethod
    def of(cls, session: Session, keys: Keys, batch: Batch, generation: int, store: ObjectStore) -> Work:
        """``keys`` are the PRSS keys r_A."""
        return cls(batch, generation, labels.batch_keys(session, keys, batch, generation), store)

    def keys_of(self, session: Session, chunk: Chunk) -> Keys:
        """Chunk keys."""
        return labels.chunk_keys(session, self.keys, chunk, self.generation)

    def prefix(self, session: Session, post: Post) -> bytes:
        """What stands before V in the body that is voted on."""
        return labels.opened_prefix(session, self.batch, self.generation, post)


@dataclass(frozen=True, slots=True)
class Draft:
    """A chunk before the vote: degree-2t shares of what was opened, own vote, and shares that nobody may use yet."""

    s: Shares
    vote: Vote
    result: Result | None


async def run_batch(session: Session, keys: Keys, batch: Batch, store: ObjectStore, state: PublicState) -> BatchResult:
    """Make the batch's noise, bits or products. ``keys`` are the PRSS keys r_A, ``state`` that of the segment's start.

    Raises BatchFault when a chunk gets no canonical V or the check fails, QuorumLost when fewer than n-t parties take
    part: both depend on Broadcast outputs only, so they are the same at all honest parties.
    """
    session = state.bind(session)
    generation = state.generation(batch.index)
    work = Work.of(session, keys, batch, generation, store)
    posts = assign(session.group, state, [chunk.index for chunk in batch.chunks], ATTEMPT).posts
    drafts = await session.parallel([partial(open_chunk, work=work, post=post) for post in posts], WINDOW)
    bodies = await broadcast(session, "votes", encode_votes([d.vote for d in drafts]), limit=votes_limit(batch))
    votes = read_votes(bodies, len(posts))
    opened = canonical_list(batch, decide(session.group, state, posts, votes))
    drafts = await fetch_opened(session, work, opened, drafts)
    listing = labels.list_digest(session, batch, generation, [(c.post.chunk, c.digest) for c in opened])
    outputs = await check_batch(session, keys, work, opened, listing, [draft.s for draft in drafts])
    results = tuple(draft.result for draft in drafts if draft.result is not None)
    spoke = set(votes) & set(read_w(batch.k, outputs))
    return BatchResult(batch, generation, results, opened, listing, session.active - spoke)


async def open_chunk(session: Session, work: Work, post: Post) -> Draft:
    """Steps 1 to 3 of one chunk, a child session: draw, open through the king, keep V by hash, finish provisionally."""
    chunk = work.batch.chunks[post.chunk]
    keys = work.keys_of(session, chunk)
    drawn = draw(chunk, keys)
    s = to_open(drawn)
    y = own_y(chunk, keys, post, s) if session.me in post.senders else None
    ys = await collect(session, work.batch, work.generation, post, y)
    missing = tuple(sender for sender, valid in sorted(ys.items()) if valid is None)
    summed = None
    if ys and not missing:
        summed = add_up(chunk, {sender: valid for sender, valid in ys.items() if valid is not None})
    v = await spread(session, chunk, post, summed)
    result = None if v is None else finish(chunk, drawn, v)
    if v is None or result is None:
        return Draft(s, Vote(missing=missing), None)
    return Draft(s, Vote(work.store.put(labels.opened_body(work.prefix(session, post), v))), result)


def canonical_list(batch: Batch, decisions: Sequence[Decision]) -> tuple[Canonical, ...]:
    """All chunks canonical, or BatchFault naming the first that is not and what is said about it."""
    failed = [decision for decision in decisions if not isinstance(decision, Canonical)]
    if failed:
        first = failed[0]
        where = f"batch {batch.index} chunk {first.post.chunk}"
        said = f"king {first.post.king} sent no opening that n-t parties hold"
        if isinstance(first, Disputed):
            said = f"king {first.post.king} reports nothing valid from senders {list(first.missing)}"
        more = f", and {len(failed) - 1} more chunks of the batch failed" if len(failed) > 1 else ""
        raise BatchFault(f"{where}: {said}{more}; start the ceremony again", where)
    return tuple(decision for decision in decisions if isinstance(decision, Canonical))


async def fetch_opened(
    session: Session, work: Work, opened: Sequence[Canonical], drafts: Sequence[Draft]
) -> list[Draft]:
    """Slot "v-by-hash": pull the canonical V one has not, serve those that others have not; redo what they change.

    Every holder of a hash is asked that stands among the t+1 next to the asker: one of them is honest.
    """
    group, me = session.group, session.me
    lacking = [c for c, draft in zip(opened, drafts, strict=True) if draft.vote.digest != c.digest]
    wanted: dict[Role, list[bytes]] = {}
    for c in lacking:
        for helper in helpers(group, me, c.holders):
            wanted.setdefault(helper, []).append(c.digest)
    outgoing = {}
    for c in opened:
        for peer in session.active - c.holders - {me}:
            if me in helpers(group, peer, c.holders):
                session.link.offer(c.digest, fetched(work.store, c.digest) or b"")
                outgoing[peer] = b""
    await session.exchange(
        "v-by-hash",
        outgoing,
        limit=0,
        expect=frozenset(wanted),
        enough=lambda _: all(session.link.held(c.digest) is not None for c in lacking),
        names=lambda role, _: wanted.get(role, []),
        body_limit=max(c_bytes(session, work, c) for c in opened),
    )
    redone = {c.post.chunk: redo(session, work, c, session.link.held(c.digest)) for c in lacking}
    return [redone.get(c.post.chunk, draft) for c, draft in zip(opened, drafts, strict=True)]


def helpers(group: Group, asker: Role, holders: frozenset[Role]) -> tuple[Role, ...]:
    """The t+1 holders that come next after the asker, cyclically: n-t hold it, so one of these is honest."""
    around = sorted(holders, key=lambda role: (role - asker) % group.n)
    return tuple(around[: group.t + 1])


def c_bytes(session: Session, work: Work, c: Canonical) -> int:
    """Length of the body behind a canonical hash."""
    return len(labels.opened_body(work.prefix(session, c.post), b"")) + work.batch.chunks[c.post.chunk].v_bytes


def redo(session: Session, work: Work, c: Canonical, body: bytes | None) -> Draft:
    """The chunk again with the canonical V; QuorumLost when none of the holders asked served it."""
    chunk, prefix = work.batch.chunks[c.post.chunk], work.prefix(session, c.post)
    v = None if body is None else labels.opened_value(prefix, body)
    if v is None:
        asked = helpers(session.group, session.me, c.holders)
        raise QuorumLost(f"batch {work.batch.index} chunk {chunk.index}: its V can't be had from its holders", asked)
    work.store.put(labels.opened_body(prefix, v))
    drawn = draw(chunk, work.keys_of(session, chunk))
    return Draft(to_open(drawn), Vote(c.digest), finish(chunk, drawn, v))


async def check_batch(
    session: Session, keys: Keys, work: Work, opened: Sequence[Canonical], listing: bytes, s: Sequence[Shares]
) -> Mapping[Role, bytes | None]:
    """Steps 5 and 6: the coin of this list, the masked sums of all chunks, everybody's Broadcast of them, the verdict.

    The coin is opened only now, when the list can't change any more. BatchFault when the sums are no sharings of zero.
    """
    batch = work.batch
    tossed = await coin(session, "coin", keys, labels.coin_label(session, batch, work.generation, ROUND, listing))
    sums = Shares.zeros(batch.k, DIGITS)
    for c, shares in zip(opened, s, strict=True):
        chunk = batch.chunks[c.post.chunk]
        v = stored_v(session, work, c)
        part = w_of_chunk(chunk, work.keys_of(session, chunk), shares, v, tossed.values, listing)
        if part is None:
            raise ProtocolError(
                f"batch {batch.index} chunk {chunk.index}: n-t parties voted for a V that is not canonical"
            )
        sums = sums.add(part)
    judging = replace(session, state=labels.judged_state(session.state, listing))
    outputs = await broadcast(judging, "W", sums.to_wire(), limit=w_bytes(batch.k))
    if not accepted(session.group, batch.k, outputs, session.active):
        raise BatchFault(*_fault(batch, opened))
    return outputs


def _fault(batch: Batch, opened: Sequence[Canonical]) -> tuple[str, str]:
    """Message and place of a failed check. W is a sum over the list: which chunk and who needs the keys (step 7)."""
    only = f" chunk {opened[0].post.chunk}" if len(opened) == 1 else ""
    where = f"batch {batch.index}{only}"
    among = "" if only else f" in one or more of its chunks 0 to {len(opened) - 1}"
    wrong = "an opened value or a check share is wrong"
    return f"{where}: the check failed: {wrong}{among}; the culprit can't be told from public data, start again", where


def stored_v(session: Session, work: Work, c: Canonical) -> bytes:
    """V of a canonical chunk from the store; ProtocolError when the store lost or changed it."""
    body = fetched(work.store, c.digest)
    v = None if body is None else labels.opened_value(work.prefix(session, c.post), body)
    if v is None:
        raise ProtocolError(
            f"batch {work.batch.index} chunk {c.post.chunk}: the stored V is lost or damaged; check the disk"
        )
    return v


def restored(session: Session, work: Work, opened: Sequence[Canonical]) -> tuple[Result, ...]:
    """The results of an accepted batch again, from chunk keys, certified hash table and stored V (01 section 3).

    Local, no slot: within (era, generation) everything is a function of PRSS keys and public state. ``session`` has the
    era of the batch; ``work`` is ``Work.of`` of its generation.
    """
    results = []
    for c in opened:
        chunk = work.batch.chunks[c.post.chunk]
        result = finish(chunk, draw(chunk, work.keys_of(session, chunk)), stored_v(session, work, c))
        if result is not None:
            results.append(result)
    return tuple(results)
