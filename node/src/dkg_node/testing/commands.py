"""Commands of the project as real processes, for end-to-end tests."""

from __future__ import annotations

import itertools
import os
import select
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PACE = ("--start-grace", "2000", "--round-timeout", "2000", "--min-rate", "100000000", "--min-speed", "1000")
"""Short deadlines: what is silent costs a test seconds, not minutes. Honest parties are far from them."""
SEED = ("--seed", "end to end")
"""Runs with this seed and pace make the same key, whatever up to t parties do."""
_BLOCKS = itertools.count(os.getpid() * 7)
LOWEST, BLOCK, BLOCKS = 10_000, 150, 140
"""Below the ports that Linux gives to callers."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A finished command."""

    code: int
    output: str
    errors: str
    out: Path

    @property
    def last_line(self) -> str:
        """The summary."""
        return self.output.strip().splitlines()[-1]

    def check_refused(self, code: int, *words: str) -> None:
        """One clear line on stderr that has the words, and the exit code."""
        problem = (self.code, self.output[-2000:], self.errors[-2000:])
        lines = self.errors.strip().splitlines()
        if self.code != code or len(lines) != 1 or not lines[0].startswith("error: "):
            raise AssertionError(problem)
        if any(word not in lines[0] for word in words):
            raise AssertionError(problem)


def base_port(parties: int = 13) -> int:
    """A --base-port whose peer ports are free now."""
    for number in itertools.islice(_BLOCKS, BLOCKS):
        base = LOWEST + number % BLOCKS * BLOCK
        if all(_is_free(base + 10 * party + at) for party in range(1, parties + 1) for at in (0, 1)):
            return base
    raise AssertionError("no free block of ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def program(name: str) -> str:
    """A command of the running environment."""
    return str(Path(sys.executable).with_name(name))


def run(name: str, *arguments: str, out: Path | None = None) -> Ended:
    """Run a command to its end."""
    done = subprocess.run(  # noqa: S603 - our own command, no shell
        [program(name), *arguments], capture_output=True, text=True, check=False, timeout=600
    )
    return Ended(done.returncode, done.stdout, done.stderr, out or Path())


def local_arguments(out: Path, *more: str, n: int = 4, t: int = 1) -> list[str]:
    """Arguments of a whole local ceremony of the smallest set."""
    return ["run-local", "-n", str(n), "-t", str(t), "--out", str(out), "--base-port", str(base_port(n)), *PACE, *more]


def run_local(out: Path, *more: str, n: int = 4, t: int = 1) -> Ended:
    """Run one to its end."""
    return run("dkg-software", *local_arguments(out, *more, n=n, t=t), out=out)


def wait_until_gone(pid: int) -> None:
    """Return when the process of that id has ended; it need not be a child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([handle], [], [])
    finally:
        os.close(handle)


def is_alive(pid: int) -> bool:
    """Whether a process of that id runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
