"""A ceremony from the first segment to the certificate, as the design reads (01 sections 2 to 5)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg_api.certificate import Certificate
from dkg_node.algebra.encoding import digest as hash_of
from dkg_node.ceremony.progress import VALUE_SLOTS, MeteredLink
from dkg_node.errors import ProtocolError, QuorumLost
from dkg_node.keygen.online import Task, agree_digest, open_seed, run_key
from dkg_node.keygen.preprocessing import Held
from dkg_node.offline.batch import run_batch
from dkg_node.protocols.prss import setup
from dkg_node.protocols.session import Session
from dkg_node.protocols.state import PublicState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from dkg_node.algebra.kernel import Keys
    from dkg_node.ceremony.certify import Certifier
    from dkg_node.ceremony.measure import Measurements
    from dkg_node.ceremony.phases import Segment, Timing
    from dkg_node.ceremony.ports import Assembler, Bodies, Entropy, Network, Sealer
    from dkg_node.ceremony.progress import Meter
    from dkg_node.ceremony.start import Starter
    from dkg_node.ceremony.transcript import Transcript
    from dkg_node.keygen.parameters import ParameterSet
    from dkg_node.keygen.plan import Plan
    from dkg_node.keygen.preprocessing import KeyShares
    from dkg_node.offline.batch import BatchResult
    from dkg_node.protocols.session import Group, Identity, Role
    from dkg_node.protocols.store import ObjectStore

FINAL = 0
"""Epoch of objects that are sealed once."""
BIND_POLL = 0.05
TELL = 1.0
"""Seconds between two words about who is not connected yet."""
SHARE, PRSS, DRAWS = "share", "prss", "setup-draws"


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be made: public, the same at all parties."""

    group: Group
    sid: bytes
    params: ParameterSet
    plan: Plan
    segments: tuple[Segment, ...]
    timing: Timing
    certificate: Certificate
    """The certificate without digests and signatures."""


@dataclass(frozen=True, slots=True)
class Party:
    """Who makes it and with what: this party's ports."""

    me: Role
    identity: Identity
    network: Network
    sealer: Sealer
    entropy: Entropy
    store: ObjectStore
    assembler: Assembler
    sink: Bodies
    bodies: Path
    """Directory that ``sink`` writes to."""
    public: Path
    """Directory for the key files."""
    starter: Starter
    certifier: Certifier
    transcript: Transcript
    meter: Meter
    measurements: Measurements
    until: float
    """The terms' deadline on the network's clock."""


