"""Small segments with the shape of the real ones, for runs of the control layer under virtual time.

setup S (rho to all, Broadcast of hashes, the missing asked and sent); batches V (votes, with rounds) and B; online P
(one message to each) and D (digests that n-t must share); self-check B. B: a Broadcast that n-t must answer. Bodies
differ from boot to boot: who speaks twice is found out.

As in a key generation, what a certificate names must be had: setup's results only from rho, which members give when
they are asked; a batch's from several bodies by hash, which only those hold who ended it; and a later segment can't
run without them. Adopting takes time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from dkg_node.algebra.encoding import Item, digest, enc
from dkg_node.ceremony.chain import results
from dkg_node.ceremony.program import Outcome
from dkg_node.errors import QuorumLost, SealingError
from dkg_node.protocols.broadcast import broadcast, broadcast_slots
from dkg_node.protocols.decoding import decoded
from dkg_node.protocols.session import Group, Role, Session, Slot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dkg_node.ceremony.chain import Certificate, Chain, Position
    from dkg_node.ceremony.program import Peers, Setting
    from dkg_node.protocols.state import PublicState

LIMIT = 96
OK, BAD, LIE = b"ok", b"bad", b"lie"
"""First word of a body; LIE stands for signed evidence against its sender."""
WORD = 4
RHO = 4
"""Bytes of a contribution to setup, and of its hash in a report."""
PARTS = 3
"""Bodies that a batch's contents name."""


@dataclass(frozen=True, slots=True)
class ToyPace:
    """Every slot takes the same time, 5.5 message delays."""

    start_grace: float = 6.0
    round_timeout: float = 5.5
    min_rate: float = 1e7

    def ends(self, schedule: Iterable[Slot]) -> tuple[float, ...]:
        """Ends of all slots, seconds after the start."""
        return tuple(self.round_timeout * (number + 1) for number, _ in enumerate(schedule))


@dataclass(frozen=True, slots=True)
class Shape:
    """How many segments a run has."""

    batches: int = 2
    keys: int = 1
    adopting: float = 0.3
    """Seconds that taking over one segment costs beside the messages."""

    @property
    def stages(self) -> tuple[str, ...]:
        """The letters of every segment."""
        return ("S", *["VB"] * self.batches, *["PD"] * self.keys, "B")

    def is_online(self, position: Position) -> bool:
        """Whether a position is an online segment's."""
        return self.batches < position.segment <= self.batches + self.keys

    def last_slot(self, segment: int, t: int) -> int:
        """The last slot that an honest run uses."""
        fixed = (t + 1) ** 2 * (t + 1) + t
        return {"S": t + 3, "VB": fixed, "PD": t + 1, "B": t}[self.stages[segment]]

    def online_input(self, chain: Chain) -> bytes:
        """What online would run on: it must be one thing in the whole life of a ceremony."""
        before = results(chain)[: self.batches + 1]
        return digest("input", [certificate.core.contents for certificate in before])


@dataclass(slots=True)
class Disk:
    """What survives a crash of a party."""

    draw: bytes = b""
    """The own rho, sealed before it is sent."""
    contents: dict[bytes, bytes] = field(default_factory=dict)
    """Contents and the bodies they name, by digest."""
    rho: dict[bytes, dict[Role, bytes]] = field(default_factory=dict)
    """All rho of a certified setup, by the digest of its contents."""
    made: dict[bytes, bytes] = field(default_factory=dict)
    """Results of segments, by the digest of their contents."""

    def copy(self) -> Disk:
        """As it is now."""
        return Disk(self.draw, dict(self.contents), dict(self.rho), dict(self.made))


def rounds(group: Group) -> int:
    """Most rounds of a vote."""
    return (group.t + 1) ** 2


