"""One control layer alone: party 1 of four, with network, vault and program in the test's hands."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dkg_node.ceremony import letters
from dkg_node.ceremony.book import Statement
from dkg_node.ceremony.chain import (
    RESUME,
    SEGMENT_PURPOSE,
    Certificate,
    Chain,
    Core,
    EraProof,
    Position,
    go_bytes,
    head,
)
from dkg_node.ceremony.control import Control
from dkg_node.ceremony.letters import Letter, Say
from dkg_node.ceremony.program import Outcome, Ports, Sealed, Setting
from dkg_node.errors import DkgError, ProtocolError, SealingError
from dkg_node.protocols.session import Group, Role, Session, Slot
from dkg_node.protocols.state import PublicState
from dkg_node.testing.lockstep import SimulatedIdentities
from dkg_node.testing.toy_segments import ToyPace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from dkg_node.ceremony.book import Kind
    from dkg_node.ceremony.program import Peers
    from dkg_node.protocols.session import Exchange, Identity

GROUP = Group(4, 1)
SID = bytes(32)
KEYS = SimulatedIdentities(GROUP, 0)
SEGMENTS = 5
TIMEOUT = 5.5


class Counting:
    """Party 1's identity; counts the signatures it looks at."""

    def __init__(self) -> None:
        """Nothing looked at yet."""
        self.verified = 0
        self._own: Identity = KEYS.of(1)

    def sign(self, purpose: str, message: bytes) -> bytes:
        """As party 1."""
        return self._own.sign(purpose, message)

    def verify(self, role: Role, purpose: str, message: bytes, signature: bytes) -> bool:
        """Counted."""
        self.verified += 1
        return self._own.verify(role, purpose, message, signature)


@dataclass
class Surroundings:
    """Network, vault and program of party 1, all in the test's hands."""

    sent: list[tuple[Role, Letter]] = field(default_factory=list)
    held: set[bytes] = field(default_factory=set)
    kept: list[tuple[EraProof, Chain]] = field(default_factory=list)
    full: bool = False
    """Whether the disk takes nothing more."""
    ran: list[Position] = field(default_factory=list)
    failure: DkgError | None = None
    """What every segment's program ends with."""
    refusals: int = 0
    """How often adoption fails before it succeeds."""
    adopted: int = 0
    slots: list[tuple[int, Mapping[Role, bytes]]] = field(default_factory=list)
    segments: int = SEGMENTS
    reading: int = 0
    """The first segment that computes with all results before it."""

    def now(self) -> float:
        """Seconds of the loop."""
        return asyncio.get_running_loop().time()

    def open_segment(self, segment: int, deadlines: Sequence[float], era: int = 0) -> None:
        """Nothing."""

    def close_segment(self, segment: int, era: int = 0) -> None:
        """Nothing."""

    async def exchange(self, request: Exchange) -> Mapping[Role, bytes | None]:
        """Noted; with somebody to wait for it never ends."""
        self.slots.append((request.tag.slot, request.outgoing))
        if request.expect:
            await asyncio.sleep(1e9)
        return {}

    async def parallel(self, bodies: Sequence[Callable[[], Awaitable[Any]]], window: int) -> list[Any]:
        """Not needed here."""
        raise NotImplementedError

    def offer(self, digest: bytes, body: bytes) -> None:
        """Nothing."""

    def fetched(self, digest: bytes) -> bytes | None:
        """Nothing."""
        return None

    def skip(self, segment: int, slots: Sequence[int]) -> None:
        """Nothing."""

    def keep(self, proof: EraProof, chain: Chain) -> None:
        """Noted, or SealingError when full."""
        if self.full:
            raise SealingError("the sealed state can't be written: free space on the disk")
        self.kept.append((proof, chain))

    def schedule(self, segment: int, state: PublicState) -> tuple[Slot, ...]:
        """Two slots."""
        return (Slot("a", 1, 0.0), Slot("b", 1, 0.0))

    def reads(self, segment: int, chain: Chain) -> Chain:
        """Everything from ``reading`` on, before that the first segment's results."""
        return chain if segment >= self.reading else chain[:1]

    async def run(self, session: Session, setting: Setting) -> Outcome:
        """Noted; ends with ``failure`` or not at all."""
        self.ran.append(setting.position)
        if self.failure is not None:
            raise self.failure
        await asyncio.sleep(1e9)
        raise AssertionError

    def durable(self, setting: Setting, outcome: Outcome) -> None:
        """Nothing."""

    def holds(self, certificate: Certificate) -> bool:
        """Whether it was adopted."""
        return certificate.core.contents in self.held

    async def adopt(self, certificate: Certificate, chain: Chain, contents: bytes, peers: Peers) -> None:
        """Succeeds after ``refusals`` failures."""
        self.adopted += 1
        if self.adopted <= self.refusals:
            raise ProtocolError("a chunk can't be had: fetch it again")
        self.held.add(certificate.core.contents)

    def reply(self, role: Role, question: bytes) -> bytes | None:
        """Nobody gets anything."""
        return None

    def contents(self, digest: bytes) -> bytes | None:
        """One body."""
        return b"c0" * 1000 if digest == bytes(32) else None

    def send(self, role: Role, data: bytes) -> None:
        """Noted."""
        letter = letters.decode(GROUP, data)
        if letter is None:
            raise ValueError("send letters that can be read")
        self.sent.append((role, letter))

    def letters(self, role: Role, kind: type) -> list[Letter]:
        """Letters of a kind sent to a party."""
        return [letter for to, letter in self.sent if to == role and isinstance(letter, kind)]