@dataclass(slots=True)
class Findings:
    """What this party alone found about others: shown in the report, never part of the public state."""

    liars: set[Role] = field(default_factory=set)
    missing: set[Role] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a good ceremony."""

    certificate: Certificate
    findings: Findings


async def run_ceremony(work: Work, party: Party) -> Outcome:
    """Make the key: setup, the batches in plan order, online, share sealed, signatures exchanged.

    Raises ProtocolError (QuorumLost, SetupIncomplete, BatchFault) when more than t parties fail, SealingError when
    what must be durable can't be.
    """
    findings = Findings()
    await bound(work, party)
    first, *batches, last = work.segments
    keys = await _setup(work, party, first)
    results = [await _batch(work, party, segment, keys) for segment in batches]
    party.measurements.end_offline()
    digests, share = await _online(work, party, last, keys, results, findings)
    _seal(party, share)
    party.meter.phase("certificate")
    contents = work.certificate.model_copy(update={"digests": digests})
    certificate = await party.certifier.certify(contents, party.until)
    party.transcript.add("certificate", signed=[signature.party for signature in certificate.signatures])
    party.transcript.sync()
    party.measurements.end_online()
    party.meter.finish()
    return Outcome(certificate, findings)


async def bound(work: Work, party: Party) -> None:
    """Wait until every peer is connected, or n-t parties (itself too) for startGrace. QuorumLost at the deadline."""
    quorum_at: float | None = None
    told_at = party.network.now()
    while len(party.network.connected() | {party.me}) < work.group.n:
        now = party.network.now()
        there = len(party.network.connected() | {party.me})
        if quorum_at is None and there >= work.group.quorum:
            quorum_at = now
        if quorum_at is not None and now >= quorum_at + work.timing.start_grace:
            break
        if now >= party.until:
            missing = sorted(set(work.group.roles) - party.network.connected() - {party.me})
            raise QuorumLost(
                f"parties {missing} could not be reached before the deadline: {_why(party, missing)}", missing
            )
        if now >= told_at + TELL:
            told_at = now
            party.meter.phase(f"waiting for {sorted(set(work.group.roles) - party.network.connected() - {party.me})}")
        await asyncio.sleep(BIND_POLL)
    party.transcript.add("bound", parties=sorted(party.network.connected() | {party.me}))


def _why(party: Party, missing: list[Role]) -> str:
    status = party.network.status()
    return ", ".join(f"{role}: {status[role].reason}" for role in missing if role in status)


async def _enter(work: Work, party: Party, segment: Segment) -> Session:
    """Go exchange, deadlines, and the session of the segment."""
    start = await party.starter.start(segment.index, party.until)
    party.network.open_segment(segment.index, [start + end for end in work.timing.ends(segment.schedule)])
    party.meter.enter(segment.index)
    party.transcript.add("segment", segment=segment.index, name=segment.name)
    party.measurements.begin(segment.name)
    names = [slot.name for slot in segment.schedule]
    link = MeteredLink(party.network, party.meter, names, _is_progress)
    session = Session.of(work.group, party.me, work.sid, link, party.identity)
    return PublicState().bind(session.enter(segment.index, segment.schedule))


def _is_progress(slot: str) -> bool:
    return slot in VALUE_SLOTS or slot.startswith("bodies.")


def _leave(party: Party, segment: Segment, **facts: str | list[int]) -> None:
    """Note the result of a segment durably."""
    party.network.close_segment(segment.index)
    party.measurements.end()
    party.transcript.add("segment end", segment=segment.index, **facts)
    party.transcript.sync()


async def _setup(work: Work, party: Party, segment: Segment) -> Keys:
    """PRSS keys. The draws are sealed before anything is sent: a crash must not make the party say two things."""
    seed = party.entropy.draw()
    party.sealer.seal_secret(DRAWS, FINAL, seed)
    made = await setup(await _enter(work, party, segment), seed)
    party.sealer.seal_keys(PRSS, FINAL, made.keys)
    _leave(party, segment, digest=made.digest.hex())
    return made.keys


async def _batch(work: Work, party: Party, segment: Segment, keys: Keys) -> BatchResult:
    """One batch of bits, noise or products."""
    if segment.batch is None:
        raise ValueError(f"segment {segment.name} is no batch")
    session = await _enter(work, party, segment)
    result = await run_batch(session, keys, segment.batch, party.store, PublicState())
    require_all(segment.name, result.silent)
    _leave(party, segment, digest=result.listing.hex(), silent=sorted(result.silent))
    return result


def require_all(segment: str, silent: Collection[Role]) -> None:
    """QuorumLost unless everybody was heard in a batch.

    A check that n-t parties pass says nothing if one of them lies while an honest one is missing (01 section 6,
    *Limit*), and who withholds one last message can make an honest one missing. Until such a party is brought up to
    date by certificates, nothing is made without everybody.
    """
    if silent:
        names = sorted(silent)
        raise QuorumLost(f"{segment}: parties {names} were not heard in it; bring them back and start again", names)


async def _online(
    work: Work, party: Party, segment: Segment, keys: Keys, results: list[BatchResult], findings: Findings
) -> tuple[Mapping[str, str], KeyShares]:
    """Seed, every public key, the files for tfhe-rs, and the agreement on their hashes."""
    session = await _enter(work, party, segment)
    task = Task.of(work.params, work.plan, Held.of(results))
    results.clear()
    seed, liars = await open_seed(session, keys)
    findings.liars |= liars
    for spec in work.params.keys:
        party.meter.phase(f"online {spec.name}")
        made = await run_key(session, task, spec, seed, party.sink)
        findings.liars |= made.liars
        party.transcript.add("key", name=made.name, bodies_sha256=made.digest.hex())
    party.meter.phase("assembly")
    party.sink.close()
    digests = await party.assembler.assemble(party.bodies, seed, party.public)
    party.meter.phase("digests")
    own = hash_of("files", *(item for pair in sorted(digests.items()) for item in pair))
    agreed = await agree_digest(session, own)
    if agreed != own:
        raise ProtocolError("this party's key files differ from those agreed on: check its disk and its dkg-bridge")
    if isinstance(session.link, MeteredLink):
        findings.missing |= session.link.silent("digests.1")
    _leave(party, segment, digest=agreed.hex(), wrong_shares=sorted(findings.liars), missing=sorted(findings.missing))
    return digests, task.share


def _seal(party: Party, share: KeyShares) -> None:
    """The final share durably sealed before anything is signed; what is not needed any more goes."""
    party.meter.phase("sealing")
    sealed = party.sealer.seal_shares(SHARE, FINAL, share.all)
    party.sealer.erase(DRAWS)
    party.transcript.add("sealed", share_sha256=sealed)
