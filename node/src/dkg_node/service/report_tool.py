"""`report`: what a ceremony took and found, from its report.json."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dkg_api.report import Report
from dkg_api.terms import INSECURE_NOTICE, INSECURE_SETS, SOFTWARE_NOTICE
from dkg_node.errors import UsageError
from dkg_node.service.command import DONE
from dkg_node.service.verify import read_file

if TYPE_CHECKING:
    import argparse

    from dkg_api.certificate import Fault

SHOWN = 16
"""Hex digits of a record's hash."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `report`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="directory with report.json")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace) -> int:
    """Print the report."""
    path = options.out / "report.json"
    try:
        report = Report.model_validate_json(read_file(path, "report"))
    except ValidationError:
        raise UsageError(f"{path} is no report: it is damaged or was written by something else") from None
    options.edition.check(report.attestation, "report")
    text = report.model_dump_json() if options.json else "\n".join(lines_of(report))
    sys.stdout.write(text + "\n")
    return DONE


def lines_of(report: Report) -> list[str]:
    """The figures a person wants to see; the last line is the result."""
    lines = [
        f"party {one.index:>2}: offline {one.offline_seconds:.1f} s ({one.cpu_seconds.offline:.1f} core-s), "
        f"online {one.online_seconds:.1f} s ({one.cpu_seconds.online:.1f} core-s), "
        f"peak {si(one.peak_rss_bytes)}B, sent {si(one.sent_bytes.offline)}B + {si(one.sent_bytes.online)}B"
        for one in report.per_party
    ]
    lines += [_fault(fault) for fault in report.faults]
    lines += [SOFTWARE_NOTICE] if report.attestation == "software" else []
    lines += [INSECURE_NOTICE] if report.parameter_set in INSECURE_SETS else []
    return [*lines, _result(report)]


def _fault(fault: Fault) -> str:
    """With the hash of the record that proves it, if there is one: `verify --faults` judges it again."""
    proof = "" if fault.evidence_sha256 is None else f" (record {fault.evidence_sha256[:SHOWN]})"
    return f"fault: party {fault.party}: {fault.kind} in {fault.phase}{proof}"


def _result(report: Report) -> str:
    made = f"{report.parameter_set} key set {report.keyset_sha256 or 'none'}"
    who = f"by {report.parties} parties, threshold {report.threshold}"
    check = report.self_check
    verdict = "not run" if check is None else f"{'passed' if check.passed else 'FAILED'} ({check.cases} cases)"
    return f"{report.result}: {made} {who}; self-check {verdict}"


def si(number: int) -> str:
    """A number with a decimal prefix, three digits."""
    value, unit = float(number), ""
    for unit in ("", "k", "M", "G"):
        if value < 999.5 or unit == "G":
            break
        value /= 1000
    return f"{value:.3g}{unit}"