def control_of(around: Surroundings, identity: Identity | None = None, sealed: Sealed | None = None) -> Control:
    """Party 1, started."""
    control = unstarted(around, identity, sealed)
    control.start()
    return control


def unstarted(around: Surroundings, identity: Identity | None, sealed: Sealed | None) -> Control:
    """Party 1 before its start."""
    return Control(
        Ports(
            group=GROUP,
            me=1,
            sid=SID,
            identity=identity or KEYS.of(1),
            network=around,
            link=around,  # type: ignore[arg-type] # what these tests need of it
            send=around.send,
            program=around,
            vault=around,
            pace=ToyPace(),
            observe=lambda *_: None,
            linger=TIMEOUT / 4,
        ),
        sealed or Sealed(),
    )


def hear(control: Control, role: Role, *heard: Letter) -> None:
    """Letters from a party."""
    for letter in heard:
        control.take(role, letters.encode(letter))


def say(role: Role, kind: Kind, position: Position) -> Say:
    """A signed statement of a party."""
    return Say(Statement.sign(KEYS.of(role), SID, kind, position))


def core_after(chain: Chain, position: Position, absent: frozenset[Role] = frozenset()) -> Core:
    """What certifies a position behind a chain."""
    body = b"c%d" % max(0, position.segment)
    return Core(position, head(chain), sha256(body).digest(), PublicState(absent=absent))


def certified(chain: Chain, position: Position, absent: frozenset[Role] = frozenset()) -> Chain:
    """A chain with one more certificate, of all others."""
    core = core_after(chain, position, absent)
    signed = {role: KEYS.of(role).sign(SEGMENT_PURPOSE, core.signed(SID)) for role in (2, 3, 4)}
    return (*chain, Certificate(core, signed))


def chain_of(*positions: tuple[int, int]) -> Chain:
    """The chain of these (era, segment)."""
    chain: Chain = ()
    for position in positions:
        chain = certified(chain, Position(*position))
    return chain


def proof_of(era: int) -> EraProof:
    """A proof of an era, by all others."""
    signed = go_bytes(SID, "go", Position(era, RESUME))
    return EraProof(era, {role: KEYS.of(role).sign("go", signed) for role in (2, 3, 4)})


async def start_segment(control: Control, position: Position) -> None:
    """The others say ready and go."""
    for role in (2, 3, 4):
        hear(control, role, say(role, "ready", position), say(role, "go", position))
    await asyncio.sleep(0.01)
