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


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `verify`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="directory with terms, certificate, public, transcript")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace) -> int:
    """Print what was checked; NegativeVerdict with the first problem."""
    terms = read_signed_terms(options.out / "terms.json")
    options.edition.check(terms.attestation, "verify")
    verdict = verify_output(options.out, terms, options.edition.root)
    problems = verdict.problems
    if options.json:
        valid = not problems
        fields = {"valid": valid, "notices": terms.notices, "checked": verdict.checked, "problems": problems}
        sys.stdout.write(json.dumps(fields) + "\n")
    else:
        lines = [*terms.notices, *verdict.checked, *(f"WRONG: {problem}" for problem in problems)]
        sys.stdout.write("\n".join(lines) + "\n")
    if problems:
        raise NegativeVerdict(problems[0])
    return DONE