@dataclass(slots=True)
class ToyProgram:
    """A Program whose results are functions of their contents and, below setup, of its rho."""

    group: Group
    me: Role
    disk: Disk
    boot: int
    shape: Shape = field(default_factory=Shape)
    heard: Callable[[tuple[object, ...], bytes], None] = lambda *_: None
    """Hears what every Broadcast gave, for the judge of agreement."""
    lies: bool = False
    """Whether it answers peers that catch up with rubbish."""
    _rho: dict[Role, bytes] = field(default_factory=dict)
    """Received since this boot."""

    @property
    def segments(self) -> int:
        """How many there are."""
        return len(self.shape.stages)

    def schedule(self, segment: int, state: PublicState) -> tuple[Slot, ...]:
        """Broadcasts b0, b1, ... as many as there can be, with the messages of setup and online around them."""
        stages = self.shape.stages[segment]
        most = sum({"V": rounds(self.group), "P": 0}.get(stage, 1) for stage in stages)
        casts = [slot for number in range(most) for slot in broadcast_slots(f"b{number}", self.group, LIMIT)]
        before, after = {"S": (["rho"], ["ask", "tell"]), "PD": (["p"], [])}.get(stages, ([], []))
        return (*[Slot(name, 1, 0.0) for name in before], *casts, *[Slot(name, 1, 0.0) for name in after])

    def reads(self, segment: int, chain: Chain) -> Chain:
        """Setup's keys, and online the results of all before it."""
        return results(chain) if self.shape.stages[segment] in {"PD", "B"} else results(chain)[:1]

    async def run(self, session: Session, setting: Setting) -> Outcome:
        """Stage after stage; a party whose body is LIE is proven wrong. SealingError without what it needs."""
        if setting.position.segment == 0:
            return await self._setup(session, setting)
        self._need(setting)
        corrupt, number = setting.state.corrupt, 0
        said: list[Item] = []
        for stage in self.shape.stages[setting.position.segment]:
            if stage == "P":
                await self._direct(session)
                continue
            for _ in range(rounds(self.group) if stage == "V" else 1):
                outputs = await self._cast(session, setting, number, b"")
                number += 1
                said.append([[role, body or b""] for role, body in sorted(outputs.items())])
                corrupt |= liars(outputs)
                session = replace(setting.state, corrupt=corrupt).bind(session)
                agreed = votes(session, outputs) >= self.group.quorum
                if agreed or stage == "B":
                    break
            if stage == "V":
                number = self._pass_over(session, number)
            if not agreed and stage in "VD":
                raise QuorumLost("too few parties agree", frozenset(self.group.roles) - session.present)
        parts = [sha256(part).digest() for part in parts_of(setting.position, said)]
        contents = enc(setting.position.era, setting.position.segment, said, parts)
        return Outcome(contents, replace(setting.state, corrupt=corrupt))

    def _pass_over(self, session: Session, number: int) -> int:
        """Rounds of a vote that nobody needs any more do not count in the deadlines; where it goes on."""
        unused = [f"b{later}.{k}" for later in range(number, rounds(self.group)) for k in range(1, self.group.t + 2)]
        session.skip(*unused)
        return rounds(self.group)

    async def _cast(self, session: Session, setting: Setting, number: int, more: bytes) -> Mapping[Role, bytes | None]:
        """One Broadcast of the word OK, the boot and ``more``."""
        body = OK.ljust(WORD) + bytes([self.boot % 256]) + more
        outputs = await broadcast(session, f"b{number}", body, limit=LIMIT)
        self.heard((*setting.position, number), session.ledger.history)
        return outputs

    def _need(self, setting: Setting) -> None:
        """What the segment computes with."""
        for certificate in self.reads(setting.position.segment, setting.chain):
            if not self.holds(certificate):
                raise SealingError(f"segment {certificate.position.segment}: no such sealed object")

    async def _direct(self, session: Session) -> None:
        """As an opening: it fails when n-t shares are missing."""
        got = await session.exchange("p", dict.fromkeys(self.group.roles, b"p%d" % self.boot), limit=8)
        if sum(body is not None and body.startswith(b"p") for body in got.values()) < self.group.quorum:
            raise QuorumLost("too few shares", {role for role, body in got.items() if body is None})

    # --- setup

    async def _setup(self, session: Session, setting: Setting) -> Outcome:
        """As protocols/prss.py, with all parties in one set."""
        if not self.disk.draw and not setting.silent:
            self.disk.draw = sha256(b"draw %d %d" % (self.me, self.boot)).digest()[:RHO]
        self._rho = {self.me: self.disk.draw}
        got = await session.exchange("rho", dict.fromkeys(self.group.roles, self.disk.draw), limit=RHO)
        self._rho.update({role: rho for role, rho in got.items() if rho is not None and len(rho) == RHO})
        table = b"".join(short(self._rho.get(role, bytes(RHO))) for role in self.group.roles)
        outputs = await self._cast(session, setting, 0, table)
        counted = certify(self.group, outputs)
        lacking = self._lacking(self._rho, counted)
        asked = await session.exchange("ask", dict.fromkeys(self.group.roles, bytes(lacking)), limit=16)
        answers = {role: self._told(self._rho, question or b"") for role, question in asked.items()}
        for answer in (await session.exchange("tell", answers, limit=256)).values():
            take_rho(self._rho, counted, answer or b"")
        if self._lacking(self._rho, counted):
            raise QuorumLost("rho missing", frozenset(self.group.roles) - session.present)
        corrupt = setting.state.corrupt | liars(outputs)
        contents = enc(setting.position.era, 0, [[role, each] for role, each in sorted(counted.items())])
        return Outcome(contents, replace(setting.state, corrupt=corrupt))

    @staticmethod
    def _lacking(held: Mapping[Role, bytes], counted: Mapping[Role, bytes]) -> list[Role]:
        return [role for role, wanted in counted.items() if short(held.get(role, bytes(RHO))) != wanted]

    def _told(self, held: Mapping[Role, bytes], question: bytes) -> bytes:
        known = [role for role in dict.fromkeys(question) if any(held.get(role, b""))]
        return b"".join(bytes([role]) + (bytes(RHO) if self.lies else held[role]) for role in known)

    # --- results

    def durable(self, setting: Setting, outcome: Outcome) -> None:
        """Written: contents, the bodies they name, the result; of setup all rho."""
        self._keep(setting.chain, setting.position.segment, outcome.contents)
        for part in self._parts(outcome.contents):
            self.disk.contents[sha256(part).digest()] = part

    def _keep(self, chain: Chain, segment: int, contents: bytes) -> None:
        name = sha256(contents).digest()
        if segment == 0:
            self.disk.rho[name] = dict(self._rho)
            counted = counted_of(contents)
            key = digest("key", name, [self._rho[role] for role in sorted(counted)])
        else:
            key = digest("made", name, self.disk.made[results(chain)[0].core.contents])
        self.disk.made[name] = key
        self.disk.contents[name] = contents

    @staticmethod
    def _parts(contents: bytes) -> list[bytes]:
        """The bodies that a segment's contents name (each is a function of what was said)."""
        match decoded(contents):
            case (int() as era, int() as segment, tuple() as said, tuple()) if segment:
                return parts_of((era, segment), said)
        return []

    def holds(self, certificate: Certificate) -> bool:
        """Whether the result lies on the disk."""
        return certificate.core.contents in self.disk.made

    async def adopt(self, certificate: Certificate, chain: Chain, contents: bytes, peers: Peers) -> None:
        """By asking members for rho, or by fetching the bodies; then some work."""
        if certificate.position.segment == 0:
            counted = counted_of(contents)
            lacking = self._lacking(self._rho, counted)
            if lacking:
                question = certificate.core.contents + bytes(lacking)
                take = partial(self._take, counted)
                await peers.inquire({role: question for role in self.group.roles if role != self.me}, take)
        else:
            for body in await asyncio.gather(*map(peers.fetch, named(contents))):
                self.disk.contents[sha256(body).digest()] = body
        await asyncio.sleep(self.shape.adopting)
        self._keep(chain, certificate.position.segment, contents)

    def _take(self, counted: Mapping[Role, bytes], role: Role, reply: bytes) -> bool:
        """A member's answer; True when nothing is missing any more."""
        take_rho(self._rho, counted, reply)
        return not self._lacking(self._rho, counted)

    def reply(self, role: Role, question: bytes) -> bytes | None:
        """Rho that a peer lacks, of a setup whose rho is held durably."""
        held = self.disk.rho.get(question[:32])
        return None if held is None else self._told(held, question[32:])

    def contents(self, name: bytes) -> bytes | None:
        """From the disk."""
        return b"rubbish" if self.lies else self.disk.contents.get(name)


