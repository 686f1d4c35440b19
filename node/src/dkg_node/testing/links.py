"""Test doubles of time and of TCP links: a clock that tests move, a proxy that cuts, refuses and holds."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class ManualClock:
    """Time stands still until a test moves it."""

    def __init__(self) -> None:
        """Begin at 1000 seconds."""
        self.time = 1000.0
        self._due: list[tuple[float, int, Any]] = []
        self._count = itertools.count()

    def now(self) -> float:
        """Seconds."""
        return self.time

    def call_at(self, when: float, call: Callable[[], None]) -> Any:
        """Call it when the test has moved the clock so far."""
        timer = _Timer(call)
        heapq.heappush(self._due, (when, next(self._count), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Move the clock, making the calls that are due in order."""
        end = self.time + seconds
        while self._due and self._due[0][0] <= end:
            self.time, _, timer = heapq.heappop(self._due)
            if timer.live:
                timer.call()
        self.time = end


@dataclass
class _Timer:
    call: Callable[[], None]
    live: bool = True

    def cancel(self) -> None:
        self.live = False


class Proxy:
    """One TCP link that can be cut, refused and held; the first shape of the fault proxy."""

    def __init__(self, target: int) -> None:
        """Lead to a port on loopback."""
        self.target = target
        self.port = 0
        self.refusing = False
        self.carried = 0
        self.cut_after: list[int] = []
        """Bytes towards the target after which each coming connection is cut."""
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0

    async def start(self) -> Proxy:
        """Listen on ``port``."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def cut(self) -> None:
        """Reset all connections."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def stop(self) -> None:
        """End."""
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        self.connections += 1
        limit = self.cut_after.pop(0) if self.cut_after else None
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers += [writer, there_writer]
        for source, sink, most in ((reader, there_writer, limit), (there_reader, writer, None)):
            task = asyncio.ensure_future(self._carry(source, sink, most))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, most: int | None) -> None:
        passed = 0
        try:
            while data := await source.read(65536):
                await self.flowing.wait()
                passed += len(data)
                self.carried += len(data)
                if most is not None and passed > most:
                    self.cut()
                    return
                sink.write(data)
                await sink.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            sink.transport.abort()
