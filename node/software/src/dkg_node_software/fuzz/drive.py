"""All targets for a slice of time each, their corpus kept, a table of what was reached, findings kept as tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dkg_node_software.fuzz.targets import TARGETS

REGRESSIONS = Path(__file__).parents[3] / "tests" / "fuzz" / "regressions"
"""Every input here is a test (node/software/tests/fuzz)."""
LEAST_SLICE = 2
"""Seconds: below that a process does nothing but start."""
MOST_BYTES = 1 << 14
"""Longest input tried: longer than every seed."""
RSS_MB = 1024
HANGS = 10
"""Seconds one input may take."""
GIVE_UP = 120
"""Seconds a process may take beside its slice, to start and to read its corpus."""
DONE = re.compile(r"#\d+\s+DONE\s+cov: (\d+)")
INITED = re.compile(r"#\d+\s+INITED\s+cov: (\d+)")
STAT = re.compile(r"^stat::(\w+):\s+(\d+)$", re.MULTILINE)
TAIL = 15
"""Lines of a failed process that are shown."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one slice gave."""

    name: str
    runs: int
    edges: tuple[int, int]
    """Covered by the corpus it began with, and at the end."""
    fresh: int
    """Inputs added to the corpus."""
    findings: tuple[Path, ...]
    """Inputs that broke a guarantee, now regression tests."""
    said: str
    """The end of the output, where there is something to look into."""


def fuzz_all(names: Sequence[str], seconds: int, out: Path) -> Iterator[Outcome]:
    """Run the targets, one process a core, ``seconds`` in all; the corpus stays in ``out`` and is built upon.

    Outcomes come in order, each as soon as it and those before it are there.
    """
    jobs = max(1, os.cpu_count() or 1)
    share = max(LEAST_SLICE, round(seconds * jobs / max(1, len(names))))
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda name: fuzz_one(name, share, out), names)


def fuzz_one(name: str, seconds: int, out: Path) -> Outcome:
    """One target for some seconds."""
    corpus, found = out / "corpus" / name, out / "found" / name
    for directory in (corpus, found):
        directory.mkdir(parents=True, exist_ok=True)
    for seed in (*TARGETS[name].seeds(), *(path.read_bytes() for path in (REGRESSIONS / name).glob("*"))):
        (corpus / sha256(seed).hexdigest()).write_bytes(seed)
    options = (
        f"-max_total_time={seconds}", f"-artifact_prefix={found}/", f"-rss_limit_mb={RSS_MB}", f"-timeout={HANGS}",
        f"-max_len={MOST_BYTES}", "-print_final_stats=1", "-verbosity=1",
    )  # fmt: skip
    command = (sys.executable, "-m", "dkg_node_software.fuzz.one", name, str(corpus), *options)
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, check=False, timeout=seconds + GIVE_UP
        )
        text, failed = done.stderr.decode(errors="replace"), done.returncode != 0
        text += done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired:
        text, failed = f"{name} did not end {GIVE_UP} s after its slice", True
    findings = tuple(_keep(path, name) for path in sorted(found.iterdir()))
    stats = {key: int(value) for key, value in STAT.findall(text)}
    began, ended = INITED.search(text), DONE.search(text)
    first = int(began[1]) if began else 0
    edges = (first, int(ended[1]) if ended else first)
    said = "\n".join(text.splitlines()[-TAIL:]) if failed or findings else ""
    runs, fresh = stats.get("number_of_executed_units", 0), stats.get("new_units_added", 0)
    return Outcome(name, runs, edges, fresh, findings, said)


def _keep(path: Path, name: str) -> Path:
    """Make a finding a regression test."""
    data = path.read_bytes()
    target = REGRESSIONS / name / sha256(data).hexdigest()[:16]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    path.unlink()
    return target


HEADER = f"{'target':24} {'executions':>11} {'edges':>13} {'new inputs':>11} {'crashes':>8}\n"


def row(one: Outcome) -> str:
    """A target's line under ``HEADER``."""
    edges = f"{one.edges[0]} -> {one.edges[1]}"
    crashes = len(one.findings) or int(bool(one.said))
    return f"{one.name:24} {one.runs:>11} {edges:>13} {one.fresh:>11} {crashes:>8}\n"
