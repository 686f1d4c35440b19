"""Successor terms: new releases and new keys for shares that exist already (design 03, "New release").

They change who may open a share, never what it is a share of: ceremony, parties and threshold stay the predecessor's.
All n organisations sign them, by the keys in the first terms. A successor may be succeeded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, model_validator

from dkg_api.canonical import canonical, digest
from dkg_api.errors import ApiError, DocumentError
from dkg_api.model import CamelModel, Hex32, parse_model
from dkg_api.signatures import SignatureMissing, TermsSignature, public_bytes, sign, verify
from dkg_api.terms import PartyTerms, Release, SealingTerms, Terms


class SuccessorError(DocumentError):
    """The text is no successor of any terms."""


class SuccessorTerms(CamelModel):
    """Version 1 of successor terms."""

    schema_version: Literal[1] = Field(description="1")
    predecessor: Hex32 = Field(description="digest of the terms, or of the successor terms, that these follow")
    certificate: Hex32 = Field(description="SHA-256 of what the certificate of the key set has signed")
    releases: Annotated[tuple[Release, ...], Field(min_length=1, max_length=8)] = Field(
        description="releases that may open the shares from now on"
    )
    sealing: tuple[SealingTerms, ...] = Field(description="where each party's new KMS key lives, by index")

    @model_validator(mode="after")
    def _fits_together(self) -> SuccessorTerms:
        if len({release.pcr0 for release in self.releases}) != len(self.releases):
            raise ValueError("releases: one release stands twice: remove it")
        return self

    @cached_property
    def canonical(self) -> bytes:
        """The canonical text, which digest and signatures cover."""
        return canonical(self.model_dump(mode="json"))

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the canonical text, 32 bytes."""
        return digest(self.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class Custody:
    """Successor terms as key policies, contexts, documents and orders see them. What they don't say the first do."""

    first: Terms
    successor: SuccessorTerms

    @property
    def ceremony(self) -> str:
        """Of the first terms."""
        return self.first.ceremony

    @property
    def n(self) -> int:
        """Number of parties."""
        return self.first.n

    @property
    def digest(self) -> bytes:
        """Of the successor terms."""
        return self.successor.digest

    @property
    def releases(self) -> tuple[Release, ...]:
        """The new ones."""
        return self.successor.releases

    def party(self, index: int) -> PartyTerms:
        """The party with its new sealing; KeyError for a party there is not."""
        return self.first.party(index).model_copy(update={"sealing": self.successor.sealing[index - 1]})


def parse_successor(source: bytes | str | Mapping[str, object]) -> SuccessorTerms:
    """Successor terms from a JSON text or object, signatures not checked. Raises SuccessorError."""
    return parse_model(SuccessorTerms, source, "successor terms", SuccessorError)


def sign_successor(
    successor: SuccessorTerms, terms: Terms, party: int, key: Ed25519PrivateKey
) -> TermsSignature:  # fmt: skip
    """An organisation's consent. ApiError if the key is not the one that the first terms name for that party."""
    if public_bytes(key).hex() != terms.party(party).organization_key:
        raise ApiError(f"sign with the key of party {party}: this one is not the organizationKey of the terms")
    return TermsSignature(party=party, signature=sign(key, "terms", successor.canonical).hex())


def succeed(
    terms: Terms,
    current: Terms | Custody,
    certificate: bytes,
    successor: SuccessorTerms,
    signatures: Iterable[TermsSignature],
) -> Custody:
    """What follows ``current``, which is ``terms`` or the custody so far. ``certificate``: SHA-256 of the key set's.

    ApiError when the successor follows something else, SignatureMissing unless all n organisations signed it.
    """
    if successor.predecessor != current.digest.hex():
        raise ApiError("use successor terms that follow these: they name another predecessor")
    if successor.certificate != certificate.hex():
        raise ApiError("use successor terms for this key set: they name another certificate")
    if len(successor.sealing) != terms.n:
        raise ApiError(f"give sealing for each of the {terms.n} parties in order")
    signed = {s.party for s in signatures if is_signed(terms, successor, s)}
    missing = [party.organization for party in terms.parties if party.index not in signed]
    if missing:
        raise SignatureMissing(f"get the successor terms signed by all: no valid signature of {', '.join(missing)}")
    return Custody(terms, successor)


def is_signed(terms: Terms, successor: SuccessorTerms, signature: TermsSignature) -> bool:
    """Whether this is a valid signature of one of the organisations of the first terms."""
    if not 1 <= signature.party <= terms.n:
        return False
    key = bytes.fromhex(terms.party(signature.party).organization_key)
    return verify(key, "terms", successor.canonical, bytes.fromhex(signature.signature))
