"""A ceremony from the first segment to the certificate, as the design reads (01 sections 2 to 5)."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg_api.certificate import Certificate
from dkg_node.ceremony import contents as written
from dkg_node.ceremony.chain import results
from dkg_node.ceremony.control import Control
from dkg_node.ceremony.making import Making
from dkg_node.ceremony.program import Ports
from dkg_node.ceremony.verdicts import before_online, certified_faults
from dkg_node.ceremony.watching import Watcher
from dkg_node.errors import ProtocolError, QuorumLost

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dkg_node.ceremony.certify import Certifier
    from dkg_node.ceremony.chain import Chain, Position
    from dkg_node.ceremony.epochs import Epochs
    from dkg_node.ceremony.mailbox import Mailbox
    from dkg_node.ceremony.measure import Measurements
    from dkg_node.ceremony.phases import Segment, Timing
    from dkg_node.ceremony.ports import Archive, Assembler, Bodies, Entropy, Network, Sealer
    from dkg_node.ceremony.program import Sealed
    from dkg_node.ceremony.progress import Meter
    from dkg_node.ceremony.transcript import Transcript
    from dkg_node.keygen.parameters import ParameterSet
    from dkg_node.keygen.plan import Plan
    from dkg_node.protocols.session import Group, Identity, Role
    from dkg_node.protocols.store import ObjectStore

log = logging.getLogger(__name__)

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
    epochs: Epochs
    """What an earlier boot left, and what peers know of it."""
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
    forget: Callable[[], None]
    """To be called when nobody is to be helped any more: what a party needs that comes back later goes."""


async def run_ceremony(work: Work, party: Party) -> Outcome:
    """Make the key: setup, the batches in plan order, online, share sealed, signatures exchanged.

    Raises QuorumLost at the terms' deadline, naming whom it waits for; SetupIncomplete; ProtocolError when this party
    alone can't go on; SealingError when what must be durable can't be.
    """
    findings = Findings()
    making = Making(work, party, findings)
    control = _control(work, party, making, await _start(party, making))
    telling = asyncio.create_task(_tell(party, control))
    try:
        chain = await _certified(party, control)
        digests = _digests(party, chain)
        party.meter.phase("certificate")
        common = before_online(chain, work.segments)
        agreed = {
            "digests": digests,
            "era": results(common)[0].position.era,
            "faults": certified_faults(common, work.segments),
        }
        contents = work.certificate.model_copy(update=agreed)
        certificate = await party.certifier.certify(contents, party.until)
    finally:
        telling.cancel()
    making.finish(chain, everybody=len(certificate.signatures) == work.group.n)
    findings.corrupt |= chain[-1].core.state.corrupt
    party.transcript.add("certificate", signed=[signature.party for signature in certificate.signatures])
    party.transcript.sync()
    party.measurements.end_online()
    party.meter.finish()
    return Outcome(certificate, findings, making.forget)


async def _start(party: Party, making: Making) -> Sealed:
    """Ask the peers how new the sealed state must be, and go on from it, or from nothing (03 "Epoch")."""
    party.epochs.ask()
    await bound(party)
    sealed = party.epochs.decide()
    if party.epochs.rolled_back is not None:
        party.transcript.add("set aside", reason=str(party.epochs.rolled_back))
        log.warning("%s; it was set aside, and the party recovers from its peers", party.epochs.rolled_back)
    if sealed.how == "fresh":
        making.prepare()
    else:
        party.transcript.add("boot", how=sealed.how, certificates=len(sealed.chain))
    return sealed


def _control(work: Work, party: Party, making: Making, sealed: Sealed) -> Control:
    """The control layer over this party's network; it goes on answering peers when the key is made."""
    watcher = Watcher(work, party)

    def observe(event: str, position: Position) -> None:
        if event == "start" and control.running is not None and not control.running.silent:
            party.epochs.spoke()
        watcher.observe(control, event, position)

    ports = Ports(
        group=work.group,
        me=party.me,
        sid=work.sid,
        identity=party.identity,
        network=party.network,
        link=party.network,
        send=lambda role, data: party.mailbox.send(role, "control", data),
        program=making,
        vault=party.epochs,
        pace=work.timing,
        observe=observe,
        remembered=party.epochs.remembered,
        linger=work.timing.round_timeout / LINGER_PART,
    )
    control = Control(ports, sealed)
    party.epochs.on_remembered = control.remembered
    control.start()  # first: letters that wait would begin a segment before it is known where this party is silent
    party.mailbox.on("control", control.take)
    party.mailbox.on_boot(lambda role: control.take(role, None))
    return control


async def _certified(party: Party, control: Control) -> Chain:
    """All certificates, with their results held. QuorumLost at the deadline."""
    try:
        async with asyncio.timeout(max(0.0, party.until - party.network.now())):
            return await asyncio.shield(control.finished)
    except TimeoutError:
        missing = _missing(party, control)
        msg = f"segment {control.position.segment} did not end before the deadline: parties {missing} are not ready"
        raise QuorumLost(f"{msg}; bring them back", missing) from None
    finally:
        if not control.done:
            control.close()


def _missing(party: Party, control: Control) -> list[Role]:
    """Whom it waits for: to remember its checkpoint, or else to start what comes next; at last to sign the key."""
    if control.done:
        return party.certifier.unsigned()
    return party.epochs.unacknowledged() or control.missing()


async def _tell(party: Party, control: Control) -> None:
    """Show whom this party waits for, while it waits: between segments, or for a certificate that nobody can make."""
    waited = False
    while True:
        running = control.running
        idle = running is None or running.over or control.lost is not None
        missing = _missing(party, control)
        if idle and waited and missing:
            party.meter.phase(f"waiting for {missing}")
        waited = idle
        await asyncio.sleep(TELL)


def _digests(party: Party, chain: Chain) -> dict[str, str]:
    """Hashes of the key files, of the certificate of online."""
    body = party.archive.get(chain[-1].core.contents)
    digests = None if body is None else written.decode_files(body)
    if digests is None:
        raise ProtocolError("the certified digests of the key are lost: check the disk")
    return digests


async def bound(party: Party) -> None:
    """Wait until enough peers are connected and have answered (see ``Epochs``). QuorumLost at the deadline."""
    told_at = party.network.now()
    while not party.epochs.enough(party.network.connected(), party.network.now()):
        now, missing = party.network.now(), party.epochs.missing()
        if now >= party.until:
            raise QuorumLost(
                f"parties {missing} could not be reached before the deadline: {_why(party, missing)}", missing
            )
        if now >= told_at + TELL:
            told_at = now
            party.meter.phase(f"waiting for {missing}")
        await asyncio.sleep(BIND_POLL)
    party.transcript.add("bound", parties=sorted(party.network.connected() | {party.me}))


def _why(party: Party, missing: list[Role]) -> str:
    status = party.network.status()
    return ", ".join(f"{role}: {status[role].reason}" for role in missing if role in status)
