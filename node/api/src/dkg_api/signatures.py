"""Signatures: Ed25519 over "dkg/v1/" || purpose || 0x00 || message, from a closed list of purposes (design 03)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from dkg_api.errors import ApiError
from dkg_api.model import CamelModel, Hex64
from dkg_api.terms import Terms

PURPOSES: Final = frozenset({
    "terms", "enrolment", "channel", "broadcast", "chunk", "share", "go", "state",
    "fault", "segment", "checkpoint", "attempt", "status", "certificate", "erase", "receipt",
})  # fmt: skip
"""A signature for one purpose is worth nothing for another. ``go`` covers both steps of the go exchange."""


class SignatureMissing(ApiError):
    """Terms without the signatures of all organisations; the text names the missing ones."""


class TermsSignature(CamelModel):
    """An organisation's signature of the terms, by party index."""

    party: int
    signature: Hex64


def signed_bytes(purpose: str, message: bytes) -> bytes:
    """What is really signed. Raises ValueError for an unknown purpose (a mistake in the code)."""
    if purpose not in PURPOSES:
        raise ValueError(f"use a purpose of the closed list, not {purpose!r}")
    return b"dkg/v1/" + purpose.encode() + b"\x00" + message


def sign(key: Ed25519PrivateKey, purpose: str, message: bytes) -> bytes:
    """Signature of 64 bytes."""
    return key.sign(signed_bytes(purpose, message))


def verify(public_key: bytes, purpose: str, message: bytes, signature: bytes) -> bool:
    """Whether the signature fits key (32 bytes), purpose and message. Never raises for what a peer sent."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed_bytes(purpose, message))
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """The public key, 32 bytes."""
    return key.public_key().public_bytes_raw()


def sign_terms(terms: Terms, party: int, key: Ed25519PrivateKey) -> TermsSignature:
    """An organisation's consent. Raises ApiError if the key is not the one the terms name for that party."""
    if public_bytes(key).hex() != terms.party(party).organization_key:
        raise ApiError(f"sign with the key of party {party}: this one is not the organizationKey of the terms")
    return TermsSignature(party=party, signature=sign(key, "terms", terms.canonical).hex())


def missing_organizations(terms: Terms, signatures: Iterable[TermsSignature]) -> tuple[str, ...]:
    """Names of the organisations, in order of index, without a valid signature of these terms: empty = n of n."""
    signed = {s.party for s in signatures if is_signed(terms, s)}
    return tuple(party.organization for party in terms.parties if party.index not in signed)


def require_all_signatures(terms: Terms, signatures: Iterable[TermsSignature]) -> None:
    """Raise SignatureMissing unless all n organisations signed these terms."""
    missing = missing_organizations(terms, signatures)
    if missing:
        raise SignatureMissing(f"get the terms signed by all organisations: no valid signature of {', '.join(missing)}")


def is_signed(terms: Terms, signature: TermsSignature) -> bool:
    """Whether it is a valid signature of these terms by the organisation of the party that it names."""
    keys: Mapping[int, str] = {party.index: party.organization_key for party in terms.parties}
    key = keys.get(signature.party)
    return key is not None and verify(bytes.fromhex(key), "terms", terms.canonical, bytes.fromhex(signature.signature))