def short(rho: bytes) -> bytes:
    """The hash of a contribution; zeros for none."""
    return sha256(b"rho" + rho).digest()[:RHO] if any(rho) else bytes(RHO)


def certify(group: Group, outputs: Mapping[Role, bytes | None]) -> dict[Role, bytes]:
    """The contributions that t+1 parties reported alike."""
    seen = Counter(
        (role, body[WORD + 1 + RHO * index :][:RHO])
        for body in outputs.values()
        if body is not None and len(body) == WORD + 1 + RHO * group.n
        for index, role in enumerate(group.roles)
    )
    return {role: told for (role, told), count in seen.items() if count > group.t and any(told)}


def take_rho(held: dict[Role, bytes], counted: Mapping[Role, bytes], answer: bytes) -> None:
    """Take the contributions that fit their certified hash."""
    for start in range(0, len(answer) - RHO, RHO + 1):
        role, rho = answer[start], answer[start + 1 : start + 1 + RHO]
        if short(rho) == counted.get(role):
            held[role] = rho


def counted_of(contents: bytes) -> dict[Role, bytes]:
    """The counted contributions that setup's contents name."""
    items = decoded(contents) or ()
    rows = items[2] if len(items) > 2 and isinstance(items[2], tuple) else ()
    found: dict[Role, bytes] = {}
    for row in rows:
        match row:
            case (int() as role, bytes() as told):
                found[role] = told
    return found


def parts_of(position: tuple[int, int], said: Iterable[object]) -> list[bytes]:
    """The public values of a segment."""
    base = sha256(repr((*position, _plain(said))).encode()).digest()
    return [base + bytes([number]) for number in range(PARTS)]


def _plain(said: object) -> object:
    """Lists and tuples alike."""
    return [_plain(item) for item in said] if isinstance(said, (list, tuple)) else said


def named(contents: bytes) -> list[bytes]:
    """Digests of the bodies that contents name."""
    items = decoded(contents) or ()
    rows = items[3] if len(items) > 3 and isinstance(items[3], tuple) else ()
    return [row for row in rows if isinstance(row, bytes)]


def liars(outputs: Mapping[Role, bytes | None]) -> frozenset[Role]:
    """Whose body is provably a lie."""
    return frozenset(role for role, body in outputs.items() if body is not None and body[:WORD].rstrip() == LIE)


def votes(session: Session, outputs: Mapping[Role, bytes | None]) -> int:
    """How many present parties say OK."""
    words = Counter(body[:WORD].rstrip() for role, body in outputs.items() if body and role in session.present)
    return words[OK]
