"""One round of a batch: values, king openings, vote, coin, check (01 section 4, steps 1 to 6).

Slots: "y", "V", t+1 of the votes, "v-by-hash", "coin", t+1 of W. Chunks whose opening n-t parties hold make the round's
list and are checked; the others get another king in the next round.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from dkg_node.algebra.kernel import Shares
from dkg_node.errors import ProtocolError
from dkg_node.offline import labels
from dkg_node.offline.check import DIGITS, accepted, w_bytes, w_of_chunk
from dkg_node.offline.evidence import Charge, StampParts
from dkg_node.offline.fetch import fetch_lacking, lacked
from dkg_node.offline.king import SIGNATURE, Post, YPlace, add_up, collect, own_y, spread
from dkg_node.offline.slots import votes_limit
from dkg_node.offline.values import ProductBlock, draw, finish, to_open
from dkg_node.offline.votes import Canonical, Vote, consequences, decide, encode_votes, read_votes
from dkg_node.offline.work import WINDOW, Desk, Work
from dkg_node.protocols.broadcast import broadcast
from dkg_node.protocols.coin import coin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_node.algebra.kernel import Keys
    from dkg_node.offline.chunk import Chunk
    from dkg_node.protocols.broadcast import Signed
    from dkg_node.protocols.session import Role, Session
    from dkg_node.protocols.state import PublicState

Result = Shares | ProductBlock


@dataclass(frozen=True, slots=True)
class Draft:
    """A chunk before the vote: degree-2t shares of what was opened, own vote, and shares that nobody may use yet."""

    s: Shares
    vote: Vote
    result: Result | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A chunk whose opening has passed the check: who opened it, the hash of its V, this party's shares."""

    canonical: Canonical
    result: Result


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What a round leaves: the public state after it, and either accepted chunks or a charge (the check failed)."""

    state: PublicState
    accepted: tuple[Accepted, ...]
    charge: Charge | None = None


async def run_round(session: Session, keys: Keys, desk: Desk, posts: Sequence[Post], state: PublicState) -> RoundResult:
    """Open the posts' chunks and check those that n-t parties hold. ``session`` is bound to ``state`` and the round.

    Raises QuorumLost when fewer than n-t parties take part. Everything else is in the result, the same at all honest
    parties: it depends on Broadcast outputs only.
    """
    batch, y_place = desk.work.batch, YPlace.of(session)
    drafts = await session.parallel([partial(open_chunk, desk=desk, post=post) for post in posts], WINDOW)
    bodies = await broadcast(session, "votes", encode_votes([d.vote for d in drafts]), limit=votes_limit(batch))
    votes = read_votes(bodies, len(posts))
    decisions = decide(session.group, state, posts, votes)
    state = consequences(session.group, state.without(session.active - set(votes)), decisions, batch.index)
    opened = tuple(decision for decision in decisions if isinstance(decision, Canonical))
    session = state.bind(session)
    if not lacked(session, opened):
        session.skip("v-by-hash")
    if not opened:
        return RoundResult(state, ())
    by_chunk = {post.chunk: draft for post, draft in zip(posts, drafts, strict=True)}
    drafts = await fetch_opened(session, desk.work, opened, [by_chunk[c.post.chunk] for c in opened])
    return await check_list(session, keys, desk.work, (opened, drafts, y_place), state)


async def open_chunk(session: Session, desk: Desk, post: Post) -> Draft:
    """Steps 1 to 3 of one chunk, a child session: draw, open through the king, keep V by hash, finish provisionally."""
    work, chunk = desk.work, desk.work.batch.chunks[post.chunk]
    s, y = _drawn(session, desk, chunk, post)
    messages = await collect(session, work.batch, work.generation, post, y)
    missing = tuple(sender for sender, message in sorted(messages.items()) if message is None)
    summed = None
    if y is not None and messages and not missing:
        whole = {sender: message for sender, message in messages.items() if message is not None}
        desk.keep(post, whole)
        ys = {sender: memoryview(message)[SIGNATURE:] for sender, message in whole.items()}
        summed = add_up(chunk, {**ys, session.me: y})
    v = await spread(session, chunk, post, summed)
    result = None if not v else finish(chunk, desk.drawn(session, chunk), v)
    if v is None or result is None:
        desk.forget(chunk)
        return Draft(s, Vote(missing=missing), None)
    return Draft(s, Vote(work.store.put(labels.opened_body(work.prefix(session, post), v))), result)


def _drawn(session: Session, desk: Desk, chunk: Chunk, post: Post) -> tuple[Shares, bytes | None]:
    """Shares of what is opened, and the own y as a sender."""
    keys = desk.work.keys_of(session, chunk)
    drawn = draw(chunk, keys)
    s = to_open(drawn)
    desk.hold(chunk, drawn)
    return s, own_y(chunk, keys, post, s) if session.me in post.senders else None


async def fetch_opened(
    session: Session, work: Work, opened: Sequence[Canonical], drafts: Sequence[Draft]
) -> list[Draft]:
    """The drafts under the canonical V: those of other contents are made again."""
    lacking = [c for c, draft in zip(opened, drafts, strict=True) if draft.vote.digest != c.digest]
    await fetch_lacking(session, work, opened, lacking)
    made = await session.parallel([partial(_redo, work=work, c=c) for c in lacking], 1)
    redone = {c.post.chunk: draft for c, draft in zip(lacking, made, strict=True)}
    return [redone.get(c.post.chunk, draft) for c, draft in zip(opened, drafts, strict=True)]


async def _redo(session: Session, work: Work, c: Canonical) -> Draft:
    chunk, v = work.batch.chunks[c.post.chunk], work.stored_v(session, c)
    drawn = draw(chunk, work.keys_of(session, chunk))
    return Draft(to_open(drawn), Vote(c.digest), finish(chunk, drawn, v))


async def check_list(
    session: Session,
    keys: Keys,
    work: Work,
    made: tuple[Sequence[Canonical], Sequence[Draft], YPlace],
    state: PublicState,
) -> RoundResult:
    """Steps 5 and 6: the coin of this list, the masked sums of all chunks, everybody's Broadcast of them, the verdict.

    The coin is opened only now, when the list can't change any more. ``state`` is what ``session`` is bound to.
    """
    (opened, drafts, y_place), batch = made, work.batch
    listing = labels.list_digest(session, batch, work.generation, [(c.post.chunk, c.digest) for c in opened])
    tossed = await coin(
        session, "coin", keys, labels.coin_label(session, batch, work.generation, session.round, listing)
    )
    sums = await own_sums(session, work, list(zip(opened, drafts, strict=True)), tossed.values, listing)
    judging = replace(session, state=labels.judged_state(session.state, listing, tossed.values, y_place.state))
    before = replace(judging.ledger)
    signed: dict[Role, Signed] = {}
    outputs = await broadcast(judging, "W", sums.to_wire(), limit=w_bytes(batch.k), signed=signed)
    passed = accepted(session.group, batch.k, outputs, session.active)
    spoke = {role for role, body in outputs.items() if body is not None and len(body) == w_bytes(batch.k)}
    state = state.without(session.active - spoke)
    if passed:
        results = zip(opened, drafts, strict=True)
        return RoundResult(state, tuple(Accepted(c, d.result) for c, d in results if d.result is not None))
    charge = Charge(
        sid=session.sid,
        era=session.era,
        segment=session.segment,
        generation=work.generation,
        opened=tuple((c.post, c.digest) for c in opened),
        listing=listing,
        coin=tossed.values,
        y=y_place,
        w_slot=session.slot("W.1"),
        stamp=StampParts(session.before, session.state, before.absent, before.history),
        w={role: said for role, said in signed.items() if role in spoke},
    )
    return RoundResult(state, (), charge)


async def own_sums(
    session: Session, work: Work, made: Sequence[tuple[Canonical, Draft]], coin_values: bytes, listing: bytes
) -> Shares:
    """W_{i,d} of the list, a child a chunk: the party stays alive to its network meanwhile.

    ProtocolError when a V that n-t parties voted for is not canonical: more than t lie. OpeningLost for a broken disk.
    """

    async def one(_: Session, c: Canonical, draft: Draft) -> Shares:
        chunk = work.batch.chunks[c.post.chunk]
        v = work.stored_v(session, c)
        part = w_of_chunk(chunk, work.keys_of(session, chunk), draft.s, v, coin_values, listing)
        if part is None:
            where = f"batch {work.batch.index} chunk {chunk.index}"
            raise ProtocolError(f"{where}: n-t parties voted for a V that is not canonical; start a new attempt")
        return part

    sums = Shares.zeros(work.batch.k, DIGITS)
    for part in await session.parallel([partial(one, c=c, draft=draft) for c, draft in made], 1):
        sums = sums.add(part)
    return sums
