"""Pauses between tries of something that fails: longer and longer up to a longest one, never in step with others."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import SystemRandom

_RANDOM = SystemRandom()


@dataclass(slots=True)
class Pauses:
    """Seconds to wait before the next try. Each is up to half shorter by chance.

    So parties that lost a peer at the same time do not come back at the same time.
    """

    first: float
    longest: float
    _next: float = field(init=False)

    def __post_init__(self) -> None:
        """Nothing has failed yet."""
        self._next = self.first

    def succeeded(self) -> None:
        """Begin with the first again."""
        self._next = self.first

    def failed(self) -> float:
        """How long to wait now."""
        pause, self._next = self._next, min(2 * self._next, self.longest)
        return _RANDOM.uniform(pause / 2, pause)
