"""`evidence show`: whether an attestation document is genuine, what it says, and what terms make of it."""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_api.terms import SOFTWARE_NOTICE
from dkg_api.user_data import decode_user_data
from dkg_node.attestation.document import LAST_TIME, read_document
from dkg_node.attestation.policy import Expected, Policy, releases_of
from dkg_node.attestation.reasons import Refusal
from dkg_node.attestation.verifier import appraise, authenticate
from dkg_node.errors import UsageError
from dkg_node.service.command import DONE, NegativeVerdict
from dkg_node.service.verify import read_file, read_signed_terms

if TYPE_CHECKING:
    import argparse

    from dkg_api.terms import Terms
    from dkg_api.user_data import UserData
    from dkg_node.attestation.document import Document

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
"""RFC 3339 section 5.6."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of a document."""

    document: Document | None
    """None: not even its form is right."""
    forged: Refusal | None
    """Why it is not genuine at the time asked for."""
    refused: Refusal | None
    """Why the terms refuse it."""

    @property
    def refusal(self) -> Refusal | None:
        """What to tell."""
        return self.forged or self.refused


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `evidence`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="show")
    show = actions.add_parser("show", help="judge and print one document")
    show.add_argument("file", type=Path, metavar="FILE", help="an attestation document, CBOR")
    show.add_argument("--at", metavar="TIME", help="RFC 3339 instant to judge it at, fractions allowed; default now")
    show.add_argument("--terms", type=Path, metavar="FILE", help="signed terms: say how they appraise it, too")
    show.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace) -> int:
    """Print what was found; NegativeVerdict unless all that was asked for holds."""
    at = time.time_ns() // 1_000_000 if options.at is None else milliseconds_of(options.at)
    terms = None if options.terms is None else read_signed_terms(options.terms)
    if terms is not None:
        options.edition.check(terms.attestation, "evidence")
    finding = examine(read_file(options.file, "document"), options.edition.root, at, terms)
    notices = (SOFTWARE_NOTICE,) if options.edition.attestation == "software" else ()
    if options.json:
        sys.stdout.write(json.dumps({**summary(finding), **({"notices": notices} if notices else {})}) + "\n")
    else:
        sys.stdout.write("\n".join((*notices, *_lines(finding, at, terms))) + "\n")
    if finding.refusal is not None:
        raise NegativeVerdict(str(finding.refusal))
    return DONE


def milliseconds_of(text: str) -> int:
    """Ms since 1970 of an RFC 3339 instant, finer fractions cut off. UsageError."""
    wrong = "give --at as RFC 3339 says, of the years 1970 to 9999, like 2026-01-31T12:00:00.250Z"
    if not INSTANT.fullmatch(text):
        raise UsageError(wrong)
    try:
        result = (datetime.fromisoformat(text.upper()) - EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise UsageError(wrong) from None
    if not 0 <= result <= LAST_TIME:
        raise UsageError(wrong)
    return result


def instant_of(milliseconds: int) -> str:
    """RFC 3339, UTC; ``milliseconds_of`` gives the same number back."""
    return (EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def examine(data: bytes, root: bytes, at: int, terms: Terms | None) -> Finding:
    """Judge a document. Pure."""
    try:
        document = read_document(data)
    except Refusal as refusal:
        return Finding(None, refusal, None)
    try:
        authenticate(data, root, at)
    except Refusal as refusal:
        return Finding(document, refusal, None)
    try:
        if terms is not None:
            appraise(data, policy_for(document, root, terms), document.nonce, at)
    except Refusal as refusal:
        return Finding(document, None, refusal)
    return Finding(document, None, None)


def policy_for(document: Document, root: bytes, terms: Terms) -> Policy:
    """What these terms demand of any party's document.

    Whom a nonce, a key, an attempt or a purpose was meant for only that verifier knows: the document's own are taken.
    """
    said = decode_user_data(document.user_data)
    party = 0 if said is None or said.party > terms.n else said.party
    expected = Expected(
        purpose="" if said is None else said.purpose,
        terms_digest=terms.digest,
        attempt=0 if said is None else said.attempt,
        party=party,
        identity_keys=None,
        sealing=None if said is None else said.sealing,
    )
    return Policy(root=root, releases=releases_of(terms), expected=expected, public_key=document.public_key)


def summary(finding: Finding) -> dict[str, object]:
    """For programs. What a document says that is not genuine is only its claim."""
    document = finding.document
    return {
        "genuine": finding.forged is None,
        "reason": None if finding.refusal is None else finding.refusal.reason.code,
        "timestamp": None if document is None else instant_of(document.timestamp),
        "debug": None if document is None else document.debug,
        "pcrs": None if document is None else {f"pcr{i}": document.pcrs[i].hex() for i in sorted(document.pcrs)},
        "module_id": None if document is None else document.module_id,
    }


def _lines(finding: Finding, at: int, terms: Terms | None) -> list[str]:
    genuine = "yes" if finding.forged is None else f"NO ({finding.forged.reason.code})"
    lines = [f"genuine      {genuine}, judged at {instant_of(at)}"]
    if terms is not None and finding.forged is None:
        verdict = "accepted" if finding.refused is None else f"REFUSED ({finding.refused.reason.code})"
        lines += [*terms.notices, f"appraisal    {verdict} by terms {terms.digest.hex()}"]
    if finding.document is None:
        return lines
    if finding.forged is not None:
        lines.append("Below stands what it claims. Nothing of it is proven.")
    return lines + _content(finding.document)


def _content(document: Document) -> list[str]:
    debug = "YES: its host can read and change everything in it" if document.debug else "no"
    shown = {i: value for i, value in sorted(document.pcrs.items()) if i < 3 or any(value)}
    return [
        f"timestamp    {instant_of(document.timestamp)}",
        f"module       {document.module_id}",
        f"debug        {debug}",
        *(f"{f'PCR{index}':12} {value.hex()}" for index, value in shown.items()),
        *([] if len(shown) == len(document.pcrs) else ["other PCRs   zero"]),
        *_user_data(document.user_data),
        f"nonce        {_hex(document.nonce)}",
        f"public key   {_hex(document.public_key)}",
    ]


def _user_data(data: bytes | None) -> list[str]:
    said = decode_user_data(data)
    if said is None:
        return [f"user data    {_hex(data)}"]
    return [
        f"user data    version 1, for {said.purpose}, party {said.party}, attempt {said.attempt}",
        *(f"  {label:10} {_hex(value)}" for label, value in _digests(said)),
        f"  boot       {said.boot_id.hex()}, number {said.boot_number}",
    ]


def _digests(said: UserData) -> tuple[tuple[str, bytes | None], ...]:
    return (
        ("terms", said.terms_digest), ("root", said.root), ("identity", said.identity_key),
        ("X25519", said.channel_key), ("KMS key", said.sealing),
    )  # fmt: skip


def _hex(value: bytes | None) -> str:
    return "none" if not value else value.hex()
