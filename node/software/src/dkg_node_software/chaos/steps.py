"""`kill -9` at each numbered protocol step, and the table of steps x results with the bytes and seconds lost."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from dkg_node_software.chaos.schedule import Fault, Schedule, Step
from dkg_node_software.chaos.trap import CLOSE, OPEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_node.protocols.session import Group
    from dkg_node_software.chaos.record import Record

MODES = ("every", "one", "all")
"""Every party at each step, a run each; one party a step; all parties at once."""
NUMBERS = {
    ("setup", "rho"): "3.1 draws to members",
    ("setup", "digests"): "3.2 Broadcast of hashes",
    ("setup", "ask"): "3.3 missing asked",
    ("setup", "tell"): "3.3 missing sent",
    ("batch", "y"): "4.2 y to the king",
    ("batch", "V"): "4.2 V to all",
    ("batch", "votes"): "4.4 Broadcast of votes",
    ("batch", "coin"): "4.5 coin",
    ("batch", "W"): "4.6 Broadcast of W",
    ("online", "seed"): "5.2 seed",
    ("online", "inputs"): "5.2 masked inputs",
    ("online", "bodies"): "5.5 bodies",
    ("online", "digests"): "5.6 Broadcast of key digests",
    ("assembly", "digests"): "5.6 Broadcast of file digests",
}
BATCH = "batch noise"
"""The batches differ in their values only: one kind stands for all."""
PAUSE = 0.1
"""Seconds from the kill to the new start."""


def numbered(steps: Sequence[Step]) -> list[tuple[str, Step, str]]:
    """(name, place, moment) of all numbered steps in order: each once, in the middle of its slot's sending."""
    found: dict[str, tuple[Step, str]] = {}
    seen_batch = next((step.segment for step in steps if step.phase == BATCH), None)
    for step in steps:
        kind = step.phase.partition(" ")[0]
        if kind == "batch" and step.segment != seen_batch:
            continue
        base, _, round_ = step.slot.partition(".")
        if step.slot == OPEN:
            found.setdefault(f"2 {step.phase}: start", (step, "before"))
        elif step.slot == CLOSE:
            found.setdefault(f"2 {step.phase}: end, before its certificate", (step, "before"))
            found.setdefault(f"2 {step.phase}: certificate held", (step, "after"))
        else:
            name = NUMBERS[kind, base] + (f", round {round_}" if round_.isdecimal() else "")
            found.setdefault(name, (step, "during"))
    return [(name, step, moment) for name, (step, moment) in found.items()]


def kills(mode: str, group: Group, steps: Sequence[Step]) -> list[Schedule]:
    """The schedules of a mode, in the order of the steps."""
    schedules = []
    turn = cycle(group.roles)
    for _, step, moment in numbered(steps):
        if mode == "every":
            choices = [[role] for role in group.roles]
        else:
            choices = [[next(turn)]] if mode == "one" else [list(group.roles)]
        schedules += [
            Schedule(tuple(Fault("restart", role, step, moment, PAUSE) for role in roles), lost=False)
            for roles in choices
        ]
    return schedules


def table(mode: str, group: Group, steps: Sequence[Step], records: Sequence[Record]) -> list[str]:
    """One line a step: who was killed, how it ended, what it cost at most."""
    places = numbered(steps)
    each = group.n if mode == "every" else 1
    lines = [f"  {'step':<44}{'killed':<16}{'finished':<14}{'seconds lost':>13}{'MB more':>9}"]
    for place, (name, _, _) in enumerate(places):
        of_step = records[place * each : (place + 1) * each]
        killed = sorted({fault.party for record in of_step for fault in record.faults})
        good = sum(record.good for record in of_step)
        result = f"{good} of {len(of_step)} runs"
        seconds = max((record.lost_seconds for record in of_step), default=0.0)
        more = max((record.lost_bytes for record in of_step), default=0) / 1e6
        who = "all" if len(killed) == group.n else ",".join(map(str, killed)) or "nobody"
        lines.append(f"  {name:<44}{who:<16}{result:<14}{seconds:>13.1f}{more:>9.1f}")
    return lines
