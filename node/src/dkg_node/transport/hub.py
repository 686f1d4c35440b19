"""gRPC: the listener and the calls to peers with a lower index, one stream a pair. Runs on the network loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from dkg_node.errors import UsageError
from dkg_node.protocols.session import Role
from dkg_node.transport.channel import Message
from dkg_node.transport.frames import MAX_CONTENT, Greeting
from dkg_node.transport.streams import FAREWELL, Line, StreamEnd
from dkg_node.transport.tls import Pin, TlsIdentity, admit, client_credentials, host_name, server_credentials

SERVICE = "dkg_api.v1.Peer"
METHOD = "Exchange"
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0
"""Seconds between two calls of a peer: doubled from the first to the longest while they fail."""
GREETING_TIMEOUT = 15.0
"""Seconds to connect and greet."""
OVERLAP = 30.0
"""Seconds a stream under a replaced certificate goes on if nobody greets under the new one."""
_LOG = logging.getLogger(__name__)
_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", MAX_CONTENT),
    ("grpc.max_send_message_length", MAX_CONTENT),
    ("grpc.http2.lookahead_bytes", 8 << 20),  # a window that fills a long line; measured: also the least work
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.enable_http_proxy", 0),
]


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a party is and what certificate it shows."""

    host: str
    port: int
    certificate: str
    """PEM."""


@dataclass(slots=True)
class _Stream:
    """A running stream and the certificate it rests on."""

    pin: Pin
    task: asyncio.Task[Any]
    over: asyncio.Event
    running: bool = False
    """Whether both have greeted."""


class _CallPipe:
    """The caller's side as a Pipe."""

    def __init__(self, call: grpc.aio.StreamStreamCall[bytes, bytes]) -> None:
        self._call = call

    async def read(self) -> bytes | None:
        data: object = await self._call.read()
        return data if isinstance(data, bytes) else None  # gRPC gives EOF, an object

    async def write(self, data: bytes) -> None:
        await self._call.write(data)


