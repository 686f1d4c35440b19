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

from dkg_api.party_certificate import host_name
from dkg_node.errors import UsageError
from dkg_node.protocols.session import Role
from dkg_node.transport.bind import bind_dialled, bind_served
from dkg_node.transport.channel import Message
from dkg_node.transport.frames import MAX_CONTENT, Boot, Greeting
from dkg_node.transport.pause import Pauses
from dkg_node.transport.streams import FAREWELL, Line, StreamEnd
from dkg_node.transport.tls import Pin, TlsIdentity, admit, client_credentials, server_credentials

SERVICE = "dkg_api.v1.Peer"
METHOD = "Exchange"
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0
"""Seconds between two calls of a peer: doubled from the first to the longest while they fail."""
GREETING_TIMEOUT = 15.0
"""Seconds to connect and greet."""
AGE_GRACE = 5_000
"""ms for a stream on a connection that has reached its age."""
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
    certificate: str = ""
    """PEM, where it comes with the desired state; a handshake finds it out otherwise."""
    attest_port: int = 0
    """Of the handshake."""

    def target(self, port: int) -> str:
        """As gRPC wants it."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"


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
    doubt: Callable[[Role], None] = lambda _: None
    """A call that rests on the peer's pin found no way in: the peer may have begun anew."""
    lifetime: float | None = None
    """Seconds after which the listener ends a connection, whatever pin it rests on."""
    _pins: dict[Role, tuple[Pin, ...]] = field(default_factory=dict)
    """The newest first."""
    _greeted: set[Role] = field(default_factory=set)
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
        server = grpc.aio.server(options=[*_OPTIONS, ("grpc.so_reuseport", 0), *_age(self.lifetime)])
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._serve)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
        try:
            self.port = server.add_secure_port(self.listen, server_credentials(lambda: self.own, self._all_pins))
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

    def update(self, peers: Mapping[Role, Peer], pins: Mapping[Role, tuple[Pin, ...]]) -> None:
        """Take new addresses and pins, the newest pin first.

        A stream whose certificate was replaced goes on until one under the new is up, for ``OVERLAP`` seconds at most.
        One whose party has no pin any more, or whose own pin has ended by age, is cut at once.
        """
        for role in self.lines:
            if peers.get(role) != self._peers.get(role) or pins.get(role) != self._pins.get(role):
                event = self._changed.get(role)
                if event is not None:
                    event.set()
        self._peers, self._pins = dict(peers), dict(pins)
        for role, stream in self._streams.items():
            held = self._pins.get(role, ())
            if not held or _ended(stream.pin, held):
                stream.task.cancel()
            elif stream.pin not in held:
                asyncio.get_running_loop().call_later(OVERLAP, self._expire, role, stream)

    def _expire(self, role: Role, stream: _Stream) -> None:
        if self._streams.get(role) is stream and stream.pin not in self._pins.get(role, ()):
            stream.task.cancel()

    def _newest(self, role: Role) -> Pin | None:
        return next(iter(self._pins.get(role, ())), None)

    def _all_pins(self) -> tuple[Pin, ...]:
        """Called by gRPC's threads, too."""
        return tuple(pin for pins in self._pins.values() for pin in pins)

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
        pauses = Pauses(FIRST_PAUSE, LONGEST_PAUSE)
        while True:
            self._changed[role].clear()
            peer, pin = self._peers.get(role), self._newest(role)
            line = self.lines[role]
            line.useful = False
            if peer is None or pin is None:
                if role not in self._said:
                    self.down(role, f"party {role} has no address or pin yet: wait for its address and evidence")
            else:
                self._greeted.discard(role)
                call = asyncio.ensure_future(self._guard(role, self._call(role, peer, pin)))
                await self._attend(role, pin, call)
                if call.done() and role not in self._greeted:
                    self.doubt(role)
            if line.useful:
                pauses.succeeded()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pauses.failed() if pin is not None else None):
                    await self._changed[role].wait()

    async def _attend(self, role: Role, pin: Pin, call: asyncio.Task[None]) -> None:
        """Return when a call is over, or when another certificate is to be called while its stream goes on."""
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        while not call.done() and self._newest(role) == pin:
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
            self.down(role, f"party {role} ended the stream")
        except StreamEnd as end:
            self.damaged += end.damaged
            self.down(role, str(end))
        except grpc.aio.AioRpcError as error:
            self.down(role, _plain(role, self._peers.get(role), error))
        except TimeoutError:
            self.down(role, f"party {role} does not answer in time: start it or correct its address")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            self.down(role, f"the stream with party {role} was cut")
            if task is not None and task.cancelling():
                raise
        except (grpc.aio.UsageError, grpc.aio.InternalError, asyncio.InvalidStateError) as error:
            self.down(role, f"the stream with party {role} broke: {type(error).__name__}")

    async def _call(self, role: Role, peer: Peer, pin: Pin) -> None:
        options = [
            *_OPTIONS,
            ("grpc.ssl_target_name_override", host_name(role)),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        own = self.own if pin.attested is None else pin.attested.own
        async with grpc.aio.secure_channel(
            peer.target(peer.port), client_credentials(own, pin), options
        ) as channel:  # fmt: skip
            method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(f"/{SERVICE}/{METHOD}")
            if role in self._streams:  # under an older certificate: it goes on until this one can take over
                async with asyncio.timeout(GREETING_TIMEOUT):
                    await channel.channel_ready()
            call = method()
            try:
                pipe = _CallPipe(call)
                async with asyncio.timeout(GREETING_TIMEOUT):
                    await bind_dialled(pipe, pin)
                await self._converse(role, pin, pipe, first=True)
            finally:
                call.cancel()

    # --- being called

    async def _serve(self, _: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        pins = admit(context.auth_context(), self._all_pins())
        if isinstance(pins, str):
            await self._refuse(context, pins)
            return
        role = pins[0].role
        if role not in self.lines or role < self.me:
            await self._refuse(context, "the party with the higher index calls")
        else:
            await self._guard(role, self._answer(role, pins, _ServedPipe(context)))
            reason = "it is stopping" if self._stopping else self._said.get(role, "")
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, reason)

    async def _answer(self, role: Role, pins: tuple[Pin, ...], pipe: _ServedPipe) -> None:
        async with asyncio.timeout(GREETING_TIMEOUT):
            pin = await bind_served(pipe, pins)
        await self._converse(role, pin, pipe, first=False)

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
        greeting = None if first else await self._hear(role, pipe, _boot_of(pin))
        await self._take_over(role, pin)
        task = asyncio.current_task()
        if task is None:
            return
        mine = self._streams[role] = _Stream(pin, task, asyncio.Event())
        line = self.lines[role]
        try:
            async with asyncio.timeout(GREETING_TIMEOUT):
                await line.greet(pipe, greeting, _boot_of(pin))
            mine.running = True
            self._said.pop(role, None)
            self._greeted.add(role)
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

    async def _hear(self, role: Role, pipe: Any, attested: Boot | None) -> Greeting:  # noqa: ANN401 - a Pipe
        """A caller's greeting; of several that a peer lets wait the newest."""
        task, former = asyncio.current_task(), self._hearing.get(role)
        if former is not None:
            former.cancel()
        if task is not None:
            self._hearing[role] = task
        try:
            async with asyncio.timeout(GREETING_TIMEOUT):
                return await self.lines[role].hear(pipe, attested)
        finally:
            if self._hearing.get(role) is task:
                del self._hearing[role]

    def down(self, role: Role, reason: str) -> None:
        """Tell that there is no stream with a peer, and why."""
        if self._said.get(role) != reason and not self._stopping:
            _LOG.warning("%s", reason)
        self._said[role] = reason
        if role in self._streams:  # another one runs: of an older start or pin, or only the next handshake failed
            return
        self.tell(role, False, reason)  # noqa: FBT003 - not connected


def _ended(pin: Pin, held: tuple[Pin, ...]) -> bool:
    """Whether a pin is held no more though its boot is: it has reached its age. A newer boot's pins replace it."""
    return pin.attested is not None and pin not in held and any(_boot_of(one) == _boot_of(pin) for one in held)


def _boot_of(pin: Pin) -> Boot | None:
    return None if pin.attested is None else pin.attested.boot


def _age(lifetime: float | None) -> list[tuple[str, Any]]:
    """Both options: with the age alone a stream that never ends keeps its connection for ever."""
    if lifetime is None:
        return []
    return [("grpc.max_connection_age_ms", int(1000 * lifetime)), ("grpc.max_connection_age_grace_ms", AGE_GRACE)]


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
