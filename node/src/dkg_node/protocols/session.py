"""The only door of a protocol to the outside: numbered slots in which parties exchange bytes (01 section 2).

A protocol is a coroutine that awaits nothing but ``Session.exchange`` and ``Session.parallel``. The same coroutine runs
under the lock-step driver of the tests (no clock, rushing adversary) and over the real network.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from dkg_node.algebra.encoding import enc
from dkg_node.sharing.sets import Group, Role

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

__all__ = ["Exchange", "Group", "Identity", "Link", "Role", "Session", "Slot", "Tag"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of a segment, for the deadline Delta = roundTimeout + 2*size/minRate + work/minSpeed (01 section 2)."""

    name: str
    size: int
    """The most bytes one party sends and receives in it."""
    work: float
    """Core-seconds one party computes in it."""


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
        """Run the coroutines, at most ``window`` at a time, started in order; results in order."""
        ...

    def offer(self, digest: bytes, body: bytes) -> None:
        """Hold a body and serve it by digest until the segment ends."""
        ...

    def held(self, digest: bytes) -> bytes | None:
        """A body offered or pulled in this segment."""
        ...


class Identity(Protocol):
    """Signatures of the party and of its peers (03: over "dkg/v1/" || purpose || 0x00 || message)."""

    def sign(self, purpose: str, message: bytes) -> bytes:
        """Ed25519 signature of 64 bytes with the party's identity key."""
        ...

    def verify(self, role: Role, purpose: str, message: bytes, signature: bytes) -> bool:
        """Whether it is a signature of that party's enrolled key. Never raises."""
        ...


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

    @classmethod
    def of(cls, group: Group, me: Role, sid: bytes, link: Link, identity: Identity) -> Session:
        """A session before its first segment, with everybody active."""
        return cls(group, me, sid, 0, 0, (), link, identity, active=frozenset(group.roles))

    def enter(self, segment: int, schedule: Sequence[Slot]) -> Session:
        """The session of another segment."""
        return replace(self, segment=segment, schedule=tuple(schedule), part=0)

    def slot(self, name: str) -> int:
        """Index of a slot by name; KeyError for a name that the schedule lacks (a mistake in the code)."""
        for index, slot in enumerate(self.schedule):
            if slot.name == name:
                return index
        raise KeyError(name)

    def where(self, name: str) -> bytes:
        """Prefix of everything signed about a slot: (sid, era, segment, slot)."""
        return enc(self.sid, self.era, self.segment, self.slot(name))

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
        that keep the others waiting. Parties outside ``active`` are ``None``.
        """
        expected = frozenset(self.active if expect is None else expect)
        waited = expected & self.active
        tag = Tag(self.segment, self.slot(slot), self.part)
        got = await self.link.exchange(Exchange(tag, outgoing, waited, limit, slot, enough, names, body_limit))
        return {role: got.get(role) for role in sorted(expected)}

    async def parallel(self, bodies: Sequence[Callable[[Session], Awaitable[T]]], window: int) -> list[T]:
        """Run child protocols, at most ``window`` at once; child i has part i+1. Children have no children."""
        if self.part:
            msg = "a child session has no children"
            raise ValueError(msg)
        return await self.link.parallel(
            [partial(body, replace(self, part=index + 1)) for index, body in enumerate(bodies)], window
        )
