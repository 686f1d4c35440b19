"""Attestation documents of an enclave that does not exist, under a root made on the spot, with anything changed.

Genuine by default and accepted by the policy that comes with them: a test changes one thing and sees it refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP384R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from dkg_api.cbor import encoded
from dkg_api.user_data import UserData
from dkg_node.attestation.document import ES384
from dkg_node.attestation.policy import Expected, Policy

AT: Final = 1_893_456_000_000
"""When all of it happens: 2030-01-01, ms."""
NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)
MODULE: Final = "i-0123456789abcdef0-enc0123456789abcdef"
NONCE: Final = bytes(range(32))
PUBLIC_KEY: Final = bytes(range(100))
MEASURED: Final = (bytes([1] * 48), bytes([2] * 48), bytes([3] * 48))
TERMS: Final = bytes([4] * 32)
IDENTITY: Final = bytes([5] * 32)
USAGES: Final = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
DROP: Final = object()
"""Stands for: leave the field out."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One certificate of a chain."""

    names: tuple[str, ...]
    """Common names of the subject."""
    ca: bool = True
    path: int | None = None
    usages: tuple[str, ...] | None = ("key_cert_sign",)
    constraints: bool = True
    constraints_critical: bool = True
    start: datetime = NOW - timedelta(days=1)
    end: datetime = NOW + timedelta(days=1)
    key: Any = field(default_factory=lambda: generate_private_key(SECP384R1()))
    issuer: x509.Name | None = None
    """Written instead of the real issuer's name."""
    signer: EllipticCurvePrivateKey | None = None
    """Signs instead of the real issuer."""
    hash: hashes.HashAlgorithm = field(default_factory=hashes.SHA384)
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = ()

    @property
    def name(self) -> x509.Name:
        """The subject."""
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in self.names])


def usual_chain(count: int = 5) -> tuple[Spec, ...]:
    """A root, authorities with falling path lengths, a leaf."""
    root = Spec(names=("root",))
    middle = (Spec(names=(f"authority {i}",), path=count - 2 - i) for i in range(1, count - 1))
    leaf = Spec(names=(f"{MODULE}.eu-central-1.aws",), ca=False, usages=("digital_signature",))
    return (root, *middle, replace(leaf, start=NOW - timedelta(hours=1), end=NOW + timedelta(hours=2)))


def changed(specs: Sequence[Spec], place: int, **changes: Any) -> tuple[Spec, ...]:
    """The chain with one certificate of another kind."""
    place %= len(specs)
    return (*specs[:place], replace(specs[place], **changes), *specs[place + 1 :])


def issue(specs: Sequence[Spec]) -> tuple[bytes, ...]:
    """DER of all, each signed by the one before it, the first by itself."""
    return tuple(_sign(spec, specs[max(place - 1, 0)]) for place, spec in enumerate(specs))


def _sign(spec: Spec, issuer: Spec) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(spec.name)
        .issuer_name(spec.issuer or issuer.name)
        .public_key(spec.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(spec.start)
        .not_valid_after(spec.end)
    )
    if spec.constraints:
        constraints = x509.BasicConstraints(ca=spec.ca, path_length=spec.path)
        builder = builder.add_extension(constraints, critical=spec.constraints_critical)
    if spec.usages is not None:
        usage = x509.KeyUsage(**{name: name in spec.usages for name in USAGES})
        builder = builder.add_extension(usage, critical=spec.ca)
    for extension, critical in spec.extra:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(spec.signer or issuer.key, spec.hash).public_bytes(Encoding.DER)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Case:
    """All that ``appraise`` is asked."""

    document: bytes
    policy: Policy
    nonce: bytes | None
    at: int

    @property
    def arguments(self) -> tuple[bytes, Policy, bytes | None, int]:
        """In its order."""
        return self.document, self.policy, self.nonce, self.at


def statement(**changes: Any) -> UserData:
    """What the enclave says about itself; the root is filled in by ``case`` unless it is given."""
    usual: dict[str, Any] = {
        "purpose": "channel", "terms_digest": TERMS, "attempt": 1, "party": 2, "identity_key": IDENTITY,
        "channel_key": bytes([6] * 32), "boot_id": bytes(16), "boot_number": 7, "sealing": bytes([8] * 32),
        "root": bytes(32),
    }  # fmt: skip
    return UserData(**{**usual, **changes})


def cose(payload: bytes, key: EllipticCurvePrivateKey) -> list[Any]:
    """The four parts of COSE_Sign1 by ES384."""
    r, s = decode_dss_signature(key.sign(encoded(["Signature1", ES384, b"", payload]), ECDSA(hashes.SHA384())))
    return [ES384, {}, payload, r.to_bytes(48, "big") + s.to_bytes(48, "big")]


def case(  # noqa: PLR0913 - one keyword for each thing a test may change
    *,
    specs: Sequence[Spec] | None = None,
    ders: Callable[[tuple[bytes, ...]], Sequence[bytes]] = lambda ders: ders,
    fields: Mapping[Any, Any] | None = None,
    said: Mapping[str, Any] | None = None,
    payload: Callable[[dict[Any, Any]], bytes] = encoded,
    parts: Callable[[list[Any]], bytes] = encoded,
    policy: Mapping[str, Any] | None = None,
    nonce: bytes | None = NONCE,
    at: int = AT,
) -> Case:
    """A document and a policy that accepts it, but for what is given.

    ``ders`` changes the chain after it is issued, ``fields`` the payload (DROP removes), ``said`` the statement,
    ``payload`` its encoding, ``parts`` what is done with the four parts of COSE_Sign1.
    """
    chain = tuple(specs or usual_chain())
    issued = issue(chain)
    root = sha256(issued[0]).digest()
    certificates = ders(issued)
    values = {
        "module_id": MODULE, "digest": "SHA384", "timestamp": AT - 1000,
        "pcrs": {**dict.fromkeys(range(16), bytes(48)), **dict(enumerate(MEASURED))},
        "certificate": certificates[-1], "cabundle": list(certificates[:-1]), "public_key": PUBLIC_KEY,
        "user_data": statement(**{"root": root, **(said or {})}).encode(), "nonce": NONCE,
    }  # fmt: skip
    values |= fields or {}
    values = {name: value for name, value in values.items() if value is not DROP}
    document = parts(cose(payload(values), chain[-1].key))
    expected = Expected(
        purpose="channel", terms_digest=TERMS, attempt=1, party=2, identity_keys=frozenset({IDENTITY}),
        sealing=bytes([8] * 32),
    )  # fmt: skip
    usual = {"root": root, "releases": frozenset({MEASURED}), "expected": expected, "public_key": PUBLIC_KEY}
    return Case(document, Policy(**{**usual, **(policy or {})}), nonce, at)
