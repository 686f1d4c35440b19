"""Enrolments: which identity keys speak for a party, by word of its organisation (design 03, "Keys")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.canonical import canonical
from dkg_api.errors import ApiError
from dkg_api.model import Hex32, Hex64, Model
from dkg_api.signatures import sign, verify
from dkg_api.terms import Terms

MAX_ENROLMENTS = 8
"""A party: one that lost its disk enrols a new key."""


class EnrolmentError(ApiError):
    """An enrolment that counts for nothing; the text says why and what to do."""


class Enrolment(Model):
    """An organisation says: this identity key is my party's, for these terms."""

    terms_digest: Hex32
    party: int
    identity_key: Hex32
    document: str | None = None
    """The enclave's attestation document; none until attestation is built."""
    key_arn: str | None = None
    """The KMS key's name; none with the development-only sealer."""
    signature: Hex64

    def content(self) -> bytes:
        """What the organisation signs (purpose ``enrolment``)."""
        return _content(self.model_dump(exclude={"signature"}))

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
        return None


def enrol(terms_digest: bytes, party: int, identity_key: bytes, organization_key: Ed25519PrivateKey) -> Enrolment:
    """Make an enrolment of a public identity key (32 bytes) with the organisation's private key."""
    fields: dict[str, object] = {
        "terms_digest": terms_digest.hex(), "party": party, "identity_key": identity_key.hex(),
        "document": None, "key_arn": None,
    }  # fmt: skip
    signature = sign(organization_key, "enrolment", _content(fields)).hex()
    return Enrolment.model_validate({**fields, "signature": signature})


@dataclass(frozen=True, slots=True)
class Keyring:
    """The enrolled keys of all parties. Two keys of one party are one party; one key never speaks for two."""

    keys: Mapping[int, tuple[bytes, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, terms: Terms, enrolments: Iterable[Enrolment]) -> Keyring:
        """Check every enrolment. Raises EnrolmentError for the first that does not count."""
        keys: dict[int, list[bytes]] = {party.index: [] for party in terms.parties}
        owner: dict[str, int] = {}
        for enrolment in enrolments:
            problem = enrolment.problem(terms)
            if problem is not None:
                raise EnrolmentError(problem)
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
