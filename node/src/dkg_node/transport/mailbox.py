"""Which message belongs to which exchange, and when an exchange ends. Pure: time comes in, effects go out by calls.

Runs on the protocol loop only. An exchange ends when (a) every expected party was heard completely; (b) all but the
lagging were, and ``enough``; (c) a grace has passed, and ``enough``: the unheard become lagging until a message of
theirs comes in time; (d) at the slot's deadline.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from dkg_node.protocols.session import moved

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from dkg_node.protocols.session import Exchange, Role, Tag

Position = tuple[int, int]
"""(era, segment)."""
Place = tuple[int, int]
"""(slot, part) in a segment."""

FIRST = 0
"""The first segment of the plan; an era's resume is -1, and any segment may follow that one."""
SEGMENTS_AHEAD = 2
"""Peers that are ahead may be so by this many segments; what is for later ones comes from no honest party."""
OVERHEAD = 256
"""Bytes a waiting message costs beside its content: many empty ones must not be free."""
KEPT_BODIES = 2
"""Segments whose bodies are served: the open one, and the one before, which peers may still be in."""


class Effects(Protocol):
    """What the mailbox asks the outside to do."""

    def pull(self, role: Role, tag: Tag, digest: bytes) -> None:
        """Ask a peer for a body."""
        ...

    def hurry_at(self, instant: float) -> None:
        """Call ``hurry`` at that time or soon after."""
        ...

    def consumed(self, role: Role, size: int) -> None:
        """Bytes of that peer's messages that need no room any more."""
        ...


def cost(body: bytes) -> int:
    """Room a waiting message takes."""
    return len(body) + OVERHEAD


@dataclass(slots=True, eq=False)
class Pending:
    """One exchange under way."""

    request: Exchange
    position: Position
    begun: float
    grace_ends: float
    deadline: float
    heard: dict[Role, bytes | None] = field(default_factory=dict)
    """Completely heard; None: what came counts as nothing."""
    lacking: dict[Role, tuple[bytes, set[bytes]]] = field(default_factory=dict)
    """Messages that name bodies which are not here yet."""
    result: dict[Role, bytes | None] | None = None

    @property
    def unheard(self) -> frozenset[Role]:
        """Expected parties not heard completely."""
        return self.request.expect - self.heard.keys()

    def enough(self) -> bool:
        """Whether the protocol can go on with what has been heard."""
        ask = self.request.enough
        return ask is not None and ask({role: body for role, body in self.heard.items() if body is not None})


@dataclass(slots=True)
class _Pull:
    """A body that is wanted. It ends with the body, or when all who name it have said that they have it not.

    The first one who names it is asked; all others as well when that takes longer than the patience, so t liars that
    never answer cost it once. An answer without the body strikes off its sender alone: a liar must not speak for an
    honest party that has yet to answer.
    """

    limit: int
    tag: Tag
    since: float
    """When the first one was asked."""
    asked: list[Role]
    """Those who have yet to answer; never empty."""
    others: list[Role] = field(default_factory=list)
    """Those who name it and were not asked yet."""


@dataclass(slots=True)
class _Segment:
    """An open segment."""

    deadlines: Sequence[float]
    pending: dict[Place, Pending] = field(default_factory=dict)
    ended: set[Place] = field(default_factory=set)
    lagging: set[Role] = field(default_factory=set)
    pulls: dict[bytes, _Pull] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)
    """Slots that fell away."""


