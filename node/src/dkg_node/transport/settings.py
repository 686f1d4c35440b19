"""What a network is made of: its limits, its clock, its thread, and what it tells about peers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, Protocol, TypeVar

from dkg_node.protocols.session import Group, Role
from dkg_node.transport.frames import Boot
from dkg_node.transport.tls import TlsIdentity

T = TypeVar("T")


class Timer(Protocol):
    """A call that is due."""

    def cancel(self) -> None:
        """Call it off."""
        ...


class Clock(Protocol):
    """Monotonic time; deadlines are on it."""

    def now(self) -> float:
        """Seconds."""
        ...

    def call_at(self, when: float, call: Callable[[], None]) -> Timer:
        """Call it on the protocol's loop at that time."""
        ...


class LoopClock:
    """The running loop's own clock."""

    def now(self) -> float:
        """Seconds."""
        return asyncio.get_running_loop().time()

    def call_at(self, when: float, call: Callable[[], None]) -> Timer:
        """Call it at that time."""
        return asyncio.get_running_loop().call_at(when, call)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of memory the network may take, each for one peer."""

    message: int = 64 << 20
    """Longest message of any slot."""
    backlog: int = 16 << 20
    """Sent and not acknowledged: exchanges wait above it."""
    overflow: int = 256 << 20
    """The same for a peer that is slower than the terms allow: what goes beyond is dropped."""
    waiting: int = 8 << 20
    """Received before its exchange began: reading pauses above it, unless an exchange waits for the peer."""
    early: int = 64 << 20
    """The same: what goes beyond is dropped."""
    inbox: int = 16 << 20
    """Letters not fetched: what goes beyond is dropped."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Of what a handshake has found, seconds from the appraisal on (03 "Channel")."""

    pin: float = 3600.0
    """A pin ends, and with it the streams that rest on it."""
    renew: float = 1800.0
    """The next handshake, with a new certificate."""


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """What stays the same for one boot in one attempt."""

    group: Group
    me: Role
    sid: bytes
    boot: Boot
    tls: TlsIdentity
    listen: str
    """host:port; port 0 takes a free one."""
    round_timeout: float
    """Seconds, of the terms."""
    min_rate: float = 1e6
    """Bytes a second, of the terms: a peer that takes less is not waited for."""
    limits: Limits = field(default_factory=Limits)
    attest_listen: str = ""
    """host:port of the handshakes; not used without them."""
    lifetimes: Lifetimes = field(default_factory=Lifetimes)


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """Whether there is a stream with a peer, and if not, why and what to do."""

    connected: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A message outside of slots. ``payload`` None: a new boot of the party found nothing of what was posted before."""

    role: Role
    payload: bytes | None


class NetworkThread:
    """A loop in a thread of its own. gRPC's asyncio side is happiest with one a process: networks may share it."""

    def __init__(self) -> None:
        """Start the thread."""
        self.loop = asyncio.new_event_loop()
        self._thread = Thread(target=self.loop.run_forever, name="dkg-network", daemon=True)
        self._thread.start()

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it here."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self.loop))

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function there, soon."""
        self.loop.call_soon_threadsafe(function, *arguments)

    def close(self) -> None:
        """Stop the loop, wait for the thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
