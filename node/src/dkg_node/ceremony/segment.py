"""One segment as one party runs it: its session, its silence, its outcome; and the resume (01 section 2)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

from dkg_node.ceremony.chain import (
    RESUME,
    SEGMENT_PURPOSE,
    Chain,
    Core,
    decode_chain,
    encode_chain,
    head,
    last,
    linked,
    valid,
)
from dkg_node.ceremony.program import Outcome
from dkg_node.errors import ProtocolError, QuorumLost
from dkg_node.protocols.broadcast import broadcast, broadcast_slots
from dkg_node.protocols.session import Exchange, Session, Tag, moved
from dkg_node.protocols.state import PublicState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from dkg_node.ceremony.chain import Position
    from dkg_node.ceremony.program import Ports, Program, Setting
    from dkg_node.protocols.session import Group, Link, Role, Slot

T = TypeVar("T")
CHAINS = "chains"
CERTIFICATE_LIMIT = 6 << 10
"""Bytes of a certificate beside its signatures: the longest public state that 13 parties can have fits."""
SIGNATURE_COST = 96
SPARE_PART = 4
"""A party that must catch up first begins a segment's program at most this part of roundTimeout late."""


class SegmentLink:
    """The link of one segment: knows when the slots in use end and, for a silent party, takes all words out.

    A silent party (restarted, Absent, without memory) sends empty messages, so that nobody waits for it.
    """

    def __init__(self, link: Link, me: Role, ends: tuple[float, ...], *, silent: bool) -> None:
        """``ends``: of all slots, on the party's clock; ``silent``: whether it must not speak in the segment."""
        self._link, self._me, self._silent = link, me, silent
        self.ends = ends
        """End of every slot, without those that fell away."""
        self.used = 0
        """Slots begun."""

    async def exchange(self, request: Exchange) -> Mapping[Role, bytes | None]:
        """See Link."""
        self.used = max(self.used, request.tag.slot + 1)
        if self._silent:
            empty = {role: b"" for role in request.outgoing if role != self._me}
            request = replace(request, outgoing=empty, expect=request.expect - {self._me})
        return await self._link.exchange(request)

    async def parallel(self, bodies: Sequence[Callable[[], Awaitable[T]]], window: int) -> list[T]:
        """See Link."""
        return await self._link.parallel(bodies, window)

    def offer(self, digest: bytes, body: bytes) -> None:
        """See Link."""
        self._link.offer(digest, body)

    def held(self, digest: bytes) -> bytes | None:
        """See Link."""
        return self._link.held(digest)

    def skip(self, segment: int, slots: Collection[int]) -> None:
        """See Link."""
        self._link.skip(segment, slots)
        self.ends = moved(self.ends, slots)

    @property
    def last_end(self) -> float:
        """When the last slot in use ends."""
        return self.ends[max(0, self.used - 1)]


@dataclass(slots=True)
class Running:
    """The segment under way."""

    setting: Setting
    session: Session
    link: SegmentLink
    silent: bool
    base: Chain
    """The chain its certificate will follow: the one of the start, or the one a resume chose."""
    task: asyncio.Task[Outcome] | None = None
    outcome: Outcome | None = None
    over: bool = False
    """Whether the program has ended, well or not."""
    pending: Chain | None = None
    """A certificate that came before the program ended."""
    signed: tuple[Core, bytes] | None = None
    held: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once all results that the segment reads are held."""
    timers: list[asyncio.TimerHandle] = field(default_factory=list)

    @property
    def last_end(self) -> float:
        """When the last slot in use ends, on the party's clock."""
        return self.link.last_end


def begin(ports: Ports, setting: Setting, returning: AbstractSet[Role], *, silent: bool) -> Running:
    """Open the segment from now on, with absolute deadlines."""
    era, segment = setting.position
    schedule = (
        resume_slots(ports.group, ports.program.segments, era)
        if segment == RESUME
        else ports.program.schedule(segment, setting.state)
    )
    now = ports.network.now()
    ends = tuple(now + end for end in ports.pace.ends(schedule))
    ports.network.open_segment(segment, ends, era)
    link = SegmentLink(ports.link, ports.me, ends, silent=silent)
    session = Session.of(ports.group, ports.me, ports.sid, link, ports.identity).enter(segment, schedule)
    before = bytes(32) if segment == RESUME else head(setting.chain)
    session = setting.state.bind(replace(session, era=era, before=before, returning=returning))
    return Running(setting, session, link, silent, setting.chain)


async def run(ports: Ports, running: Running) -> Outcome:
    """The program of the segment, or the resume."""
    setting = running.setting
    if setting.position.segment != RESUME:
        await catch_up(ports, running)
        return await ports.program.run(running.session, setting)
    limit = chain_limit(ports.group, ports.program.segments, setting.position.era)
    running.base, missing = await resume(running.session, setting.chain, limit)
    return Outcome(head(running.base), resumed_state(running.base, missing))


def able(program: Program, position: Position, chain: Chain) -> bool:
    """Whether all that a segment computes with is held; the results of other segments may come while it runs."""
    return position.segment == RESUME or all(map(program.holds, program.reads(position.segment, chain)))


