"""Calls that are due later, all of which end with their owner."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Timers:
    """One owner's, on the running loop."""

    def __init__(self) -> None:
        """None yet."""
        self._timers: list[asyncio.TimerHandle] = []

    def later(self, seconds: float, call: Callable[[], object]) -> None:
        """Have something called."""
        loop = asyncio.get_running_loop()
        self._timers = [timer for timer in self._timers if not timer.cancelled() and timer.when() >= loop.time()]
        self._timers.append(loop.call_later(seconds, call))

    def close(self) -> None:
        """Call nothing more."""
        for timer in self._timers:
            timer.cancel()
