"""The pins of one party's peers, each until its end; pure, for a caller that brings the time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dkg_node.protocols.session import Role
    from dkg_node.transport.frames import Boot
    from dkg_node.transport.settings import Lifetimes
    from dkg_node.transport.tls import Pin

MOST_PINS: Final = 16
"""Of one peer: two overlap, more come of doubts only."""


@dataclass(slots=True)
class PinBook:
    """All pins of one party, each until its end."""

    lifetimes: Lifetimes
    _held: dict[Role, tuple[tuple[float, Pin], ...]] = field(default_factory=dict)
    """(when it was made, pin), the newest first."""

    def add(self, pin: Pin, now: float) -> None:
        """Hold a new pin; those of an older boot of the same party end with that.

        Handshakes end in several threads, so an older boot's pin may come after a newer one's: it is not held.
        """
        older = self._held.get(pin.role, ())
        if any(_supersedes(held, pin) for _, held in older):
            return
        kept = tuple(entry for entry in older if _boot(entry[1]) == _boot(pin))
        self._held[pin.role] = ((now, pin), *kept[: MOST_PINS - 1])

    def expire(self, now: float) -> None:
        """Drop what has reached its end."""
        for role, entries in list(self._held.items()):
            self._held[role] = tuple(entry for entry in entries if now < entry[0] + self.lifetimes.pin)

    def next_end(self) -> float | None:
        """When the next pin ends."""
        ends = [made + self.lifetimes.pin for entries in self._held.values() for made, _ in entries]
        return min(ends, default=None)

    def renewal(self, role: Role) -> float | None:
        """When the next handshake with that party is due; None: at once."""
        entries = self._held.get(role)
        return entries[0][0] + self.lifetimes.renew if entries else None

    @property
    def pins(self) -> dict[Role, tuple[Pin, ...]]:
        """As the hub wants them."""
        return {role: tuple(pin for _, pin in entries) for role, entries in self._held.items() if entries}


def _boot(pin: Pin) -> Boot | None:
    return None if pin.attested is None else pin.attested.boot


def _supersedes(held: Pin, pin: Pin) -> bool:
    """Whether ``held`` is of a newer boot than ``pin``, or of the first of two copies with one number."""
    one, two = _boot(held), _boot(pin)
    return one is not None and two is not None and one != two and two.number <= one.number
