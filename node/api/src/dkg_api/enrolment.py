"""Enrolments: which identity keys speak for a party, by word of its organisation (design 03, "Keys")."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import AfterValidator, StringConstraints

from dkg_api.canonical import canonical
from dkg_api.errors import ApiError, DocumentError
from dkg_api.kms_policy import key_arn_problem
from dkg_api.model import Hex32, Hex64, Model, parse_model
from dkg_api.signatures import sign, verify
from dkg_api.terms import Terms

MAX_ENROLMENTS = 8
"""A party: one that lost its disk enrols a new key."""
MAX_DOCUMENT = 12 * 1024
"""Bytes of an attestation document."""


class EnrolmentError(ApiError):
    """An enrolment that counts for nothing; the text says why and what to do."""


class EnrolmentFormatError(DocumentError):
    """The text is no enrolment at all."""


def _one_spelling(text: str) -> str:
    """Base64 in its one spelling: else the same document could be written in many ways."""
    data = b64decode(text, validate=True)
    if b64encode(data).decode() != text or not 0 < len(data) <= MAX_DOCUMENT:
        raise ValueError(f"is no base64 of 1 to {MAX_DOCUMENT} bytes in its one spelling: take the file of `enrol`")
    return text


Document = Annotated[str, StringConstraints(max_length=4 * MAX_DOCUMENT // 3 + 4), AfterValidator(_one_spelling)]
KeyArn = Annotated[str, StringConstraints(pattern=r"^arn:[\x21-\x7e]{1,250}$")]


class Enrolment(Model):
    """An organisation says: this identity key is my party's, for these terms."""

    schema_version: Literal[1] = 1
    terms_digest: Hex32
    party: int
    identity_key: Hex32
    document: Document | None = None
    """The enclave's attestation document (purpose ``enrol``), base64. Whoever appraises refuses None."""
    key_arn: KeyArn | None = None
    """The KMS key's name. A node's document vouches for it: without it, an enrolment of a node counts for nothing."""
    signature: Hex64

    def content(self) -> bytes:
        """What the organisation signs (purpose ``enrolment``)."""
        return _content(self.model_dump(exclude={"signature"}))

    @property
    def evidence(self) -> bytes | None:
        """The attestation document's bytes."""
        return None if self.document is None else b64decode(self.document)

    def encode(self) -> bytes:
        """The one canonical text, as it travels in a handshake."""
        return canonical(self.model_dump(mode="json"))

    def problem(self, terms: Terms) -> str | None:
        """Why it does not count under these terms; None if it does."""
        who = f"enrolment of party {self.party}"
        if not 1 <= self.party <= terms.n:
            return f"{who}: remove it: the terms have parties 1 to {terms.n}"
        if self.terms_digest != terms.digest.hex():
            return f"{who}: enrol again: it belongs to other terms"
        key = bytes.fromhex(terms.party(self.party).organization_key)
        if not verify(key, "enrolment", self.content(), bytes.fromhex(self.signature)):
            return f"{who}: enrol again: it is not signed by {terms.party(self.party).organization}"
        problem = None if self.key_arn is None else key_arn_problem(self.key_arn, terms, self.party)
        return None if problem is None else f"{who}: {problem}"


def parse_enrolment(source: bytes | str | Mapping[str, object]) -> Enrolment:
    """Enrolment from a JSON text or object. Raises EnrolmentFormatError; signature and document are not looked at."""
    return parse_model(Enrolment, source, "enrolment", EnrolmentFormatError)


def decode_enrolment(data: bytes) -> Enrolment | None:
    """The enrolment a peer sent, or None for anything but the canonical text of one."""
    try:
        enrolment = parse_enrolment(data)
    except ApiError:
        return None
    return enrolment if enrolment.encode() == data else None


def enrol(
    terms_digest: bytes,
    party: int,
    identity_key: bytes,
    organization_key: Ed25519PrivateKey,
    document: bytes | None = None,
    key_arn: str | None = None,
) -> Enrolment:
    """Make an enrolment of a public identity key (32 bytes) with the organisation's private key.

    ``document``: the enclave's attestation document, already appraised by the caller. Raises EnrolmentFormatError.
    """
    fields: dict[str, object] = {
        "schema_version": 1, "terms_digest": terms_digest.hex(), "party": party, "identity_key": identity_key.hex(),
        "document": None if document is None else b64encode(document).decode(), "key_arn": key_arn,
    }  # fmt: skip
    signature = sign(organization_key, "enrolment", _content(fields)).hex()
    return parse_enrolment({**fields, "signature": signature})


@dataclass(frozen=True, slots=True)
class Keyring:
    """The enrolled keys of all parties. Two keys of one party are one party; one key never speaks for two."""

    keys: Mapping[int, tuple[bytes, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, terms: Terms, enrolments: Iterable[Enrolment], appraise: Callable[[Enrolment], object] | None = None
    ) -> Keyring:
        """Check every enrolment. Raises EnrolmentError for the first that does not count.

        ``appraise`` judges the attestation document, for callers that have a root; it raises for a refused one.
        """
        keys: dict[int, list[bytes]] = {party.index: [] for party in terms.parties}
        owner: dict[str, int] = {}
        for enrolment in enrolments:
            problem = enrolment.problem(terms)
            if problem is not None:
                raise EnrolmentError(problem)
            if appraise is not None:
                appraise(enrolment)
            if owner.setdefault(enrolment.identity_key, enrolment.party) != enrolment.party:
                raise EnrolmentError(f"enrolment of party {enrolment.party}: enrol another key: it is another party's")
            if bytes.fromhex(enrolment.identity_key) not in keys[enrolment.party]:
                keys[enrolment.party].append(bytes.fromhex(enrolment.identity_key))
            if len(keys[enrolment.party]) > MAX_ENROLMENTS:
                raise EnrolmentError(
                    f"enrolment of party {enrolment.party}: it has more than {MAX_ENROLMENTS}: remove some"
                )
        return cls({role: tuple(found) for role, found in keys.items()})

    def missing(self) -> tuple[int, ...]:
        """Parties without any key."""
        return tuple(role for role, found in self.keys.items() if not found)

    def signer(self, role: int, purpose: str, message: bytes, signature: bytes) -> bytes | None:
        """The enrolled key of the party that made the signature, if any. Never raises for what a peer sent."""
        return next((k for k in self.keys.get(role, ()) if verify(k, purpose, message, signature)), None)

    def verify(self, role: int, purpose: str, message: bytes, signature: bytes) -> bool:
        """Whether it is a signature of that party. Never raises for what a peer sent."""
        return self.signer(role, purpose, message, signature) is not None


def _content(fields: Mapping[str, object]) -> bytes:
    return canonical(dict(fields))
