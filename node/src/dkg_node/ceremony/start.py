"""The go exchange: all honest parties start a segment within two message delays of one another (01 section 2).

``ready(s)`` once a party is done with s-1; ``go`` on n-t ``ready`` as soon as everybody is ready or startGrace has
passed since the n-t-th; ``go`` also on t+1 ``go``, even if not ready itself; n-t ``go`` start the segment. Every
statement is signed with the identity key (purpose "go") and covers (sid, era, segment).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from dkg_node.algebra.encoding import enc
from dkg_node.errors import QuorumLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_node.ceremony.mailbox import Mailbox
    from dkg_node.protocols.session import Group, Identity, Role

Kind = Literal["ready", "go"]
KINDS: tuple[Kind, ...] = ("ready", "go")
PURPOSE = "go"
SIGNATURE = 64
LAST_SEGMENT = 1 << 16
"""Far beyond any plan; keeps what a peer can make one remember bounded."""
PATIENCE = 8
"""Wrong signatures after which a sender is not listened to: an honest party never makes one."""
HEAD = 1 + 4 + 4
"""A statement on the wire: kind (1 byte), era (4), segment (4), little endian, then the signature."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One party's ``ready`` or ``go`` for a position."""

    kind: Kind
    era: int
    segment: int


def signed_bytes(sid: bytes, statement: Statement) -> bytes:
    """What the signature of a statement covers."""
    return enc(sid, statement.era, statement.segment, statement.kind)


def encode(statement: Statement, signature: bytes) -> bytes:
    """Wire form of a signed statement, 73 bytes."""
    head = bytes([KINDS.index(statement.kind)])
    return head + statement.era.to_bytes(4, "little") + statement.segment.to_bytes(4, "little") + signature


def decode(data: bytes) -> tuple[Statement, bytes] | None:
    """Inverse of ``encode``; None for anything else."""
    if len(data) != HEAD + SIGNATURE or data[0] >= len(KINDS):
        return None
    era, segment = int.from_bytes(data[1:5], "little"), int.from_bytes(data[5:9], "little")
    return Statement(KINDS[data[0]], era, segment), data[HEAD:]


@dataclass(slots=True)
class Position:
    """What is known about the start of one segment. Pure: time comes in as an argument."""

    group: Group
    ready: set[Role] = field(default_factory=set)
    go: set[Role] = field(default_factory=set)
    quorum_at: float | None = None
    """When the n-t-th ``ready`` came, seconds on the party's clock."""

    def heard(self, role: Role, kind: Kind, now: float) -> None:
        """Note a valid statement; a repeated one changes nothing."""
        (self.ready if kind == "ready" else self.go).add(role)
        if self.quorum_at is None and len(self.ready) >= self.group.quorum:
            self.quorum_at = now

    def noted(self, role: Role, kind: Kind) -> bool:
        """Whether the party's statement of that kind is known."""
        return role in (self.ready if kind == "ready" else self.go)

    def should_go(self, now: float, grace: float) -> bool:
        """Whether this party may say ``go`` now."""
        if len(self.go) > self.group.t:
            return True
        if self.quorum_at is None:
            return False
        return len(self.ready) == self.group.n or now >= self.quorum_at + grace

    @property
    def started(self) -> bool:
        """Whether n-t parties said ``go``."""
        return len(self.go) >= self.group.quorum


@dataclass(slots=True)
class Starter:
    """One party's side of all go exchanges of an era: statements of later segments are kept until their turn."""

    group: Group
    me: Role
    sid: bytes
    identity: Identity
    mailbox: Mailbox
    now: Callable[[], float]
    grace: float
    """startGrace of the terms, seconds."""
    era: int = 0
    last: int = LAST_SEGMENT
    """Index of the last segment: statements beyond it are dropped."""
    _wrong: Counter[Role] = field(default_factory=Counter)
    _positions: dict[int, Position] = field(default_factory=dict)
    _newest: int = 0
    """The segment that starts or runs: statements of earlier ones cost nothing any more."""

    def __post_init__(self) -> None:
        """Read the topic from now on."""
        self.mailbox.on("go", self.take)

    def take(self, sender: Role, data: bytes) -> None:
        """Note what a peer sent; what is not a valid statement of this era is dropped."""
        decoded = decode(data)
        if decoded is None:
            return
        statement, signature = decoded
        wanted = statement.era == self.era and self._newest <= statement.segment <= self.last
        known = self._positions.get(statement.segment)
        noted = known is not None and known.noted(sender, statement.kind)
        if not wanted or noted or self._wrong[sender] >= PATIENCE:
            return
        if self.identity.verify(sender, PURPOSE, signed_bytes(self.sid, statement), signature):
            self._position(statement.segment).heard(sender, statement.kind, self.now())
        else:
            self._wrong[sender] += 1

    async def start(self, segment: int, until: float) -> float:
        """Run the exchange of ``segment``; returns T_start on the party's monotonic clock.

        Raises QuorumLost naming the parties not heard when ``until`` (the terms' deadline on the same clock) passes.
        """
        self.mailbox.forget()
        self._newest = segment
        self._say("ready", segment)
        position = self._position(segment)
        while not position.started:
            now = self.now()
            if self.me not in position.go and position.should_go(now, self.grace):
                self._say("go", segment)
            elif now >= until:
                raise self._lost(segment, position)
            else:
                await self.mailbox.news(self._wake(position, until) - now)
        if self.me not in position.go:
            self._say("go", segment)
        return self.now()

    def _say(self, kind: Kind, segment: int) -> None:
        """Sign a statement, send it to all, count it as heard."""
        statement = Statement(kind, self.era, segment)
        signature = self.identity.sign(PURPOSE, signed_bytes(self.sid, statement))
        self.mailbox.send_to_all("go", encode(statement, signature))
        self._position(segment).heard(self.me, kind, self.now())

    def _position(self, segment: int) -> Position:
        return self._positions.setdefault(segment, Position(self.group))

    def _wake(self, position: Position, until: float) -> float:
        """When there may be something to do without a message."""
        if self.me in position.go or position.quorum_at is None:
            return until
        return min(until, position.quorum_at + self.grace)

    def _lost(self, segment: int, position: Position) -> QuorumLost:
        missing = sorted(set(self.group.roles) - position.ready)
        msg = f"segment {segment} never started before the deadline: parties {missing} are not ready; bring them back"
        return QuorumLost(msg, missing)
