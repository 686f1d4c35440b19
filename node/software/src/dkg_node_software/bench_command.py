"""`dkg-software bench`: measure kernel, wire and one whole ceremony of the smallest set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dkg_node.service.command import DONE, NegativeVerdict

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `bench`."""
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the figures go, as JSON")


def run(options: argparse.Namespace) -> int:
    """Measure and write the file."""
    from dkg_node_software.bench import bench  # noqa: PLC0415 - takes a while to load

    options.out.absolute().parent.mkdir(parents=True, exist_ok=True)
    bench(options.out, _ceremony)
    return DONE


def _ceremony(out: Path) -> Path:
    """Run the 13/4 `test` ceremony into an empty directory; returns its report."""
    from dkg_node_software import run_local  # noqa: PLC0415 - takes a while to load

    if run_local.main(["--out", str(out)]) != DONE:
        raise NegativeVerdict(f"the ceremony of the benchmark failed: see {out}")
    return out / "report.json"
