"""The go exchange of one party: whom it listens to, when it says ``go``, for whom it waits (01 section 2, "Segments").

Only positions near the own one are listened to, so that neither room nor work grows with what a peer makes up; what an
honest peer that is ahead says beyond is asked for again when one has moved (``moved``).

Deviations from the text of 01 section 2, both about parties that are Absent and come back:

- A Broadcast body lists the Absent parties whose ``ready(s)`` its sender holds when it makes the body, not at the
  start. Who is readmitted follows from t+1 outputs of one Broadcast, so it stays the same at all honest parties.
- ``go`` waits for Absent parties that are on their way, one roundTimeout at most. Without that a party whose messages
  take longer than everybody else's never has its ``ready(s)`` there in time, and is Absent to the end. On its way is
  who said ``ready`` or ``go`` while Absent or since it booted anew (``go`` alone: it follows, but has not got all
  results yet); who was waited for in vain is waited for again only after it has spoken of a later position. So a liar
  can cost a roundTimeout a segment, as it can in any slot.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dkg_node.ceremony.book import Book, Kind, Statement
from dkg_node.ceremony.chain import RESUME, START, Chain, EraProof, Position, last, next_position, results
from dkg_node.protocols.state import PublicState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dkg_node.ceremony.program import Ports
    from dkg_node.protocols.session import Role

AHEAD = 2
"""Segments beyond the own one that are listened to: honest peers wait for everybody who is not Absent."""
SOON = 1e-9


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a party stands: the newest proven era that it knows and the one chain that it holds."""

    proof: EraProof
    chain: Chain
    segments: int
    """Of the whole plan."""

    @property
    def era(self) -> int:
        """The proven era."""
        return self.proof.era

    @property
    def position(self) -> Position:
        """The segment that the party runs or waits for."""
        return next_position(self.era, self.chain)

    @property
    def done(self) -> bool:
        """Whether all certificates are there, of whatever eras: nothing can replace the last one's results."""
        return len(results(self.chain)) >= self.segments

    @property
    def window(self) -> tuple[Position, ...]:
        """The positions worth hearing about, in order: the own one, some further on, the next era's resume."""
        own, first = self.position, len(results(self.chain))
        resume = [own] if own.segment == RESUME else []
        ahead = [Position(self.era, number) for number in range(first, min(first + AHEAD + 1, self.segments))]
        return (*resume, *ahead, Position(self.era + 1, RESUME))

    def replaced_by(self, chain: Chain) -> bool:
        """Whether a chain is to be taken: a newer one of an era that is proven, or all certificates of any era.

        A whole chain is final, though an era may have been proven since. Online is certified when n-t parties were
        ready for it, so t+1 honest ones hold the chain before it, every later resume hears one of them, and no chain
        can lead to another key.
        """
        better = last(chain) > last(self.chain) or replace(self, chain=chain).done
        return not self.done and better and last(chain).era <= self.era

    def state_at(self, position: Position) -> PublicState:
        """Public state at the start of a position: an era starts with nobody Absent."""
        if position.segment == RESUME or not self.chain:
            return PublicState()
        return self.chain[-1].core.state


class Standing:
    """Whatever stands somewhere."""

    _stand: Stand

    @property
    def proof(self) -> EraProof:
        """The proof of the newest era this party knows."""
        return self._stand.proof

    @property
    def chain(self) -> Chain:
        """The one chain it holds."""
        return self._stand.chain

    @property
    def done(self) -> bool:
        """Whether all certificates are there."""
        return self._stand.done

    @property
    def era(self) -> int:
        """The newest proven era this party knows."""
        return self._stand.era

    @property
    def position(self) -> Position:
        """The segment that this party runs or waits for."""
        return self._stand.position


class Returning(AbstractSet["Role"]):
    """The Absent parties whose ``ready`` for a position is held: as it is whenever one looks."""

    def __init__(self, book: Book, position: Position, absent: frozenset[Role]) -> None:
        """Of the parties ``absent`` at the start."""
        self._book, self._position, self._absent = book, position, absent

    def __contains__(self, role: object) -> bool:
        """Whether it is ready again."""
        return role in self._absent and role in self._book.entry(self._position).ready

    def __iter__(self) -> Iterator[Role]:
        """In order of index."""
        return iter(sorted(self._absent & self._book.entry(self._position).ready))

    def __len__(self) -> int:
        """How many."""
        return len(self._absent & self._book.entry(self._position).ready)


