"""The only door of a protocol to the outside: numbered slots in which parties exchange bytes (01 section 2).

A protocol is a coroutine that awaits nothing but ``Session.exchange`` and ``Session.parallel``. The same coroutine runs
under the lock-step driver of the tests (no clock, rushing adversary) and over the real network.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from dkg_node.algebra.encoding import digest, enc
from dkg_node.sharing.sets import Group, Role

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

__all__ = ["Exchange", "Group", "Identity", "Ledger", "Link", "Role", "Session", "Slot", "Tag"]

T = TypeVar("T")
SEGMENTS = 1 << 32
"""A resume is segment -1 and encoded modulo this."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of a segment, for the deadline Delta = roundTimeout + 2*size/minRate + work/minSpeed (01 section 2)."""

    name: str
    size: int
    """The most bytes one party sends and receives in it."""
    work: float
    """Core-seconds one party computes in it."""


def moved(ends: Sequence[float], slots: Collection[int]) -> tuple[float, ...]:
    """Ends of a segment's slots when some fall away: each later one comes forward by the lengths of those before it.

    A skipped slot has no length any more: it ends with the one before. The first slot never falls away.
    """
    if not all(0 < slot < len(ends) for slot in slots):
        raise ValueError(f"skip slots 1 to {len(ends) - 1} only, not {sorted(slots)}")
    found, saved = [], 0.0
    for index, end in enumerate(ends):
        if index in slots:
            saved += end - ends[index - 1]
        found.append(end - saved)
    return tuple(found)


@dataclass(frozen=True, slots=True, order=True)
class Tag:
    """What a message belongs to: segment, slot in it, part (0, or number of the child session)."""

    segment: int
    slot: int
    part: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """One party's side of one slot (or of one part of it)."""

    tag: Tag
    outgoing: Mapping[Role, bytes]
    expect: frozenset[Role]
    limit: int
    """A longer message is as good as none."""
    slot: str = ""
    """Name of the slot, for people."""
    enough: Callable[[Mapping[Role, bytes]], bool] | None = None
    """True if what has come is enough to go on without the parties that keep others waiting."""
    names: Callable[[Role, bytes], Iterable[bytes]] | None = None
    """Digests of bodies a message refers to; a message counts as heard completely once these are held or pulled."""
    body_limit: int = 0
    """The longest body that may be pulled."""


class Link(Protocol):
    """The injected network. Bytes only; it never raises for what a peer does."""

    async def exchange(self, request: Exchange) -> Mapping[Role, bytes | None]:
        """Send, wait (see ``Session.exchange``), return one entry for every expected party."""
        ...

    async def parallel(self, bodies: Sequence[Callable[[], Awaitable[T]]], window: int) -> list[T]:
        """Run the coroutines, at most ``window`` at a time, started in order; results in order.

        More than ``window`` where waiting for a place would make an honest party's messages late.
        """
        ...

    def offer(self, digest: bytes, body: bytes) -> None:
        """Hold a body and serve it by digest until the segment ends."""
        ...

    def held(self, digest: bytes) -> bytes | None:
        """A body offered or pulled in this segment."""
        ...

    def skip(self, segment: int, slots: Collection[int]) -> None:
        """Slots of the open segment fall away: all later ones end earlier by their lengths (``moved``).

        ValueError for a slot that lies before one that has begun (a mistake in the code).
        """
        ...


class Identity(Protocol):
    """Signatures of the party and of its peers (03: over "dkg/v1/" || purpose || 0x00 || message)."""

    def sign(self, purpose: str, message: bytes) -> bytes:
        """Ed25519 signature of 64 bytes with the party's identity key."""
        ...

    def verify(self, role: Role, purpose: str, message: bytes, signature: bytes) -> bool:
        """Whether it is a signature of that party's enrolled key. Never raises."""
        ...


@dataclass(slots=True)
class Ledger:
    """What the Broadcasts of one segment have shown so far: the segment's copy of the public state (01 section 2).

    Written by ``broadcast`` alone, from its outputs, so it is the same at all honest parties.
    """

    absent: frozenset[Role] = frozenset()
    """Active at the start, None in a Broadcast since: not waited for, not counted any more."""
    listed: Mapping[Role, frozenset[Role]] = field(default_factory=dict)
    """Last Broadcast: whom each valid body lists as ready again."""
    history: bytes = bytes(32)
    """Digest of all outputs."""


def stamp_of(before: bytes, state: bytes, ledger: Ledger) -> bytes:
    """H(public state | list): certificate before, state, who is Absent since, all Broadcast outputs so far."""
    return digest("stamp", before, state, sorted(ledger.absent), ledger.history)


