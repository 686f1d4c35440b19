"""`terms successor new|sign|merge|check|show`: new releases and keys for shares that exist (03, "New release").

A file of {successor, signatures} goes round as the terms did. It counts with the signatures of all n organisations.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dkg_api.canonical import parse
from dkg_api.certificate import CertificateError, parse_certificate, verify_certificate
from dkg_api.errors import ApiError
from dkg_api.signatures import SignatureMissing, TermsSignature
from dkg_api.successor import SuccessorTerms, is_signed, parse_successor, sign_successor, succeed
from dkg_node.errors import UsageError
from dkg_node.sealing.files import write_atomic
from dkg_node.service.command import DONE, NegativeVerdict
from dkg_node.service.key_tool import load_key
from dkg_node.service.verify import judge, read_file, read_signed_terms

if TYPE_CHECKING:
    import argparse

    from dkg_api.certificate import Certificate
    from dkg_api.successor import Custody
    from dkg_api.terms import Terms

Signed = tuple[SuccessorTerms, tuple[TermsSignature, ...]]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `terms successor`."""
    steps = parser.add_subparsers(dest="step", required=True, metavar="new|sign|merge|check|show")
    new = steps.add_parser("new", help="complete a draft of {releases, sealing}: what it follows, which key set")
    sign = steps.add_parser("sign", help="consent to successor terms for one party")
    merge = steps.add_parser("merge", help="bring signatures of the same successor terms together")
    check = steps.add_parser("check", help="check what they follow, which key set, and whose signatures are missing")
    show = steps.add_parser("show", help="print everything they say, for people to read before they sign")
    for step in (new, sign, merge, check, show):
        step.add_argument("terms", type=Path, metavar="TERMS", help="the first terms, signed by all organisations")
    new.add_argument("draft", type=Path, metavar="DRAFT", help="JSON; without sealing the keys' surroundings stay")
    for step in (sign, check, show):
        step.add_argument("successor", type=Path, metavar="FILE", help="{successor, signatures} file")
    merge.add_argument("successor", type=Path, nargs="+", metavar="FILE", help="{successor, signatures} files")
    sign.add_argument("--party", type=int, required=True, metavar="I", help="whose consent")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="the organisation key")
    for step in (new, sign, check):
        step.add_argument("--certificate", type=Path, required=True, metavar="FILE", help="of the key set")
        step.add_argument(
            "--after", type=Path, nargs="+", default=[], metavar="FILE", help="successor terms in between, in order"
        )
    for step in (new, sign, merge):
        step.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the result goes")


def run(options: argparse.Namespace) -> int:
    """Do the step; NegativeVerdict when `check` finds signatures missing."""
    terms = read_signed_terms(options.terms)
    options.edition.check(terms.attestation, "terms")
    step = {"new": _new, "sign": _sign, "merge": _merge, "check": _check, "show": _show}[options.step]
    return step(options, terms)


def _new(options: argparse.Namespace, terms: Terms) -> int:
    """Fill in what nobody chooses."""
    current, certificate = current_terms(options, terms)
    try:
        draft = parse(read_file(options.draft, "draft"), str(options.draft))
        if not isinstance(draft, dict):
            raise UsageError(f"{options.draft} is no draft: write a JSON object with the releases")
        sealing = [current.party(index).sealing.model_dump(mode="json") for index in range(1, terms.n + 1)]
        fixed = {
            "schemaVersion": 1, "predecessor": current.digest.hex(), "certificate": certificate.digest.hex(),
        }  # fmt: skip
        successor = parse_successor({"sealing": sealing, **draft, **fixed})
        succeed(terms, current, certificate.digest, successor, ())
    except SignatureMissing:  # it follows and fits; nobody has signed yet
        return _write(options.out, terms, (successor, ()))
    except ApiError as error:
        raise UsageError(str(error)) from None
    raise AssertionError("nobody's signature is enough")


def _sign(options: argparse.Namespace, terms: Terms) -> int:
    """Only what follows the present terms for this key set."""
    successor, signatures = read_successor_file(options.successor)
    current, certificate = current_terms(options, terms)
    try:
        own = sign_successor(successor, terms, options.party, load_key(options.key))
        succeed(terms, current, certificate.digest, successor, (*signatures, own))
    except KeyError:
        raise UsageError(f"choose a party of the terms, 1 to {terms.n}, not {options.party}") from None
    except SignatureMissing:
        pass  # others sign later
    except ApiError as error:
        raise UsageError(str(error)) from None
    return _write(options.out, terms, (successor, (*signatures, own)))


