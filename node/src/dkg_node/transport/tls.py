"""Mutual TLS between parties: a fresh certificate each boot, exactly one pinned certificate a peer (03 "Channel").

gRPC has no hook to verify a certificate, so the pinned one is the only root the handshake knows; the listener, which
must know those of all peers, looks again at which one it was. Only the system's roots are never used.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dkg_api.party_certificate import UNREADABLE, certificate_problem, host_name
from dkg_node.errors import AttestationError
from dkg_node.protocols.session import Role
from dkg_node.transport.frames import Boot

LIFE = timedelta(days=14)
"""Longer than any attempt; how long a certificate is pinned is for who pins it (``attest``)."""
SKEW = timedelta(hours=1)
"""How wrong a peer's clock may be."""
QUIET = 0.05
"""Seconds before new roots replace old ones: some thousand times what a handshake needs to get hold of its own."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Key and certificate of this boot. The key stays in memory and is never shown."""

    role: Role
    certificate: str
    """PEM, for the peers to pin."""
    key: bytes = field(repr=False)
    """PEM; read by gRPC only."""

    @property
    def der(self) -> bytes:
        """The certificate as it is bound and pinned."""
        return x509.load_pem_x509_certificate(self.certificate.encode()).public_bytes(serialization.Encoding.DER)

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


class Bond(Protocol):
    """What ties a connection to the handshake that its pin came from; see ``attestation.binding``."""

    def mac(self, side: str, shown: bytes, seen: bytes) -> bytes:
        """Of the certificates (DER) that ``side`` shows and sees."""
        ...

    def check(self, mac: bytes, side: str, shown: bytes, seen: bytes) -> None:
        """AttestationError unless it fits."""
        ...


@dataclass(frozen=True, slots=True)
class Attested:
    """What a handshake found beside the certificate."""

    own: TlsIdentity
    """What this side shows on connections that rest on the pin."""
    bond: Bond
    boot: Boot
    """The peer's."""


@dataclass(frozen=True, slots=True)
class Pin:
    """The one certificate a party may show."""

    role: Role
    pem: bytes
    der: bytes
    attested: Attested | None = None
    """None: the certificate came with the desired state."""

    @classmethod
    def of(cls, role: Role, pem: str) -> Pin:
        """Check a certificate before it is pinned. AttestationError says what is wrong with it."""
        try:
            der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)
        except UNREADABLE as error:
            raise AttestationError(f"get the certificate of party {role} again: it can't be read") from error
        return cls.of_der(role, der)

    @classmethod
    def of_der(cls, role: Role, der: bytes, attested: Attested | None = None) -> Pin:
        """The same for DER."""
        problem = certificate_problem(der, role)
        if problem is not None:
            raise AttestationError(f"get the certificate of party {role} again: {problem}")
        pem = x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
        return cls(role, pem, der, attested)


def client_credentials(own: TlsIdentity, pin: Pin) -> grpc.ChannelCredentials:
    """Credentials that reach the pinned peer and nobody else."""
    if not pin.pem:
        raise AttestationError("pin a certificate first: without one gRPC would trust the system's roots")
    return grpc.ssl_channel_credentials(pin.pem, own.key, own.certificate.encode())


def server_credentials(own: Callable[[], TlsIdentity], pins: Callable[[], Iterable[Pin]]) -> grpc.ServerCredentials:
    """Credentials that ask, at each handshake, for what to show and which certificates are pinned at that time.

    Without pins the only root is one's own certificate: nobody else has that key.
    """
    shown = own()
    return grpc.dynamic_ssl_server_credentials(
        _configuration(shown, shown.certificate.encode()),
        PinnedRoots(own, pins),  # type: ignore[arg-type] # gRPC takes None for "unchanged"; its stubs do not know
        require_client_authentication=True,
    )


class PinnedRoots:
    """Called by gRPC before each handshake, one call at a time: the pinned certificates, or None if still the same.

    A new configuration is dangerous: gRPC's core frees the old one while other threads may be about to begin a
    handshake with it (grpc/grpc issue 36693, open), so that a few connections at once would end the process. Hence
    one only when the pins or the own certificate changed, and only after QUIET, in which no handshake begins and those
    that have fetched theirs get hold of it. It never raises: gRPC would keep the old roots.
    """

    def __init__(self, own: Callable[[], TlsIdentity], pins: Callable[[], Iterable[Pin]]) -> None:
        """Begin where nobody is let in."""
        self._own, self._pins = own, pins
        shown = own()
        self._given = (shown, shown.certificate.encode())

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        """Say what to show and whom to let in from now on; None: nothing changed."""
        shown = self._own()
        wanted = (shown, self._read() or shown.certificate.encode())
        if wanted == self._given:
            return None
        time.sleep(QUIET)
        self._given = wanted
        return _configuration(*wanted)

    def _read(self) -> bytes:
        try:
            return b"".join(sorted({pin.pem for pin in self._pins()}))
        except Exception:  # noqa: BLE001 - whatever it is, gRPC must get an answer that lets nobody in
            _LOG.exception("can't read the pinned certificates: nobody is let in")
            return b""


def _configuration(own: TlsIdentity, roots: bytes) -> grpc.ServerCertificateConfiguration:
    pair = (own.key, own.certificate.encode())
    return grpc.ssl_server_certificate_configuration([pair], root_certificates=roots)


def admit(context: Mapping[str, object], pins: Iterable[Pin]) -> tuple[Pin, ...] | str:
    """The pins of who is at the other end of an accepted connection, or why it is refused.

    ``context``: gRPC's auth context. One certificate may have been agreed on in several handshakes, of one party.
    """

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
    except UNREADABLE:
        return "no readable client certificate"
    return tuple(pin for pin in pins if pin.der == shown) or "the certificate is not pinned"
