"""What the control layer runs and where it keeps things: the segments' programs and the vault, as interfaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from dkg_node.ceremony.chain import NO_PROOF, Chain, EraProof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dkg_node.ceremony.chain import Certificate, Position
    from dkg_node.protocols.session import Group, Identity, Link, Role, Session, Slot
    from dkg_node.protocols.state import PublicState


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a segment ended with: the public contents that its certificate names, and the public state after it.

    The state's ``absent`` needs no care: the control layer fills it in from the segment's Broadcasts.
    """

    contents: bytes
    state: PublicState


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a segment stands when it runs."""

    position: Position
    chain: Chain
    """All certificates before it."""
    state: PublicState
    """Public state at its start."""
    silent: bool = False
    """Whether this party says nothing in the segment: it may have spoken there before, or is Absent."""


class Peers(Protocol):
    """What a party that catches up asks of others. Both go on for as long as it takes; cancel them to give up."""

    async def fetch(self, digest: bytes) -> bytes:
        """Public contents by their SHA-256, checked, from this party's own store or from a peer's."""
        ...

    async def inquire(self, questions: Mapping[Role, bytes], take: Callable[[Role, bytes], bool]) -> None:
        """Ask each role its question (at most ``letters.QUESTION_LIMIT`` bytes), again and again.

        ``take`` gets the answers, of those roles alone, as they come; it never raises for their bytes, and ends the
        inquiry by True. Answers that come later are dropped.
        """
        ...


class Program(Protocol):
    """The segments of one party. Secrets stay with it."""

    @property
    def segments(self) -> int:
        """How many there are."""
        ...

    def schedule(self, segment: int, state: PublicState) -> tuple[Slot, ...]:
        """Slots of a segment: a pure function of the plan and the public state at its start."""
        ...

    def reads(self, segment: int, chain: Chain) -> Chain:
        """The certificates of ``chain`` whose results a segment computes with: it can't run without them."""
        ...

    async def run(self, session: Session, setting: Setting) -> Outcome:
        """Run one segment over ``session``. Nothing of it may be used before its certificate.

        Raises QuorumLost when it did not get what it needs: the era ends.
        """
        ...

    def durable(self, setting: Setting, outcome: Outcome) -> None:
        """Keep all that a certificate of this outcome would name, durably: the party is about to sign it."""
        ...

    def holds(self, certificate: Certificate) -> bool:
        """Whether the results of a certified segment are held."""
        ...

    async def adopt(self, certificate: Certificate, chain: Chain, contents: bytes, peers: Peers) -> None:
        """Take over the results of a certified segment that one did not finish oneself.

        ``chain``: the one in force, all before the segment held; ``peers`` have what ``contents`` names.
        """
        ...

    def reply(self, role: Role, question: bytes) -> bytes | None:
        """Answer a peer's ``Peers.inquire``; None when there is nothing that this very peer may know.

        ``question`` is a peer's bytes: it never raises. At most ``letters.REPLY_LIMIT`` bytes, for its eyes only.
        """
        ...

    def contents(self, digest: bytes) -> bytes | None:
        """Contents held durably, for peers that adopt."""
        ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a party had sealed about eras and certificates. ``how`` says what kind of start this is."""

    proof: EraProof = NO_PROOF
    chain: Chain = ()
    how: Literal["fresh", "restart", "lost disk"] = "fresh"


class Vault(Protocol):
    """Durable memory of the newest era proof and the one chain."""

    def keep(self, proof: EraProof, chain: Chain) -> None:
        """Durable when it returns; replaces what was kept before. SealingError if it can't be."""
        ...


class Segments(Protocol):
    """The part of the network that the control layer uses."""

    def now(self) -> float:
        """The monotonic clock that deadlines are on, seconds."""
        ...

    def open_segment(self, segment: int, deadlines: Sequence[float], era: int = 0) -> None:
        """Begin a segment: slot k ends at ``deadlines[k]``."""
        ...

    def close_segment(self, segment: int, era: int = 0) -> None:
        """End it."""
        ...


class Pace(Protocol):
    """Figures of the terms."""

    @property
    def start_grace(self) -> float:
        """How long to wait for the last parties at a start, seconds."""
        ...

    @property
    def round_timeout(self) -> float:
        """At least five message delays, seconds."""
        ...

    @property
    def min_rate(self) -> float:
        """What every party can send and receive, bytes a second: deadlines allow for half of it."""
        ...

    def ends(self, schedule: Iterable[Slot]) -> tuple[float, ...]:
        """Ends of all slots, seconds after the start."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """One party's surroundings."""

    group: Group
    me: Role
    sid: bytes
    identity: Identity
    network: Segments
    link: Link
    send: Callable[[Role, bytes], None]
    """Post a letter to a peer."""
    program: Program
    vault: Vault
    pace: Pace
    observe: Callable[[str, Position], None]
    """Hears what happens: era, start, certificate, signed, quorum lost, no certificate, diverged, done."""
    remembered: Callable[[], bool] = lambda: True
    """Whether n-t parties know how new the state is that was kept last (see ceremony.epochs)."""
    linger: float = 0.0
    """How long a party finishes its own segment after its certificate came, seconds: like a later letter."""
