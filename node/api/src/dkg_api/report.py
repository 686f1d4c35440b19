"""report.json: what a ceremony took and found, measured by the parties (design 07). Floats are seconds only."""

from __future__ import annotations

from typing import Literal

from dkg_api.certificate import Fault, SelfCheck
from dkg_api.model import Hex32, Instant, Model


class BitCounts(Model):
    """Random bits made, by word length."""

    k64: int
    k128: int


class Phase(Model):
    """One phase of the ceremony."""

    name: str
    start: Instant
    end: Instant


class CpuSeconds(Model):
    """Core-seconds of the process."""

    offline: float
    online: float


class SentBytes(Model):
    """Bytes handed to the network; offline = setup + k64 + k128 + fixed."""

    offline: int
    online: int
    setup: int
    k64: int
    k128: int
    fixed: int


class PartyReport(Model):
    """What one party measured of itself."""

    index: int
    offline_seconds: float
    online_seconds: float
    cpu_seconds: CpuSeconds
    peak_rss_bytes: int
    sent_bytes: SentBytes
    received_bytes: int


class Report(Model):
    """report.json."""

    schema_version: Literal[1] = 1
    result: Literal["completed", "failed"]
    attestation: str
    parameter_set: str
    parties: int
    threshold: int
    terms_digest: Hex32
    keyset_sha256: Hex32 | None
    bits: BitCounts
    products: int
    phases: tuple[Phase, ...]
    per_party: tuple[PartyReport, ...]
    faults: tuple[Fault, ...]
    self_check: SelfCheck | None

    def as_json(self) -> dict[str, object]:
        """The JSON object (snake_case names)."""
        return self.model_dump(mode="json")
