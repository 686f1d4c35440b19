"""Mutual TLS between parties: a fresh certificate each boot, exactly one pinned certificate a peer (03 "Channel").

gRPC has no hook to verify a certificate, so the pinned one is the only root the handshake knows; the listener, which
must know those of all peers, looks again at which one it was. Only the system's roots are never used.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dkg_node.errors import AttestationError
from dkg_node.protocols.session import Role

LIFE = timedelta(days=14)
"""Longer than any attempt; pins that live an hour come with attestation."""
SKEW = timedelta(hours=1)
"""How wrong a peer's clock may be."""
QUIET = 0.05
"""Seconds before new roots replace old ones: some thousand times what a handshake needs to get hold of its own."""
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What reading a certificate raises that no honest party made: the library's errors have no base of their own."""
_LOG = logging.getLogger(__name__)


def host_name(role: Role) -> str:
    """The name a party's certificate bears."""
    return f"party-{role}"


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Key and certificate of this boot. The key stays in memory and is never shown."""

    role: Role
    certificate: str
    """PEM, for the peers to pin."""
    key: bytes = field(repr=False)
    """PEM; read by gRPC only."""

    @classmethod
    def fresh(cls, role: Role, now: datetime) -> TlsIdentity:
        """Make a key (ECDSA P-256: Ed25519 never completes a gRPC handshake) and its self-signed certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host_name(role))])
        usage = x509.KeyUsage(
            digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(now + LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host_name(role))]), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(role, certificate.public_bytes(serialization.Encoding.PEM).decode(), pem)


@dataclass(frozen=True, slots=True)
class Pin:
    """The one certificate a party may show."""

    role: Role
    pem: bytes
    der: bytes

    @classmethod
    def of(cls, role: Role, pem: str) -> Pin:
        """Check a certificate before it is pinned. AttestationError says what is wrong with it."""
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            problem = _problem(certificate, role)
        except _UNREADABLE as error:
            raise AttestationError(f"get the certificate of party {role} again: it can't be read") from error
        if problem is not None:
            raise AttestationError(f"get the certificate of party {role} again: {problem}")
        return cls(
            role,
            certificate.public_bytes(serialization.Encoding.PEM),
            certificate.public_bytes(serialization.Encoding.DER),
        )


def _problem(certificate: x509.Certificate, role: Role) -> str | None:
    """Why a certificate is not pinned: each could let another one through."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return "its key is not ECDSA P-256"
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "it lacks basic constraints or a name"
    if constraints.ca:
        return "it may sign other certificates (CA:TRUE)"
    if list(names) != [x509.DNSName(host_name(role))]:
        return f"its name is not {host_name(role)} alone"
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, Exception):  # noqa: BLE001 - InvalidSignature is a bare Exception; any failure is a no
        return "it is not signed by its own key"
    return None


def client_credentials(own: TlsIdentity, pin: Pin) -> grpc.ChannelCredentials:
    """Credentials that reach the pinned peer and nobody else."""
    if not pin.pem:
        raise AttestationError("pin a certificate first: without one gRPC would trust the system's roots")
    return grpc.ssl_channel_credentials(pin.pem, own.key, own.certificate.encode())


def server_credentials(own: TlsIdentity, pins: Callable[[], Mapping[Role, Pin]]) -> grpc.ServerCredentials:
    """Credentials that ask, at each handshake, for the certificates pinned at that time.

    Without pins the only root is one's own certificate: nobody else has that key.
    """
    return grpc.dynamic_ssl_server_credentials(
        _configuration(own, own.certificate.encode()),
        PinnedRoots(own, pins),  # type: ignore[arg-type] # gRPC takes None for "unchanged"; its stubs do not know
        require_client_authentication=True,
    )


class PinnedRoots:
    """Called by gRPC before each handshake, one call at a time: the pinned certificates, or None if still the same.

    A new configuration is dangerous: gRPC's core frees the old one while other threads may be about to begin a
    handshake with it (grpc/grpc issue 36693, open), so that a few connections at once would end the process. Hence
    one only when the pins changed, and only after QUIET, in which no handshake begins and those that have fetched
    theirs get hold of it. It never raises: gRPC would keep the old roots.
    """

    def __init__(self, own: TlsIdentity, pins: Callable[[], Mapping[Role, Pin]]) -> None:
        """Begin where nobody is let in."""
        self._own, self._pins = own, pins
        self._given = own.certificate.encode()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        """Say whom to let in from now on; None: nothing changed."""
        wanted = self._read()
        if wanted == self._given:
            return None
        time.sleep(QUIET)
        self._given = wanted
        return _configuration(self._own, wanted)

    def _read(self) -> bytes:
        nobody = self._own.certificate.encode()
        try:
            return b"".join(pin.pem for _, pin in sorted(self._pins().items())) or nobody
        except Exception:  # noqa: BLE001 - whatever it is, gRPC must get an answer that lets nobody in
            _LOG.exception("can't read the pinned certificates: nobody is let in")
            return nobody


def _configuration(own: TlsIdentity, roots: bytes) -> grpc.ServerCertificateConfiguration:
    pair = (own.key, own.certificate.encode())
    return grpc.ssl_server_certificate_configuration([pair], root_certificates=roots)


def admit(context: Mapping[str, object], pins: Mapping[Role, Pin]) -> Role | str:
    """Who is at the other end of an accepted connection, by gRPC's auth context, or why it is refused."""

    def value(name: str) -> bytes:
        values = context.get(name)
        first = values[0] if isinstance(values, (list, tuple)) and len(values) == 1 else b""
        return first if isinstance(first, bytes) else b""

    if value("transport_security_type") != b"ssl" or value("ssl_tls_version") != b"TLSv1.3":
        return "only TLS 1.3 is spoken here"
    if value("ssl_session_reused") != b"false":
        return "sessions are not resumed here: connect anew"
    try:
        shown = x509.load_pem_x509_certificate(value("x509_pem_cert")).public_bytes(serialization.Encoding.DER)
    except _UNREADABLE:
        return "no readable client certificate"
    return next((role for role, pin in pins.items() if pin.der == shown), "the certificate is not pinned")
