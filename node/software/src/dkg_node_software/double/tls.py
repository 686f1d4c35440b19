"""The double's test CA and its server certificate: made anew for each state directory, kept beside it."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dkg_node.sealing.files import write_atomic

CA_FILE: Final = "ca.pem"
SERVER_FILE: Final = "server.pem"
LIFE: Final = timedelta(days=3650)
EARLY: Final = timedelta(hours=1)
BITS: Final = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


def make_certificates(directory: Path, host: str) -> None:
    """A CA that signs one certificate for ``host`` and forgets its key. Nothing happens when they are there."""
    if (directory / SERVER_FILE).exists():
        return
    ca_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    ca_name, name = _name("AWS double test CA"), _name(host)
    constraints = (x509.BasicConstraints(ca=True, path_length=0), True)
    ca = _issue((ca_name, ca_key), (ca_name, ca_key), [constraints, (_usage("key_cert_sign"), True)])
    names = [x509.DNSName("localhost"), _general_name(host)]
    leaf = _issue(
        (ca_name, ca_key),
        (name, key),
        [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.SubjectAlternativeName(names), False),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (_usage("digital_signature"), True),
        ],
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_atomic(directory / CA_FILE, ca.public_bytes(Encoding.PEM))
    write_atomic(directory / SERVER_FILE, private + leaf.public_bytes(Encoding.PEM), mode=0o600)


def server_context(directory: Path) -> ssl.SSLContext:
    """TLS of the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(directory / SERVER_FILE)
    return context


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(name: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{bit: bit == name for bit in BITS})


def _issue(
    issuer: tuple[x509.Name, EllipticCurvePrivateKey],
    subject: tuple[x509.Name, EllipticCurvePrivateKey],
    extensions: list[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    now = datetime.now(UTC)
    key_id = x509.SubjectKeyIdentifier.from_public_key(subject[1].public_key())
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer[1].public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject[0])
        .issuer_name(issuer[0])
        .public_key(subject[1].public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLY)
        .not_valid_after(now + LIFE)
    )
    for extension, critical in [*extensions, (key_id, False), (authority, False)]:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer[1], SHA256())
