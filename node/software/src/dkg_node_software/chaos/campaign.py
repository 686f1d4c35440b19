"""All runs of one invocation of chaos, some at a time; each leaves a line in the results and one on the screen."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dkg_node.service.command import NegativeVerdict
from dkg_node_software.chaos.harness import Setting, close, make_stage, play
from dkg_node_software.chaos.judge import Reference, judge
from dkg_node_software.chaos.record import append
from dkg_node_software.chaos.schedule import Schedule
from dkg_node_software.measure import measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_node.protocols.session import Group
    from dkg_node_software.chaos.record import Record

LIMITS = {1: 900.0, 2: 1_200.0, 3: 1_500.0, 4: 1_800.0}
"""Seconds that a run may take, by threshold: a party that is silent to some costs a batch all its rounds."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    group: Group
    parameter_set: str
    seed: str
    commit: str
    results: Path
    """Grows by a line a run."""
    work: Path | None
    """Where the files of runs that are not good stay; None: nowhere."""
    jobs: int
    """Runs at a time."""
    check_every: int
    """Self-check in every so manieth run."""
    limit: float | None
    """Seconds that a run may take; None: as ``LIMITS`` says."""


@dataclass(slots=True)
class Campaign:
    """One invocation."""

    order: Order
    plans: Sequence[tuple[int, Schedule]]
    """Run number and schedule."""
    reference: Reference = field(default_factory=Reference)

    async def all(self) -> list[Record]:
        """One run without faults, then all of the plan. NegativeVerdict when even the first does not finish."""
        with TemporaryDirectory(prefix="dkg-chaos-runs-") as temporary:
            order = self.order
            limit = order.limit or LIMITS[order.group.t]
            release = await asyncio.to_thread(measure)
            setting = Setting(order.group, order.parameter_set, release, order.work or Path(temporary), limit)
            await self._reference(setting)
            turn = asyncio.Semaphore(order.jobs)

            async def one(number: int, schedule: Schedule) -> Record:
                async with turn:
                    return await self._one(setting, number, schedule)

            tasks = [asyncio.create_task(one(number, schedule)) for number, schedule in self.plans]
            try:
                return await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _reference(self, setting: Setting) -> None:
        """How long a run takes, and what it sends, when nothing goes wrong."""
        stage = make_stage(setting, Schedule((), lost=False), "reference")
        finished = False
        try:
            await play(stage)
            finished = stage.done == frozenset(setting.group.roles)
            if not finished:
                raise NegativeVerdict(f"a run without faults finished at parties {sorted(stage.done)} only")
            seconds = max(stage.seen[party].done_at or 0.0 for party in stage.done)
            self.reference = Reference(seconds, stage.proxies.carried)
        finally:
            await close(stage, keep=self.order.work is not None and not finished)
        say(f"reference: a run without faults takes {seconds:.1f} s and {self.reference.carried / 1e6:.1f} MB")

    async def _one(self, setting: Setting, number: int, schedule: Schedule) -> Record:
        """One run."""
        order = self.order
        stage = make_stage(setting, schedule, f"{order.seed.replace(' ', '-')}-{number}-{order.group.n}")
        good = False
        try:
            await play(stage)
            check, place = number % order.check_every == 0, (order.seed, number)
            record = await judge(stage, order.commit, place, check=check, reference=self.reference)
            good = record.good
        finally:
            await close(stage, keep=order.work is not None and not good)
        append(order.results, record)
        verdict = "good" if good else f"NOT GOOD: {'; '.join(record.problems)}"
        say(f"{order.seed}:{number}: {words(schedule)}: {record.seconds:.1f} s, {verdict}")
        return record


def words(schedule: Schedule) -> str:
    """A schedule in one line."""
    parts = []
    for fault in schedule.faults:
        where = f" {fault.moment} {fault.step.segment} {fault.step.name}" if fault.step else ""
        how = f" {fault.detail}" if fault.detail else ""
        peers = f" towards {list(fault.peers)}" if fault.peers else ""
        figure = f" {fault.figure:g}" if fault.figure else ""
        length = f" for {fault.seconds:g} s" if fault.seconds else ""
        parts.append(f"party {fault.party} {fault.kind}{how}{figure}{peers}{where}{length}")
    return ("t+1 SILENT: " if schedule.lost else "") + (", ".join(parts) or "no fault")


def say(line: str) -> None:
    """A line for the person who waits."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
