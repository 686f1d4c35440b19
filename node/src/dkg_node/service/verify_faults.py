"""`verify --faults`: who is Corrupt, by evidence that needs nobody's word (01 section 4, step 7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from dkg_api.canonical import CanonicalError, parse
from dkg_api.certificate import CertificateError, parse_certificate, verify_certificate
from dkg_api.enrolment import Enrolment, EnrolmentError, Keyring
from dkg_api.report import Report
from dkg_node.errors import UsageError
from dkg_node.service.adapters import DirectoryStore
from dkg_node.service.fault_records import Court, Judged, chain_problem, judged_transcripts
from dkg_node.service.verify import Verdict, judge, read_file

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from dkg_api.terms import Terms

ENROLMENTS = TypeAdapter(tuple[Enrolment, ...])
Appraise = Callable[[Enrolment], None]
SHOWN = 16
"""Hex digits of a record's hash that people see."""


def verify_faults(options: argparse.Namespace, terms: Terms) -> tuple[Verdict, dict[str, object]]:
    """Judge all records; the verdict for people, more for programs. Good only if every record proves what it claims.

    Also wrong: a party that certificate or report call convicted, and no record proves it. UsageError for what can't
    be read.
    """
    out: Path = options.out
    paths = sorted((out / "transcript").glob("*.jsonl")) if options.transcript is None else options.transcript
    if not paths:
        raise UsageError(f"there is no transcript in {out}: fetch one, or give it with --transcript")
    _readable(paths)
    appraise = judge(terms, options.edition.root)
    keyring = _keyring(terms, options.enrolments or out / "certificate.json", appraise)
    court = Court(terms, keyring, DirectoryStore(options.objects or out / "objects"))
    judged = judged_transcripts(court, paths)
    problems = [problem for problem in map(chain_problem, paths) if problem is not None]
    problems += [f"{one.where}: {one.problem}" for one in judged if one.problem]
    proven = {named for one in judged if not one.problem for named in one.proves}
    problems += [*_certified(out, terms, {party for party, _ in proven}, appraise), *_reported(out, judged)]
    convicted = {str(party): sorted(k for who, k in proven if who == party) for party, _ in sorted(proven)}
    ending = "; ".join(f"party {party}: {', '.join(kinds)}" for party, kinds in convicted.items())
    summary = f"{len(judged)} fault records in {len(paths)} transcripts; convicted: {ending or 'nobody'}"
    checked = (*(_line(one) for one in judged), summary)
    return Verdict(checked, tuple(problems)), {"records": [one.as_json() for one in judged], "convicted": convicted}


def _readable(paths: list[Path]) -> None:
    for path in paths:
        if not path.is_file():
            raise UsageError(f"can't read the transcript {path}; give a readable file")


def _keyring(terms: Terms, path: Path, appraise: Appraise) -> Keyring:
    """The enrolled keys out of any JSON file that has enrolments, signed by their organisations, made in enclaves.

    As in the ceremony, a refused document costs its own party its voice, and nobody else.
    """
    try:
        value = parse(read_file(path, "enrolments"), str(path))
        found = value.get("enrolments") if isinstance(value, dict) else value
        enrolments = ENROLMENTS.validate_python(found)
        Keyring.of(terms, enrolments)
        return Keyring.of(terms, [one for one in enrolments if _counts(one, appraise)])
    except EnrolmentError as error:
        raise UsageError(f"{path}: {error}") from None
    except (CanonicalError, ValidationError):
        raise UsageError(f"{path} has no enrolments: give --enrolments a certificate or a desired state") from None


def _counts(enrolment: Enrolment, appraise: Appraise) -> bool:
    try:
        appraise(enrolment)
    except EnrolmentError:
        return False
    return True


def _line(one: Judged) -> str:
    named = ", ".join(f"party {party}: {kind}" for party, kind in one.proves) or "nobody"
    office = f"; kings that showed nothing, by its own word: {list(one.never_king)}" if one.never_king else ""
    return f"{one.where}: {one.phase or 'no batch'}, record {one.sha256[:SHOWN]}: proves {named}{office}"


def _certified(out: Path, terms: Terms, proven: set[int], appraise: Appraise) -> list[str]:
    """Parties that a good certificate names without a record that proves it."""
    path = out / "certificate.json"
    if not path.exists():
        return []
    try:
        certificate = parse_certificate(read_file(path, "certificate"))
    except CertificateError as error:
        return [f"certificate.json: {error}"]
    problems = [f"certificate.json: {problem}" for problem in verify_certificate(certificate, terms, appraise)]
    bare = sorted({fault.party for fault in certificate.faults} - proven)
    return [*problems, *(f"party {party} is certified Corrupt: get a transcript that proves it" for party in bare)]


def _reported(out: Path, judged: tuple[Judged, ...]) -> list[str]:
    """Faults of report.json that refer to evidence which is not here or does not prove them."""
    path = out / "report.json"
    if not path.exists():
        return []
    try:
        report = Report.model_validate_json(read_file(path, "report"))
    except ValidationError:
        return ["report.json is damaged or was written by something else"]
    proofs = {(one.sha256, *named) for one in judged if not one.problem for named in one.proves}
    return [
        f"report.json: no record here proves that party {fault.party} is Corrupt ({fault.kind})"
        for fault in report.faults
        if fault.evidence_sha256 is not None and (fault.evidence_sha256, fault.party, fault.kind) not in proofs
    ]
