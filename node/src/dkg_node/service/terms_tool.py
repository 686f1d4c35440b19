"""`terms new|sign|merge|check|show|successor`: from a draft to terms that all n organisations signed (03, "Terms")."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_api.canonical import parse
from dkg_api.errors import ApiError
from dkg_api.signatures import TermsSignature, is_signed, missing_organizations, sign_terms
from dkg_api.terms import Terms, TermsError, parse_terms
from dkg_node.errors import UsageError
from dkg_node.sealing.files import write_atomic
from dkg_node.service import successor_tool
from dkg_node.service.command import DONE, NegativeVerdict
from dkg_node.service.key_tool import load_key
from dkg_node.service.verify import read_file, read_terms_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

PRODUCTION = {"startGrace": 60_000, "roundTimeout": 60_000, "minRate": 10_000_000, "minSpeed": 4_000}
"""ms, ms, bytes a second, thousandths of a core (07, "Terms and timing")."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `terms`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="new|sign|merge|check|show|successor")
    new = actions.add_parser("new", help="complete a draft: ceremony number, versions, default timing")
    new.add_argument(
        "draft", type=Path, metavar="DRAFT", help="JSON with the fields of the terms that are yours to choose"
    )
    sign = actions.add_parser("sign", help="consent to the terms for one party")
    sign.add_argument("terms", type=Path, metavar="TERMS", help="{terms, signatures} file")
    sign.add_argument("--party", type=int, required=True, metavar="I", help="whose consent")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="the organisation key")
    merge = actions.add_parser("merge", help="bring signatures of the same terms together")
    merge.add_argument("terms", type=Path, nargs="+", metavar="TERMS", help="{terms, signatures} files")
    check = actions.add_parser("check", help="show the digest and whose signatures are missing")
    check.add_argument("terms", type=Path, metavar="TERMS", help="{terms, signatures} file")
    show = actions.add_parser("show", help="print everything the terms say, for people to read before they sign")
    show.add_argument("terms", type=Path, metavar="TERMS", help="{terms, signatures} file")
    successor_tool.add_options(actions.add_parser("successor", help="new releases and keys for shares that exist"))
    for action in (new, sign, merge):
        action.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the result goes")


def run(options: argparse.Namespace) -> int:
    """Do the action; NegativeVerdict when `check` finds signatures missing."""
    if options.action == "successor":
        return successor_tool.run(options)
    if options.action == "new":
        return _new(options)
    if options.action == "sign":
        return _sign(options)
    if options.action == "merge":
        return _merge(options)
    return _show(options) if options.action == "show" else _check(options)


def _new(options: argparse.Namespace) -> int:
    """Fill in what nobody chooses, refuse what can't work."""
    try:
        draft = parse(read_file(options.draft, "draft"), str(options.draft))
    except ApiError as error:
        raise UsageError(str(error)) from None
    if not isinstance(draft, dict):
        raise UsageError(f"{options.draft} is no draft: write a JSON object with the fields of the terms")
    given = {"attestation": options.edition.attestation, **PRODUCTION, **draft}
    options.edition.check(given["attestation"], "terms")
    fixed = {"schemaVersion": 1, "protocolVersion": 1, "ceremony": os.urandom(16).hex()}
    try:
        terms = parse_terms({**fixed, **given})
    except TermsError as error:
        raise UsageError("; ".join(error.problems)) from None
    return _write(options.out, terms, ())


def _sign(options: argparse.Namespace) -> int:
    terms, signatures = _read(options.terms, options)
    try:
        own = sign_terms(terms, options.party, load_key(options.key))
    except KeyError:
        raise UsageError(f"choose a party of the terms, 1 to {terms.n}, not {options.party}") from None
    except ApiError as error:
        raise UsageError(str(error)) from None
    return _write(options.out, terms, _united(terms, [*signatures, own]))


def _merge(options: argparse.Namespace) -> int:
    read = [_read(path, options) for path in options.terms]
    terms = read[0][0]
    for path, (other, _) in zip(options.terms, read, strict=True):
        if other.digest != terms.digest:
            raise UsageError(
                f"{path} holds other terms than {options.terms[0]}: merge signatures of the same terms only"
            )
    return _write(options.out, terms, _united(terms, [signature for _, signatures in read for signature in signatures]))


def _check(options: argparse.Namespace) -> int:
    terms, signatures = _read(options.terms, options)
    missing = missing_organizations(terms, signatures)
    lines = [*terms.notices, f"digest {terms.digest.hex()}", f"parties {terms.n}, threshold {terms.threshold}"]
    sys.stdout.write("\n".join([*lines, f"signed by {terms.n - len(missing)} of {terms.n}"]) + "\n")
    if missing:
        raise NegativeVerdict(f"get the terms signed by all organisations: no valid signature of {', '.join(missing)}")
    return DONE


def _show(options: argparse.Namespace) -> int:
    """Every field, and who signed; a person consents to what stands here."""
    terms, signatures = _read(options.terms, options)
    missing = missing_organizations(terms, signatures)
    fields = {name: value for name, value in terms.as_json().items() if name not in {"parties", "releases"}}
    lines = [*terms.notices, f"{'digest':18} {terms.digest.hex()}"]
    lines += [f"{name:18} {value}" for name, value in fields.items()]
    for number, release in enumerate(terms.releases, 1):
        lines += [f"release {number}", *(f"  {name:16} {value}" for name, value in release.model_dump().items())]
    for party in terms.parties:
        signed = "NOT SIGNED" if party.organization in missing else "signed"
        lines += [f"party {party.index} {party.organization}: {signed}", f"  {'key':16} {party.organization_key}"]
        lines += [f"  {name:16} {value}" for name, value in party.sealing.model_dump(mode="json").items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return DONE


def _read(path: Path, options: argparse.Namespace) -> tuple[Terms, tuple[TermsSignature, ...]]:
    terms, signatures = read_terms_file(path)
    options.edition.check(terms.attestation, "terms")
    return terms, signatures


def _united(terms: Terms, signatures: Iterable[TermsSignature]) -> tuple[TermsSignature, ...]:
    """One signature a party, in order of party: the newest valid one, or the newest, for `check` to name."""
    by_validity = sorted(signatures, key=lambda signature: is_signed(terms, signature))
    by_party = {signature.party: signature for signature in by_validity}
    return tuple(by_party[party] for party in sorted(by_party))


def _write(out: Path, terms: Terms, signatures: tuple[TermsSignature, ...]) -> int:
    value = {"terms": terms.as_json(), "signatures": [signature.model_dump(mode="json") for signature in signatures]}
    write_atomic(out, json.dumps(value, indent=1).encode() + b"\n")
    sys.stdout.write(f"digest {terms.digest.hex()}\n")
    return DONE