@dataclass(frozen=True, slots=True)
class Session:
    """One party's place in one segment. Immutable: narrower sessions are derived."""

    group: Group
    me: Role
    sid: bytes
    era: int
    segment: int
    schedule: tuple[Slot, ...]
    link: Link
    identity: Identity
    state: bytes = bytes(32)
    """Digest of the public state; every Broadcast body carries it."""
    active: frozenset[Role] = field(default=frozenset())
    """Parties neither Corrupt nor Absent: the ones that are waited for and counted."""
    part: int = 0
    round: int = 0
    """Which repetition of its slots a segment is in: those of round r > 0 are named ``<name>.r<r>``."""
    before: bytes = bytes(32)
    """Digest of the certificate before the segment: parties on different chains are None to each other."""
    returning: AbstractSet[Role] = frozenset()
    """Absent parties whose ``ready`` for this segment one holds, now; every Broadcast body lists them."""
    ledger: Ledger = field(default_factory=Ledger, compare=False)

    @classmethod
    def of(cls, group: Group, me: Role, sid: bytes, link: Link, identity: Identity) -> Session:
        """A session before its first segment, with everybody active."""
        return cls(group, me, sid, 0, 0, (), link, identity, active=frozenset(group.roles))

    def enter(self, segment: int, schedule: Sequence[Slot]) -> Session:
        """The session of another segment."""
        return replace(self, segment=segment, schedule=tuple(schedule), part=0, ledger=Ledger())

    @property
    def present(self) -> frozenset[Role]:
        """Active parties that no Broadcast of the segment has shown to be Absent since."""
        return self.active - self.ledger.absent

    def stamp(self) -> bytes:
        """H(public state | list) of every Broadcast body: 32 bytes. With another one a body is None, never evidence."""
        return stamp_of(self.before, self.state, self.ledger)

    def named(self, name: str) -> str:
        """A slot's name in the schedule: round 0 has the plain names."""
        return name if self.round == 0 else f"{name}.r{self.round}"

    def slot(self, name: str) -> int:
        """Index of a slot by name; KeyError for a name that the schedule lacks (a mistake in the code)."""
        wanted = self.named(name)
        for index, slot in enumerate(self.schedule):
            if slot.name == wanted:
                return index
        raise KeyError(wanted)

    def where(self, name: str) -> bytes:
        """Prefix of everything signed about a slot: (sid, era, segment, slot)."""
        return enc(self.sid, self.era, self.segment % SEGMENTS, self.slot(name))

    async def exchange(  # noqa: PLR0913 - the one door; every argument is a rule of the slot
        self,
        slot: str,
        outgoing: Mapping[Role, bytes],
        *,
        limit: int,
        expect: Collection[Role] | None = None,
        enough: Callable[[Mapping[Role, bytes]], bool] | None = None,
        names: Callable[[Role, bytes], Iterable[bytes]] | None = None,
        body_limit: int = 0,
    ) -> Mapping[Role, bytes | None]:
        """Send ``outgoing`` and collect one message from every expected party (default: all active ones).

        A message to oneself is delivered too. Silence, lateness, a message over ``limit`` bytes are ``None``. Ends when
        everybody expected was heard completely, at the slot's deadline, or - where ``enough`` says so - without those
        that keep the others waiting. Parties that are not ``present`` are ``None``.
        """
        expected = frozenset(self.active if expect is None else expect)
        waited = expected & self.present
        tag = Tag(self.segment, self.slot(slot), self.part)
        request = Exchange(tag, outgoing, waited, limit, self.named(slot), enough, names, body_limit)
        got = await self.link.exchange(request)
        return {role: got.get(role) for role in sorted(expected)}

    def skip(self, *names: str) -> None:
        """Slots of this round that nobody needs any more do not count in the deadlines of the slots after them.

        Slot k then ends at T_start + the sum of Delta of the slots used up to k (01 section 2, "Slots"). Three things
        must hold, so that relays of Dolev-Strong stay in time:

        - The caller decides by Broadcast outputs alone. All honest parties share them, so each moves the same slots by
          the same lengths: at different instants, but k's end stays T_start plus one sum, the same at all, and honest
          parties differ in it by their starts alone, as without skipping.
        - No deadline moves once its slot has begun: a party skips between two slots, and every skipped slot lies after
          all that have begun (else ValueError). Nor can a message have been judged late by a deadline that moves: what
          comes for a slot before it begins is kept, whatever the time.
        - What is left of the sum still gives every slot its whole Delta after the end of the last used one before it,
          so a party that needed all the time of that one is late for none.
        """
        if self.part:
            msg = "a child session skips no slots"
            raise ValueError(msg)
        self.link.skip(self.segment, frozenset(map(self.slot, names)))

    async def parallel(self, bodies: Sequence[Callable[[Session], Awaitable[T]]], window: int) -> list[T]:
        """Run child protocols, at most ``window`` at once; child i has part i+1. Children have no children."""
        if self.part:
            msg = "a child session has no children"
            raise ValueError(msg)
        return await self.link.parallel(
            [partial(body, replace(self, part=index + 1)) for index, body in enumerate(bodies)], window
        )
