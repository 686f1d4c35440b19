"""Small segments with the shape of the real ones, for runs of the control layer under virtual time.

setup B; batches V (votes, with rounds) and B; online P (one message to each) and D (digests that n-t must share);
self-check B. B: a Broadcast that n-t must answer. Bodies differ from boot to boot: who speaks twice is found out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from dkg_node.algebra.encoding import Item, digest, enc
from dkg_node.ceremony.chain import results
from dkg_node.ceremony.program import Outcome
from dkg_node.errors import QuorumLost
from dkg_node.protocols.broadcast import broadcast, broadcast_slots
from dkg_node.protocols.session import Group, Role, Session, Slot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dkg_node.ceremony.chain import Certificate, Chain, Position
    from dkg_node.ceremony.program import Peers, Setting
    from dkg_node.protocols.state import PublicState

STAGES = ("B", "VB", "VB", "PD", "B")
ONLINE = 3
LIMIT = 64
OK, BAD, LIE = b"ok", b"bad", b"lie"
"""First word of a body; LIE stands for signed evidence against its sender."""
WORD = 4


@dataclass(frozen=True, slots=True)
class ToyPace:
    """Every slot takes the same time, 5.5 message delays."""

    start_grace: float = 6.0
    round_timeout: float = 5.5

    def ends(self, schedule: Iterable[Slot]) -> tuple[float, ...]:
        """Ends of all slots, seconds after the start."""
        return tuple(self.round_timeout * (number + 1) for number, _ in enumerate(schedule))


@dataclass(slots=True)
class Disk:
    """What survives a crash of a party."""

    contents: dict[bytes, bytes] = field(default_factory=dict)


def rounds(group: Group) -> int:
    """Most rounds of a vote."""
    return (group.t + 1) ** 2


@dataclass(slots=True)
class ToyProgram:
    """A Program whose results are their contents."""

    group: Group
    disk: Disk
    boot: int
    heard: Callable[[tuple[object, ...], bytes], None] = lambda *_: None
    """Hears what every Broadcast gave, for the judge of agreement."""
    segments: int = len(STAGES)

    def schedule(self, segment: int, state: PublicState) -> tuple[Slot, ...]:
        """Broadcasts b0, b1, ... as many as there can be, behind the message p of online."""
        stages = STAGES[segment]
        most = sum({"B": 1, "D": 1, "V": rounds(self.group), "P": 0}[stage] for stage in stages)
        casts = [slot for number in range(most) for slot in broadcast_slots(f"b{number}", self.group, LIMIT)]
        return (*([Slot("p", 1, 0.0)] if "P" in stages else []), *casts)

    async def run(self, session: Session, setting: Setting) -> Outcome:
        """Stage after stage; a party whose body is LIE is proven wrong."""
        corrupt = setting.state.corrupt
        number = 0
        said: list[Item] = []
        for stage in STAGES[setting.position.segment]:
            if stage == "P":
                await self._direct(session)
                continue
            for _ in range(rounds(self.group) if stage == "V" else 1):
                outputs = await broadcast(session, f"b{number}", self._body(), limit=LIMIT)
                number += 1
                self.heard((*setting.position, number), session.ledger.history)
                said.append([[role, body or b""] for role, body in sorted(outputs.items())])
                corrupt |= {role for role, body in outputs.items() if body is not None and body[:WORD].rstrip() == LIE}
                session = replace(setting.state, corrupt=corrupt).bind(session)
                agreed = votes(session, outputs) >= self.group.quorum
                if agreed or stage == "B":
                    break
            if not agreed and stage in "VD":
                raise QuorumLost("too few parties agree", frozenset(self.group.roles) - session.present)
        contents = enc(*setting.position[:1], setting.position.segment, said)
        return Outcome(contents, replace(setting.state, corrupt=corrupt))

    def _body(self) -> bytes:
        return OK.ljust(WORD) + b"%d" % self.boot

    async def _direct(self, session: Session) -> None:
        """As an opening: it fails when n-t shares are missing."""
        got = await session.exchange("p", dict.fromkeys(self.group.roles, b"p%d" % self.boot), limit=8)
        if sum(body is not None and body.startswith(b"p") for body in got.values()) < self.group.quorum:
            raise QuorumLost("too few shares", {role for role, body in got.items() if body is None})

    def durable(self, setting: Setting, outcome: Outcome) -> None:
        """Written."""
        self.disk.contents[sha256(outcome.contents).digest()] = outcome.contents

    def holds(self, certificate: Certificate) -> bool:
        """Whether the contents lie on the disk."""
        return certificate.core.contents in self.disk.contents

    async def adopt(self, certificate: Certificate, chain: Chain, contents: bytes, peers: Peers) -> None:
        """Written."""
        self.disk.contents[certificate.core.contents] = contents

    def reply(self, role: Role, question: bytes) -> bytes | None:
        """Nothing is secret here."""

    def contents(self, digest: bytes) -> bytes | None:
        """From the disk."""
        return self.disk.contents.get(digest)


def votes(session: Session, outputs: Mapping[Role, bytes | None]) -> int:
    """How many present parties say OK."""
    words = Counter(body[:WORD].rstrip() for role, body in outputs.items() if body and role in session.present)
    return words[OK]


def online_input(chain: tuple[Certificate, ...]) -> bytes:
    """What online would run on: it must be one thing in the whole life of a ceremony."""
    return digest("input", [certificate.core.contents for certificate in results(chain)])


def is_online(position: Position) -> bool:
    """Whether a position is the online segment's."""
    return position.segment == ONLINE
