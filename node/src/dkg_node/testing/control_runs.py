"""Seeded runs of the control layer: ``python -m dkg_node.testing.control_runs N T FIRST LAST [--family F]``.

Each seed draws faulty parties, their behaviour, crashes and boots. Prints how many runs were good, and every failure
with its seed; ``--trace`` prints the events too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from dkg_node.protocols.session import Group
from dkg_node.testing.control_faults import BEHAVIOURS
from dkg_node.testing.control_party import Crash
from dkg_node.testing.control_world import Plan, World
from dkg_node.testing.simnet import Weather
from dkg_node.testing.toy_segments import Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dkg_node.testing.control_faults import Behaviour

KINDS = (
    "none",
    "none",
    "events",
    "events",
    "events",
    "one",
    "rolling",
    "burst",
    "all",
    "mix",
    "wiped",
    "back",
    "turns",
)

SLOW = 8.0
"""Taking over a segment may cost more than startGrace."""


def draw_plan(group: Group, seed: int) -> Plan:
    """A run's plan from its seed."""
    random = Random(seed * 7919 + group.n)
    faulty = random.sample(list(group.roles), random.choice((0, group.t, group.t, group.t)))
    honest = [role for role in group.roles if role not in faulty]
    kind, calm = random.choice(KINDS), random.choice((40, 80, 150))
    return Plan(
        group=group,
        seed=seed,
        faulty=frozenset(faulty),
        behaviour=random.choice(BEHAVIOURS),
        crashes=_crashes(random, kind, honest, calm, group.t),
        event_crashes=random.randint(1, 8) if kind == "events" else 0,
        event_chance=random.choice((0.05, 0.15, 0.4)),
        calm=calm,
        cut=random.choice((0, 0.5, 1)),
        linger=random.choice((0.0, 0.0, 0.9)),
        rolling=kind == "turns",
        shape=Shape(random.choice((2, 2, 3, 6)), random.choice((1, 1, 2)), random.choice((0.3, 0.3, 0.3, SLOW))),
        weather=_weather(random, group),
    )


def draw_twisted_plan(group: Group, seed: int) -> Plan:
    """As ``draw_plan``, but t colluders always lie in Broadcasts."""
    random = Random(seed * 7951 + group.n)
    plan = draw_plan(group, seed)
    faulty = plan.faulty or random.sample(list(group.roles), group.t)
    how: Behaviour = random.choice(("select", "phase", "phasesel", "hide", "late", "late"))
    return replace(plan, faulty=frozenset(faulty), behaviour=how, weather=Weather(), shape=Shape())


def draw_restart_plan(group: Group, seed: int) -> Plan:
    """Honest parties go down again and again on events, also late, beside t colluders that are silent at times."""
    random = Random(seed * 7963 + group.n)
    faulty = random.sample(list(group.roles), group.t)
    return Plan(
        group=group,
        seed=seed,
        faulty=frozenset(faulty),
        behaviour=random.choice(("select", "phase", "phasesel", "silent", "forge")),
        event_crashes=8,
        event_chance=random.choice((0.08, 0.15, 0.4)),
        calm=200,
        cut=1,
    )


def draw_disk_plan(group: Group, seed: int) -> Plan:
    """One honest party loses its disk, or finds an old one, and is back at once; t liars deny what they remember."""
    random = Random(seed * 7927 + group.n)
    faulty = random.sample(list(group.roles), group.t)
    role = random.choice([role for role in group.roles if role not in faulty])
    back = random.choice((0, 1, 1, 2, 3))
    first = Crash(random.uniform(7, 30), role, 0.05, wiped=back == 0, rolled_back=back)
    again = [Crash(first.when + random.uniform(1, 15), role, 0.05)] if random.random() < 0.3 else []
    return Plan(
        group=group,
        seed=seed,
        faulty=frozenset(faulty),
        behaviour=random.choice(("wrong", "wrong", "replay", "select")),
        crashes=[first, *again],
        weather=_weather(random, group),
    )


