"""Real networks over real sockets on loopback, a proxy that cuts and holds links, and a clock that tests move."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from dkg_node.protocols.session import Exchange, Group, Tag
from dkg_node.transport.network import (
    Boot,
    Limits,
    NetworkThread,
    Peer,
    PeerNetwork,
    PeerSettings,
    TlsIdentity,
)

T = TypeVar("T")
SID = bytes(range(32))
FAR = 600.0
"""A deadline no honest exchange of a test comes near."""


class ManualClock:
    """Time stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = 1000.0
        self._due: list[tuple[float, int, Any]] = []
        self._count = itertools.count()

    def now(self) -> float:
        return self.time

    def call_at(self, when: float, call: Callable[[], None]) -> Any:
        timer = _Timer(call)
        heapq.heappush(self._due, (when, next(self._count), timer))
        return timer

    def advance(self, seconds: float) -> None:
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
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def stop(self) -> None:
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


@dataclass
class World:
    """Networks of one group in one process, which share gRPC's thread."""

    group: Group
    thread: NetworkThread
    clock: ManualClock | None = None
    networks: dict[int, PeerNetwork] = field(default_factory=dict)
    proxies: dict[tuple[int, int], Proxy] = field(default_factory=dict)
    tls: dict[int, TlsIdentity] = field(default_factory=dict)
    boots: dict[int, int] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    sid: Mapping[int, bytes] = field(default_factory=dict)
    round_timeout: float = 40.0

    async def start(self, roles: list[int] | None = None) -> World:
        """Start in order of index: a lower one listens before a higher one calls."""
        for role in roles or list(self.group.roles):
            await self.boot(role)
        return self

    async def boot(self, role: int, port: int = 0) -> PeerNetwork:
        """Start a party (again), with fresh key and certificate."""
        self.boots[role] = self.boots.get(role, 0) + 1
        self.tls[role] = TlsIdentity.fresh(role, datetime.now(UTC))
        settings = PeerSettings(
            self.group, role, self.sid.get(role, SID), Boot(self.boots[role], self.boots[role].to_bytes(16, "big")),
            self.tls[role], f"127.0.0.1:{port}", self.round_timeout, limits=self.limits,
        )  # fmt: skip
        network = PeerNetwork(settings, self.peers(role), clock=self.clock, thread=self.thread)
        await network.start()
        self.networks[role] = network
        self.introduce()
        return network

    def peers(self, me: int) -> dict[int, Peer]:
        return {
            role: Peer("127.0.0.1", self.port(me, role), self.tls[role].certificate)
            for role in self.tls
            if role != me and (role in self.networks or role > me)
        }

    def port(self, me: int, role: int) -> int:
        proxy = self.proxies.get((me, role))
        if proxy is not None:
            return proxy.port
        return self.networks[role].port if role in self.networks else 1

    def introduce(self) -> None:
        for role, network in self.networks.items():
            network.update_peers(self.peers(role))

    async def through_proxy(self, caller: int, listener: int) -> Proxy:
        """Lead the link of two started parties through a proxy."""
        proxy = await Proxy(self.networks[listener].port).start()
        self.proxies[caller, listener] = proxy
        self.networks[caller].update_peers(self.peers(caller))
        return proxy

    async def connected(self) -> None:
        """Wait until every pair of started parties has a stream."""
        for role, network in self.networks.items():
            await until(network, lambda network=network, role=role: network.connected() >= set(self.networks) - {role})

    def open_all(self, segment: int = 0, slots: int = 8, seconds: float = FAR) -> None:
        for network in self.networks.values():
            network.open_segment(segment, [network.now() + seconds] * slots)

    async def stop(self) -> None:
        for network in self.networks.values():
            await network.stop(linger=0)
        for proxy in self.proxies.values():
            await proxy.stop()


async def until(network: PeerNetwork, condition: Callable[[], bool]) -> None:
    """Wait for a condition on what a network tells about its peers."""
    while not condition():
        await network.status_change()


@pytest.fixture(scope="session")
def thread() -> Iterator[NetworkThread]:
    thread = NetworkThread()
    yield thread
    thread.close()


@pytest.fixture
def play(thread: NetworkThread) -> Callable[..., Any]:
    """Run a coroutine function with a World, and stop all of it afterwards."""

    def run(scene: Callable[[World], Awaitable[T]], t: int = 1, **world: Any) -> T:
        async def main() -> T:
            stage = World(Group(3 * t + 1, t), thread, **world)
            try:
                async with asyncio.timeout(120):
                    return await scene(stage)
            finally:
                await stage.stop()

        return asyncio.run(main())

    return run


@pytest.fixture
def ask() -> Callable[..., Exchange]:
    """Make an exchange."""

    def make(outgoing: Mapping[int, bytes], expect: Any, slot: int = 0, part: int = 0, **rules: Any) -> Exchange:
        segment = rules.pop("segment", 0)
        limit = rules.pop("limit", 1 << 26)
        return Exchange(Tag(segment, slot, part), outgoing, frozenset(expect), limit, **rules)

    return make


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[None]]:
    return until


@pytest.fixture
def manual_clock() -> ManualClock:
    return ManualClock()
