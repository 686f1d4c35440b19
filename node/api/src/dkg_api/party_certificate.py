"""The form of a party's TLS certificate: self-signed, of one name, and unable to vouch for another (design 03).

Both who pins (transport) and who agrees on what to pin (attestation) judge by this.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MAX_CERTIFICATE = 2048
"""Bytes of DER; an honest one has some 400."""
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What reading a certificate raises that no honest party made: the library's errors have no base of their own."""


def host_name(party: int) -> str:
    """The name a party's certificate bears."""
    return f"party-{party}"


def certificate_problem(der: bytes, party: int) -> str | None:
    """Why this must not be pinned for that party: each could let another one through. None: it may."""
    if len(der) > MAX_CERTIFICATE:
        return "it is too long"
    try:
        certificate = x509.load_der_x509_certificate(der)
        if certificate.public_bytes(Encoding.DER) != der:
            return "it is not written in its one encoding"
        return _problem(certificate, party)
    except UNREADABLE:
        return "it can't be read"


def public_key_of(der: bytes) -> bytes:
    """DER SPKI of a certificate without problem."""
    key = x509.load_der_x509_certificate(der).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _problem(certificate: x509.Certificate, party: int) -> str | None:
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
    if list(names) != [x509.DNSName(host_name(party))]:
        return f"its name is not {host_name(party)} alone"
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, Exception):  # noqa: BLE001 - InvalidSignature is a bare Exception; any failure is a no
        return "it is not signed by its own key"
    return None
