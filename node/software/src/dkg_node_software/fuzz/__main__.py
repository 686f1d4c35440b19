"""``python -m dkg_node_software.fuzz``: what ``make fuzz`` runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dkg_node_software.fuzz.drive import HEADER, Outcome, fuzz_all, row
from dkg_node_software.fuzz.targets import TARGETS


def main() -> int:
    """0: nothing found; 1: an input broke a guarantee, and is a regression test now; 2: wrong arguments."""
    parser = argparse.ArgumentParser(prog="fuzz", description="Run every decoder of outside bytes under atheris.")
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together, on all cores (60)")
    parser.add_argument("--targets", default="", metavar="A,B", help="only these")
    parser.add_argument("--out", type=Path, default=Path("out"), help="directory of the corpus (out)")
    options = parser.parse_args()
    names = [name for name in options.targets.split(",") if name] or sorted(TARGETS)
    unknown = sorted(set(names) - set(TARGETS))
    if unknown:
        parser.error(f"there is no target {', '.join(unknown)}: use some of {', '.join(sorted(TARGETS))}")
    if options.seconds < 1:
        parser.error("give --seconds as a number of at least 1")
    sys.stdout.write(HEADER)
    outcomes = []
    for one in fuzz_all(names, options.seconds, options.out / "fuzz"):
        outcomes.append(one)
        sys.stdout.write(row(one))
        sys.stdout.flush()
    sys.stdout.write("".join(map(_finding, outcomes)))
    return int(any(one.said for one in outcomes))


def _finding(one: Outcome) -> str:
    if not one.said:
        return ""
    kept = "".join(f"\nkept as a test: {path}" for path in one.findings)
    return f"\n--- {one.name}\n{one.said}{kept}\n"


if __name__ == "__main__":
    sys.exit(main())
