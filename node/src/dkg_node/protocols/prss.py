"""Setup of the PRSS keys: one key for every set of n-t parties (01 section 3; Cramer-Damgard-Ishai 2005).

Every member of a set contributes randomness, everybody Broadcasts digests of all it got, and the contributions
that t+1 members report alike count. One reporter is honest, so every counted value can be had; a corrupt member can
bias a key (it knows the keys of its sets anyway) but cannot make honest members derive different keys.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dkg_node.algebra.encoding import digest as hash_of
from dkg_node.algebra.kernel import Contributions
from dkg_node.errors import ProtocolError, QuorumLost, SetupIncomplete
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
ANSWER = ENTRY + RHO
"""An answer repeats the place and adds the value."""

Certified = dict[int, dict[int, bytes]]
"""set -> contributor -> the digest that t+1 members reported: the hash table of the setup certificate."""
Lacking = dict[tuple[int, int], bytes]
"""(set, contributor) -> the certified digest of a value that a party has to get from others."""


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
        Slot("tell", 2 * group.n * table * ANSWER, 0.05),
    )


async def setup(session: Session, seed: Secret) -> Setup:
    """Make the PRSS keys from ``seed``; see ``setup_from``."""
    return await setup_from(session, Contributions(session.group.n, session.group.t, session.me, seed))


async def setup_from(session: Session, draws: Contributions) -> Setup:
    """Make the PRSS keys. ``draws`` holds the party's own contributions and takes the others'.

    The seed of ``draws`` must be sealed before (a crash must not equivocate).
    Raises SetupIncomplete when a set has no counted contribution, QuorumLost when a counted one can't be had or when
    parties are missing of whom more would have made one count.
    """
    group = session.group
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
    keys = keys_of(session, session.era, draws, certified)
    return Setup(keys, certified, hash_of("setup", *(d for _, row in sorted(certified.items()) for d in row.values())))


def certify(group: Group, reports: Mapping[Role, bytes | None]) -> Certified:
    """Which contributions count: those that t+1 members of the set reported alike. Pure in the Broadcast outputs.

    A set without any: QuorumLost while members are missing, since they may be honest and back in the next era;
    SetupIncomplete when all are there, which takes more than t liars.
    """
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
            raise _uncounted(group, mask, reports)
        certified[mask] = row
    return certified


def _uncounted(group: Group, mask: int, reports: Mapping[Role, bytes | None]) -> ProtocolError:
    """Why a set has no counted contribution: because of members that said or heard too little, or of liars alone.

    More than t members of a set are honest: whoever was there throughout reports at least their contributions.
    """
    members = members_of(mask, group)
    heard = Counter(
        reporter
        for reporter in members
        for place, _, entry in read_table(group, reporter, reports.get(reporter))
        if place == mask and entry != ABSENT
    )
    missing = [r for r in members if reports.get(r) is None or heard[r] <= group.t]
    if missing:
        return QuorumLost(f"setup: the set {members} lacks parties {missing}: bring them back", missing)
    return SetupIncomplete(f"setup: no contribution counts for the set {members}; start a new attempt")


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
    wanted = lacking(session, draws, certified)
    asked_of = {peer: b"" for peer in group.roles if peer != me} | questions(group, me, wanted)
    places = len(draws.digests(session.sid)) // RHO
    asked = await session.exchange("ask", asked_of, expect=list(asked_of), limit=places * ENTRY)
    answers = {peer: answer(group, me, draws, peer, question or b"") for peer, question in asked.items()}
    told = await session.exchange("tell", answers, expect=list(answers), limit=places * ANSWER)
    for found in told.values():
        fill(session, draws, wanted, found or b"")
    if wanted:
        msg = f"setup: {len(wanted)} counted contributions could not be had from their members; wait for them to return"
        raise QuorumLost(msg, [peer for peer, found in told.items() if found is None])


# --- counted contributions that a party does not hold, during setup or long after


class Member(Protocol):
    """Whose contributions they are, and of which ceremony."""

    @property
    def group(self) -> Group:
        """All parties."""
        ...

    @property
    def me(self) -> Role:
        """This party."""
        ...

    @property
    def sid(self) -> bytes:
        """Session id."""
        ...


def lacking(member: Member, draws: Contributions, certified: Certified) -> Lacking:
    """Counted contributions to this party's sets that it lacks, or holds with another value."""
    held = {(mask, c): d for mask, c, d in read_table(member.group, member.me, draws.digests(member.sid))}
    return {
        (mask, contributor): wanted
        for mask, row in certified.items()
        if contains(mask, member.me)
        for contributor, wanted in row.items()
        if held[mask, contributor] != wanted
    }


def questions(group: Group, me: Role, wanted: Lacking) -> dict[Role, bytes]:
    """What to ask each other member of these sets for, ``ENTRY`` bytes a contribution; nothing of who can't know."""
    asked = {
        peer: b"".join(_entry(*place) for place in wanted if contains(place[0], peer))
        for peer in group.roles
        if peer != me
    }
    return {peer: question for peer, question in asked.items() if question}


def answer(group: Group, me: Role, draws: Contributions, peer: Role, question: bytes) -> bytes:
    """What ``peer`` asked for (any bytes), as far as it is a member of the set and this party too holds it. Secret."""
    known = frozenset(sets_of(group))
    out = []
    for i in range(0, len(question) - ENTRY + 1, ENTRY):
        mask, contributor = int.from_bytes(question[i : i + 2], "little"), question[i + 2]
        if mask in known and contains(mask, peer) and contains(mask, me):
            rho = draws.rho(mask, contributor)
            if rho is not None:
                out.append(_entry(mask, contributor) + rho)
    return b"".join(out)


def fill(member: Member, draws: Contributions, wanted: Lacking, found: bytes) -> None:
    """Take from an ``answer`` (any bytes) what has the certified digest, and strike it off ``wanted``."""
    for i in range(0, len(found) - ANSWER + 1, ANSWER):
        place = (int.from_bytes(found[i : i + 2], "little"), found[i + 2])
        if place in wanted and draws.fill(member.sid, *place, found[i + ENTRY : i + ANSWER], wanted[place]):
            del wanted[place]


def transfer(member: Member, source: Contributions, draws: Contributions, wanted: Lacking) -> None:
    """Take from another view of this party's own what has the certified digest, and strike it off ``wanted``."""
    for place in list(wanted):
        rho = source.rho(*place)
        if rho is not None and draws.fill(member.sid, *place, rho, wanted[place]):
            del wanted[place]


def keys_of(member: Member, era: int, draws: Contributions, certified: Certified) -> Keys:
    """This party's keys from the counted contributions, all held. ``era``: the one of the setup certificate."""
    counted = {mask: sorted(row) for mask, row in certified.items() if contains(mask, member.me)}
    return draws.keys(member.sid, era, counted)


def _entry(mask: int, contributor: Role) -> bytes:
    return mask.to_bytes(2, "little") + bytes([contributor])
