"""What a node says about itself, shared between the protocol's thread and the control service's threads."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Condition
from typing import TYPE_CHECKING, Literal

from dkg_api.canonical import canonical

if TYPE_CHECKING:
    from dkg_node.ceremony.progress import Progress

State = Literal["waiting", "running", "done", "failed", "drained"]


@dataclass(frozen=True, slots=True)
class Status:
    """One status item."""

    state: State
    phase: str
    percent: int = 0
    bits: int = 0
    bits_per_second: int = 0
    eta_seconds: int | None = None
    message: str = ""
    artefacts: tuple[str, ...] = ()


@dataclass(slots=True)
class StatusBoard:
    """The newest status; every change wakes the watchers."""

    party: int
    terms_digest: bytes
    attempt: int
    notices: tuple[str, ...]
    traffic: tuple[int, int] = (0, 0)
    """Bytes sent and received so far; the protocol's thread replaces it now and then."""
    _status: Status = Status("waiting", "starting")
    _number: int = 1
    _changed: Condition = field(default_factory=Condition)

    def show(self, state: State, phase: str, message: str = "") -> None:
        """Set state and phase."""
        self._put(replace(self._status, state=state, phase=phase, message=message))

    def progress(self, progress: Progress) -> None:
        """Set how far the ceremony is."""
        self._put(
            replace(
                self._status,
                state="running",
                phase=progress.phase,
                percent=progress.percent,
                bits=progress.bits,
                bits_per_second=progress.bits_per_second,
                eta_seconds=progress.eta_seconds,
            )
        )

    def publish(self, artefacts: tuple[str, ...]) -> None:
        """Name the artefacts that can be fetched."""
        self._put(replace(self._status, artefacts=artefacts))

    def after(self, number: int, timeout: float) -> tuple[int, Status]:
        """The newest status and its number; waits for one newer than ``number`` up to ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > number, timeout)
            return self._number, self._status

    def content(self, number: int, status: Status) -> bytes:
        """Canonical JSON of a status item: what the node signs."""
        sent, received = self.traffic
        return canonical(
            {
                "party": self.party,
                "terms_digest": self.terms_digest.hex(),
                "attempt": self.attempt,
                "notices": list(self.notices),
                "number": number,
                "state": status.state,
                "phase": status.phase,
                "percent": status.percent,
                "bits": status.bits,
                "bits_per_second": status.bits_per_second,
                "eta_seconds": status.eta_seconds,
                "sent_bytes": sent,
                "received_bytes": received,
                "message": status.message,
                "artefacts": list(status.artefacts),
            }
        )

    def _put(self, status: Status) -> None:
        with self._changed:
            self._status = status
            self._number += 1
            self._changed.notify_all()
