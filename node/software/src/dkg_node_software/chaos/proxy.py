"""One userland TCP proxy a link: delay, bandwidth, partition, loss of the connection. No root, no kernel modules.

Bytes are never changed, lost or reordered while a connection lives: a cut link holds them, as TCP would resend them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dkg_node.protocols.session import Group, Role

BLOCK = 65_536
HELD = 4 << 20
"""Bytes of one direction on the way; above it nothing more is read, and the sender feels it."""
HOST = "127.0.0.1"


@dataclass(slots=True)
class Way:
    """One direction of a link, for all its connections."""

    delay: float = 0.0
    """Seconds from read to write."""
    rate: float | None = None
    """Bytes a second; None: as fast as it goes."""
    carried: int = 0
    """Bytes so far."""
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _cuts: int = 0

    def __post_init__(self) -> None:
        """Begin open."""
        self.flowing.set()

    def cut(self) -> None:
        """Hold everything; ``heal`` as often as it was cut."""
        self._cuts += 1
        self.flowing.clear()

    def heal(self) -> None:
        """Take one cut back."""
        self._cuts -= 1
        if not self._cuts:
            self.flowing.set()


class _Pipe:
    """One direction of one connection: a reader that stamps, a writer that waits."""

    def __init__(self, way: Way, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        self._way, self._source, self._sink = way, source, sink
        self._blocks: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Carry until the source ends, then end the sink. OSError when the sink is gone."""
        reading = asyncio.ensure_future(self._read())
        try:
            await self._write()
            if self._sink.can_write_eof():
                self._sink.write_eof()
        finally:
            reading.cancel()

    async def _read(self) -> None:
        loop, data = asyncio.get_running_loop(), b"x"
        while data:
            try:
                data = await self._source.read(BLOCK)
            except OSError:  # the peer died: what it sent before still arrives
                data = b""
            self._blocks.append((loop.time() + self._way.delay, data))
            self._size += len(data)
            self._changed.set()
            while self._size > HELD:
                self._changed.clear()
                await self._changed.wait()

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._blocks:
                self._changed.clear()
                await self._changed.wait()
            due, data = self._blocks[0]
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._way.flowing.wait()
            if not data:
                return
            if self._way.rate is not None:
                await asyncio.sleep(len(data) / self._way.rate)
                await self._way.flowing.wait()
            self._sink.write(data)
            await self._sink.drain()
            self._blocks.popleft()
            self._size -= len(data)
            self._way.carried += len(data)
            self._changed.set()


@dataclass(slots=True)
class Link:
    """The link of two parties: the one with the higher index calls, the proxy calls the lower one on."""

    low: Role
    high: Role
    target: int
    """TCP port of the lower party."""
    up: Way = field(default_factory=Way)
    """From the lower to the higher party."""
    down: Way = field(default_factory=Way)
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def way(self, sender: Role) -> Way:
        """The direction that ``sender`` sends in."""
        return self.up if sender == self.low else self.down

    def reset(self) -> None:
        """Lose all connections, and what is in them."""
        for task in self._tasks:
            task.cancel()

    async def stop(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        self.reset()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Whatever becomes of the task, begun or not, its connection is closed."""
        task = asyncio.get_running_loop().create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._ended(task, writer))

    def _ended(self, task: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, OSError):
            raise error

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(HOST, self.target)
        pipes = [_Pipe(self.down, reader, there_writer), _Pipe(self.up, there_reader, writer)]
        tasks = [asyncio.ensure_future(pipe.run()) for pipe in pipes]
        try:
            await asyncio.gather(*tasks)
        finally:
            there_writer.transport.abort()  # before anything that a second cancellation could cut short
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Proxies:
    """All n(n-1)/2 links of a run, in this process. The nodes get ``address`` as their peers' addresses."""

    def __init__(self, group: Group, ports: Mapping[Role, int]) -> None:
        """``ports``: what each party listens on."""
        self._ports = dict(ports)
        self.links = {(low, high): Link(low, high, ports[low]) for low, high in combinations(group.roles, 2)}

    async def start(self) -> None:
        """Listen for all links."""
        for link in self.links.values():
            await link.start()

    async def stop(self) -> None:
        """End all links."""
        await asyncio.gather(*(link.stop() for link in self.links.values()))

    @property
    def carried(self) -> int:
        """Bytes over all links so far."""
        return sum(link.up.carried + link.down.carried for link in self.links.values())

    def port(self, me: Role, peer: Role) -> int:
        """Where ``me`` finds ``peer``: behind the proxy if ``me`` is the one that calls."""
        return self.links[peer, me].port if peer < me else self._ports[peer]

    def of(self, party: Role, peers: Iterable[Role] | None = None) -> list[Link]:
        """The party's links, all of them or those to ``peers``."""
        wanted = None if peers is None else set(peers)
        return [
            link
            for (low, high), link in self.links.items()
            if party in (low, high) and (wanted is None or (high if party == low else low) in wanted)
        ]

    def ways(self, party: Role, direction: str, peers: Iterable[Role] | None = None) -> list[Way]:
        """The directions ``out`` of a party, ``in`` to it, or ``both``."""
        found = []
        for link in self.of(party, peers):
            other = link.high if party == link.low else link.low
            if direction != "in":
                found.append(link.way(party))
            if direction != "out":
                found.append(link.way(other))
        return found
