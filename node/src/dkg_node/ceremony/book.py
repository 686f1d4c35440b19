"""Who said ``ready`` and ``go`` for which position, and what follows from it (01 section 2, "Segments"). Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from dkg_node.ceremony.chain import GO_PURPOSE, Position, go_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from dkg_node.protocols.session import Group, Identity, Role

Kind = Literal["ready", "go"]
KINDS: tuple[Kind, ...] = ("ready", "go")


@dataclass(frozen=True, slots=True)
class Statement:
    """One party's signed ``ready`` or ``go`` for a position."""

    kind: Kind
    position: Position
    signature: bytes

    @classmethod
    def sign(cls, identity: Identity, sid: bytes, kind: Kind, position: Position) -> Statement:
        """Make one."""
        return cls(kind, position, identity.sign(GO_PURPOSE, go_bytes(sid, kind, position)))

    def holds(self, identity: Identity, sid: bytes, role: Role) -> bool:
        """Whether the party signed it."""
        return identity.verify(role, GO_PURPOSE, go_bytes(sid, self.kind, self.position), self.signature)


@dataclass(slots=True)
class Entry:
    """What was said about one position."""

    ready: set[Role] = field(default_factory=set)
    go: dict[Role, bytes] = field(default_factory=dict)
    """Signature by party: n-t of them prove an era."""
    quorum_at: float | None = None
    """When the n-t-th ``ready`` came, seconds on the party's clock."""
    timer: bool = False
    """Whether somebody looks again when a wait is over."""


@dataclass(slots=True)
class Book:
    """All statements one party knows, of the positions that it keeps. ``ready`` is never withdrawn."""

    group: Group
    me: Role
    entries: dict[Position, Entry] = field(default_factory=dict)

    def entry(self, position: Position) -> Entry:
        """What was said about a position."""
        return self.entries.get(position) or Entry()

    def note(self, role: Role, statement: Statement, now: float) -> None:
        """Take a valid statement; a repeated one changes nothing."""
        entry = self.entries.setdefault(statement.position, Entry())
        if statement.kind == "ready":
            entry.ready.add(role)
        else:
            entry.go[role] = statement.signature
        if entry.quorum_at is None and len(entry.ready) >= self.group.quorum:
            entry.quorum_at = now

    def keep(self, positions: Collection[Position]) -> None:
        """Forget all other positions."""
        self.entries = {position: entry for position, entry in self.entries.items() if position in positions}

    def should_go(self, position: Position, waited: Iterable[Role], now: float, grace: float) -> bool:
        """Whether this party says ``go``: on t+1 ``go``; else, if ready itself, on n-t ``ready``.

        But not before everybody ``waited`` for is ready, or ``grace`` (startGrace) has passed since the n-t-th.
        """
        entry = self.entry(position)
        if len(entry.go) > self.group.t:
            return True
        if entry.quorum_at is None or self.me not in entry.ready:
            return False
        return entry.ready.issuperset(waited) or now >= entry.quorum_at + grace - 1e-9

    def started(self, position: Position) -> bool:
        """Whether n-t parties said ``go``."""
        return len(self.entry(position).go) >= self.group.quorum
