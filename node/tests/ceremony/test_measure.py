from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from dkg_node.ceremony.chain import RESUME, Certificate, Core, Position
from dkg_node.ceremony.measure import Measurements
from dkg_node.ceremony.phases import last_batch, segments_of
from dkg_node.ceremony.watching import Watcher
from dkg_node.keygen.parameters import PARAMETER_SETS
from dkg_node.keygen.plan import plan_of
from dkg_node.protocols.session import Group
from dkg_node.protocols.state import PublicState

GROUP = Group(4, 1)
PARAMS = PARAMETER_SETS["test"]
SEGMENTS = segments_of(GROUP, PARAMS, plan_of(PARAMS))


@dataclass(frozen=True)
class Traffic:
    segment: int
    slot: int
    sent_total: int
    received_total: int = 7
    sent_payload: int = 0


class Machine:
    """A network, clock and usage whose figures the test sets."""

    def __init__(self) -> None:
        self.items: list[Traffic] = []
        self.seconds = 100.0
        self.cpu = 3.0

    def now(self) -> float:
        return self.seconds

    def traffic(self) -> list[Traffic]:
        return list(self.items)

    def utc(self) -> str:
        return "2030-01-31T12:00:00.123Z"

    def cpu_seconds(self) -> float:
        return self.cpu

    def peak_rss_bytes(self) -> int:
        return 12345


def slot_of(segment: int, name: str) -> int:
    return [slot.name for slot in SEGMENTS[segment].schedule].index(name)


def segment_of(kind: str, k: int) -> int:
    return next(s.index for s in SEGMENTS if s.batch is not None and (s.batch.kind, s.batch.k) == (kind, k))


def test_every_byte_is_counted_once_and_by_its_purpose() -> None:
    machine = Machine()
    measured = Measurements(SEGMENTS, machine, machine, machine)  # type: ignore[arg-type]
    noise64, noise128, product = segment_of("noise", 64), segment_of("noise", 128), segment_of("product", 64)
    machine.items = [
        Traffic(-1, -1, 1),
        Traffic(0, 0, 10),
        Traffic(noise64, slot_of(noise64, "y"), 100),
        Traffic(noise64, slot_of(noise64, "V"), 100),
        Traffic(noise64, slot_of(noise64, "votes.1"), 1),
        Traffic(noise128, slot_of(noise128, "V"), 1000),
        Traffic(product, slot_of(product, "V"), 1),
    ]
    machine.seconds, machine.cpu = 110.0, 5.0
    measured.end_offline()
    machine.items.append(Traffic(SEGMENTS[-1].index, 0, 10_000))
    machine.seconds, machine.cpu = 113.0, 5.5
    measured.end_online()
    report = measured.report(3)
    sent = report.sent_bytes
    assert (sent.setup, sent.k64, sent.k128, sent.fixed) == (10, 200, 1000, 3)
    assert sent.offline == sent.setup + sent.k64 + sent.k128 + sent.fixed
    assert sent.online == 10_000
    assert report.received_bytes == 8 * 7
    assert (report.offline_seconds, report.online_seconds) == (10.0, 3.0)
    assert (report.cpu_seconds.offline, report.cpu_seconds.online) == (2.0, 0.5)
    assert (report.index, report.peak_rss_bytes) == (3, 12345)


def test_phases_are_noted_in_whole_seconds_once_they_have_ended() -> None:
    machine = Machine()
    measured = Measurements(SEGMENTS, machine, machine, machine)  # type: ignore[arg-type]
    measured.begin("setup")
    before = len(measured.phases)
    measured.end()
    measured.end()
    assert before == 0
    assert [(phase.name, phase.start, phase.end) for phase in measured.phases] == [
        ("setup", "2030-01-31T12:00:00Z", "2030-01-31T12:00:00Z")
    ]


def test_a_slot_number_that_only_a_peer_can_have_made_up_counts_as_fixed() -> None:
    machine = Machine()
    measured = Measurements(SEGMENTS, machine, machine, machine)  # type: ignore[arg-type]
    machine.items = [Traffic(1, 999, 5), Traffic(len(SEGMENTS) + 7, 0, 6)]
    measured.end_offline()
    measured.end_online()
    assert measured.report(1).sent_bytes.fixed == 11


class Quiet:
    """A transcript and a meter that nobody reads."""

    def add(self, event: str, **facts: object) -> None: ...

    def sync(self) -> None: ...


@dataclass(frozen=True)
class Shown:
    """A control layer that holds so many results."""

    chain: tuple[Certificate, ...]
    lost: None = None


def shown(count: int, last: Position) -> Shown:
    places = [*(Position(0, number) for number in range(count)), *([last] if last.segment == RESUME else [])]
    return Shown(tuple(Certificate(Core(place, bytes(32), bytes(32), PublicState()), {}) for place in places))


@pytest.mark.parametrize(
    "seen",
    [
        [(0, 0), (0, 0), (1, 1)],
        [(0, 1), (0, 2)],
        [(0, 2), (0, 3)],
        [(1, RESUME), (1, 3)],
    ],
)
def test_offline_ends_once_with_the_last_batch_also_for_a_party_that_jumps_over_it(
    seen: list[tuple[int, int]],
) -> None:
    machine = Machine()
    measured = Measurements(SEGMENTS, machine, machine, machine)  # type: ignore[arg-type]
    final = last_batch(SEGMENTS)
    work = SimpleNamespace(segments=SEGMENTS)
    party = SimpleNamespace(measurements=measured, transcript=Quiet(), meter=Quiet())
    watcher = Watcher(work, party)  # type: ignore[arg-type]
    machine.seconds = 110.0
    for era, more in seen:
        place = Position(era, RESUME if more == RESUME else final + more)
        watcher.observe(shown(final + 1 + max(0, more), place), "certificate", place)  # type: ignore[arg-type]
        machine.seconds += 5.0
    measured.end_online()
    redone = seen.count((0, 0)) - 1 if (0, 0) in seen else 0
    assert measured.report(1).offline_seconds == 10.0 + 5.0 * redone
