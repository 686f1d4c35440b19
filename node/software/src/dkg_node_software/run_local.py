"""`dkg-software run-local`: a whole ceremony on this machine, one process a party, and a check of what came out."""

from __future__ import annotations

import argparse
import asyncio
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_node.errors import UsageError
from dkg_node.service.command import Parser, run_command
from dkg_node_software.modified import KIND as MODIFIED

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from dkg_node_software.resume import Unfinished

BASE_PORT = 17_000
CLEAN_EXIT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `run-local`."""
    parser.add_argument("--parameter-set", "--params", default="test", metavar="SET", help="test, core or production")
    parser.add_argument("-n", "--parties", type=int, default=13, metavar="N", help="N = 3T+1 (13)")
    parser.add_argument("-t", "--threshold", type=int, default=4, metavar="T", help="1 to 4 (4)")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="absent or empty (out)")
    parser.add_argument("--resume", action="store_true", help="carry on with the unfinished run in DIR")
    parser.add_argument("--keep", action="store_true", help="leave the nodes running afterwards")
    parser.add_argument("--seed", metavar="TEXT", help="run reproducibly, for tests only: INSECURE")
    parser.add_argument(
        "--base-port", type=int, default=BASE_PORT, metavar="PORT", help="party i has PORT+10i on (17000)"
    )
    parser.add_argument("--round-timeout", type=int, default=20_000, metavar="MS", help="of the terms (20000)")
    parser.add_argument("--start-grace", type=int, default=20_000, metavar="MS", help="of the terms (20000)")
    parser.add_argument("--min-rate", type=int, default=1_000_000, metavar="B", help="of the terms, bytes a second")
    parser.add_argument(
        "--min-speed", type=int, default=100, metavar="MILLI", help="of the terms, thousandths of a core"
    )
    parser.add_argument("--adversary", action="append", default=[], metavar="PARTY=KIND", help=argparse.SUPPRESS)


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for, checked."""

    parameter_set: str
    parties: int
    threshold: int
    out: Path
    keep: bool
    seed: str | None
    base_port: int
    pace: tuple[int, int, int, int]
    """start grace, round timeout (ms), min rate (bytes a second), min speed (thousandths of a core)"""
    adversaries: dict[int, str]
    unfinished: Unfinished | None = None
    """The run that is resumed: its terms say what is made, by whom, in what time."""


def main(arguments: Sequence[str]) -> int:
    """The command on its own, for other commands."""
    parser = Parser(prog="dkg-software run-local")
    add_options(parser)
    return run_command(lambda given: run(parser.parse_args(given)), arguments)


def run(options: argparse.Namespace) -> int:
    """Check everything, then run; returns the exit code."""
    from dkg_node.keygen.parameters import parameter_set  # noqa: PLC0415 - keeps --help quick
    from dkg_node_software import preflight  # noqa: PLC0415 - the same

    wish = _wish(options)
    preflight.check_parties(wish.parties, wish.threshold)
    if options.resume:
        wish = _resumed(wish)
    else:
        preflight.check_out(wish.out)
    params = parameter_set(wish.parameter_set)
    preflight.check_machine(params, wish.parties, wish.out, wish.base_port)
    from dkg_node_software.launch import launch  # noqa: PLC0415 - loads gRPC

    return asyncio.run(_interruptible(launch(wish)))


async def _interruptible(work: Coroutine[object, object, int]) -> int:
    """Run; the first signal cancels it so that it can clean up, and becomes KeyboardInterrupt."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in CLEAN_EXIT:
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        for number in CLEAN_EXIT:
            loop.remove_signal_handler(number)


def _wish(options: argparse.Namespace) -> Wish:
    pace = (options.start_grace, options.round_timeout, options.min_rate, options.min_speed)
    if min(pace) < 1:
        raise UsageError("choose figures of the terms above zero: --start-grace --round-timeout --min-rate --min-speed")
    return Wish(
        parameter_set=options.parameter_set,
        parties=options.parties,
        threshold=options.threshold,
        out=options.out.absolute(),
        keep=options.keep,
        seed=options.seed,
        base_port=options.base_port,
        pace=pace,
        adversaries=dict(_adversary(text, options.parties) for text in options.adversary),
    )


def _resumed(wish: Wish) -> Wish:
    """The wish of the run in OUT, whatever else was given. UsageError when there is none that can go on."""
    from dkg_node_software.layout import Layout  # noqa: PLC0415 - keeps --help quick
    from dkg_node_software.resume import read_unfinished  # noqa: PLC0415 - the same

    found = read_unfinished(Layout(wish.out))
    terms = found.terms
    return replace(
        wish, parameter_set=terms.parameter_set, parties=terms.n, threshold=terms.threshold, unfinished=found
    )


def _adversary(text: str, parties: int) -> tuple[int, str]:
    from dkg_node_software.adversaries import check_kind  # noqa: PLC0415 - keeps --help quick

    number, _, kind = text.partition("=")
    if not number.isdecimal() or not 1 <= int(number) <= parties or not kind:
        raise UsageError(f"give an adversary as PARTY=KIND with PARTY 1 to {parties}, not {text!r}")
    if kind != MODIFIED:  # it changes the party's code, and no message
        check_kind(kind)
    return int(number), kind
