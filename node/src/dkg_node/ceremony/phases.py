"""The segments of a ceremony in their order, and when each of their slots ends (01 section 2, table and "Slots")."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from dkg_node.errors import UsageError
from dkg_node.keygen.online import digest_slots, online_slots
from dkg_node.offline.slots import batch_slots, first_round
from dkg_node.protocols.prss import setup_slots

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dkg_node.keygen.parameters import KeySpec, ParameterSet
    from dkg_node.keygen.plan import Plan
    from dkg_node.offline.chunk import Batch
    from dkg_node.protocols.session import Group, Slot

Kind = Literal["setup", "batch", "online", "assembly"]


@dataclass(frozen=True, slots=True)
class Timing:
    """The figures of the terms that fix every deadline; seconds, bytes a second, cores."""

    round_timeout: float
    min_rate: float
    min_speed: float
    start_grace: float

    def delta(self, slot: Slot) -> float:
        """Length of a slot: Delta = roundTimeout + 2*bytes/minRate + work/minSpeed."""
        return self.round_timeout + 2 * slot.size / self.min_rate + slot.work / self.min_speed

    def ends(self, schedule: Iterable[Slot]) -> tuple[float, ...]:
        """Ends of all slots, seconds after T_start: sums of Delta, however early earlier slots ended."""
        return tuple(accumulate(self.delta(slot) for slot in schedule))


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: its position, its name in progress and report, its slots."""

    index: int
    name: str
    kind: Kind
    schedule: tuple[Slot, ...]
    batch: Batch | None = None
    key: KeySpec | None = None
    """The public key that an online segment opens."""


def segments_of(group: Group, params: ParameterSet, plan: Plan) -> tuple[Segment, ...]:
    """setup, the batches in plan order, online (one a public key), assembly (the key files and their digests)."""
    batches = tuple(
        Segment(number, f"batch {number}", "batch", batch_slots(group, batch), batch)
        for number, batch in enumerate(plan.batches, start=1)
    )
    keys = tuple(
        Segment(len(batches) + number, f"online {key.name}", "online", schedule, key=key)
        for number, key in enumerate(params.keys, start=1)
        for schedule in [online_slots(group, plan, key, first=number == 1)]
    )
    first, *others = digest_slots(group)
    files = (replace(first, work=first.work + assembly_work(group, params)), *others)
    return (
        Segment(0, "setup", "setup", setup_slots(group)),
        *batches,
        *keys,
        Segment(1 + len(batches) + len(keys), "assembly", "assembly", files),
    )


def last_batch(segments: Sequence[Segment]) -> int:
    """Index of the segment that the offline phase ends with."""
    return max(segment.index for segment in segments if segment.batch is not None)


def assembly_work(group: Group, params: ParameterSet) -> float:
    """Core-seconds until the key files of all parties of one machine are assembled and hashed, one after another."""
    return group.n * (0.1 + 10e-9 * params.seeded_bytes)


def longest(segments: Sequence[Segment], timing: Timing) -> float:
    """Seconds until the last slot ends if every slot takes all its time and every start its grace, without faults."""
    return sum(timing.ends(first_round(segment.schedule))[-1] + timing.start_grace for segment in segments)


def check_fits(segments: Sequence[Segment], timing: Timing, left: float) -> None:
    """Refuse terms whose plan can outlast their deadline. ``left`` is the seconds until the deadline."""
    needed = longest(segments, timing)
    if needed > left:
        msg = (
            f"choose a later deadline in the terms: the slots of {len(segments)} segments may take {needed:.0f} s, "
            f"the deadline is in {left:.0f} s"
        )
        raise UsageError(msg)
