"""The only place where ports and adapters are joined."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dkg_api.certificate import Certificate
from dkg_api.session import session_id
from dkg_node.ceremony.certify import Certifier
from dkg_node.ceremony.epochs import Epochs, Home
from dkg_node.ceremony.mailbox import Mailbox
from dkg_node.ceremony.measure import Measurements
from dkg_node.ceremony.phases import Timing, check_fits, segments_of
from dkg_node.ceremony.progress import Meter, loads_of
from dkg_node.ceremony.run import Party, Work
from dkg_node.ceremony.statements import Asking
from dkg_node.ceremony.transcript import Transcript
from dkg_node.keygen.parameters import parameter_set
from dkg_node.keygen.plan import plan_of
from dkg_node.protocols.session import Group
from dkg_node.service.adapters import BodyFiles, DirectoryStore, ProcessUsage, SystemClock
from dkg_node.service.bridge import BridgeAssembler
from dkg_node.service.identity import NodeIdentity
from dkg_node.service.vault import DirectoryArchive, SealedVault
from dkg_node.transport.network import Boot, Limits, Peer, PeerNetwork, PeerSettings

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from dkg_api.desired_state import DesiredState
    from dkg_api.terms import Terms
    from dkg_node.ceremony.ports import Entropy, Network
    from dkg_node.sealing.sealer import KmsSealer
    from dkg_node.service.channels import Channels
    from dkg_node.service.status import StatusBoard

QUIET_PART = 4
"""A boot takes peers to be away when none has come for this part of roundTimeout: longer than a message takes."""


@dataclass(frozen=True, slots=True)
class Paths:
    """A node's files."""

    home: Path
    """Its own directory: sealed objects, transcript, work files."""
    objects: Path
    """Public values, possibly shared by the nodes of a machine."""

    @property
    def bodies(self) -> Path:
        """Opened bodies, until the key files are made of them."""
        return self.home / "work" / "bodies"

    @property
    def public(self) -> Path:
        """The key files."""
        return self.home / "work" / "public"

    @property
    def certified(self) -> Path:
        """Contents of certificates, for parties that catch up."""
        return self.home / "work" / "certified"

    @property
    def artefacts(self) -> dict[str, Path]:
        """What anybody may fetch, by name."""
        keys = {f"public/{name}.bin": self.public / f"{name}.bin" for name in ("keyset", "public_key", "server_key")}
        names = ("certificate.json", "transcript.jsonl", "measurements.json")
        return {**{name: self.home / name for name in names}, **keys}

    def make(self) -> None:
        """Make the directories."""
        for directory in (self.bodies, self.public, self.objects, self.certified):
            directory.mkdir(parents=True, exist_ok=True)


def timing_of(terms: Terms) -> Timing:
    """Terms give milliseconds, bytes a second and thousandths of a core."""
    return Timing(terms.round_timeout / 1000, terms.min_rate, terms.min_speed / 1000, terms.start_grace / 1000)


def seconds_left(terms: Terms) -> float:
    """Until the terms' deadline, by this machine's clock."""
    return (datetime.fromisoformat(terms.deadline) - datetime.now(UTC)).total_seconds()


def work_of(state: DesiredState) -> Work:
    """What the terms ask for. UsageError when its plan can outlast the deadline."""
    terms = state.terms
    group, params = Group(terms.n, terms.threshold), parameter_set(terms.parameter_set)
    plan, timing = plan_of(params), timing_of(terms)
    segments = segments_of(group, params, plan)
    check_fits(segments, timing, seconds_left(terms))
    sid = session_id(terms.digest, state.attempt)
    certificate = Certificate(
        notices=terms.notices,
        terms_digest=terms.digest.hex(),
        sid=sid.hex(),
        era=0,
        digests={},
        enrolments=state.enrolments,
    )
    return Work(group, sid, params, plan, segments, timing, certificate)


def peers_of(state: DesiredState) -> dict[int, Peer]:
    """Where all other parties are: what they show is for handshakes to find out."""
    return {
        peer.index: Peer(peer.host, peer.peer_port, attest_port=peer.attest_port)
        for peer in state.peers
        if peer.index != state.party and peer.attest_port is not None
    }


def boot_of(state: DesiredState, sealer: KmsSealer, boot: Boot) -> Boot:
    """This start of the party, with a number above the sealed ones, even if the clock was set back."""
    kept = SealedVault(Group(state.terms.n, state.terms.threshold), sealer).read()
    return boot if kept is None else Boot(max(boot.number, kept.stamp.place.boot + 1), boot.id)


@dataclass(frozen=True, slots=True)
class Listen:
    """HOST:PORT of both services of a node."""

    peers: str
    attest: str


def network_of(state: DesiredState, work: Work, channels: Channels, boot: Boot, listen: Listen) -> PeerNetwork:
    """The streams to all peers, not started yet. Who is pinned, handshakes decide and nothing else."""
    settings = PeerSettings(
        group=work.group,
        me=state.party,
        sid=work.sid,
        boot=boot,
        tls=channels.shown(),
        listen=listen.peers,
        attest_listen=listen.attest,
        lifetimes=channels.identities.lifetimes,
        round_timeout=work.timing.round_timeout,
        limits=Limits(),
        min_rate=work.timing.min_rate,
    )
    return PeerNetwork(settings, peers_of(state), handshakes=channels)


@dataclass(frozen=True, slots=True)
class Outside:
    """What the process gives to the ceremony: keys, its boot, its network, its randomness, its status board."""

    key: Ed25519PrivateKey
    sealer: KmsSealer
    boot: Boot
    network: Network
    entropy: Entropy
    board: StatusBoard


def party_of(state: DesiredState, work: Work, paths: Paths, outside: Outside) -> tuple[Party, Mailbox]:
    """All adapters in their places. UsageError when this attempt ran in this directory before."""
    network, group = outside.network, work.group
    identity = NodeIdentity(outside.key, state.keyring)
    mailbox = Mailbox(group, state.party, network)
    vault = SealedVault(group, outside.sealer)
    grace = work.timing.start_grace
    asking = Asking(group, state.party, grace, work.timing.round_timeout / QUIET_PART)
    home = Home(group, state.party, work.sid, identity)
    meter = Meter(loads_of(group, work.segments), network.now, outside.board.progress)
    party = Party(
        me=state.party,
        identity=identity,
        network=network,
        sealer=outside.sealer,
        entropy=outside.entropy,
        store=DirectoryStore(paths.objects),
        assembler=BridgeAssembler(work.params.name, paths.objects / ".assembly-lock"),
        sink=BodyFiles(paths.bodies),
        bodies=paths.bodies,
        public=paths.public,
        mailbox=mailbox,
        epochs=Epochs(home, vault, mailbox, outside.boot.number, asking),
        archive=DirectoryArchive(paths.certified),
        certifier=Certifier(group, state.party, identity, state.keyring, mailbox, network.now, grace),
        transcript=Transcript(paths.artefacts["transcript.jsonl"], SystemClock(), resume=True),
        meter=meter,
        measurements=Measurements(work.segments, network, SystemClock(), ProcessUsage()),
        until=network.now() + seconds_left(state.terms),
    )
    return party, mailbox
