"""What goes wrong in a run, drawn from SEED:r. Pure: the same seed, sizes and steps give the same schedule."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING

from dkg_node_software.adversaries import KINDS as LIARS
from dkg_node_software.adversaries import base_name
from dkg_node_software.chaos.trap import CLOSE, MOMENTS, OPEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_node.ceremony.phases import Segment
    from dkg_node.protocols.session import Group, Role

FOR_GOOD = ("kill", "stop", "cut off", "byzantine")
"""Faults of a party that never comes back."""
PASSING = ("restart", "pause", "partition", "one-way", "delay", "bandwidth")
"""Faults of a party that comes back."""
HARMLESS = ("reset", "jitter", "thin line")
"""Of any link, within what the terms allow: nobody is faulty for it."""
KINDS = (*FOR_GOOD, *PASSING, *HARMLESS)
KILLING = ("kill", "restart")
PARTIAL = ("partition", "one-way", "delay", "reset")
"""Faults of links that may be to some of the peers only."""

CONVICTED = frozenset({"wrong-y", "wrong-V", "wrong-W", "wrong-W-then-silent", "wrong-keys"})
"""Lies that change a value: a run is good only if the liar is named in the certificate."""
FOUND = frozenset({"wrong-share"})
"""Lies that an opening corrects: the others name the liar in their findings."""
PERHAPS = frozenset({"odd-y", "odd-king"})
"""Lies that change a value only where the wire trims nothing."""
UNUSED_LIARS = frozenset({"crash"})
"""Another name of ``kill``."""

WEIGHTS = {"byzantine": 5, "restart": 3, "kill": 2}
"""How often a kind is drawn; all others once."""
LOST_SHARE = 0.12
"""Share of runs in which t+1 parties fall silent and one of them comes back."""
TWICE_SHARE = 0.25
HARMLESS_SHARE = 0.3
ONLY_AFTER_FAULT = ("fault", "keys.", "show.", "v-by-hash")
"""Slots that an honest run skips: of a failed check, and of openings that somebody lacks."""


@dataclass(frozen=True, slots=True)
class Step:
    """A place in the protocol: a slot, or the opening or closing of its segment."""

    segment: int
    slot: str
    phase: str
    """Kind of the segment, for tables: ``setup``, ``batch noise``, ``online`` ..."""

    @property
    def name(self) -> str:
        """For tables: one name for all batches and keys."""
        return f"{self.phase}: {base_name(self.slot)}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one party; ``party`` reaches ``step``, and then."""

    kind: str
    party: Role
    step: Step | None = None
    """None: from the start."""
    moment: str = "before"
    seconds: float = 0.0
    """Until it is over; 0 with kinds that are for good."""
    detail: str = ""
    """Which lie; ``in``, ``out`` or ``both`` ways of a link."""
    peers: tuple[Role, ...] = ()
    """Links to these only; empty: to all."""
    figure: float = 0.0
    """Seconds of delay, or bytes a second."""

    @property
    def returns(self) -> bool:
        """Whether the party is to finish all the same."""
        return self.kind not in FOR_GOOD


@dataclass(frozen=True, slots=True)
class Schedule:
    """All faults of a run, in the order of their steps; those of one party are done one after another."""

    faults: tuple[Fault, ...]
    lost: bool
    """Marked: more than t parties are silent at once, and one of them comes back."""

    @property
    def faulty(self) -> frozenset[Role]:
        """Parties with a fault that counts."""
        return frozenset(fault.party for fault in self.faults if fault.kind not in HARMLESS)

    @property
    def gone(self) -> frozenset[Role]:
        """Parties that are not to finish."""
        return frozenset(fault.party for fault in self.faults if not fault.returns)

    @property
    def liars(self) -> dict[Role, str]:
        """What each Byzantine party does."""
        return {fault.party: fault.detail for fault in self.faults if fault.kind == "byzantine"}


def steps_of(segments: Sequence[Segment]) -> tuple[Step, ...]:
    """All places where a fault can be set off in an honest run, in order."""
    steps = []
    for segment in segments:
        phase = f"batch {segment.batch.kind}" if segment.batch is not None else segment.kind
        names = [OPEN, *(slot.name for slot in segment.schedule if _reached(slot.name)), CLOSE]
        steps += [Step(segment.index, name, phase) for name in names]
    return tuple(steps)


def _reached(slot: str) -> bool:
    """Whether every run comes to this slot: later rounds and what follows a fault or a lie are not."""
    return slot == base_name(slot) and not slot.startswith(ONLY_AFTER_FAULT)


