"""Whole groups of enclaves that do not exist: one forged root, genuine handshakes, anything changed for an attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from dkg_api.cbor import encoded
from dkg_api.enrolment import Enrolment, enrol
from dkg_api.signatures import public_bytes, sign
from dkg_api.terms import Terms, parse_terms
from dkg_api.user_data import UserData
from dkg_node.attestation.appraiser import TermsAppraiser, sealing_of
from dkg_node.attestation.binding import ChannelKey
from dkg_node.attestation.handshake import Dialer, Listener, Speaker, Step
from dkg_node.testing.forge import AT, MEASURED, MODULE, NOW, Spec, cose, issue, usual_chain
from dkg_node.transport.tls import TlsIdentity

ATTEMPT: Final = 1
KEY: Final = "arn:aws:kms:eu-central-1:000000000000:key/01234567-89ab-cdef-0123-456789abcdef"
ROLES: Final = {"enclaveRole": "enclave", "operatorRole": "operator", "breakGlassRole": "break-glass"}


@cache
def forged_chain() -> tuple[tuple[Spec, ...], tuple[bytes, ...]]:
    """One chain for all enclaves: what it costs to make it is paid once."""
    specs = usual_chain()
    return specs, issue(specs)


def forged_root() -> bytes:
    """SHA-256 of its root."""
    return sha256(forged_chain()[1][0]).digest()


def organization_key(party: int) -> Ed25519PrivateKey:
    """The same for every test."""
    return Ed25519PrivateKey.from_private_bytes(bytes([party]) * 32)


def terms_of(t: int = 1, **changes: Any) -> Terms:
    """Terms of 3t+1 parties, whose one release is what ``forge`` measures."""
    sealing = {"partition": "aws", "region": "eu-central-1", "account": "000000000000", **ROLES}
    parties = [
        {
            "index": i, "organization": f"Organisation {i}", "sealing": sealing,
            "organizationKey": public_bytes(organization_key(i)).hex(),
        }
        for i in range(1, 3 * t + 2)
    ]  # fmt: skip
    release = {f"pcr{i}": value.hex() for i, value in enumerate(MEASURED)}
    usual = {
        "schemaVersion": 1, "ceremony": "00" * 16, "protocolVersion": 1, "parameterSet": "test", "threshold": t,
        "attestation": "nitro", "parties": parties, "releases": [release], "startGrace": 5000, "roundTimeout": 20000,
        "minRate": 1000000, "minSpeed": 100, "notBefore": "2026-01-01T00:00:00Z", "deadline": "2036-01-01T00:00:00Z",
    }  # fmt: skip
    return parse_terms({**usual, **changes})


@dataclass
class Enclave:
    """One boot of one party, and its attester. Change a field and it lies there."""

    terms: Terms
    party: int
    boot_number: int = 1
    attempt: int = ATTEMPT
    identity: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    key_arn: str | None = KEY
    pcrs: Sequence[bytes] = MEASURED
    clock: Callable[[], int] = lambda: AT
    said: Mapping[str, Any] = field(default_factory=dict)
    """Of the statement in channel documents."""
    fields: Mapping[Any, Any] = field(default_factory=dict)
    """Of the payload of all documents."""
    organization: Ed25519PrivateKey | None = None
    """Signs the enrolment instead of the party's own."""
    channel_key: ChannelKey = field(default_factory=ChannelKey.fresh)
    appraiser_of: Mapping[str, Any] = field(default_factory=dict)
    documents: int = 0
    """How many it made."""

    def attest(self, user_data: bytes, nonce: bytes | None, public_key: bytes | None) -> bytes:
        """See ``ports.Attester``."""
        self.documents += 1
        specs, ders = forged_chain()
        values = {
            "module_id": MODULE, "digest": "SHA384", "timestamp": self.clock(),
            "pcrs": {**dict.fromkeys(range(16), bytes(48)), **dict(enumerate(self.pcrs))}, "certificate": ders[-1],
            "cabundle": list(ders[:-1]), "public_key": public_key, "user_data": user_data, "nonce": nonce,
        }  # fmt: skip
        return encoded(cose(encoded({**values, **self.fields}), specs[-1].key))

    def statement(self, purpose: str = "channel", attempt: int | None = None, **changes: Any) -> UserData:
        """What it says about itself."""
        plain = enrol(self.terms.digest, self.party, bytes(32), organization_key(self.party), key_arn=self.key_arn)
        return UserData(**{
            "purpose": purpose, "terms_digest": self.terms.digest, "party": self.party,
            "attempt": self.attempt if attempt is None else attempt, "identity_key": public_bytes(self.identity),
            "channel_key": self.channel_key.public, "boot_id": self.boot_number.to_bytes(16, "big"),
            "boot_number": self.boot_number, "root": forged_root(), "sealing": sealing_of(self.terms, plain),
            **changes,
        })  # fmt: skip

    def enrolment(self, **changes: Any) -> Enrolment:
        """Signed by the organisation, with a document (``enrol``); ``changes`` of that document's statement."""
        said = self.statement(**{"purpose": "enrol", "attempt": 0, "channel_key": None, **changes})
        document = self.attest(said.encode(), None, None)
        key = self.organization or organization_key(self.party)
        return enrol(self.terms.digest, self.party, public_bytes(self.identity), key, document, self.key_arn)

    def speaker(self, **changes: Any) -> Speaker:
        """What it brings to a handshake."""
        appraiser = TermsAppraiser(**{
            "terms": self.terms, "attempt": self.attempt, "root": forged_root(), **self.appraiser_of
        })  # fmt: skip
        plain = Speaker(
            self.statement(**self.said), self.enrolment(), self, lambda *said: sign(self.identity, *said), appraiser,
            self.terms.n, lambda _: None,
        )  # fmt: skip
        return replace(plain, **changes)


def certificate_of(party: int, now: datetime = NOW) -> bytes:
    """A fresh one, DER."""
    pem = TlsIdentity.fresh(party, now).certificate.encode()
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


@dataclass
class Meeting:
    """A dialer and a listener, and whoever carries their messages."""

    dialer: Dialer
    listener: Listener
    carry: Callable[[int, bytes], bytes] = lambda _, data: data
    """Changes message 1, 2, 3 or 4 on its way."""
    at: tuple[int, int] = (AT, AT)
    """The clocks of dialer and listener."""
    messages: list[bytes] = field(default_factory=list)
    """As they were sent."""

    def run(self) -> tuple[Step, Step]:
        """To the end of either side: the last steps of dialer and listener."""
        second = self.listener.hello(self._pass(1, self.dialer.hello()))
        third = self.dialer.response(self._pass(2, second.message), self.at[0])
        if second.refusal is not None:
            return third, second
        fourth = self.listener.finish(self._pass(3, third.message), self.at[1])
        if third.refusal is not None:
            return third, fourth
        return self.dialer.confirmed(self._pass(4, fourth.message)), fourth

    def _pass(self, number: int, data: bytes | None) -> bytes:
        self.messages.append(data or b"")
        return self.carry(number, data or b"")


def meet(dialer: Speaker, listener: Speaker, **changes: Any) -> Meeting:
    """A meeting of these two with fresh certificates and nonces; ``changes`` of fields of either, or of the meeting."""
    a, b = dialer.statement.party, listener.statement.party
    to = changes.pop("to", b)
    nonces = changes.pop("nonces", (b"a" * 32, b"b" * 32))
    shown = changes.pop("certificates", (certificate_of(a), certificate_of(b)))
    return Meeting(Dialer(dialer, to, shown[0], nonces[0]), Listener(listener, shown[1], nonces[1]), **changes)
