"""Fuzz targets of documents and files: what organisations, operators, hosts and other parties' disks hand in."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from pydantic import ValidationError

from dkg_api.canonical import CanonicalError, canonical, parse
from dkg_api.certificate import CertificateError, parse_certificate, verify_certificate
from dkg_api.desired_state import DesiredStateError, parse_desired_state
from dkg_api.enrolment import Enrolment, EnrolmentError, Keyring, decode_enrolment
from dkg_api.errors import DocumentError
from dkg_api.model import parse_model
from dkg_api.status import read_status
from dkg_api.terms import TermsError, parse_terms
from dkg_api.transcript import append, verify_lines
from dkg_api.v1 import control_pb2, peer_pb2
from dkg_node.algebra.kernel import Secret
from dkg_node.ceremony.certify import Certifier
from dkg_node.ceremony.mailbox import Mailbox
from dkg_node.errors import ProtocolError, SealingError, UsageError
from dkg_node.sealing.kms import Context, DataKey
from dkg_node.sealing.sealer import KmsSealer
from dkg_node.sealing.stores import DirectoryBlobs
from dkg_node.service.command import EnvironmentFault
from dkg_node.service.config import read_state
from dkg_node.service.credentials import read_credentials
from dkg_node.service.verify import read_terms_file
from dkg_node_software.fuzz import world
from dkg_node_software.fuzz.registry import target
from dkg_node_software.fuzz.world import GROUP, ME, EasyIdentity
from dkg_node_software.measurements import read_measurements
from dkg_node_software.report import Left, faults, merge_phases

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_node.ceremony.ports import Network

MEMORY = 512
"""A short text may become a hundred lines of advice."""
CREDENTIALS = b'{"Version": 1, "AccessKeyId": "AKIA0123456789ABCDEF", "SecretAccessKey": "s", "SessionToken": "t"}'
DEEP = b'{"a":' * 200 + b"1" + b"}" * 200


@cache
def scratch() -> Path:
    """A directory for files that are read as the host left them."""
    return Path(mkdtemp(prefix="dkg-fuzz-"))


@target(
    lambda: [b'{"a":[1,true,null,"\\u00e9"],"b":{}}', b'{"a":1,"a":2}', b"[1.5]", b'"\\ud800"', DEEP], memory=MEMORY
)
def json_text(data: bytes) -> None:
    """JSON: CanonicalError, or a value whose canonical text is read back as the same value."""
    with suppress(CanonicalError):
        value = parse(data, "text")
        text = canonical(value)  # CanonicalError for text that is no Unicode
        assert parse(text, "text") == value
        assert canonical(parse(text, "text")) == text


@target(lambda: [world.terms().canonical, DEEP], memory=MEMORY)
def terms(data: bytes) -> None:
    """Terms: TermsError, or terms with one canonical text."""
    with suppress(TermsError):
        found = parse_terms(data)
        assert parse_terms(found.canonical).digest == found.digest
        assert found.n == 3 * found.threshold + 1


@target(lambda: [world.desired_state_text(), DEEP], memory=MEMORY)
def desired_state(data: bytes) -> None:
    """The desired state: DesiredStateError, or one that is read back from its own text."""
    with suppress(DesiredStateError):
        found = parse_desired_state(data)
        assert parse_desired_state(canonical(found.as_json())) == found
        assert set(found.missing()) <= set(range(1, found.terms.n + 1))


def _certificate() -> bytes:
    return canonical(world.certificate().as_json())


@target(lambda: [_certificate(), DEEP], memory=MEMORY)
def certificate(data: bytes) -> None:
    """The key certificate: CertificateError, or one that can be judged and is read back from its own text."""
    with suppress(CertificateError):
        found = parse_certificate(data)
        assert parse_certificate(canonical(found.as_json())) == found
        problems = verify_certificate(found, world.terms())
        assert problems or found.content() == world.certificate().content()


@target(lambda: [canonical(world.enrolments()[0].model_dump()), world.enrolments()[1].encode()], memory=MEMORY)
def enrolment(data: bytes) -> None:
    """An enrolment: DocumentError, or one that counts or gives a reason; in a handshake only in one spelling."""
    peers = decode_enrolment(data)
    assert peers is None or peers.encode() == data
    with suppress(DocumentError):
        found = parse_model(Enrolment, data, "enrolment")
        if found.problem(world.terms()) is None:
            assert found == world.enrolments()[found.party - 1]
        with suppress(EnrolmentError):
            Keyring.of(world.terms(), [found])


def _lines() -> list[bytes]:
    first = append(None, {"event": "start", "n": 4})
    return [first + append(first, {"event": "next"}), first, b"{}\n", b"\n"]


@target(_lines, memory=MEMORY)
def transcript(data: bytes) -> None:
    """A transcript: one line that says what is wrong, or a chain that can be written again."""
    lines = data.splitlines(keepends=True)
    if verify_lines(lines) is None:
        previous: bytes | None = None
        for line in lines:
            entry = json.loads(line)
            del entry["prev"]
            assert append(previous, entry) == line
            previous = line


def _status() -> bytes:
    numbers = {"party": 1, "attempt": 1, "number": 3, "percent": 5, "bits": 7, "bits_per_second": 1}
    texts = {"terms_digest": "ab" * 32, "state": "running", "phase": "batch 1", "message": ""}
    rest = {"eta_seconds": None, "sent_bytes": 0, "received_bytes": 0, "notices": ["x"], "artefacts": []}
    return canonical({**numbers, **texts, **rest})


@target(lambda: [_status(), b"{}", DEEP], memory=MEMORY)
def status_item(data: bytes) -> None:
    """A node's status, signed by the node: None, or the item."""
    found = read_status(data)
    assert found is None or (found.party >= 0 and isinstance(found.notices, tuple))


