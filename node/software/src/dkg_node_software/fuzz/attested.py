"""Fuzz targets of attestation: handshakes as the attest port gets them, the bind of a stream, documents, statements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from dkg_api.cbor import encoded
from dkg_api.enrolment import Enrolment, enrol
from dkg_api.party_certificate import host_name
from dkg_api.signatures import public_bytes, sign
from dkg_api.user_data import UserData, decode_user_data
from dkg_node.attestation.appraiser import LONG_LIVED, TermsAppraiser
from dkg_node.attestation.binding import Bond, ChannelKey
from dkg_node.attestation.document import ES384, read_document
from dkg_node.attestation.handshake import Dialer, Listener, Speaker, outlived_digest, transcript_of
from dkg_node.attestation.messages import Newer, read_hello
from dkg_node.attestation.obstacles import EVIDENCE, ChannelRefused, Obstacle, require
from dkg_node.attestation.reasons import Refusal
from dkg_node.attestation.verifier import authenticate
from dkg_node.errors import AttestationError
from dkg_node.service.channels import Boots, Channels, Dialled, Identities, Listened
from dkg_node.service.evidence_tool import examine
from dkg_node.transport.bind import bind_dialled, bind_served
from dkg_node.transport.frames import Boot
from dkg_node.transport.settings import Lifetimes
from dkg_node.transport.streams import StreamEnd
from dkg_node.transport.tls import Attested, Pin, TlsIdentity
from dkg_node_software.fuzz import world
from dkg_node_software.fuzz.registry import target
from dkg_node_software.fuzz.world import ME, Pieces, cut, finished
from dkg_node_software.nsm import milliseconds, software_attester
from dkg_node_software.root import SOFTWARE_ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_node.attestation.nsm import NsmAttester
    from dkg_node.protocols.session import Role
    from dkg_node.transport.attest import Reply

PEER: Role = 2
ATTEMPT = 1
AT: Final = 1_893_456_000_000
"""When all handshakes here happen, ms."""
RELEASE = {"pcr0": "01" * 48, "pcr1": "02" * 48, "pcr2": "03" * 48}
"""That of the terms."""
NONCES: dict[Role, bytes] = {ME: b"m" * 32, PEER: b"p" * 32}
WEAK = bytes(32)
"""An X25519 key of small order."""
MEMORY = 256


@cache
def fixed_identity(role: Role) -> TlsIdentity:
    """The same key and certificate in every process, so that seeds stay good: nothing here is secret."""
    key = ec.derive_private_key(1000 + role, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host_name(role))])
    start = datetime(2030, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(role)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host_name(role))]), critical=False)
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    return TlsIdentity(role, certificate.public_bytes(Encoding.PEM).decode(), b"")


def sham_document(user_data: bytes, nonce: bytes | None, public_key: bytes | None) -> bytes:
    """A document in form, by nobody: the same for the same question in every process."""
    values = {
        "module_id": "i-0-enc0", "digest": "SHA384", "timestamp": AT, "pcrs": dict.fromkeys(range(3), b"p" * 48),
        "certificate": b"leaf", "cabundle": [b"root"], "user_data": user_data, "nonce": nonce,
        "public_key": public_key,
    }  # fmt: skip
    return encoded([ES384, {}, encoded(values), bytes(96)])


class _Sham:
    """Attester and appraiser that leave out the chain alone: a fuzzer gets behind the documents' signatures."""

    def attest(self, user_data: bytes, nonce: bytes | None, public_key: bytes | None) -> bytes:
        return sham_document(user_data, nonce, public_key)

    def enrolment(self, enrolment: Enrolment, at: int) -> None:
        del at
        problem = enrolment.problem(world.terms())
        require(problem is None, Obstacle.ENROLMENT, problem or "")

    def channel(self, document: bytes, enrolment: Enrolment, nonce: bytes, public_key: bytes, at: int) -> UserData:
        del at
        try:
            read = read_document(document)
        except Refusal as refusal:
            raise ChannelRefused.of(EVIDENCE, refusal) from None
        said = decode_user_data(read.user_data)
        if said is None or (read.nonce, read.public_key, said.party) != (nonce, public_key, enrolment.party):
            raise ChannelRefused.by(Obstacle.SIGNATURE, "of a sham document")
        return said


def _said(role: Role, purpose: str, attempt: int, channel_key: bytes | None) -> UserData:
    return UserData(
        purpose=purpose, terms_digest=world.terms().digest, attempt=attempt, party=role, boot_id=bytes(16),
        boot_number=1, root=SOFTWARE_ROOT, identity_key=public_bytes(world.identity_key(role)),
        channel_key=channel_key,
    )  # fmt: skip