async def catch_up(ports: Ports, running: Running) -> None:
    """Wait until the results that the segment reads are held; if that takes too long, sit the segment out.

    t+1 ``go`` can start a segment before this party holds what its chain names: colluders that certify without it also
    answer it late. It may be late itself by what a roundTimeout has to spare (five delays: two between starts, one on
    the way), so a quarter. After that its words would come late in some slot at some parties: it says nothing, at once
    and to everybody alike, so that nobody waits for it where messages have no parts. ProtocolError then.
    """
    try:
        async with asyncio.timeout(ports.pace.round_timeout / SPARE_PART):
            await running.held.wait()
    except TimeoutError:
        running.silent = True
        await sit_out(ports, running)
        msg = "results of segments before are not held yet: wait until peers have sent them"
        raise ProtocolError(msg) from None


async def sit_out(ports: Ports, running: Running) -> None:
    """An empty message in every slot."""
    nothing = {role: b"" for role in ports.group.roles if role != ports.me}
    for number, _ in enumerate(running.session.schedule):
        tag = Tag(running.setting.position.segment, number, 0)
        await ports.link.exchange(Exchange(tag, nothing, frozenset(), 0))


def state_after(running: Running) -> PublicState:
    """The outcome's state, with who fell silent and without who returned. QuorumLost if too few are left.

    Readmitted is who was Absent at the start and is listed in t+1 valid bodies of the segment's last Broadcast.
    """
    session, start, outcome = running.session, running.setting.state, running.outcome
    if outcome is None:
        raise ValueError("the segment has not ended")
    if running.setting.position.segment == RESUME:
        return outcome.state
    seen = Counter(role for listed in session.ledger.listed.values() for role in listed)
    back = {role for role in start.absent if seen[role] > session.group.t}
    state = replace(outcome.state, absent=(start.absent | session.ledger.absent) - back)
    gone = state.absent | state.corrupt
    if len(gone) > session.group.t:
        raise QuorumLost(f"parties {sorted(gone)} are away or proven wrong: bring those back that are away", gone)
    return state


def core_of(running: Running) -> Core:
    """What this party would sign."""
    if running.outcome is None:
        raise ValueError("the segment has not ended")
    digest = sha256(running.outcome.contents).digest()
    return Core(running.setting.position, head(running.base), digest, state_after(running))


def sign(ports: Ports, running: Running) -> tuple[Core, bytes] | None:
    """Keep durably what the certificate will name, then sign it; None for a silent party, which only keeps it."""
    core = core_of(running)
    if running.setting.position.segment != RESUME and running.outcome is not None:
        ports.program.durable(running.setting, running.outcome)
    return None if running.silent else (core, ports.identity.sign(SEGMENT_PURPOSE, core.signed(ports.sid)))


def watch(ports: Ports, running: Running, late: Callable[[Running], None]) -> None:
    """Call ``late`` when there is no certificate one roundTimeout after the last slot.

    Who did not get through the segment does not know which slots are in use: it waits for the last that may be.
    """
    end = running.last_end if running.outcome is not None else running.link.ends[-1]
    patience = max(0.0, end - ports.network.now()) + ports.pace.round_timeout
    running.timers.append(asyncio.get_running_loop().call_later(patience, late, running))


def stop(ports: Ports, running: Running) -> None:
    """End it, wherever it is."""
    for timer in running.timers:
        timer.cancel()
    if running.task is not None:
        running.task.cancel()
    era, number = running.setting.position
    ports.network.close_segment(number, era)


# --- resume


def chain_limit(group: Group, segments: int, era: int) -> int:
    """Longest honest chain before an era's resume: all segments, and at most one resume an era. The same for all."""
    return (segments + era) * (CERTIFICATE_LIMIT + SIGNATURE_COST * group.n)


def resume_slots(group: Group, segments: int, era: int) -> tuple[Slot, ...]:
    """One Broadcast of chains."""
    return broadcast_slots(CHAINS, group, chain_limit(group, segments, era))


async def resume(session: Session, chain: Chain, limit: int) -> tuple[Chain, frozenset[Role]]:
    """Broadcast one's chain; the one with the highest last (era, segment) is taken whole. Returns it and who is None.

    Raises QuorumLost naming the None when fewer than n-t chains are valid.
    """
    outputs = await broadcast(session, CHAINS, encode_chain(chain), limit=limit)
    read = {body: read_chain(session, body) for body in set(outputs.values())}
    shown = {role: read[body] for role, body in outputs.items()}
    good = {role: found for role, found in shown.items() if found is not None}
    missing = frozenset(session.group.roles) - good.keys()
    if len(good) < session.group.quorum:
        raise QuorumLost(f"resume: no valid chain from parties {sorted(missing)}: bring them back", missing)
    return max(good.values(), key=last), missing


def read_chain(session: Session, body: bytes | None) -> Chain | None:
    """A whole, linked chain of valid certificates from before this era, or None."""
    chain = None if body is None else decode_chain(session.group, body)
    if chain is None or not linked(chain) or (chain and last(chain).era >= session.era):
        return None
    good = all(valid(certificate, session.group, session.sid, session.identity) for certificate in chain)
    return chain if good else None


def resumed_state(chain: Chain, missing: frozenset[Role]) -> PublicState:
    """Public state after a resume: the chosen chain's, but Absent is who was None in the resume, and nobody else."""
    state = chain[-1].core.state if chain else PublicState()
    return replace(state, absent=missing)