def _protos() -> list[bytes]:
    item = control_pb2.StatusItem(content=_status(), identity_key=bytes(32), signature=bytes(64))
    chunk = control_pb2.Chunk(data=b"abc", total=3, sha256=bytes(32))
    fetch = control_pb2.FetchRequest(name="certificate.json", offset=3)
    return [message.SerializeToString() for message in (item, chunk, fetch, peer_pb2.Frames(content=b"x"))]


@target(_protos, memory=128)
def protobuf(data: bytes) -> None:
    """The messages of both services: DecodeError (gRPC ends the call), or a message."""
    for kind in (
        control_pb2.StatusItem, control_pb2.Chunk, control_pb2.DrainReply, control_pb2.WatchRequest,
        control_pb2.FetchRequest, control_pb2.DrainRequest, peer_pb2.Frames,
    ):  # fmt: skip
        with suppress(DecodeError):
            kind.FromString(data)


def _read(data: bytes, name: str, reader: Callable[[Path], object]) -> None:
    path = scratch() / name
    path.write_bytes(data)
    with suppress(UsageError, EnvironmentFault):
        reader(path)


@target(lambda: [world.signatures_text(), world.desired_state_text(), CREDENTIALS], memory=MEMORY)
def host_files(data: bytes) -> None:
    """Files as tool and node read them: signed terms, desired state, credentials; UsageError or EnvironmentFault."""
    _read(data, "terms.json", read_terms_file)
    _read(data, "state.json", read_state)
    _read(data, "credentials.json", read_credentials)


class _Keys:
    """A key service that opens everything."""

    def new_key(self, context: Context) -> DataKey:
        return DataKey(self.open_key(b"", context), bytes(16))

    def open_key(self, _wrapped: bytes, _context: Context) -> Secret:
        return Secret.from_bytes(bytes(32))


def _sealer() -> KmsSealer:
    return KmsSealer(DirectoryBlobs(scratch()), _Keys(), Context("c", bytes(32), ME, 1))


def _sealed_files() -> list[bytes]:
    sealer = _sealer()
    sealer.seal_bytes("seed", 0, bytes(32))
    sealer.seal_secret("other", 0, Secret.from_bytes(bytes(32)))
    return [sealer.store.get(name) or b"" for name in ("seed", "other")]


@target(_sealed_files)
def sealed_file(data: bytes) -> None:
    """A sealed file that the host put there: SealingError, or what was sealed."""
    sealer = _sealer()
    for name in ("seed", "other"):
        sealer.store.put(name, data)
        with suppress(SealingError):
            assert sealer.unseal_bytes(name, 0) == bytes(32)
        with suppress(SealingError):
            sealer.unseal_secret(name, 0)
        with suppress(SealingError):
            sealer.unseal_keys(name, 0, GROUP.n, GROUP.t)


class _Silent:
    """A network that takes letters."""

    def post(self, role: int, payload: bytes) -> None:
        del role, payload


@target(lambda: [bytes.fromhex(world.certificate().signatures[0].signature), bytes(64), bytes(63)])
def certificate_signature(data: bytes) -> None:
    """A peer's signature of the certificate: kept only if it has the right length, counted only if it is valid."""
    network: Network = _Silent()  # type: ignore[assignment]  # of the network only this is used
    box = Mailbox(GROUP, ME, network)
    certifier = Certifier(GROUP, ME, EasyIdentity(), world.keyring(), box, lambda: 0.0, 0.0)
    certifier.take(2, data)
    content = world.certificate().content()
    assert world.keyring().signer(2, "certificate", content, data) in {None, world.keyring().keys[2][0]}


def _measurements() -> list[bytes]:
    party: dict[str, object] = {"index": 2, "offline_seconds": 1.5, "online_seconds": 0.5, "received_bytes": 1}
    sent = {"offline": 1, "online": 1, "setup": 1, "k64": 0, "k128": 0, "fixed": 0}
    party |= {"peak_rss_bytes": 1, "sent_bytes": sent, "cpu_seconds": {"offline": 1.0, "online": 1.0}}
    phases = [{"name": "setup", "start": "2030-01-01T00:00:00Z", "end": "2030-01-01T00:00:01Z"}]
    return [json.dumps({"party": party, "phases": phases, "wrong_shares": [1, 1], "missing": []}).encode(), DEEP]


@target(_measurements, memory=MEMORY)
def measurements(data: bytes) -> None:
    """What a node measured: an error that is caught, or what enters the report without blaming anybody by one voice."""
    try:
        found = read_measurements(data, 2)
    except (ValidationError, ProtocolError):
        return
    merge_phases([found.phases])
    assert faults(GROUP.t, {2: found}, Left({}, {})) == ()