def _speaker(role: Role, boots: Boots, shown: bytes) -> Speaker:
    identity = world.identity_key(role)
    return Speaker(
        statement=_said(role, "channel", ATTEMPT, shown),
        enrolment=world.enrolments()[role - 1],
        attester=_Sham(),
        sign=lambda purpose, message: sign(identity, purpose, message),
        appraiser=_Sham(),
        parties=world.GROUP.n,
        newer=boots.newer,
    )


def _channels(role: Role, shown: bytes | None) -> Channels:
    """``shown``: an X25519 key to claim instead of the own."""
    boots, key = Boots(), ChannelKey(X25519PrivateKey.from_private_bytes(bytes([role]) * 32))
    speaker = _speaker(role, boots, shown or key.public)
    return Channels(speaker, key, Identities(role, Lifetimes()), boots, lambda: AT)


@dataclass(frozen=True, slots=True)
class _Meeting:
    """The listener is party 1, the dialer party 2; either may be the one under test."""

    listened: Listened
    dialled: Dialled

    @classmethod
    def fresh(cls, weak: Role = 0) -> _Meeting:
        """``weak``: that party shows an X25519 key that gives everybody the same secret."""
        one, two = (_channels(role, WEAK if role == weak else None) for role in (ME, PEER))
        shown = {role: fixed_identity(role) for role in (ME, PEER)}
        listener = Listener(one.speaker, shown[ME].der, NONCES[ME])
        dialer = Dialer(two.speaker, ME, shown[PEER].der, NONCES[PEER])
        return cls(Listened(one, shown[ME], listener), Dialled(two, shown[PEER], dialer))

    def messages(self) -> tuple[bytes, bytes, bytes, bytes]:
        """All four, as honest parties send them; the last is a refusal where a key is weak."""
        first = self.dialled.hello()
        second = self.listened.hello(first).message or b""
        third = self.dialled.response(second).message or b""
        return first, second, third, self.listened.finish(third).message or b""


@cache
def _honest() -> tuple[bytes, bytes, bytes, bytes]:
    return _Meeting.fresh().messages()


def _newer(role: Role) -> Newer:
    """That party's word, in the honest handshake, that it knows a newer boot of the other one."""
    hello = read_hello(_honest()[0])
    over = outlived_digest(transcript_of(hello, NONCES[ME]), 2, b"n" * 16)
    return Newer(2, b"n" * 16, world.enrolments()[role - 1], sign(world.identity_key(role), "channel", over))


def _judged(replies: Sequence[Reply], heard: Sequence[bytes], honest: Sequence[bytes]) -> None:
    """A pin only of what an honest peer said, to the last bit; a refusal has words and nothing to pin."""
    for reply in replies:
        assert not (reply.refusal and reply.pin)
        assert reply.pin is None or tuple(heard) == tuple(honest)
        assert reply.outlived is None or heard[1] in {_newer(role).encode() for role in (ME, PEER)}


def _listener_seeds() -> list[bytes]:
    first, second, third, fourth = _honest()
    weak = _Meeting.fresh(weak=PEER).messages()
    outlived = _newer(PEER).encode()
    return [
        cut(first, third), cut(third, first), cut(second, fourth), cut(weak[0], weak[2]), cut(first, outlived),
    ]  # fmt: skip


@target(_listener_seeds, memory=MEMORY)
def handshake_listener(data: bytes) -> None:
    """Messages 1 and 3 on the attest port: an answer each, a pin only for the honest ones."""
    side, pieces = _Meeting.fresh().listened, Pieces(data)
    heard = [pieces.next() or b"", pieces.next() or b""]
    replies = [side.hello(heard[0]), side.finish(heard[1])]
    assert all(reply.message or reply.outlived or "says the other side" in reply.refusal for reply in replies)
    _judged(replies, heard, (_honest()[0], _honest()[2]))


def _dialer_seeds() -> list[bytes]:
    first, second, third, fourth = _honest()
    weak = _Meeting.fresh(weak=ME).messages()
    refused, outlived = encoded({0: 5, 1: "busy"}), _newer(ME).encode()
    return [cut(second, fourth), cut(refused), cut(second, outlived), cut(weak[1], fourth), cut(third, first)]


@target(_dialer_seeds, memory=MEMORY)
def handshake_dialer(data: bytes) -> None:
    """Messages 2 and 4, or refusals in their place."""
    side, pieces = _Meeting.fresh().dialled, Pieces(data)
    heard = [pieces.next() or b"", pieces.next() or b""]
    replies = [side.response(heard[0]), side.confirmed(heard[1])]
    _judged(replies, heard, (_honest()[1], _honest()[3]))


