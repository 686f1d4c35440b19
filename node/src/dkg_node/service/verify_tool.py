"""`verify`: the offline check of what a ceremony left."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_node.service.command import DONE, NegativeVerdict
from dkg_node.service.verify import read_signed_terms, verify_output

if TYPE_CHECKING:
    import argparse

    from dkg_node.service.verify import Verdict


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `verify`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="directory with terms, certificate, public, transcript")
    parser.add_argument(
        "--faults", action="store_true", help="judge every fault record of the transcripts again, and nothing else"
    )
    parser.add_argument(
        "--transcript", type=Path, action="append", metavar="FILE", help="with --faults: not those of OUT/transcript"
    )
    parser.add_argument(
        "--enrolments",
        type=Path,
        metavar="FILE",
        help="with --faults: a JSON file that has enrolments, such as a desired state (default: OUT/certificate.json)",
    )
    parser.add_argument(
        "--objects", type=Path, metavar="DIR", help="with --faults: public values by hash (default: OUT/objects)"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace) -> int:
    """Print what was checked; NegativeVerdict with the first problem."""
    terms = read_signed_terms(options.out / "terms.json")
    options.edition.check(terms.attestation, "verify")
    if options.faults:
        from dkg_node.service.verify_faults import verify_faults  # noqa: PLC0415 - loads the kernel

        verdict, details = verify_faults(options, terms)
    else:
        verdict, details = verify_output(options.out, terms, options.edition.root), {}
    _say(verdict, terms.notices, details if options.json else None)
    if verdict.problems:
        raise NegativeVerdict(verdict.problems[0])
    return DONE


def _say(verdict: Verdict, notices: tuple[str, ...], details: dict[str, object] | None) -> None:
    """For people, or - with ``details`` - for programs."""
    problems = verdict.problems
    if details is None:
        lines = [*notices, *verdict.checked, *(f"WRONG: {problem}" for problem in problems)]
        sys.stdout.write("\n".join(lines) + "\n")
        return
    fields = {"valid": not problems, "notices": notices, "checked": verdict.checked, "problems": problems, **details}
    sys.stdout.write(json.dumps(fields) + "\n")
