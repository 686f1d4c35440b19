"""Setup of the PRSS keys: one key for every set of n-t parties (01 section 3; Cramer-Damgard-Ishai 2005).

Every member of a set contributes randomness, everybody Broadcasts digests of all it got, and the contributions
that t+1 members report alike count. One reporter is honest, so every counted value can be had; a corrupt member can
bias a key (it knows the keys of its sets anyway) but cannot make honest members derive different keys.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_node.algebra.encoding import digest as hash_of
from dkg_node.algebra.kernel import Contributions
from dkg_node.errors import QuorumLost, SetupIncomplete
from dkg_node.protocols.broadcast import broadcast, broadcast_slots
from dkg_node.protocols.session import Slot
from dkg_node.sharing.sets import contains, members_of, sets_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node.algebra.kernel import Keys, Secret
    from dkg_node.protocols.session import Group, Role, Session

RHO = 32
ABSENT = bytes(RHO)
ENTRY = 2 + 1
"""A request names a contribution by set (2 bytes) and contributor (1 byte)."""

Certified = dict[int, dict[int, bytes]]
"""set -> contributor -> the digest that t+1 members reported: the hash table of the setup certificate."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The party's PRSS keys and the public hash table they come from."""

    keys: Keys
    certified: Certified
    digest: bytes


def setup_slots(group: Group) -> tuple[Slot, ...]:
    """Rho to members; Broadcast of digests; the missing asked; the missing sent."""
    own = [mask for mask in sets_of(group) if contains(mask, 1)]
    table = len(own) * group.quorum
    draws = 2 * group.n * len(own) * RHO
    return (
        Slot("rho", draws, 0.05),
        *broadcast_slots("digests", group, table * RHO),
        Slot("ask", 2 * group.n * table * ENTRY, 0.05),
        Slot("tell", 2 * group.n * table * (ENTRY + RHO), 0.05),
    )


async def setup(session: Session, seed: Secret) -> Setup:
    """Make the PRSS keys. ``seed`` fixes the party's own draws and must be sealed before (a crash must not equivocate).

    Raises SetupIncomplete when a set has no counted contribution, QuorumLost when a counted one can't be had.
    """
    group = session.group
    draws = Contributions(group.n, group.t, session.me, seed)
    got = await session.exchange(
        "rho",
        {peer: draws.message_for(peer) for peer in group.roles if peer != session.me},
        expect=[peer for peer in group.roles if peer != session.me],
        limit=len(sets_of(group)) * RHO,
    )
    for peer, message in got.items():
        if message is not None:
            draws.receive(peer, message)
    table = draws.digests(session.sid)
    reports = await broadcast(session, "digests", table, limit=len(table))
    certified = certify(group, reports)
    await _fetch_missing(session, draws, certified)
    counted = {mask: sorted(row) for mask, row in certified.items() if contains(mask, session.me)}
    keys = draws.keys(session.sid, session.era, counted)
    return Setup(keys, certified, hash_of("setup", *(d for _, row in sorted(certified.items()) for d in row.values())))


def certify(group: Group, reports: Mapping[Role, bytes | None]) -> Certified:
    """Which contributions count: those that t+1 members of the set reported alike. Pure in the Broadcast outputs."""
    votes: dict[int, dict[int, Counter[bytes]]] = {}
    for reporter, table in reports.items():
        for mask, contributor, entry in read_table(group, reporter, table):
            if entry != ABSENT:
                votes.setdefault(mask, {}).setdefault(contributor, Counter())[entry] += 1
    certified: Certified = {}
    for mask in sets_of(group):
        row = {}
        for contributor in members_of(mask, group):
            winner = votes.get(mask, {}).get(contributor, Counter()).most_common(1)
            if winner and winner[0][1] > group.t:
                row[contributor] = winner[0][0]
        if not row:
            msg = f"setup: no contribution counts for the set {members_of(mask, group)}; start a new attempt"
            raise SetupIncomplete(msg, [r for r in group.roles if reports.get(r) is None])
        certified[mask] = row
    return certified


def read_table(group: Group, reporter: Role, table: bytes | None) -> list[tuple[int, Role, bytes]]:
    """A reporter's (set, contributor, digest) entries; none for a missing table or one of a wrong length."""
    places = [
        (mask, contributor)
        for mask in sets_of(group)
        if contains(mask, reporter)
        for contributor in members_of(mask, group)
    ]
    if table is None or len(table) != len(places) * RHO:
        return []
    return [(*place, table[i * RHO : (i + 1) * RHO]) for i, place in enumerate(places)]


async def _fetch_missing(session: Session, draws: Contributions, certified: Certified) -> None:
    """Ask the members of a set for counted contributions one lacks or holds otherwise; check them by digest.

    Both slots are there for everybody: whoever lacks nothing asks for nothing. rho goes to members of the set only.
    """
    group, me = session.group, session.me
    held = {(mask, c): d for mask, c, d in read_table(group, me, draws.digests(session.sid))}
    lacking = {
        (mask, contributor): wanted
        for mask, row in certified.items()
        if contains(mask, me)
        for contributor, wanted in row.items()
        if held[mask, contributor] != wanted
    }
    questions = {
        peer: b"".join(_entry(*place) for place in lacking if contains(place[0], peer))
        for peer in group.roles
        if peer != me
    }
    limit = len(held) * ENTRY
    asked = await session.exchange("ask", questions, expect=list(questions), limit=limit)
    answers = {peer: _answers(session, draws, peer, question or b"") for peer, question in asked.items()}
    told = await session.exchange("tell", answers, expect=list(answers), limit=len(held) * (ENTRY + RHO))
    for answer in told.values():
        for i in range(0, len(answer or b"") - RHO - ENTRY + 1, ENTRY + RHO):
            record = (answer or b"")[i : i + ENTRY + RHO]
            place = (int.from_bytes(record[:2], "little"), record[2])
            if place in lacking and draws.fill(session.sid, *place, record[ENTRY:], lacking[place]):
                del lacking[place]
    if lacking:
        msg = (
            f"setup: {len(lacking)} counted contributions could not be had from their members; wait for them to return"
        )
        raise QuorumLost(msg, [peer for peer, answer in told.items() if answer is None])


def _entry(mask: int, contributor: Role) -> bytes:
    return mask.to_bytes(2, "little") + bytes([contributor])


def _answers(session: Session, draws: Contributions, peer: Role, question: bytes) -> bytes:
    """What ``peer`` asked for, as far as it is a member of the set and this party holds it."""
    known = frozenset(sets_of(session.group))
    out = []
    for i in range(0, len(question) - ENTRY + 1, ENTRY):
        mask, contributor = int.from_bytes(question[i : i + 2], "little"), question[i + 2]
        if mask in known and contains(mask, peer) and contains(mask, session.me):
            rho = draws.rho(mask, contributor)
            if rho is not None:
                out.append(_entry(mask, contributor) + rho)
    return b"".join(out)
