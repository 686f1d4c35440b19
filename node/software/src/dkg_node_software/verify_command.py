"""`dkg-software verify`: the offline check of a software ceremony."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_node.service.command import DONE, NegativeVerdict

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `verify`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="directory with terms, certificate, public, transcript")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace) -> int:
    """Print what was checked; NegativeVerdict with the first problem."""
    from dkg_node.service.verify import verify_output  # noqa: PLC0415 - keeps --help quick
    from dkg_node_software.layout import Layout  # noqa: PLC0415 - the same
    from dkg_node_software.outputs import read_terms  # noqa: PLC0415 - the same

    terms = read_terms(Layout(options.out))
    verdict = verify_output(options.out, terms)
    if options.json:
        fields = {
            "valid": not verdict.problems,
            "notices": terms.notices,
            "checked": verdict.checked,
            "problems": verdict.problems,
        }
        sys.stdout.write(json.dumps(fields) + "\n")
    else:
        lines = [*terms.notices, *verdict.checked, *(f"WRONG: {problem}" for problem in verdict.problems)]
        sys.stdout.write("\n".join(lines) + "\n")
    if verdict.problems:
        raise NegativeVerdict(verdict.problems[0])
    return DONE