@dataclass(slots=True)
class Mailbox:
    """All messages of one party, by segment, slot and part."""

    me: Role
    effects: Effects
    grace: float
    """Seconds of rule (c): a quarter of roundTimeout."""
    early_limit: int
    """Bytes a peer may have waiting for exchanges that have not begun; more is dropped."""
    counters: Counter[str] = field(default_factory=Counter)
    open_positions: dict[Position, _Segment] = field(default_factory=dict)
    _last: Position = (0, -1)
    """The newest position ever opened."""
    _early: dict[Position, dict[Place, dict[Role, bytes]]] = field(default_factory=dict)
    _early_bytes: Counter[Role] = field(default_factory=Counter)
    _bodies: dict[Position, dict[bytes, bytes]] = field(default_factory=dict)

    # --- segments

    def open(self, position: Position, deadlines: Sequence[float]) -> None:
        """Begin a segment. ValueError if it is open already or lies behind (a mistake in the code)."""
        if position <= self._last:
            raise ValueError(f"open segments in order: {position} after {self._last}")
        self._last = position
        self.open_positions[position] = _Segment(tuple(deadlines))
        self._bodies[position] = {}
        for old in [p for p in self._early if p < position and p not in self.open_positions]:
            self._drop_early(old)

    def close(self, position: Position) -> list[Pending]:
        """End a segment: its messages are dropped, running exchanges end as at their deadline."""
        segment = self.open_positions.pop(position, None)
        if segment is None:
            return []
        ended = list(segment.pending.values())
        for pending in ended:
            self.end(pending)
        self._drop_early(position)
        for old in sorted(self._bodies)[:-KEPT_BODIES]:
            del self._bodies[old]
        return ended

    def skip(self, position: Position, slots: Collection[int]) -> None:
        """Slots fall away: see ``Link.skip``."""
        segment = self.open_positions.get(position)
        if segment is None:
            raise ValueError(f"open {position} before skipping its slots")
        begun = max((slot for slot, _ in [*segment.pending, *segment.ended]), default=-1)
        if slots and min(slots) <= begun:
            raise ValueError(f"skip slots before they begin: slot {begun} has begun, not {sorted(slots)}")
        segment.deadlines = moved(segment.deadlines, slots)
        segment.skipped.update(slots)

    def _drop_early(self, position: Position) -> None:
        for messages in self._early.pop(position, {}).values():
            for role, body in messages.items():
                self._forget_early(role, body)
                self.counters["late"] += 1

    def _forget_early(self, role: Role, body: bytes) -> None:
        self._early_bytes[role] -= cost(body)
        self.effects.consumed(role, cost(body))

    # --- exchanges

    def begin(self, request: Exchange, era: int, now: float) -> Pending:
        """Start an exchange. ValueError if its segment is not open or its tag was used (a mistake in the code)."""
        position, place = (era, request.tag.segment), (request.tag.slot, request.tag.part)
        segment = self.open_positions.get(position)
        if segment is None or not 0 <= place[0] < len(segment.deadlines):
            raise ValueError(f"open the segment with all its slots before {request.tag}")
        if place in segment.pending or place in segment.ended or place[0] in segment.skipped:
            raise ValueError(f"use a slot once: {request.tag}")
        pending = Pending(request, position, now, now + self.grace, segment.deadlines[place[0]])
        segment.pending[place] = pending
        if self.me in request.outgoing:
            self._hear(segment, pending, self.me, request.outgoing[self.me], now)
        for role, body in self._early.get(position, {}).pop(place, {}).items():
            self._forget_early(role, body)
            self._hear(segment, pending, role, body, now)
        return pending

    def deliver(self, role: Role, era: int, tag: Tag, body: bytes, now: float) -> Pending | None:
        """Take a peer's message; the exchange it may have ended."""
        position, place = (era, tag.segment), (tag.slot, tag.part)
        segment = self.open_positions.get(position)
        pending = segment.pending.get(place) if segment is not None else None
        if segment is None or pending is None:
            self._keep(role, position, place, body)
            return None
        self.effects.consumed(role, cost(body))
        self._hear(segment, pending, role, body, now)
        return pending

    def _keep(self, role: Role, position: Position, place: Place, body: bytes) -> None:
        """Keep a message for an exchange that has not begun, if there can be one."""
        segment = self.open_positions.get(position)
        refused = None
        if segment is not None:
            if place in segment.ended:
                refused = "late"
            elif place[0] >= len(segment.deadlines) or place[0] in segment.skipped:
                refused = "foreign"
        elif position <= self._last:
            refused = "late"
        elif position[0] == self._last[0] and FIRST <= self._last[1] < position[1] - SEGMENTS_AHEAD:
            refused = "foreign"
        messages = self._early.get(position, {}).get(place, {})
        if refused is None and role in messages:
            refused = "duplicate"
        if refused is None and self._early_bytes[role] + cost(body) > self.early_limit:
            refused = "overflow"
        if refused is not None:
            self.counters[refused] += 1
            self.effects.consumed(role, cost(body))
            return
        self._early_bytes[role] += cost(body)
        self._early.setdefault(position, {}).setdefault(place, {})[role] = body

    def _hear(self, segment: _Segment, pending: Pending, role: Role, body: bytes, now: float) -> None:
        request = pending.request
        if role not in request.expect:
            self.counters["unexpected"] += role != self.me
            return
        if role in pending.heard or role in pending.lacking:
            self.counters["duplicate"] += 1
            return
        segment.lagging.discard(role)
        if len(body) > request.limit:
            self.counters["oversize"] += 1
            pending.heard[role] = None
            return
        held = self._bodies[pending.position]
        named = set(request.names(role, body)) if request.names is not None else set()
        lacking = {digest for digest in named if digest not in held}
        if not lacking or role == self.me:
            pending.heard[role] = body
            return
        pending.lacking[role] = (body, lacking)
        for digest in lacking:
            self._want(segment, pending, role, digest, now)

    def settle(self, pending: Pending, now: float) -> bool:
        """Whether the exchange has ended by now; its ``result`` is set then."""
        if pending.result is not None:
            return True
        segment = self.open_positions[pending.position]
        unheard = pending.unheard
        if unheard and now < pending.deadline:
            patient = now < pending.grace_ends
            if patient and not unheard <= segment.lagging:
                return False
            if not pending.enough():
                return False
            segment.lagging |= unheard
        self.end(pending)
        return True

    def end(self, pending: Pending) -> None:
        """End an exchange with what has been heard."""
        if pending.result is not None:
            return
        partly = {role: body for role, (body, _) in pending.lacking.items()}  # its reader asks ``held`` for each body
        found = {**partly, **pending.heard}
        pending.result = {role: found.get(role) for role in pending.request.expect}
        segment = self.open_positions.get(pending.position)
        if segment is not None:
            place = (pending.request.tag.slot, pending.request.tag.part)
            segment.pending.pop(place, None)
            segment.ended.add(place)

    def waits_for(self, role: Role) -> bool:
        """Whether some exchange under way has not heard that party."""
        return any(
            role in pending.unheard for segment in self.open_positions.values() for pending in segment.pending.values()
        )

    # --- bodies by digest

    def offer(self, digest: bytes, body: bytes) -> None:
        """Hold a body in the newest open segment. ValueError if none is open (a mistake in the code)."""
        if not self.open_positions:
            raise ValueError("open a segment before offering a body")
        self._bodies[max(self.open_positions)][digest] = body

    def held(self, digest: bytes) -> bytes | None:
        """A body of the newest open segment."""
        return self._bodies[max(self.open_positions)].get(digest) if self.open_positions else None

    def serves(self, position: Position) -> bool:
        """Whether bodies of that segment are still there for peers."""
        return position in self._bodies

    def serve(self, era: int, segment: int, digest: bytes) -> bytes | None:
        """What a peer that wants a body gets."""
        return self._bodies.get((era, segment), {}).get(digest)

    def body(self, role: Role, era: int, tag: Tag, answer: bytes) -> list[Pending]:
        """Take a peer's answer (digest, then the body or nothing); exchanges it may have ended."""
        segment = self.open_positions.get((era, tag.segment))
        digest, body = answer[:32], answer[32:]
        pull = segment.pulls.get(digest) if segment is not None else None
        if segment is None or pull is None:
            self.counters["late"] += 1
            return []
        if len(body) > pull.limit or sha256(body).digest() != digest:
            self.counters["unserved"] += 1
            self._strike(segment, role, digest)
            return []
        del segment.pulls[digest]
        self._bodies[era, tag.segment][digest] = body
        return [pending for pending in list(segment.pending.values()) if self._complete(pending, digest)]

    def _want(self, segment: _Segment, pending: Pending, role: Role, digest: bytes, now: float) -> None:
        pull = segment.pulls.get(digest)
        if pull is None:
            tag = pending.request.tag
            segment.pulls[digest] = _Pull(pending.request.body_limit, tag, now, [role])
            self.effects.pull(role, tag, digest)
            return
        pull.limit = max(pull.limit, pending.request.body_limit)
        if role not in pull.asked and role not in pull.others:
            pull.others.append(role)
        if now >= pull.since + self.patience:
            self._ask_others(pull, digest)
        else:
            self.effects.hurry_at(pull.since + self.patience)

    def _ask_others(self, pull: _Pull, digest: bytes) -> None:
        roles, pull.others = pull.others, []
        pull.asked += roles
        for role in roles:
            self.effects.pull(role, pull.tag, digest)

    def _strike(self, segment: _Segment, role: Role, digest: bytes) -> None:
        """A party has answered without the body: the next one is asked, or the silent once more; it itself never."""
        pull = segment.pulls[digest]
        if role in pull.others:
            pull.others.remove(role)
        if role not in pull.asked:
            return
        pull.asked.remove(role)
        if pull.others:
            pull.asked.append(pull.others.pop(0))
            self.effects.pull(pull.asked[-1], pull.tag, digest)
        elif pull.asked:
            for silent in pull.asked:
                self.effects.pull(silent, pull.tag, digest)
        else:
            del segment.pulls[digest]

    def hurry(self, now: float) -> None:
        """Ask all others that name a body which was first asked for over ``patience`` ago.

        All at once: t liars that serve nothing must not make an honest party miss the slot, one after another.
        """
        younger = []
        for segment in self.open_positions.values():
            for digest, pull in segment.pulls.items():
                due = pull.since + self.patience
                if now >= due:
                    self._ask_others(pull, digest)
                elif pull.others:
                    younger.append(due)
        if younger:
            self.effects.hurry_at(min(younger))

    @property
    def patience(self) -> float:
        """Seconds after which all others that name a body are asked for it."""
        return self.grace / 4

    def _complete(self, pending: Pending, digest: bytes) -> bool:
        changed = False
        for role, (body, lacking) in list(pending.lacking.items()):
            lacking.discard(digest)
            if not lacking:
                del pending.lacking[role]
                pending.heard[role] = body
                changed = True
        return changed


def result_of(pending: Pending) -> Mapping[Role, bytes | None]:
    """What an ended exchange returns. ValueError while it is under way."""
    if pending.result is None:
        raise ValueError("the exchange has not ended")
    return pending.result
