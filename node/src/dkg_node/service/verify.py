"""Offline check of what a ceremony left: signatures, digests of public files, transcript chains."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dkg_api.canonical import parse
from dkg_api.certificate import CertificateError, parse_certificate, verify_certificate
from dkg_api.enrolment import EnrolmentError
from dkg_api.errors import ApiError
from dkg_api.signatures import TermsSignature, missing_organizations
from dkg_api.terms import Terms, TermsError, parse_terms
from dkg_api.transcript import verify_lines
from dkg_node.attestation.appraiser import LONG_LIVED, TermsAppraiser
from dkg_node.attestation.obstacles import ChannelRefused
from dkg_node.errors import UsageError
from dkg_node.service.clock import milliseconds
from dkg_node.service.command import NegativeVerdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dkg_api.certificate import Certificate
    from dkg_api.enrolment import Enrolment

BLOCK = 1 << 20
SUFFIX = ".bin"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was looked at and what is wrong with it."""

    checked: tuple[str, ...]
    problems: tuple[str, ...]


def read_file(path: Path, what: str) -> bytes:
    """A file's bytes; UsageError in one line."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"can't read the {what} {path}: {error.strerror}; give a readable file") from None


def read_terms_file(path: Path) -> tuple[Terms, tuple[TermsSignature, ...]]:
    """Terms and signatures of a {terms, signatures} file, signatures not checked yet."""
    try:
        value = parse(read_file(path, "terms"), str(path))
        if (
            not isinstance(value, dict)
            or set(value) != {"terms", "signatures"}
            or not isinstance(value["signatures"], list)
        ):
            raise UsageError(f"{path} is no terms file: it must hold terms and signatures")
        return parse_terms(value["terms"]), tuple(TermsSignature.model_validate(entry) for entry in value["signatures"])
    except TermsError as error:
        raise UsageError(f"{path}: {error}") from None
    except (ApiError, ValidationError):
        raise UsageError(f"{path} is no terms file: it is damaged or was written by something else") from None


def read_signed_terms(path: Path) -> Terms:
    """Terms signed by all n organisations; NegativeVerdict naming the missing ones."""
    terms, signatures = read_terms_file(path)
    missing = missing_organizations(terms, signatures)
    if missing:
        raise NegativeVerdict(f"{path} lacks valid signatures of: {', '.join(missing)}; get them")
    return terms


def verify_output(out: Path, terms: Terms, root: bytes) -> Verdict:
    """Check certificate, public files and transcripts in the layout of OUT against signed terms.

    ``root``: SHA-256 of the build's attestation root. Enrolments are judged at their documents' own times.
    """
    try:
        certificate = parse_certificate(read_file(out / "certificate.json", "certificate"))
    except CertificateError as error:
        return Verdict((), (f"certificate.json: {error}",))
    problems = [
        f"certificate.json: {problem}" for problem in verify_certificate(certificate, terms, judge(terms, root))
    ]
    problems += _file_problems(out / "public", certificate)
    transcripts = sorted((out / "transcript").glob("*.jsonl"))
    if len(transcripts) < terms.n - terms.threshold:
        problems.append(
            f"transcript: {len(transcripts)} of at least {terms.n - terms.threshold} are there: fetch the others"
        )
    problems += [problem for path in transcripts for problem in _transcript_problems(path)]
    checked = (
        f"terms {terms.digest.hex()} signed by all {terms.n} organisations",
        f"certificate signed by {len(certificate.signatures)} parties",
        f"{len(certificate.enrolments)} enrolments, their attestation documents at their own times",
        *(f"public/{name}{SUFFIX} sha256 {digest}" for name, digest in sorted(certificate.digests.items())),
        f"{len(transcripts)} transcript chains",
    )
    return Verdict(checked, tuple(problems))


def judge(terms: Terms, root: bytes) -> Callable[[Enrolment], None]:
    """What ``verify_certificate`` asks about an enrolment: whether its document shows an enclave of these terms."""
    appraiser = TermsAppraiser(terms, LONG_LIVED, root)

    def appraise(enrolment: Enrolment) -> None:
        try:
            appraiser.enrolment(enrolment, milliseconds())
        except ChannelRefused as refusal:
            raise EnrolmentError(f"enrolment of party {enrolment.party}: {refusal}") from None

    return appraise


def _file_problems(public: Path, certificate: Certificate) -> list[str]:
    problems = []
    for name, digest in sorted(certificate.digests.items()):
        path = public / f"{name}{SUFFIX}"
        if not path.exists():
            problems.append(f"public/{path.name} is missing: fetch it")
        elif hash_file(path) != digest:
            problems.append(f"public/{path.name} is not the certified file: do not use it, fetch it again")
    return problems


def _transcript_problems(path: Path) -> list[str]:
    with path.open("rb") as lines:
        problem = verify_lines(lines)
    return [] if problem is None else [f"transcript/{path.name}: {problem}"]


def hash_file(path: Path) -> str:
    """SHA-256 in hex."""
    total = sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            total.update(block)
    return total.hexdigest()
