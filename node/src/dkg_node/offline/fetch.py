"""Slot "v-by-hash": every party gets every canonical V, whatever the king sent it (01 section 4, step 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_node.errors import QuorumLost
from dkg_node.offline import labels
from dkg_node.protocols.store import fetched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dkg_node.offline.votes import Canonical
    from dkg_node.offline.work import Work
    from dkg_node.protocols.session import Group, Role, Session


def helpers(group: Group, asker: Role, holders: frozenset[Role]) -> tuple[Role, ...]:
    """The t+1 holders that come next after the asker, cyclically: n-t hold it, so one of these is honest."""
    around = sorted(holders, key=lambda role: (role - asker) % group.n)
    return tuple(around[: group.t + 1])


async def fetch_lacking(
    session: Session, work: Work, opened: Sequence[Canonical], lacking: Sequence[Canonical]
) -> Mapping[int, bytes]:
    """Pull the canonical V one lacks from its holders, serve those who lack one's own. The pulled V by chunk.

    Every holder of a hash is asked that stands among the t+1 next to the asker. QuorumLost when none served it.
    """
    group, me = session.group, session.me
    wanted: dict[Role, list[bytes]] = {}
    for c in lacking:
        for helper in helpers(group, me, c.holders):
            wanted.setdefault(helper, []).append(c.digest)
    outgoing = {}
    for c in opened:
        for peer in session.present - c.holders - {me}:
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
        body_limit=max(_body_bytes(session, work, c) for c in opened),
    )
    return {c.post.chunk: _pulled(session, work, c) for c in lacking}


def _body_bytes(session: Session, work: Work, c: Canonical) -> int:
    """Length of the body behind a canonical hash."""
    return len(labels.opened_body(work.prefix(session, c.post), b"")) + work.batch.chunks[c.post.chunk].v_bytes


def _pulled(session: Session, work: Work, c: Canonical) -> bytes:
    body, prefix = session.link.held(c.digest), work.prefix(session, c.post)
    v = None if body is None else labels.opened_value(prefix, body)
    if v is None:
        asked = helpers(session.group, session.me, c.holders)
        where = f"batch {work.batch.index} chunk {c.post.chunk}"
        raise QuorumLost(f"{where}: its V can't be had from parties {list(asked)}; bring them back", asked)
    work.store.put(labels.opened_body(prefix, v))
    return v
