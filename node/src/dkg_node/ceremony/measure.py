"""What a party measures of itself: seconds, core-seconds, bytes by purpose (07). Counters, never estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_api.report import CpuSeconds, PartyReport, Phase, SentBytes
from dkg_node.ceremony.progress import VALUE_SLOTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_node.ceremony.phases import Segment
    from dkg_node.ceremony.ports import Clock, Network, Traffic, Usage

BY_HASH = "v-by-hash"


@dataclass(frozen=True, slots=True)
class Mark:
    """The counters at one moment."""

    seconds: float
    cpu: float
    traffic: tuple[Traffic, ...]


class Measurements:
    """Begin before the first segment, ``end_offline`` after the last batch, ``end_online`` after the certificate."""

    def __init__(self, segments: Sequence[Segment], network: Network, clock: Clock, usage: Usage) -> None:
        """Offline begins now: connecting and waiting for peers count too."""
        self._segments, self._network, self._clock, self._usage = segments, network, clock, usage
        self._begin = self._offline = self._online = self._mark()
        self._offline_ended = False
        self._phases: list[Phase] = []
        self._open: tuple[str, str] | None = None
        self.offline_ended = False
        """Whether ``end_offline`` was called."""

    def begin(self, name: str) -> None:
        """A phase begins."""
        self._open = (name, self._instant())

    def end(self) -> None:
        """The running phase is over."""
        if self._open is not None:
            self._phases.append(Phase(name=self._open[0], start=self._open[1], end=self._instant()))
            self._open = None

    def end_offline(self) -> None:
        """The last batch is accepted; again if an era did it once more."""
        self._offline = self._online = self._mark()
        self.offline_ended = True

    def end_online(self) -> None:
        """The certificate is there."""
        self._online = self._mark()

    @property
    def phases(self) -> tuple[Phase, ...]:
        """All finished phases."""
        return tuple(self._phases)

    def report(self, party: int) -> PartyReport:
        """The party's entry of report.json."""
        begin, offline, online = self._begin, self._offline, self._online
        return PartyReport(
            index=party,
            offline_seconds=round(offline.seconds - begin.seconds, 3),
            online_seconds=round(online.seconds - offline.seconds, 3),
            cpu_seconds=CpuSeconds(
                offline=round(offline.cpu - begin.cpu, 3), online=round(online.cpu - offline.cpu, 3)
            ),
            peak_rss_bytes=self._usage.peak_rss_bytes(),
            sent_bytes=self._sent(),
            received_bytes=sum(item.received_total for item in online.traffic),
        )

    def _sent(self) -> SentBytes:
        """Offline bytes by purpose: setup; y, V and V by hash of the bits made at K=64 and at K=128; the rest is fixed.

        Fixed is what does not grow with the bits: votes, coins, checks, starts, and the batches of products.
        """
        parts = {"setup": 0, "k64": 0, "k128": 0, "fixed": 0}
        for item in self._offline.traffic:
            parts[self._purpose(item)] += item.sent_total
        offline = sum(parts.values())
        total = sum(item.sent_total for item in self._online.traffic)
        return SentBytes(offline=offline, online=total - offline, **parts)

    def _purpose(self, item: Traffic) -> str:
        if item.slot < 0 or not 0 <= item.segment < len(self._segments):
            return "fixed"
        segment = self._segments[item.segment]
        if item.slot >= len(segment.schedule):
            return "fixed"
        if segment.kind == "setup":
            return "setup"
        name, batch = segment.schedule[item.slot].name, segment.batch
        grows = batch is not None and batch.kind != "product" and (name in VALUE_SLOTS or name == BY_HASH)
        return f"k{batch.k}" if batch is not None and grows else "fixed"

    def _mark(self) -> Mark:
        return Mark(self._network.now(), self._usage.cpu_seconds(), tuple(self._network.traffic()))

    def _instant(self) -> str:
        """Whole seconds, as the report has them."""
        return self._clock.utc()[: len("2030-01-31T12:00:00")] + "Z"