class _Pipe:
    """A stream on which the peer says the pieces."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces

    async def read(self) -> bytes | None:
        return self._pieces.next()

    async def write(self, data: bytes) -> None:
        assert len(data) == 36


def _bound(own: Role, peer: Role, number: int = 1) -> Pin:
    bond = Bond(bytes(32), bytes([number]) * 32)
    shown = Attested(fixed_identity(own), bond, Boot(number, bytes(16)))
    return Pin.of_der(peer, fixed_identity(peer).der, shown)


def _binds() -> list[bytes]:
    ours, theirs = fixed_identity(ME).der, fixed_identity(PEER).der
    dials = [b"dkgb" + Bond(bytes(32), bytes([number]) * 32).mac("dials", theirs, ours) for number in (1, 2)]
    listens = b"dkgb" + Bond(bytes(32), bytes([1]) * 32).mac("listens", theirs, ours)
    return [cut(dials[0], listens), cut(dials[1], dials[1]), cut(listens, dials[0]), cut(b"", b"dkgb"), b""]


@target(_binds)
def bind(data: bytes) -> None:
    """The first message of a stream, at the listener and at the caller: StreamEnd, or the one MAC that fits."""
    pins, pieces = (_bound(ME, PEER), _bound(ME, PEER, 2)), Pieces(data)
    good = [Pieces(seed) for seed in _binds()[:2]]
    dials, listens = [piece.next() for piece in good], good[0].next()
    said = Pieces(data).next()
    try:
        pin = finished(bind_served(_Pipe(pieces), pins))
    except StreamEnd:
        assert said not in dials
    else:
        assert said == dials[pins.index(pin)]
    answered = Pieces(data)
    answered.next()
    answer = answered.next()
    try:
        finished(bind_dialled(_Pipe(pieces), pins[0]))
    except StreamEnd:
        assert answer != listens
    else:
        assert answer == listens


@cache
def _module() -> NsmAttester:
    return software_attester(RELEASE)


def _documents() -> list[bytes]:
    enrolled = _said(PEER, "enrol", LONG_LIVED, None).encode()
    spki = bytes(range(91))
    return [
        _module().attest(enrolled, None, None),
        _module().attest(_said(PEER, "channel", ATTEMPT, bytes(32)).encode(), bytes(32), spki),
        b"\xd2" + _module().attest(b"", None, None),
        sham_document(enrolled, None, None),
    ]


@target(_documents, memory=MEMORY)
def evidence(data: bytes) -> None:
    """An attestation document: Refusal, or one with one encoding, judged alike by each who judges it."""
    try:
        read = read_document(data)
    except Refusal:
        return
    said = decode_user_data(read.user_data)
    finding = examine(data, SOFTWARE_ROOT, read.timestamp, world.terms())
    try:
        authenticate(data, SOFTWARE_ROOT, read.timestamp)
    except Refusal:
        assert finding.forged is not None
        return
    assert finding.forged is None
    assert finding.refused is not None or said is not None


@target(_documents, memory=MEMORY)
def enrolled_evidence(data: bytes) -> None:
    """The document in an enrolment that the organisation signed: ChannelRefused, or one of a release of the terms."""
    if not 0 < len(data) <= 12 * 1024:
        return
    identity, organization = public_bytes(world.identity_key(PEER)), world.organization_key(PEER)
    signed = enrol(world.terms().digest, PEER, identity, organization, data)
    assert signed.evidence == data
    try:
        TermsAppraiser(world.terms(), LONG_LIVED, SOFTWARE_ROOT).enrolment(signed, milliseconds())
    except ChannelRefused:
        return
    said = decode_user_data(read_document(data).user_data)
    assert said is not None
    assert (said.identity_key, said.party) == (identity, PEER)


@target(lambda: [_said(PEER, "enrol", 0, None).encode(), _said(ME, "channel", 1, bytes(32)).encode(), b"\xa0"])
def user_data(data: bytes) -> None:
    """The statement in a document: None, or what encodes to the same bytes."""
    found = decode_user_data(data)
    assert found is None or found.encode() == data


def _answers() -> list[bytes]:
    return [encoded({"Attestation": {"document": b"d" * 40}}), encoded({"Error": "InputTooLarge"}), b"\xf6"]


@target(_answers)
def module_answer(data: bytes) -> None:
    """What /dev/nsm answers: AttestationError, or a document, whatever stands in it."""
    attester = replace(_module(), exchange=lambda _: data)
    try:
        document = attester.attest(b"", None, None)
    except AttestationError:
        return
    assert document in data
