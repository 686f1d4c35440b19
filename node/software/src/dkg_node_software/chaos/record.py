"""What a run of chaos came to, as one line of the results file, and the table over many of them."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from dkg_node_software.chaos.schedule import CONVICTED, FOUND

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Injected:
    """One fault that came about."""

    kind: str
    phase: str
    step: str
    party: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One run. ``(commit, seed, run, n, t)`` is its key: a later line of the same key stands for it."""

    commit: str
    seed: str
    run: int
    n: int
    t: int
    lost: bool
    """More than t parties were silent at once."""
    planned: int
    """Faults of the schedule, those too that no party came to."""
    faults: tuple[Injected, ...]
    honest: tuple[int, ...]
    """Parties without any fault that counts."""
    returning: tuple[int, ...]
    """Faulty parties that came back."""
    finished: tuple[int, ...]
    named: tuple[int, ...]
    """Convicted in a certificate, or found by t+1 parties to have sent wrong shares."""
    accused: tuple[int, ...]
    """Honest parties that any honest party calls a liar."""
    must_name: tuple[int, ...]
    """Liars that changed a value."""
    missing_named: bool | None
    """Of a lost run: whether the waiting parties said whom they miss."""
    self_check: bool | None
    """None: not made in this run."""
    seconds: float
    lost_seconds: float
    """More than a run without faults took."""
    lost_bytes: int
    """The same, over all links."""
    problems: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether everything came out as it must."""
        return not self.problems

    @property
    def key(self) -> tuple[str, str, int, int, int]:
        """What makes a run the same one."""
        return self.commit, self.seed, self.run, self.n, self.t


def append(path: Path, record: Record) -> None:
    """One more line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(record)) + "\n")


def read(path: Path) -> list[Record]:
    """All runs of the file, the last of each key; lines that are none are passed over."""
    records: dict[tuple[str, str, int, int, int], Record] = {}
    if not path.exists():
        return []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            fields = json.loads(line)
            faults = tuple(Injected(**entry) for entry in fields.pop("faults"))
            lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
            record = Record(faults=faults, **{**fields, **lists})
        except (ValueError, TypeError, KeyError):
            continue
        records[record.key] = record
    return list(records.values())


@dataclass(slots=True)
class _Row:
    injected: int = 0
    good: int = 0
    seconds: list[float] = field(default_factory=list)
    honest: list[int] = field(default_factory=lambda: [0, 0])
    """Finishers, and all, among the honest parties of those runs."""
    named: list[int] = field(default_factory=lambda: [0, 0])
    """Named, and to be named."""
    accused: int = 0

    def add(self, record: Record, *, once: bool) -> None:
        """A fault of that run; ``once``: the first of this row in it."""
        self.injected += 1
        self.good += record.good
        self.seconds.append(record.lost_seconds / len(record.faults))
        if once:
            self.honest[0] += len(set(record.finished) & set(record.honest))
            self.honest[1] += len(record.honest)
            self.named[0] += len(set(record.named) & set(record.must_name))
            self.named[1] += len(record.must_name)
            self.accused += len(record.accused)


def table(records: Sequence[Record]) -> list[str]:
    """Runs, faults by kind and phase, honest finishers, culprits named, false accusations, time lost a fault."""
    lines = []
    for n, t in sorted({(record.n, record.t) for record in records}):
        lines += _of_size([record for record in records if (record.n, record.t) == (n, t)], f"{n}/{t}")
    return lines


def _of_size(records: Sequence[Record], size: str) -> list[str]:
    rows: dict[tuple[str, str], _Row] = defaultdict(_Row)
    for record in records:
        seen: set[tuple[str, str]] = set()
        for fault in record.faults:
            place = fault.detail if fault.kind == "byzantine" else fault.kind, fault.phase
            rows[place].add(record, once=place not in seen)
            seen.add(place)
    lines = [
        f"{size}: faults by kind and phase",
        f"  {'fault':<22}{'phase':<16}{'injected':>9}{'good':>6}{'honest':>9}{'named':>7}{'accused':>8}{'lost s':>8}",
    ]
    lines += [
        f"  {kind:<22}{phase:<16}{row.injected:>9}{row.good:>6}{_of(row.honest):>9}{_of(row.named):>7}{row.accused:>8}"
        f"{median(row.seconds):>8.1f}"
        for (kind, phase), row in sorted(rows.items())
    ]
    return [*lines, *_totals(records, size), *_failures(records, size)]


def _of(pair: list[int]) -> str:
    return f"{pair[0]}/{pair[1]}"


def _totals(records: Sequence[Record], size: str) -> list[str]:
    lost = [record for record in records if record.lost]
    checked = [record for record in records if record.self_check is not None]
    finished = sum(len(set(record.finished) & set(record.honest)) for record in records)
    returned = sum(len(set(record.finished) & set(record.returning)) for record in records)
    named = sum(len(set(record.named) & set(record.must_name)) for record in records)
    faults = sum(len(record.faults) for record in records)
    seconds = sum(record.lost_seconds for record in records)
    honest, back = sum(len(r.honest) for r in records), sum(len(r.returning) for r in records)
    wanted, accused = sum(len(r.must_name) for r in records), sum(len(r.accused) for r in records)
    passed, told = sum(r.self_check is True for r in checked), sum(r.missing_named is True for r in lost)
    texts = [
        f"{len(records)} runs ({len(lost)} with t+1 silent), {sum(r.good for r in records)} good",
        f"{faults} faults injected of {sum(r.planned for r in records)} planned",
        f"honest finishers {finished} of {honest}, returned finishers {returned} of {back}",
        f"culprits named {named} of {wanted}, false accusations {accused}",
        f"missing named in {told} of {len(lost)} runs with t+1 silent",
        f"self-check passed in {passed} of {len(checked)} runs that made it; digests compared in all",
        f"time lost {seconds / max(1, faults):.1f} s a fault",
    ]
    return [f"{size}: {text}" for text in texts]


def _failures(records: Iterable[Record], size: str) -> list[str]:
    return [
        f"{size}: NOT GOOD {record.seed}:{record.run}: {'; '.join(record.problems)}"
        for record in records
        if not record.good
    ]


def must_name(liars: dict[int, str], lies: frozenset[str] = CONVICTED | FOUND) -> tuple[int, ...]:
    """Which liars have to be named, or tell one of ``lies``."""
    return tuple(sorted(party for party, lie in liars.items() if lie.partition("@")[0] in lies))