def _merge(options: argparse.Namespace, terms: Terms) -> int:
    read = [read_successor_file(path) for path in options.successor]
    for path, (other, _) in zip(options.successor, read, strict=True):
        if other.digest != read[0][0].digest:
            raise UsageError(
                f"{path} holds other successor terms than {options.successor[0]}: merge the same ones only"
            )
    return _write(options.out, terms, (read[0][0], tuple(s for _, signatures in read for s in signatures)))


def _check(options: argparse.Namespace, terms: Terms) -> int:
    signed = read_successor_file(options.successor)
    current, certificate = current_terms(options, terms)
    custody = _followed(options.successor, terms, current, certificate, signed)
    lines = [*terms.notices, f"digest {custody.digest.hex()}", f"signed by all {terms.n}"]
    sys.stdout.write("\n".join(lines) + "\n")
    return DONE


def _show(options: argparse.Namespace, terms: Terms) -> int:
    """Every field, and whose signature is there; a person consents to what stands here."""
    successor, signatures = read_successor_file(options.successor)
    present = {signature.party for signature in signatures}
    lines = [*terms.notices, f"{'digest':18} {successor.digest.hex()}"]
    lines += [f"{name:18} {getattr(successor, name)}" for name in ("predecessor", "certificate")]
    for number, release in enumerate(successor.releases, 1):
        lines += [f"release {number}", *(f"  {name:16} {value}" for name, value in release.model_dump().items())]
    for party, sealing in zip(terms.parties, successor.sealing, strict=False):
        said = "has a signature, see `check`" if party.index in present else "NOT SIGNED"
        lines.append(f"party {party.index} {party.organization}: {said}")
        lines += [f"  {name:16} {value}" for name, value in sealing.model_dump(mode="json").items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return DONE


def read_successor_file(path: Path) -> Signed:
    """Successor terms and signatures of a file, signatures not checked yet. UsageError."""
    try:
        value = parse(read_file(path, "successor terms"), str(path))
        if (
            not isinstance(value, dict)
            or set(value) != {"successor", "signatures"}
            or not isinstance(value["signatures"], list)
        ):
            raise UsageError(f"{path} is no file of successor terms: it must hold successor and signatures")
        signatures = tuple(TermsSignature.model_validate(entry) for entry in value["signatures"])
        return parse_successor(value["successor"]), signatures
    except ApiError as error:
        raise UsageError(f"{path}: {error}") from None
    except ValidationError:
        raise UsageError(f"{path} is damaged or was written by something else: get it again") from None


def current_terms(options: argparse.Namespace, terms: Terms) -> tuple[Terms | Custody, Certificate]:
    """The terms that hold now, and the key set's certificate, which proves itself under the first ones."""
    try:
        certificate = parse_certificate(read_file(options.certificate, "certificate"))
    except CertificateError as error:
        raise UsageError(f"{options.certificate}: {error}") from None
    problems = verify_certificate(certificate, terms, judge(terms, options.edition.root))
    if problems:
        raise NegativeVerdict(f"{options.certificate}: {problems[0]}")
    current: Terms | Custody = terms
    for path in options.after:
        current = _followed(path, terms, current, certificate, read_successor_file(path))
    return current, certificate


def _followed(
    path: Path, terms: Terms, current: Terms | Custody, certificate: Certificate, signed: Signed
) -> Custody:  # fmt: skip
    """NegativeVerdict when the successor terms of that file do not follow, or lack a signature."""
    successor, signatures = signed
    try:
        return succeed(terms, current, certificate.digest, successor, signatures)
    except ApiError as error:
        raise NegativeVerdict(f"{path}: {error}") from None


def _write(out: Path, terms: Terms, signed: Signed) -> int:
    successor = signed[0]
    value = {
        "successor": successor.model_dump(mode="json"),
        "signatures": [signature.model_dump(mode="json") for signature in _one_each(terms, signed)],
    }
    write_atomic(out, json.dumps(value, indent=1).encode() + b"\n")
    sys.stdout.write(f"digest {successor.digest.hex()}\n")
    return DONE


def _one_each(terms: Terms, signed: Signed) -> list[TermsSignature]:
    """The newest valid one of each party, in order of party; the newest of a party that has none, for `check` to name.

    Files come from others: an invalid signature must not take a valid one's place.
    """
    successor, signatures = signed
    by_validity = sorted(signatures, key=lambda signature: is_signed(terms, successor, signature))
    by_party = {signature.party: signature for signature in by_validity}
    return [by_party[party] for party in sorted(by_party)]
