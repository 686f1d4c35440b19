"""The key certificate: what n-t parties signed when the key was agreed, sealed and checked (01 section 5, 07)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Literal

from dkg_api.canonical import canonical
from dkg_api.enrolment import Enrolment, EnrolmentError, Keyring
from dkg_api.errors import DocumentError
from dkg_api.model import Hex32, Hex64, Model, parse_model
from dkg_api.session import LAST_ATTEMPT, session_id
from dkg_api.terms import Terms


class CertificateError(DocumentError):
    """The text is no certificate at all."""


class Fault(Model):
    """A party that all agree misbehaved or failed."""

    party: int
    kind: str
    phase: str
    evidence_sha256: Hex32 | None = None


class SelfCheck(Model):
    """Outcome of the test of the finished key."""

    passed: bool
    cases: int
    method: Literal["reconstruction", "threshold"]


class CertificateSignature(Model):
    """A party's signature over the certificate's content, with the enrolled key it was made with."""

    party: int
    key: Hex32
    signature: Hex64


class Certificate(Model):
    """certificate.json."""

    schema_version: Literal[1] = 1
    notices: tuple[str, ...] = ()
    """What must be said of such a ceremony: software attestation, insecure parameters."""
    terms_digest: Hex32
    sid: Hex32
    era: int
    digests: Mapping[str, Hex32]
    """SHA-256 of what was made, by name: keyset, public_key, server_key ..."""
    self_check: SelfCheck | None = None
    """None where the parameter set has no self-check by shares."""
    faults: tuple[Fault, ...] = ()
    """Agreed ones only: local findings stand in the report."""
    enrolments: tuple[Enrolment, ...] = ()
    signatures: tuple[CertificateSignature, ...] = ()

    def content(self) -> bytes:
        """What each party signs (purpose ``certificate``): all but enrolments and signatures."""
        return canonical(self.model_dump(mode="json", exclude={"enrolments", "signatures"}))

    @property
    def digest(self) -> bytes:
        """SHA-256 of what is signed, 32 bytes: the same in every copy, whoever's signatures it has."""
        return sha256(self.content()).digest()

    def as_json(self) -> dict[str, object]:
        """The JSON object (snake_case names)."""
        return self.model_dump(mode="json")


def parse_certificate(source: bytes | str | Mapping[str, object]) -> Certificate:
    """Certificate from a JSON text or object. Raises CertificateError."""
    return parse_model(Certificate, source, "certificate", CertificateError)


def verify_certificate(
    certificate: Certificate, terms: Terms, appraise: Callable[[Enrolment], object] | None = None
) -> tuple[str, ...]:
    """Reasons why the certificate proves nothing under these terms; empty if it is good. Pure.

    ``appraise``: judges an enrolment's attestation document, for callers that have a root; raises EnrolmentError.
    Not looked at: whether the terms are signed by all (``missing_organizations``), and the files the digests name.
    """
    if certificate.terms_digest != terms.digest.hex():
        return ("the certificate belongs to other terms: get the certificate of these, or the right terms",)
    problems = []
    if certificate.notices != terms.notices:
        problems.append(f"the notices differ from what these terms demand ({', '.join(terms.notices) or 'none'})")
    if not _known_sid(certificate.sid, terms):
        problems.append("the session id is that of no attempt under these terms")
    if not certificate.digests:
        problems.append("it certifies no key: digests is empty")
    if certificate.self_check is not None and not certificate.self_check.passed:
        problems.append("the self-check did not pass")
    problems += _signature_problems(certificate, terms, appraise)
    return tuple(problems)


def _known_sid(sid: str, terms: Terms) -> bool:
    return any(session_id(terms.digest, attempt).hex() == sid for attempt in range(1, LAST_ATTEMPT + 1))


def _signature_problems(
    certificate: Certificate, terms: Terms, appraise: Callable[[Enrolment], object] | None
) -> list[str]:
    try:
        keyring = Keyring.of(terms, certificate.enrolments, appraise)
    except EnrolmentError as error:
        return [str(error)]
    problems, content, signed = [], certificate.content(), set()
    for entry in certificate.signatures:
        key = keyring.signer(entry.party, "certificate", content, bytes.fromhex(entry.signature))
        if key is None:
            problems.append(f"the signature of party {entry.party} is not by a key enrolled for it")
        elif key.hex() != entry.key:
            problems.append(f"the signature of party {entry.party} is by another of its keys than it says")
        else:
            signed.add(entry.party)
    needed = terms.n - terms.threshold
    if len(signed) < needed:
        problems.append(f"{len(signed)} parties signed, {needed} must: get signatures of {needed - len(signed)} more")
    return problems
