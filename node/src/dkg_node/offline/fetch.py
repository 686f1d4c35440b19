"""Slot "v-by-hash": every party gets every canonical V, whatever the king sent it (01 section 4, step 4)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dkg_node.errors import QuorumLost
from dkg_node.offline import labels
from dkg_node.protocols.store import replace_damaged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_node.offline.votes import Canonical
    from dkg_node.offline.work import Work
    from dkg_node.protocols.session import Group, Role, Session


def helpers(group: Group, asker: Role, holders: frozenset[Role]) -> tuple[Role, ...]:
    """The t+1 holders that come next after the asker, cyclically: n-t hold it, so one of these is honest."""
    around = sorted(holders, key=lambda role: (role - asker) % group.n)
    return tuple(around[: group.t + 1])


def lacked(session: Session, opened: Sequence[Canonical]) -> bool:
    """Whether, by the votes, a party that is waited for lacks a canonical V: else nobody uses the slot."""
    return any(session.present - c.holders for c in opened)


async def fetch_lacking(
    session: Session, work: Work, opened: Sequence[Canonical], lacking: Sequence[Canonical]
) -> None:
    """Pull the canonical V one lacks from its holders into the store, serve those who lack one's own.

    Every holder of a hash is asked that stands among the t+1 next to the asker. QuorumLost when none served it.
    The slot is not used (the caller has skipped it) when the votes show that all who are waited for hold all.
    """
    group, me = session.group, session.me
    wanted: dict[Role, list[bytes]] = {}
    for c in lacking:
        for helper in helpers(group, me, c.holders):
            wanted.setdefault(helper, []).append(c.digest)
    askers = [{p for p in session.present - c.holders - {me} if me in helpers(group, p, c.holders)} for c in opened]
    served = [c for c, peers in zip(opened, askers, strict=True) if peers]
    await session.parallel([partial(_offer, work=work, c=c) for c in served], 1)
    outgoing = {peer: b"" for peers in askers for peer in peers}
    if lacked(session, opened):
        await session.exchange(
            "v-by-hash",
            outgoing,
            limit=0,
            expect=frozenset(wanted),
            enough=lambda _: all(session.link.held(c.digest) is not None for c in lacking),
            names=lambda role, _: wanted.get(role, []),
            body_limit=max(_body_bytes(session, work, c) for c in opened),
        )
    await session.parallel([partial(_keep, work=work, c=c) for c in lacking], 1)


async def _offer(session: Session, work: Work, c: Canonical) -> None:
    """Serve a V; one that the own disk lost is left to the other helpers."""
    session.link.offer(c.digest, work.held(session, c.digest) or b"")


def _body_bytes(session: Session, work: Work, c: Canonical) -> int:
    """Length of the body behind a canonical hash."""
    return len(labels.opened_body(work.prefix(session, c.post), b"")) + work.batch.chunks[c.post.chunk].v_bytes


async def _keep(session: Session, work: Work, c: Canonical) -> None:
    body, prefix = session.link.held(c.digest), work.prefix(session, c.post)
    v = None if body is None else labels.opened_value(prefix, body)
    if v is None:
        asked = helpers(session.group, session.me, c.holders)
        where = f"batch {work.batch.index} chunk {c.post.chunk}"
        raise QuorumLost(f"{where}: its V can't be had from parties {list(asked)}; bring them back", asked)
    replace_damaged(work.store, c.digest, labels.opened_body(prefix, v))
