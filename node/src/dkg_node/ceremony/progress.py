"""How far a ceremony is: work done in bytes of the plan, rate and estimate. Observes the link, changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from dkg_node.ceremony.phases import Segment
    from dkg_node.offline.chunk import Batch
    from dkg_node.protocols.session import Exchange, Group, Link, Role

T = TypeVar("T")

VALUE_SLOTS = frozenset({"y", "V"})
"""Slots of a batch whose bytes grow with its bits; all others are its fixed part."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One party's state at one moment."""

    phase: str
    percent: int
    bits: int
    """Random bits made so far."""
    bits_per_second: int
    eta_seconds: int | None
    """None where nothing can be said yet."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a segment is expected to send per party, and the bits it makes."""

    name: str
    sent: int
    bits: int


def batch_load(group: Group, batch: Batch) -> Load:
    """Average over kings: 2t of n parties send y for a chunk, one of n sends V to all others (01 section 4, "Cost")."""
    y = sum(chunk.y_bytes for chunk in batch.chunks) * 2 * group.t
    v = sum(chunk.v_bytes for chunk in batch.chunks) * (group.n - 1)
    bits = sum(4 * chunk.elements for chunk in batch.chunks) if batch.kind != "product" else 0
    return Load(f"batch {batch.index} {batch.kind} k{batch.k}", (y + v) // group.n, bits)


def loads_of(group: Group, segments: Sequence[Segment]) -> list[Load]:
    """Every segment's load; of a public key: each word of its bodies goes to all others once."""
    loads = []
    for segment in segments:
        if segment.batch is not None:
            loads.append(batch_load(group, segment.batch))
        else:
            bodies = 0 if segment.key is None else segment.key.seeded_bytes
            loads.append(Load(segment.name, bodies * (group.n - 1), 0))
    return loads


class Meter:
    """Counts what the segments of one party have done. Times are seconds on the caller's monotonic clock."""

    def __init__(self, loads: Sequence[Load], now: Callable[[], float], listener: Callable[[Progress], None]) -> None:
        """``loads`` by segment index; ``listener`` hears of every change of phase and of every exchange."""
        self._loads, self._now, self._listener = loads, now, listener
        self._total = max(1, sum(load.sent for load in loads))
        self._done = [0] * len(loads)
        self._offline = max((index for index, load in enumerate(loads) if load.bits), default=0)
        self._segment = 0
        self._phase = "connecting"
        self._began = self._ended = now()

    def enter(self, segment: int) -> None:
        """A segment begins; all before it are complete."""
        for index in range(segment):
            self._done[index] = self._loads[index].sent
        if segment == 1:
            self._began = self._now()
        self._segment = segment
        self.phase(self._loads[segment].name)

    def phase(self, name: str) -> None:
        """Show another phase name."""
        self._phase = name
        self._listener(self.progress())

    def finish(self) -> None:
        """Everything is done."""
        self._done = [load.sent for load in self._loads]
        self.phase("done")

    def sent(self, size: int) -> None:
        """Count ``size`` bytes of the running segment."""
        limit = self._loads[self._segment].sent
        self._done[self._segment] = min(limit, self._done[self._segment] + size)
        self._listener(self.progress())

    def progress(self) -> Progress:
        """The state now."""
        share = sum(self._done) / self._total
        bits = sum(
            load.bits * done // load.sent for load, done in zip(self._loads, self._done, strict=True) if load.sent
        )
        if self._segment <= self._offline:
            self._ended = self._now()
        spent, offline = self._now() - self._began, self._ended - self._began
        rate = int(bits / offline) if offline > 0 else 0
        eta = int(spent / share * (1 - share)) if share > 0.01 and spent > 0 else None
        return Progress(self._phase, int(100 * share), bits, rate, eta)


class MeteredLink:
    """A link that tells a meter what leaves; everything else is the link's own."""

    def __init__(self, link: Link, meter: Meter, names: Sequence[str], counted: Callable[[str], bool]) -> None:
        """``names`` are the slots of the segment; bytes of those that are ``counted`` are progress."""
        self._link, self._meter = link, meter
        self._names = list(names)
        self._counted = [counted(name) for name in names]
        self._silent: dict[str, frozenset[Role]] = {}

    async def exchange(self, request: Exchange) -> Mapping[Role, bytes | None]:
        """See Link."""
        got = await self._link.exchange(request)
        if self._counted[request.tag.slot]:
            self._meter.sent(sum(map(len, request.outgoing.values())))
        self._silent[self._names[request.tag.slot]] = frozenset(role for role, data in got.items() if data is None)
        return got

    def silent(self, slot: str) -> frozenset[Role]:
        """Who was not heard in a slot (the last part of it that ended)."""
        return self._silent.get(slot, frozenset())

    async def parallel(self, bodies: Sequence[Callable[[], Awaitable[T]]], window: int) -> list[T]:
        """See Link."""
        return await self._link.parallel(bodies, window)

    def offer(self, digest: bytes, body: bytes) -> None:
        """See Link."""
        self._link.offer(digest, body)

    def held(self, digest: bytes) -> bytes | None:
        """See Link."""
        return self._link.held(digest)

    def skip(self, segment: int, slots: Collection[int]) -> None:
        """See Link."""
        self._link.skip(segment, slots)
