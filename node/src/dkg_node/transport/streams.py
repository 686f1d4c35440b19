"""One stream to a peer: its reader and its writer, on the network loop. Knows pipes, not gRPC."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from dkg_node.transport.frames import (
    Damaged,
    Greeting,
    Kind,
    decode_greeting,
    decode_refusal,
    encode_greeting,
    encode_refusal,
)
from dkg_node.transport.mailbox import cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_node.protocols.session import Role
    from dkg_node.transport.channel import Channel, Message, Received, Written
    from dkg_node.transport.flow import Flow, Meter
    from dkg_node.transport.frames import Boot

ACK_BYTES = 2 << 20
"""Payload after which a receiver says so even if it has nothing else to send."""
ACK_DELAY = 0.05
"""Seconds after which it says so for less."""


FAREWELL = 1.0
"""Seconds a peer has to read why a stream ends."""


class Pipe(Protocol):
    """An open stream of messages."""

    async def read(self) -> bytes | None:
        """The next message; None when the other side has ended."""
        ...

    async def write(self, data: bytes) -> None:
        """Hand in a message; returns when there is room for the next."""
        ...


class Upcalls(Protocol):
    """What the network thread tells the protocol's; each call returns at once."""

    def messages(self, role: Role, messages: Sequence[Message]) -> None:
        """Messages came, in order."""
        ...

    def freed(self, role: Role) -> None:
        """There is more room towards the peer."""
        ...

    def paused(self, role: Role) -> None:
        """Nothing more is read from the peer until ``resume``."""
        ...

    def rebooted(self, role: Role) -> None:
        """A newer boot of the peer has taken the place of one known before."""
        ...

    def superseded(self, role: Role) -> None:
        """The peer refuses this start of the party: it holds a newer one."""
        ...


class StreamEnd(Exception):
    """Why a stream has ended; ``damaged`` if by the peer's fault."""

    def __init__(self, reason: str, *, damaged: bool = False) -> None:
        """``reason`` is one line for log and status."""
        self.damaged = damaged
        super().__init__(reason)


@dataclass(slots=True, eq=False)
class _Running:
    """A stream that carries frames."""

    boot: Boot | None
    """The peer's start at its other end."""
    dismissed: bool = False
    """Whether nothing is taken from it, nor given to it, any more."""


