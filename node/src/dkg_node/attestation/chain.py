"""Steps 3 and 4 of the verifier: from the pinned root to the leaf that signed the document, in the order given.

Web PKI rules do not fit: leaves have a key usage that is not critical and no authority key identifier. What is looked
at is what the issuer really writes, and anything critical beyond it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePublicKey
from cryptography.x509.oid import ExtensionOID, NameOID, SignatureAlgorithmOID

from dkg_node.attestation.reasons import Reason, Refusal, demand

if TYPE_CHECKING:
    from dkg_node.attestation.document import Document

CERTIFICATES: Final = range(3, 9)
"""How many there may be, root and leaf included."""
UNDERSTOOD: Final = frozenset({ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE})
"""What may be critical."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Leaf:
    """Who signed the document."""

    name: str
    """Its one common name; empty when there is not exactly one."""
    key: EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class Path:
    """A chain under the root in which everything fits but, perhaps, the time."""

    leaf: Leaf
    validity: tuple[tuple[datetime, datetime], ...]
    """First and last instant of each certificate, root first."""

    def check(self, at: int) -> Leaf:
        """Step 4, at ``at`` in ms since 1970. Raises Refusal."""
        now = EPOCH + timedelta(milliseconds=at)
        for place, (start, end) in enumerate(self.validity):
            demand(start <= now, Reason.NOT_YET_VALID, f"certificate {place}")
            demand(now <= end, Reason.EXPIRED, f"certificate {place}")
        return self.leaf


@dataclass(slots=True)
class Chains:
    """Chains that were found good before, by all their bytes and the root: that they are stays true for ever.

    Time is looked at anew each time, and so is the document: nothing that can grow old is remembered.
    """

    most: int = 256
    _known: dict[bytes, Path] = field(default_factory=dict)

    def verify(self, document: Document, root: bytes, at: int) -> Leaf:
        """As ``verify_chain``."""
        parts = (root, *document.cabundle, document.certificate)
        name = sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
        path = self._known.get(name) or verify_path(document, root)
        if name not in self._known and len(self._known) < self.most:
            self._known[name] = path
        return path.check(at)


def verify_chain(document: Document, root: bytes, at: int) -> Leaf:
    """The leaf, issued under the root with this SHA-256 and valid at ``at`` (ms since 1970). Raises Refusal."""
    return verify_path(document, root).check(at)


def verify_path(document: Document, root: bytes) -> Path:
    """Step 3: the chain under the root with this SHA-256, whatever the time. Raises Refusal."""
    ders = (*document.cabundle, document.certificate)
    demand(len(ders) in CERTIFICATES, Reason.CHAIN, f"{len(ders)} certificates instead of 3 to 8")
    demand(sha256(ders[0]).digest() == root, Reason.ROOT, "the first certificate is not the pinned root")
    path = [_read(der, place) for place, der in enumerate(ders)]
    keys = [_check_form(certificate, place) for place, certificate in enumerate(path)]
    for place, certificate in enumerate(path[:-1]):
        _check_authority(certificate, place, below=len(path) - place - 2)
    _check_leaf(path[-1])
    for place in range(1, len(path)):
        check_issued(path[place], path[place - 1], place)
    names = [str(attribute.value) for attribute in path[-1].subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    validity = tuple((certificate.not_valid_before_utc, certificate.not_valid_after_utc) for certificate in path)
    return Path(Leaf(names[0] if len(names) == 1 else "", keys[-1]), validity)


def check_issued(certificate: x509.Certificate, issuer: x509.Certificate, place: int) -> None:
    """Name and signature. Raises Refusal."""
    demand(certificate.issuer == issuer.subject, Reason.CHAIN, f"certificate {place} names another issuer")
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        raise Refusal(Reason.CHAIN_SIGNATURE, f"certificate {place}") from None


def _read(der: bytes, place: int) -> x509.Certificate:
    """A certificate all of whose parts that are looked at below can be read, each extension at most once."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.extensions, certificate.subject, certificate.issuer, certificate.public_key()
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except Exception:  # noqa: BLE001 - the library has a dozen kinds of its own for a peer's bytes that it can't read
        raise Refusal(Reason.CERTIFICATE, f"certificate {place} can't be read") from None
    return certificate


def _check_form(certificate: x509.Certificate, place: int) -> EllipticCurvePublicKey:
    """Of every certificate: ecdsa-with-SHA384, nothing critical that is not understood, and its key, on P-384."""
    where = f"certificate {place}"
    algorithm = certificate.signature_algorithm_oid
    demand(algorithm == SignatureAlgorithmOID.ECDSA_WITH_SHA384, Reason.CERTIFICATE, f"{where}: signature algorithm")
    critical = {extension.oid for extension in certificate.extensions if extension.critical}
    demand(critical <= UNDERSTOOD, Reason.CERTIFICATE, f"{where}: an unknown critical extension")
    key = certificate.public_key()
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP384R1):
        raise Refusal(Reason.CERTIFICATE, f"{where}: its key is not on P-384")
    return key


def _check_authority(certificate: x509.Certificate, place: int, below: int) -> None:
    """May issue certificates, with ``below`` further authorities under it."""
    where = f"certificate {place}"
    constraints, usage = _constraints(certificate, where), _usage(certificate, where)
    demand(constraints.ca, Reason.CERTIFICATE, f"{where}: no authority")
    length = constraints.path_length
    demand(length is None or length >= below, Reason.CERTIFICATE, f"{where}: path length")
    demand(usage.key_cert_sign, Reason.CERTIFICATE, f"{where}: may sign no certificates")


def _check_leaf(certificate: x509.Certificate) -> None:
    """May sign documents and nothing that has certificates under it."""
    constraints, usage = _constraints(certificate, "the leaf"), _usage(certificate, "the leaf")
    demand(not constraints.ca, Reason.CERTIFICATE, "the leaf is an authority")
    demand(usage.digital_signature, Reason.CERTIFICATE, "the leaf may not sign")


def _constraints(certificate: x509.Certificate, where: str) -> x509.BasicConstraints:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        raise Refusal(Reason.CERTIFICATE, f"{where}: no basic constraints") from None
    demand(extension.critical, Reason.CERTIFICATE, f"{where}: basic constraints not critical")
    return extension.value


def _usage(certificate: x509.Certificate, where: str) -> x509.KeyUsage:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        raise Refusal(Reason.CERTIFICATE, f"{where}: no key usage") from None
