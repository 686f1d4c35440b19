"""A ceremony from the first segment to the certificate, as the design reads (01 sections 2 to 5)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg_api.certificate import Certificate
from dkg_node.ceremony import contents as written
from dkg_node.ceremony.chain import last
from dkg_node.ceremony.control import Control
from dkg_node.ceremony.making import Making
from dkg_node.ceremony.program import Ports
from dkg_node.ceremony.watching import Watcher
from dkg_node.errors import ProtocolError, QuorumLost

if TYPE_CHECKING:
    from pathlib import Path

    from dkg_node.ceremony.certify import Certifier
    from dkg_node.ceremony.chain import Chain
    from dkg_node.ceremony.mailbox import Mailbox
    from dkg_node.ceremony.measure import Measurements
    from dkg_node.ceremony.phases import Segment, Timing
    from dkg_node.ceremony.ports import Archive, Assembler, Bodies, Entropy, Network, Sealer
    from dkg_node.ceremony.program import Sealed, Vault
    from dkg_node.ceremony.progress import Meter
    from dkg_node.ceremony.transcript import Transcript
    from dkg_node.keygen.parameters import ParameterSet
    from dkg_node.keygen.plan import Plan
    from dkg_node.protocols.session import Group, Identity, Role
    from dkg_node.protocols.store import ObjectStore

BIND_POLL = 0.05
TELL = 1.0
"""Seconds between two words about who is not connected, or not ready, yet."""


LINGER_PART = 4
"""A party may finish its own segment for this part of roundTimeout after the certificate came."""


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
    mailbox: Mailbox
    vault: Vault
    sealed: Sealed
    """What an earlier boot left."""
    archive: Archive
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
    corrupt: set[Role] = field(default_factory=set)
    """Proven wrong, by all honest parties alike."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a good ceremony."""

    certificate: Certificate
    findings: Findings


async def run_ceremony(work: Work, party: Party) -> Outcome:
    """Make the key: setup, the batches in plan order, online, share sealed, signatures exchanged.

    Raises QuorumLost at the terms' deadline, naming whom it waits for; SetupIncomplete; ProtocolError when this party
    alone can't go on; SealingError when what must be durable can't be.
    """
    findings = Findings()
    if party.sealed.how == "fresh":
        await bound(work, party)
    making = Making(work, party, findings)
    control = _control(work, party, making)
    telling = asyncio.create_task(_tell(party, control))
    try:
        chain = await _certified(party, control)
        digests = _digests(party, chain)
        party.meter.phase("certificate")
        contents = work.certificate.model_copy(update={"digests": digests, "era": last(chain).era})
        certificate = await party.certifier.certify(contents, party.until)
    finally:
        telling.cancel()
    making.finish(chain)
    findings.corrupt |= chain[-1].core.state.corrupt
    party.transcript.add("certificate", signed=[signature.party for signature in certificate.signatures])
    party.transcript.sync()
    party.measurements.end_online()
    party.meter.finish()
    return Outcome(certificate, findings)


def _control(work: Work, party: Party, making: Making) -> Control:
    """The control layer over this party's network; it goes on answering peers when the key is made."""
    watcher = Watcher(work, party)
    ports = Ports(
        group=work.group,
        me=party.me,
        sid=work.sid,
        identity=party.identity,
        network=party.network,
        link=party.network,
        send=lambda role, data: party.mailbox.send(role, "control", data),
        program=making,
        vault=party.vault,
        pace=work.timing,
        observe=lambda event, position: watcher.observe(control, event, position),
        linger=work.timing.round_timeout / LINGER_PART,
    )
    control = Control(ports, party.sealed)
    party.mailbox.on("control", control.take)
    party.mailbox.on_boot(lambda role: control.take(role, None))
    control.start()
    return control


async def _certified(party: Party, control: Control) -> Chain:
    """All certificates, with their results held. QuorumLost at the deadline."""
    try:
        async with asyncio.timeout(max(0.0, party.until - party.network.now())):
            return await asyncio.shield(control.finished)
    except TimeoutError:
        missing = control.missing()
        msg = f"segment {control.position.segment} did not end before the deadline: parties {missing} are not ready"
        raise QuorumLost(f"{msg}; bring them back", missing) from None
    finally:
        if not control.done:
            control.close()


async def _tell(party: Party, control: Control) -> None:
    """Show whom this party waits for, while it waits between segments."""
    waited = False
    while True:
        idle = control.running is None or control.lost is not None
        missing = control.missing()
        if idle and waited and missing and not control.done:
            party.meter.phase(f"waiting for {missing}")
        waited = idle
        await asyncio.sleep(TELL)


def _digests(party: Party, chain: Chain) -> dict[str, str]:
    """Hashes of the key files, of the certificate of online."""
    body = party.archive.get(chain[-1].core.contents)
    digests = None if body is None else written.decode_online(body)
    if digests is None:
        raise ProtocolError("the certified digests of the key are lost: check the disk")
    return digests


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