@dataclass(slots=True)
class Line:
    """What lasts towards one peer while streams come and go. All on the network loop."""

    role: Role
    channel: Channel
    up: Upcalls
    flow: Flow
    meter: Meter
    soft: int
    """Bytes of the peer that may wait for the protocol before reading pauses."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    useful: bool = False
    """Whether the running stream has brought a good frame."""
    _running: _Running | None = None
    """The newest stream."""
    _known: int = 0
    """The channel's backlog as told to ``flow``."""

    def send(self, message: Message) -> None:
        """Queue a message."""
        self.channel.send(message)
        self._known += len(message.body)
        self.wake.set()

    def purge(self, era: int, segment: int) -> None:
        """Drop messages of earlier segments that were not begun."""
        if self.channel.purge(era, segment):
            self._settle()

    def resume(self) -> None:
        """Read on after a pause."""
        self.go_on.set()

    def dismiss(self) -> None:
        """Take nothing more from the running stream: another one greets. If a newer start does, this one is told so."""
        if self._running is not None:
            self._running.dismissed = True
        self.wake.set()
        self.go_on.set()

    async def hear(self, pipe: Pipe, attested: Boot | None) -> Greeting:
        """The peer's greeting, of the ``attested`` start if its pin names one.

        StreamEnd if there is none, it is another's, or it is an older start's, which is told so.
        """
        data = await pipe.read()
        if data is None:
            raise StreamEnd(f"party {self.role} ended the stream before its greeting")
        self._heed(data)
        greeting = decode_greeting(data)
        if isinstance(greeting, Damaged):
            raise StreamEnd(f"party {self.role} is refused: {greeting.reason}", damaged=True)
        if attested is not None and greeting.boot != attested:
            msg = f"party {self.role} is refused: it greets as another start than the one that was attested"
            raise StreamEnd(msg, damaged=True)
        if self.channel.older(greeting):
            await pipe.write(encode_refusal(self.channel.refusal()))
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await pipe.read()
            msg = f"party {self.role} is refused: an older start of it, or a second copy: run each party once"
            raise StreamEnd(msg, damaged=True)
        return greeting

    async def greet(self, pipe: Pipe, heard: Greeting | None, attested: Boot | None) -> None:
        """Exchange greetings; the caller speaks first, the listener has ``heard``. StreamEnd if one is refused.

        ``attested``: see ``hear``.
        """
        if heard is None:
            await pipe.write(encode_greeting(self.channel.greeting()))
        greeting = await self.hear(pipe, attested) if heard is None else heard
        answer = self.channel.greeted(greeting)
        if isinstance(answer, Damaged):
            raise StreamEnd(f"party {self.role} is refused: {answer.reason}", damaged=True)
        if heard is not None:
            await pipe.write(encode_greeting(self.channel.greeting()))
        self._settle()
        if answer:
            self.up.rebooted(self.role)

    def _heed(self, data: bytes) -> None:
        """StreamEnd if the peer says that it holds a newer start of this party."""
        refusal = decode_refusal(data)
        if refusal is not None and self.channel.superseded(refusal):
            self.up.superseded(self.role)
            raise StreamEnd(f"party {self.role} refuses this as an older start, or a second copy: run each party once")

    async def run(self, pipe: Pipe) -> None:
        """Carry frames both ways until StreamEnd, or what the pipe raises, tells why it is over."""
        self.useful = False
        stream = self._running = _Running(self.channel.peer_boot)
        self.wake.set()
        tasks = [asyncio.ensure_future(self._read(pipe, stream)), asyncio.ensure_future(self._write(pipe, stream))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _read(self, pipe: Pipe, stream: _Running) -> None:
        while True:
            if self.flow.waiting_in(self.role) > self.soft and not stream.dismissed:
                self.go_on.clear()
                self.up.paused(self.role)
                await self.go_on.wait()
            data = await pipe.read()
            if data is None:
                raise StreamEnd(f"party {self.role} ended the stream")
            self._heed(data)
            if stream.dismissed:
                continue
            self._take(self.channel.read(data), len(data))

    def _take(self, received: Received, size: int) -> None:
        self.meter.received(self.role, received.frames, size)
        self._settle()
        if received.messages:
            self.flow.handed_in(self.role, sum(cost(message.body) for message in received.messages))
            self.up.messages(self.role, received.messages)
        if received.damaged is not None:
            raise StreamEnd(f"party {self.role} sent a damaged frame: {received.damaged.reason}", damaged=True)
        self.useful = self.useful or any(frame.address.kind is not Kind.ACK for frame in received.frames)
        self.wake.set()

    async def _write(self, pipe: Pipe, stream: _Running) -> None:
        clock = asyncio.get_running_loop().time
        since: float | None = None
        while True:
            if stream.dismissed:
                await self._part(pipe, stream)
            written = self.channel.write()
            if written is None and self.channel.owes:
                since = clock() if since is None else since
                if self.channel.owed >= ACK_BYTES or clock() >= since + ACK_DELAY:
                    written = self.channel.acknowledgement()
            if written is not None:
                since = None
                await self._put(pipe, written)
                continue
            self.wake.clear()
            try:
                async with asyncio.timeout(None if since is None else max(0.0, since + ACK_DELAY - clock())):
                    await self.wake.wait()
            except TimeoutError:
                continue

    async def _part(self, pipe: Pipe, stream: _Running) -> None:
        """Tell an older start when a newer one has bound; a new certificate alone makes no newer start."""
        while self.channel.peer_boot == stream.boot:
            self.wake.clear()
            await self.wake.wait()
        await pipe.write(encode_refusal(self.channel.refusal()))
        await asyncio.sleep(FAREWELL)  # the reader ends sooner if the peer does
        raise StreamEnd(f"party {self.role} has a newer start: the stream of the older one was cut")

    async def _put(self, pipe: Pipe, written: Written) -> None:
        self.meter.sent(self.role, written.frames, len(written.data), written.again)
        await pipe.write(written.data)

    def _settle(self) -> None:
        """Tell the protocol's thread what has been acknowledged."""
        freed = self._known - self.channel.backlog
        if freed:
            self._known = self.channel.backlog
            self.flow.finished_out(self.role, freed)
            self.up.freed(self.role)