class GoExchange:
    """One party's: what was said, and what it says itself when."""

    def __init__(self, ports: Ports, later: Callable[[float], None]) -> None:
        """``later(seconds)`` has the rules looked at again."""
        self._ports, self._later = ports, later
        self.book = Book(ports.group, ports.me)
        self._back: dict[Role, Position] = {}
        """The last position that parties spoke of which were Absent then, or had booted anew."""
        self._vain: dict[Role, Position] = {}
        """The same when they were waited for in vain."""
        self._booted: set[Role] = set()
        self._refused: set[Role] = set()

    def booted(self, role: Role) -> None:
        """A peer bound a new boot."""
        self._booted.add(role)

    def hear(self, role: Role, statement: Statement, stand: Stand) -> bool:
        """Take a peer's statement if it is new and signed; False if it lies too far ahead and may be asked for again.

        What is known already, or over, is dropped before its signature is looked at.
        """
        position = statement.position
        inside = position in stand.window
        over = position.era < stand.era or position < stand.position
        if inside or over:
            entry = self.book.entry(position)
            fresh = inside and role not in (entry.ready if statement.kind == "ready" else entry.go)
            news = self._is_news(role, position, stand)
            if (fresh or news) and statement.holds(self._ports.identity, self._ports.sid, role):
                if fresh:
                    self.book.note(role, statement, self._ports.network.now())
                if news:
                    self._back[role] = position
            return True
        if role in self._refused:
            return True
        self._refused.add(role)
        return False

    def say(self, statement: Statement) -> None:
        """Count one's own."""
        self.book.note(self._ports.me, statement, self._ports.network.now())

    def learn(self, proof: EraProof) -> None:
        """Count the ``go`` of a proof, of which some may be no signatures."""
        position = Position(proof.era, RESUME)
        for role, signature in proof.signatures.items():
            statement = Statement("go", position, signature)
            if statement.holds(self._ports.identity, self._ports.sid, role):
                self.book.note(role, statement, self._ports.network.now())

    def said(self, kind: Kind, position: Position) -> bool:
        """Whether this party has said it."""
        entry = self.book.entry(position)
        return self._ports.me in (entry.ready if kind == "ready" else entry.go)

    def unready(self, stand: Stand) -> set[Role]:
        """Whom this party waits for, at the next era if it wants that, or else at its position.

        Those that have not said ``ready``; once this party has said ``go``, those that have not followed: somebody may
        be ready and gone.
        """
        resume = Position(stand.era + 1, RESUME)
        position = resume if self.said("ready", resume) else stand.position
        entry = self.book.entry(position)
        return set(self._ports.group.roles) - (entry.go.keys() if self._ports.me in entry.go else entry.ready)

    def moved(self, stand: Stand) -> set[Role]:
        """One's position has changed: forget what is over. The peers that may have said more than one listened to."""
        self.book.keep(stand.window)
        self._back = {role: position for role, position in self._back.items() if position.era == stand.era}
        self._vain = {role: position for role, position in self._vain.items() if position.era == stand.era}
        refused, self._refused = self._refused, set()
        return refused

    def may_go(self, position: Position, stand: Stand) -> bool:
        """Whether this party says ``go`` now; if only time is missing, the rules are looked at again then."""
        group, pace, now = self._ports.group, self._ports.pace, self._ports.network.now()
        entry, state = self.book.entry(position), stand.state_at(position)
        short = min(pace.start_grace, pace.round_timeout)
        if entry.quorum_at is not None and self._ports.me in entry.ready:
            if not entry.timer:
                entry.timer = True
                for wait in {short, pace.start_grace}:
                    self._later(max(0.0, entry.quorum_at + wait - now))
            coming = self._coming(state) - entry.ready
            if coming and len(entry.go) <= group.t and now < entry.quorum_at + short - SOON:
                return False
        if not self.book.should_go(position, state.active(group), now, pace.start_grace):
            return False
        self._vain.update({role: self._back[role] for role in self._coming(state) - entry.ready})
        return True

    def _coming(self, state: PublicState) -> set[Role]:
        return {role for role in state.absent if self._back_of(role) > self._vain.get(role, START)}

    def _back_of(self, role: Role) -> Position:
        return self._back.get(role, START)

    def _is_news(self, role: Role, position: Position, stand: Stand) -> bool:
        """Whether it shows that a party that was away is on its way back."""
        away = role in self._booted or role in stand.state_at(stand.position).absent
        return away and position.era == stand.era and position > self._back_of(role)