def draw_aimed_plan(group: Group, seed: int) -> Plan:
    """T colluders certify without chosen honest parties, which may need longer than startGrace to take over."""
    random = Random(seed * 7933 + group.n)
    faulty = random.sample(list(group.roles), group.t)
    return Plan(
        group=group,
        seed=seed,
        faulty=frozenset(faulty),
        behaviour=random.choice(("mute", "vanish")),
        linger=random.choice((0.0, 1.375)),
        shape=Shape(random.choice((2, 3)), random.choice((1, 2)), random.choice((0.3, SLOW))),
        weather=_weather(random, group),
    )


def draw_far_plan(group: Group, seed: int) -> Plan:
    """Parties far away restart, at most t at a time; nobody lies."""
    random = Random(seed * 7937 + group.n)
    far = random.sample(list(group.roles), group.t)
    start = random.uniform(2, 25)
    return Plan(
        group=group,
        seed=seed,
        crashes=[Crash(start + random.uniform(0, 3), role, random.choice((0.05, 2.0))) for role in far],
        shape=Shape(random.choice((6, 10))),
        weather=Weather(frozenset(far), both_ways=random.random() < 0.5, overtaking=random.random() < 0.5),
    )


FAMILIES: dict[str, Callable[[Group, int], Plan]] = {
    "any": draw_plan,
    "twisted": draw_twisted_plan,
    "restarts": draw_restart_plan,
    "disks": draw_disk_plan,
    "aimed": draw_aimed_plan,
    "far": draw_far_plan,
}


def _weather(random: Random, group: Group) -> Weather:
    """Often the same for all, else some parties are far away."""
    far = random.sample(list(group.roles), random.choice((0, 0, 0, 1, group.t)))
    return Weather(frozenset(far), both_ways=random.random() < 0.5, overtaking=random.random() < 0.5)


def _crashes(random: Random, kind: str, honest: list[int], calm: float, t: int) -> list[Crash]:
    """When who goes down, and for how long."""
    found = []
    if kind in {"one", "wiped", "back"}:
        when, down = random.uniform(1, calm), random.choice((0.05, 2, 8))
        back = random.randint(1, 3) if kind == "back" else 0
        found = [Crash(when, random.choice(honest), down, wiped=kind == "wiped", rolled_back=back)]
    if kind in {"rolling", "mix"}:
        found += [
            Crash(random.uniform(1, calm), random.choice(honest), random.choice((0.05, 1, 8, 20)))
            for _ in range(random.randint(2, 6))
        ]
    start = random.uniform(1, calm)
    if kind in {"burst", "mix"}:
        some = random.sample(honest, min(len(honest), t + 1))
        found += [Crash(start + random.uniform(0, 2), role, random.choice((0.05, 1, 8))) for role in some]
    if kind == "all":
        late = [random.choice((0.0, random.uniform(0, 6))) for _ in honest]
        found = [
            Crash(start + more, role, random.choice((0.05, 1, 8))) for role, more in zip(honest, late, strict=True)
        ]
    return found


def main(arguments: Sequence[str]) -> int:
    """Run seeds FIRST to LAST-1; 0 if all were good."""
    parser = argparse.ArgumentParser(prog="control_runs")
    for name in ("n", "t", "first", "last"):
        parser.add_argument(name, type=int)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--family", choices=FAMILIES, default="any")
    options = parser.parse_args(arguments)
    group, counts, eras, away = Group(options.n, options.t), Counter[str](), Counter[int](), Counter[int]()
    began = time.monotonic()
    for seed in range(options.first, options.last):
        world = World(FAMILIES[options.family](group, seed))
        bad = world.run()
        counts.update({str(entry[0]) for entry in bad} or {"held up" if world.held_up else "good"})
        eras[min(world.eras, 9)] += 1
        away[min(world.judge.missing(), 9)] += 1
        if options.trace:
            _print("\n".join(str(line) for line in world.log))
        if bad or options.trace:
            plan = world.plan
            _print(f"seed {seed}: {bad} faulty {sorted(plan.faulty)} {plan.behaviour}")
    missing = f"segments without somebody honest {dict(sorted(away.items()))}"
    _print(f"n={group.n} {dict(counts)} eras {dict(sorted(eras.items()))} {missing} {time.monotonic() - began:.0f} s")
    return 0 if set(counts) <= {"good", "held up"} else 1


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
