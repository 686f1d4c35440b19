"""The chain above a software module's leaf, of the profile that AWS Nitro's has: same depth, extensions, lifetimes.

What differs are names and the root, whose private key is published (``root``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from dkg_node_software.root import CERTIFICATE, WORTHLESS_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

LEAF_LIFE: Final = timedelta(hours=3)
REGION: Final = "software-1"
AUTHORITIES: Final = (
    ("regional", timedelta(days=20), 2),
    ("zonal", timedelta(days=6), 1),
    ("instance", timedelta(days=1), 0),
)
"""Kind, lifetime, path length."""
USAGES: Final = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
EARLY: Final = timedelta(seconds=3)
"""Real leaves begin three seconds before they are made."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A leaf with its key, and what leads to it."""

    bundle: tuple[bytes, ...]
    """DER, root first, without the leaf."""
    leaf: bytes
    """DER."""
    key: EllipticCurvePrivateKey
    ends: datetime


@dataclass(frozen=True, slots=True)
class _Issuer:
    name: x509.Name
    key: EllipticCurvePrivateKey


def issue(module_id: str, now: datetime, leaf_life: timedelta = LEAF_LIFE) -> Chain:
    """A fresh chain whose leaf is for this module, root to leaf 5 certificates."""
    root = x509.load_pem_x509_certificate(CERTIFICATE)
    issuer, bundle = _Issuer(root.subject, _root_key()), [root]
    instance = module_id.split("-enc", maxsplit=1)[0]
    for kind, life, length in AUTHORITIES:
        label = instance if kind == "instance" else kind
        name = _name(f"{label}.{REGION}.software.nitro-enclaves")
        key = generate_private_key(SECP384R1())
        extensions = [
            (x509.BasicConstraints(ca=True, path_length=length), True),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (_usage("key_cert_sign", *(() if kind == "instance" else ("digital_signature", "crl_sign"))), True),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False),
        ]
        start = now - timedelta(minutes=5)
        bundle.append(_sign(issuer, _Issuer(name, key), (start, start + life), extensions))
        issuer = _Issuer(name, key)
    key = generate_private_key(SECP384R1())
    leaf_extensions = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage("digital_signature", "content_commitment"), False),
    ]
    subject = _Issuer(_name(f"{module_id}.{REGION}.aws"), key)
    leaf = _sign(issuer, subject, (now - EARLY, now + leaf_life), leaf_extensions)
    ders = tuple(certificate.public_bytes(Encoding.DER) for certificate in bundle)
    return Chain(ders, leaf.public_bytes(Encoding.DER), key, leaf.not_valid_after_utc)


def utc(milliseconds: int) -> datetime:
    """The instant of so many ms since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def _root_key() -> EllipticCurvePrivateKey:
    key = load_pem_private_key(WORTHLESS_KEY, None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise TypeError("the root's key is on a curve")
    return key


def _name(common: str) -> x509.Name:
    parts = (
        (NameOID.COUNTRY_NAME, "XX"),
        (NameOID.ORGANIZATION_NAME, "SOFTWARE ATTESTATION"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "PROVES NOTHING"),
        (NameOID.COMMON_NAME, common),
    )
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def _usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in names for name in USAGES})


def _sign(
    issuer: _Issuer,
    subject: _Issuer,
    validity: tuple[datetime, datetime],
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject.name)
        .issuer_name(issuer.name)
        .public_key(subject.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer.key, SHA384())
