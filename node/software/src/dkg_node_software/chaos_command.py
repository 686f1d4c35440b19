"""`dkg-software chaos`: seeded faults on real processes, as many runs as wanted, and the table of all runs so far."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_node.errors import UsageError
from dkg_node.service.command import DONE, NegativeVerdict
from dkg_node_software.preflight import check_parties

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_node.protocols.session import Group
    from dkg_node_software.chaos.schedule import Schedule, Step


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `chaos`."""
    parser.add_argument("--runs", type=int, default=20, metavar="R", help="how many runs (20)")
    parser.add_argument("--first", type=int, default=0, metavar="r", help="number of the first run (0)")
    parser.add_argument("-n", "--parties", type=int, default=4, metavar="N", help="N = 3T+1 (4)")
    parser.add_argument("-t", "--threshold", type=int, default=1, metavar="T", help="1 to 4 (1)")
    parser.add_argument("--seed", default="1", metavar="TEXT", help="run r follows TEXT:r (1)")
    parser.add_argument("--parameter-set", "--params", default="test", metavar="SET", help="test, core or production")
    parser.add_argument(
        "--results", type=Path, default=Path("out/chaos.json"), metavar="FILE", help="grows by a line a run"
    )
    parser.add_argument("--work", type=Path, default=None, metavar="DIR", help="the runs' files (default: temporary)")
    parser.add_argument("--jobs", type=int, default=2, metavar="J", help="runs at a time (2)")
    parser.add_argument("--check-every", type=int, default=5, metavar="K", help="self-check in every K-th run (5)")
    parser.add_argument("--limit", type=float, default=None, metavar="S", help="seconds that a run may take")
    parser.add_argument("--kinds", default="", metavar="KIND,...", help="only faults of these kinds")
    parser.add_argument("--steps", choices=("every", "one", "all"), help="instead: kill -9 at each numbered step")
    parser.add_argument("--show", action="store_true", help="only print the schedules")


def run(options: argparse.Namespace) -> int:
    """Do the runs, print the table. NegativeVerdict when a run with its faults did not come out as it must."""
    check_parties(options.parties, options.threshold)
    if min(options.runs, options.jobs, options.check_every) < 1:
        raise UsageError("choose numbers above zero: --runs --jobs --check-every")
    from dkg_node_software.chaos.campaign import Campaign, Order, say, words  # noqa: PLC0415 - keeps --help quick
    from dkg_node_software.chaos.record import read, table  # noqa: PLC0415 - the same
    from dkg_node_software.chaos.steps import table as table_of_steps  # noqa: PLC0415 - the same

    group, places = _places(options)
    seed = f"kill -9 {options.steps}" if options.steps else options.seed
    plans = _plans(options, group, places)
    if options.show:
        for number, schedule in plans:
            say(f"{seed}:{number}: {words(schedule)}")
        return DONE
    work = None if options.work is None else options.work.absolute()
    commit = commit_of(Path(__file__).parent)
    few = options.jobs, options.check_every, options.limit
    order = Order(group, options.parameter_set, seed, commit, options.results.absolute(), work, *few)
    records = asyncio.run(Campaign(order, plans).all())
    known = [record for record in read(options.results) if record.commit == commit]
    for line in table_of_steps(options.steps, group, places, records) if options.steps else table(known):
        say(line)
    bad = [record.run for record in records if not record.good]
    if bad:
        again = "" if options.steps else f": repeat with --seed {seed} --first {bad[0]} --runs 1"
        raise NegativeVerdict(f"{len(bad)} of {len(records)} runs are not good{again}")
    say(f"chaos: {len(records)} runs at {group.n}/{group.t} good, seed {seed}")
    return DONE


def _places(options: argparse.Namespace) -> tuple[Group, tuple[Step, ...]]:
    """The group, and all places of its protocol where a fault can be set off."""
    from dkg_node.ceremony.phases import segments_of  # noqa: PLC0415 - keeps --help quick
    from dkg_node.keygen.parameters import parameter_set  # noqa: PLC0415 - the same
    from dkg_node.keygen.plan import plan_of  # noqa: PLC0415 - the same
    from dkg_node.protocols.session import Group  # noqa: PLC0415 - the same
    from dkg_node_software.chaos.schedule import steps_of  # noqa: PLC0415 - the same

    group, params = Group(options.parties, options.threshold), parameter_set(options.parameter_set)
    return group, steps_of(segments_of(group, params, plan_of(params)))


def _plans(options: argparse.Namespace, group: Group, places: Sequence[Step]) -> list[tuple[int, Schedule]]:
    """The schedule of every run."""
    from dkg_node_software.chaos.schedule import KINDS, draw  # noqa: PLC0415 - keeps --help quick
    from dkg_node_software.chaos.steps import kills  # noqa: PLC0415 - the same

    if options.steps:
        return list(enumerate(kills(options.steps, group, places)))
    kinds = tuple(options.kinds.split(",")) if options.kinds else KINDS
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise UsageError(f"choose --kinds among {', '.join(KINDS)}, not {', '.join(sorted(unknown))}")
    numbers = range(options.first, options.first + options.runs)
    return [(number, draw(options.seed, number, group, places, kinds)) for number in numbers]


def commit_of(directory: Path) -> str:
    """The commit of the working tree, with a mark when files differ from it."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],  # noqa: S607 - found on the PATH
            cwd=directory,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
