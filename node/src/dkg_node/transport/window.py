"""Children of one party: so many at a time, but never so late that a silent party makes honest ones late.

A child that waits for a silent king or sender keeps its place until the slot ends. Were places all that counts, a few
such children would hold up all others, and an honest party's messages would come after the slot's deadline. So child k
of m begins at the latest when k/m of half the first slot's time has passed, whether or not there is a place. An honest
run is far ahead of that and never has more than ``window`` children.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from dkg_node.transport.settings import Clock, Timer

T = TypeVar("T")
SHARE = 0.5
"""Part of the first slot's time in which all children begin: the rest is for the last one's work and message."""


class Window:
    """Runs the children of one party; one ``run`` at a time."""

    def __init__(self, clock: Clock) -> None:
        """``clock`` is the one that deadlines are on."""
        self._clock = clock
        self._run: _Run | None = None

    async def run(self, bodies: Sequence[Callable[[], Awaitable[T]]], window: int) -> list[T]:
        """Run the coroutines, started in order; results in order. The first error ends the others and is raised."""
        run = _Run(self._clock, bodies, max(1, window))
        self._run = run
        try:
            return await run.finish()
        finally:
            self._run = None

    def entered(self, deadline: float) -> None:
        """A child is in a slot that ends then: the first one says how much time there is."""
        if self._run is not None:
            self._run.pace(deadline)


class _Run:
    """One call of ``Window.run``."""

    def __init__(self, clock: Clock, bodies: Sequence[Callable[[], Awaitable[Any]]], window: int) -> None:
        self._clock, self._bodies, self._window = clock, bodies, window
        self._results: dict[int, Any] = {}
        self._started = self._active = 0
        self._begun: float | None = None
        self._time = 0.0
        self._timer: Timer | None = None
        self._group: asyncio.TaskGroup | None = None

    async def finish(self) -> list[Any]:
        """Run all."""
        try:
            async with asyncio.TaskGroup() as self._group:
                self._fill()
        except BaseExceptionGroup as errors:
            first: BaseException = errors
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            raise first from None
        finally:
            self._stop()
        return [self._results[number] for number in range(len(self._bodies))]

    def pace(self, deadline: float) -> None:
        """Only the first call counts."""
        if self._begun is None:
            self._begun = self._clock.now()
            self._time = SHARE * max(0.0, deadline - self._begun)
            self._arm()

    def _fill(self) -> None:
        while self._active < self._window and self._started < len(self._bodies):
            self._start()

    def _start(self) -> None:
        if self._group is not None:
            self._active += 1
            self._group.create_task(self._child(self._started))
            self._started += 1

    async def _child(self, number: int) -> None:
        try:
            self._results[number] = await self._bodies[number]()
        except BaseException:
            self._stop()
            raise
        self._active -= 1
        self._fill()

    def _latest(self) -> float:
        """When the next child begins at the latest."""
        return (self._begun or 0.0) + self._time * self._started / len(self._bodies)

    def _arm(self) -> None:
        if self._group is not None and self._started < len(self._bodies):
            self._timer = self._clock.call_at(self._latest(), self._due)

    def _due(self) -> None:
        if self._started < len(self._bodies) and self._clock.now() >= self._latest():
            self._start()
        self._arm()

    def _stop(self) -> None:
        """Begin no more children."""
        self._group = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