def draw(seed: str, run: int, group: Group, steps: Sequence[Step], kinds: Sequence[str] = KINDS) -> Schedule:
    """The schedule of ``seed:run``. ``kinds`` narrows what is drawn from."""
    entropy = sha256(f"chaos/{seed}:{run}/{group.n}/{group.t}".encode()).digest()
    rng = Random(entropy)  # noqa: S311 - reproducible on purpose, never secret
    faults: list[Fault] = []
    lost = rng.random() < LOST_SHARE and "restart" in kinds
    if lost:
        faults += _lost(rng, group, steps)
    else:
        wanted = [kind for kind in kinds if kind not in HARMLESS]
        for party in rng.sample(list(group.roles), rng.randint(1, group.t)) if wanted else []:
            faults += _of_party(rng, group, party, steps, wanted)
    mild = [kind for kind in kinds if kind in HARMLESS]
    if mild and rng.random() < HARMLESS_SHARE:
        faults.append(_fault(rng, group, rng.choice(mild), rng.choice(list(group.roles)), steps))
    places = {step: place for place, step in enumerate(steps)}
    faults.sort(key=lambda fault: (-1 if fault.step is None else places[fault.step], MOMENTS.index(fault.moment)))
    return Schedule(tuple(faults), lost)


def _of_party(rng: Random, group: Group, party: Role, steps: Sequence[Step], kinds: Sequence[str]) -> list[Fault]:
    """One fault, sometimes one more after it, later in the protocol."""
    kind = rng.choices(list(kinds), [WEIGHTS.get(kind, 1) for kind in kinds])[0]
    first = _fault(rng, group, kind, party, steps)
    passing = [kind for kind in kinds if kind in (*PASSING, "kill", "stop")]
    rest = [] if first.step is None else [step for step in steps if step.segment > first.step.segment]
    if first.returns and rest and passing and rng.random() < TWICE_SHARE:
        return [first, _fault(rng, group, rng.choice(passing), party, rest)]
    return [first]


def _lost(rng: Random, group: Group, steps: Sequence[Step]) -> list[Fault]:
    """t+1 parties are killed at one step; one of them is started again, or all."""
    step = _step(rng, steps)
    parties = rng.sample(list(group.roles), group.t + 1)
    back = 1 if rng.random() < 0.5 else len(parties)
    seconds = rng.choice([8.0, 20.0])
    return [
        Fault("restart" if place < back else "kill", party, step, "before", seconds if place < back else 0.0)
        for place, party in enumerate(parties)
    ]


def _fault(rng: Random, group: Group, kind: str, party: Role, steps: Sequence[Step]) -> Fault:
    """One fault with its figures."""
    if kind == "byzantine":
        lies = [*(name for name in LIARS if name not in UNUSED_LIARS), *sorted(CONVICTED | FOUND)]
        return Fault(kind, party, detail=rng.choice(lies))
    step = _step(rng, steps)
    moments = ["before", "after"]
    if kind in KILLING:
        moments += ["during"] if step.slot not in (OPEN, CLOSE) else []
        return Fault(kind, party, step, rng.choice(moments), rng.choice([0.1, 2.0, 10.0]) if kind != "kill" else 0.0)
    moment = rng.choice(moments)
    if kind in FOR_GOOD:
        return Fault(kind, party, step, moment, detail="both")
    figures = {
        "delay": rng.choice([1.0, 4.0]),
        "bandwidth": rng.choice([20e3, 200e3]),
        "jitter": rng.choice([0.02, 0.1]),
        "thin line": 4e6,
    }
    ways = {"one-way": rng.choice(["in", "out"])}
    seconds = rng.choice([1.0, 5.0, 15.0])
    peers = _peers(rng, group, party) if kind in PARTIAL else ()
    return Fault(kind, party, step, moment, seconds, ways.get(kind, "both"), peers, figures.get(kind, 0.0))


def _peers(rng: Random, group: Group, party: Role) -> tuple[Role, ...]:
    """All peers (empty) or some of them."""
    others = [role for role in group.roles if role != party]
    return () if rng.random() < 0.5 else tuple(sorted(rng.sample(others, rng.randint(1, len(others) - 1))))


def _step(rng: Random, steps: Sequence[Step]) -> Step:
    """Phases are hit alike, however many slots they have."""
    phase = rng.choice(sorted({step.phase for step in steps}))
    return rng.choice([step for step in steps if step.phase == phase])