class _ServedPipe:
    """The listener's side as a Pipe."""

    def __init__(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        self._context = context

    async def read(self) -> bytes | None:
        data: object = await self._context.read()
        return data if isinstance(data, bytes) else None  # gRPC gives EOF, an object

    async def write(self, data: bytes) -> None:
        await self._context.write(data)


@dataclass(slots=True)
class Hub:
    """All streams of one party."""

    me: Role
    own: TlsIdentity
    lines: Mapping[Role, Line]
    listen: str
    tell: Callable[[Role, bool, str], None]
    """Peer, whether it is connected, and one line why not. Returns at once."""
    port: int = 0
    damaged: int = 0
    """Streams that ended by the peer's fault."""
    _peers: dict[Role, Peer] = field(default_factory=dict)
    _pins: dict[Role, Pin] = field(default_factory=dict)
    _streams: dict[Role, _Stream] = field(default_factory=dict)
    _hearing: dict[Role, asyncio.Task[Any]] = field(default_factory=dict)
    """Callers that have not greeted yet."""
    _calls: set[asyncio.Task[None]] = field(default_factory=set)
    _leaving: list[_Stream] = field(default_factory=list)
    """Streams that another one under a newer certificate has taken over from."""
    _changed: dict[Role, asyncio.Event] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _server: grpc.aio.Server | None = None
    _said: dict[Role, str] = field(default_factory=dict)
    _stopping: bool = False

    async def start(self) -> None:
        """Listen and call. UsageError if the port can't be had."""
        self._changed = {role: asyncio.Event() for role in self.lines}
        server = grpc.aio.server(options=[*_OPTIONS, ("grpc.so_reuseport", 0)])
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._serve)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
        try:
            self.port = server.add_secure_port(self.listen, server_credentials(self.own, lambda: dict(self._pins)))
        except RuntimeError as error:
            raise UsageError(f"free {self.listen} or choose another port: it can't be listened on") from error
        await server.start()
        self._server = server
        self._tasks = [asyncio.ensure_future(self._dial(role)) for role in self.lines if role < self.me]

    async def stop(self, linger: float) -> None:
        """End everything, after at most ``linger`` seconds for what connected peers have not acknowledged."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(linger):
                while any(self.lines[role].channel.backlog for role in self._streams):  # noqa: ASYNC110 - once, at the end
                    await asyncio.sleep(0.02)
        self._stopping = True
        streams, calls = [*self._streams.values(), *self._leaving], list(self._calls)
        for task in [*self._tasks, *calls, *self._hearing.values(), *(stream.task for stream in streams)]:
            task.cancel()
        await asyncio.gather(*self._tasks, *calls, *(stream.over.wait() for stream in streams), return_exceptions=True)
        if self._server is not None:
            await self._server.stop(1.0)

    def update(self, peers: Mapping[Role, Peer], pins: Mapping[Role, Pin]) -> None:
        """Take new addresses and pins; a stream whose certificate was replaced goes on until one under the new is up.

        For ``OVERLAP`` seconds at most. One whose party has no certificate any more is cut at once.
        """
        for role in self.lines:
            if peers.get(role) != self._peers.get(role):
                event = self._changed.get(role)
                if event is not None:
                    event.set()
        self._peers, self._pins = dict(peers), dict(pins)
        for role, stream in self._streams.items():
            if role not in self._pins:
                stream.task.cancel()
            elif self._pins[role] != stream.pin:
                asyncio.get_running_loop().call_later(OVERLAP, self._expire, role, stream)

    def _expire(self, role: Role, stream: _Stream) -> None:
        if self._streams.get(role) is stream and self._pins.get(role) != stream.pin:
            stream.task.cancel()

    def resume(self, role: Role) -> None:
        """Read on from a peer."""
        self.lines[role].resume()

    def purge(self, role: Role, era: int, segment: int) -> None:
        """Drop what was not begun of earlier segments."""
        self.lines[role].purge(era, segment)

    def send(self, batch: list[tuple[Role, Message]]) -> None:
        """Queue messages."""
        for role, message in batch:
            self.lines[role].send(message)

    # --- calling

    async def _dial(self, role: Role) -> None:
        """Call a peer again and again."""
        pause = FIRST_PAUSE
        while True:
            self._changed[role].clear()
            peer, pin = self._peers.get(role), self._pins.get(role)
            line = self.lines[role]
            line.useful = False
            if peer is None or pin is None:
                self._down(role, f"party {role} has no address or certificate yet: wait for the desired state")
            else:
                await self._attend(role, pin, asyncio.ensure_future(self._guard(role, self._call(role, peer, pin))))
            pause = FIRST_PAUSE if line.useful else min(2 * pause, LONGEST_PAUSE)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause if pin is not None else None):
                    await self._changed[role].wait()

    async def _attend(self, role: Role, pin: Pin, call: asyncio.Task[None]) -> None:
        """Return when a call is over, or when another certificate is to be called while its stream goes on."""
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        while not call.done() and self._pins.get(role) == pin:
            changed = asyncio.ensure_future(self._changed[role].wait())
            try:
                await asyncio.wait({call, changed}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
            self._changed[role].clear()
        stream = self._streams.get(role)
        if stream is None or stream.pin != pin:
            call.cancel()

    async def _guard(self, role: Role, stream: Coroutine[Any, Any, None]) -> None:
        """Run a stream in a task that others may cancel, say why it ended. Only the own cancellation goes on."""
        try:
            await asyncio.ensure_future(stream)
            self._down(role, f"party {role} ended the stream")
        except StreamEnd as end:
            self.damaged += end.damaged
            self._down(role, str(end))
        except grpc.aio.AioRpcError as error:
            self._down(role, _plain(role, self._peers.get(role), error))
        except TimeoutError:
            self._down(role, f"party {role} does not answer in time: start it or correct its address")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            self._down(role, f"the stream with party {role} was cut")
            if task is not None and task.cancelling():
                raise
        except (grpc.aio.UsageError, grpc.aio.InternalError, asyncio.InvalidStateError) as error:
            self._down(role, f"the stream with party {role} broke: {type(error).__name__}")

    async def _call(self, role: Role, peer: Peer, pin: Pin) -> None:
        options = [
            *_OPTIONS,
            ("grpc.ssl_target_name_override", host_name(role)),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        target = f"[{peer.host}]:{peer.port}" if ":" in peer.host else f"{peer.host}:{peer.port}"
        async with grpc.aio.secure_channel(target, client_credentials(self.own, pin), options) as channel:
            method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(f"/{SERVICE}/{METHOD}")
            if role in self._streams:  # under an older certificate: it goes on until this one can take over
                async with asyncio.timeout(GREETING_TIMEOUT):
                    await channel.channel_ready()
            call = method()
            try:
                await self._converse(role, pin, _CallPipe(call), first=True)
            finally:
                call.cancel()

    # --- being called

    async def _serve(self, _: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        role = admit(context.auth_context(), self._pins)
        if isinstance(role, str):
            await self._refuse(context, role)
        elif role not in self.lines or role < self.me:
            await self._refuse(context, "the party with the higher index calls")
        else:
            await self._guard(role, self._converse(role, self._pins[role], _ServedPipe(context), first=False))
            reason = "it is stopping" if self._stopping else self._said.get(role, "")
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, reason)

    async def _refuse(self, context: grpc.aio.ServicerContext[bytes, bytes], reason: str) -> None:
        """Tell the caller why, once it has spoken: gRPC loses the words if they cross its first message."""
        _LOG.warning("refused a connection from %s: %s", context.peer(), reason)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GREETING_TIMEOUT):
                await context.read()
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, reason)

    # --- both

    async def _converse(self, role: Role, pin: Pin, pipe: Any, *, first: bool) -> None:  # noqa: ANN401 - a Pipe
        """Take over from an older stream, greet, carry frames. A caller of an older start takes over from nobody."""
        greeting = None if first else await self._hear(role, pipe)
        await self._take_over(role, pin)
        task = asyncio.current_task()
        if task is None:
            return
        mine = self._streams[role] = _Stream(pin, task, asyncio.Event())
        line = self.lines[role]
        try:
            async with asyncio.timeout(GREETING_TIMEOUT):
                await line.greet(pipe, greeting)
            mine.running = True
            self._said.pop(role, None)
            self.tell(role, True, "")  # noqa: FBT003 - connected
            await line.run(pipe)
        finally:
            if self._streams.get(role) is mine:
                del self._streams[role]
            if mine in self._leaving:
                self._leaving.remove(mine)
            mine.over.set()

    async def _take_over(self, role: Role, pin: Pin) -> None:
        """End an older stream; one under an older certificate stays to hear if a newer start greets."""
        older = self._streams.get(role)
        if older is None:
            return
        if older.running and older.pin != pin:
            del self._streams[role]
            self._leaving.append(older)
            self.lines[role].dismiss()
            asyncio.get_running_loop().call_later(2 * FAREWELL, older.task.cancel)
        else:
            older.task.cancel()
            await older.over.wait()

    async def _hear(self, role: Role, pipe: Any) -> Greeting:  # noqa: ANN401 - a Pipe
        """A caller's greeting; of several that a peer lets wait the newest."""
        task, former = asyncio.current_task(), self._hearing.get(role)
        if former is not None:
            former.cancel()
        if task is not None:
            self._hearing[role] = task
        try:
            async with asyncio.timeout(GREETING_TIMEOUT):
                return await self.lines[role].hear(pipe)
        finally:
            if self._hearing.get(role) is task:
                del self._hearing[role]

    def _down(self, role: Role, reason: str) -> None:
        if self._said.get(role) != reason and not self._stopping:
            _LOG.warning("%s", reason)
        self._said[role] = reason
        if role in self._streams:  # it was another stream that ended: of an older start, or before its greeting
            return
        self.tell(role, False, reason)  # noqa: FBT003 - not connected


def _plain(role: Role, peer: Peer | None, error: grpc.aio.AioRpcError) -> str:
    """One line for a person out of gRPC's."""
    details = error.details() or ""
    where = f"party {role} at {peer.host}:{peer.port}" if peer else f"party {role}"
    if "CERTIFICATE_VERIFY_FAILED" in details:
        return f"{where} shows another certificate than the pinned one: bring its identity up to date"
    if "Connection refused" in details:
        return f"{where} can't be reached (connection refused): start it or correct its address"
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return f"{where} can't be reached or refuses this party's certificate: {_printable(details)}"
    return f"{where} ended the stream: {_printable(details)}"


def _printable(text: str) -> str:
    """A peer's words, safe for a log."""
    return "".join(c if " " <= c <= "~" else " " for c in text)[:200]
