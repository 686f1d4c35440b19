"""The attest port: handshakes over plain gRPC, and the pins that come of them (03 "Channel"). On the network loop.

The higher index dials. A pin lives an hour from its appraisal; half an hour before its end the dialer makes the next
one, and both hold until the older ends. When a call finds no way in, the peer may have begun anew: a handshake tells.
Handshakes compute in threads of their own, so that streams go on meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from dkg_node.errors import DkgError, UsageError
from dkg_node.protocols.session import Role
from dkg_node.transport.hub import Hub, Peer
from dkg_node.transport.pause import Pauses
from dkg_node.transport.pinbook import PinBook
from dkg_node.transport.settings import Lifetimes
from dkg_node.transport.streams import FAREWELL
from dkg_node.transport.tls import Pin, TlsIdentity

SERVICE: Final = "dkg_api.v1.Attest"
METHOD: Final = "Handshake"
MAX_MESSAGE: Final = 32 * 1024
TIMEOUT: Final = 20.0
"""Seconds for a whole handshake."""
FIRST: Final = 2.0
"""Seconds a caller has for its first message."""
AWAY: Final = 0.2
"""The same for one that is turned away and gets nothing else."""
AT_ONCE: Final = 64
"""Handshakes that are answered at one time; further ones are turned away."""
SHARE: Final = 16
"""Of one address, turned away or not: 13 parties of one host come at once."""
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries: doubled from the first to the longest while they fail."""
SETTLED: Final = 4 * LONGEST_PAUSE
"""Seconds without doubt after which a doubted pin is a new matter."""
_LOG = logging.getLogger(__name__)
_OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.enable_http_proxy", 0),
]
_SERVER_OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", 4),
    ("grpc.max_connection_age_ms", 30_000),
    ("grpc.max_connection_age_grace_ms", 5_000),
]


@dataclass(frozen=True, slots=True)
class Limit:
    """How many handshakes one address may begin: a bucket of ``burst`` that gains ``rate`` a second."""

    rate: float = 4.0
    burst: float = 64.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send after a message of the peer, and how it ended if it did."""

    message: bytes | None = None
    pin: Pin | None = None
    refusal: str = ""
    """One line for a person; empty while nobody refuses."""
    outlived: Role | None = None
    """Who has proven to know a newer start of this party."""


class Dialling(Protocol):
    """One handshake of the caller. Calls take milliseconds of computing; AttestationError if the own module fails."""

    def hello(self) -> bytes:
        """The first message."""
        ...

    def response(self, data: bytes) -> Reply:
        """Answer to the second."""
        ...

    def confirmed(self, data: bytes) -> Reply:
        """After the last."""
        ...


class Listening(Protocol):
    """One handshake of the listener."""

    def hello(self, data: bytes) -> Reply:
        """Answer to the first message."""
        ...

    def finish(self, data: bytes) -> Reply:
        """Answer to the third."""
        ...

    def busy(self) -> bytes:
        """Turns a caller away."""
        ...


class Handshakes(Protocol):
    """Where handshakes come from."""

    def dial(self, peer: Role) -> Dialling:
        """With a fresh nonce."""
        ...

    def listen(self) -> Listening:
        """With a fresh nonce."""
        ...

    def shown(self) -> TlsIdentity:
        """What this side shows in handshakes now."""
        ...


@dataclass(slots=True)
class Buckets:
    """The rate limit, by address. Remembers the addresses that came last."""

    limit: Limit
    most: int = 1024
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, address: str, now: float) -> bool:
        """Whether one more is granted at ``now`` (seconds)."""
        left, then = self._left.pop(address, (self.limit.burst, now))
        left = min(self.limit.burst, left + (now - then) * self.limit.rate)
        granted = left >= 1
        self._left[address] = (left - granted, now)
        if len(self._left) > self.most:
            self._left.popitem(last=False)
        return granted


@dataclass(slots=True)
class AttestPort:
    """Handshakes with all peers; what they find goes to the hub."""

    me: Role
    hub: Hub
    handshakes: Handshakes
    listen: str
    """host:port; port 0 takes a free one."""
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    limit: Limit = field(default_factory=Limit)
    port: int = 0
    made: int = 0
    """Handshakes that ended well."""
    _peers: dict[Role, Peer] = field(default_factory=dict)
    _wake: dict[Role, asyncio.Event] = field(default_factory=dict)
    _doubted: set[Role] = field(default_factory=set)
    _book: PinBook = field(init=False)
    _buckets: Buckets = field(init=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _server: grpc.aio.Server | None = None
    _running: int = 0
    _callers: Counter[str] = field(default_factory=Counter)
    """Calls that are served, by address."""
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "dkg-attest"))

    def __post_init__(self) -> None:
        """Nothing is pinned yet."""
        self._book, self._buckets = PinBook(self.lifetimes), Buckets(self.limit)

    async def start(self) -> None:
        """Listen and dial. UsageError if the port can't be had."""
        server = grpc.aio.server(options=[*_OPTIONS, *_SERVER_OPTIONS], maximum_concurrent_rpcs=4 * AT_ONCE)
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._serve)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
        try:
            self.port = server.add_insecure_port(self.listen)
        except RuntimeError as error:
            raise UsageError(f"free {self.listen} or choose another port: it can't be listened on") from error
        await server.start()
        self._server = server
        self.hub.doubt = self.doubt
        lower = [role for role in self.hub.lines if role < self.me]
        self._wake = {role: asyncio.Event() for role in lower}
        self._tasks = [asyncio.ensure_future(self._keep(role)) for role in lower]
        self._tasks.append(asyncio.ensure_future(self._expire()))

    async def stop(self) -> None:
        """End; streams are the hub's."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.stop(1.0)
        self._threads.shutdown(wait=False)

    def update(self, peers: Mapping[Role, Peer]) -> None:
        """Take new addresses: who is at one, a handshake tells, also while a stream with an older start goes on."""
        changed = [role for role in self._wake if peers.get(role) != self._peers.get(role)]
        self._peers = dict(peers)
        self.hub.update(self._peers, self._book.pins)
        for role in changed:
            self.doubt(role)

    def doubt(self, role: Role) -> None:
        """The pins of that peer let nobody in: look again whom it is."""
        if role in self._wake:
            self._doubted.add(role)
            self._wake[role].set()

    def _hold(self, pin: Pin) -> None:
        """Pin it; from now on the listener shows what the newest handshakes have shown."""
        self.made += 1
        self._book.add(pin, asyncio.get_running_loop().time())
        self.hub.own = self.handshakes.shown()
        self.hub.update(self._peers, self._book.pins)
        self._changed.set()

    async def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            end = self._book.next_end()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(end):
                    await self._changed.wait()
            before = self._book.pins
            self._book.expire(loop.time())
            if self._book.pins != before:
                self.hub.update(self._peers, self._book.pins)

    # --- calling

    async def _keep(self, role: Role) -> None:
        """Have a pin of that peer that is young enough, for ever.

        A handshake out of doubt counts as a failure even when it ends well: the peer's other port may refuse for ever,
        and the next call would only doubt the next pin.
        """
        loop, wake = asyncio.get_running_loop(), self._wake[role]
        pauses, last = Pauses(FIRST_PAUSE, LONGEST_PAUSE), loop.time()
        while True:
            wake.clear()
            due = self._book.renewal(role)
            peer = self._peers.get(role)
            if peer is not None and (due is None or role in self._doubted or loop.time() >= due):
                if loop.time() >= last + SETTLED:
                    pauses.succeeded()
                doubted, last = role in self._doubted, loop.time()
                self._doubted.discard(role)
                if not await self._try(role, peer) or doubted:
                    await asyncio.sleep(pauses.failed())
                else:
                    pauses.succeeded()
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await wake.wait()

    async def _try(self, role: Role, peer: Peer) -> bool:
        """One handshake; whether it made a pin."""
        try:
            async with asyncio.timeout(TIMEOUT):
                reply = await self._dial(role, peer)
        except TimeoutError:
            reply = Reply(refusal="it does not answer in time")
        except grpc.aio.AioRpcError as error:
            reply = Reply(refusal=f"its attest port can't be reached ({error.code().name})")
        except DkgError as error:
            reply = Reply(refusal=str(error))
        if reply.pin is not None:
            self._hold(reply.pin)
            return True
        self._heed(reply)
        self.hub.down(role, f"party {role} is not attested: {reply.refusal}")
        return False

    async def _dial(self, role: Role, peer: Peer) -> Reply:
        options = [*_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(peer.target(peer.attest_port), options) as channel:
            method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(f"/{SERVICE}/{METHOD}")
            handshake = self.handshakes.dial(role)
            hello = handshake.hello()  # before the call: the listener gives little time for it
            call = method()
            await call.write(hello)
            reply = await self._compute(handshake.response, await _read(call))
            if reply.message is not None:
                await call.write(reply.message)
            if not reply.refusal:
                reply = await self._compute(handshake.confirmed, await _read(call))
            await call.done_writing()
            if reply.refusal:  # a channel that closes at once would take the refusal with it
                with contextlib.suppress(TimeoutError, grpc.aio.AioRpcError):
                    async with asyncio.timeout(FAREWELL):
                        await call.read()
            return reply

    # --- being called

    async def _serve(self, _: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        """Answer, or turn away: whoever says nothing is let go soon, and an address fills its own share at most."""
        address = _address(context.peer())
        self._callers[address] += 1
        try:
            if self._callers[address] > SHARE:
                await context.write(self.handshakes.listen().busy())
            elif self._buckets.take(address, asyncio.get_running_loop().time()) and self._running < AT_ONCE:
                await self._admit(context)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(AWAY):
                        await context.read()  # gRPC loses an answer that crosses the first message
                await context.write(self.handshakes.listen().busy())
        finally:
            self._callers[address] -= 1
            if not self._callers[address]:
                del self._callers[address]

    async def _admit(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        handshake = self.handshakes.listen()
        self._running += 1
        try:
            async with asyncio.timeout(TIMEOUT):
                reason = await self._answer(handshake, context)
        except TimeoutError:
            reason = "it does not answer in time"
        except DkgError as error:
            reason = str(error)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the listener can't attest now")
        finally:
            self._running -= 1
        if reason:
            _LOG.warning("refused a handshake with %s: %s", context.peer(), reason)

    async def _answer(self, handshake: Listening, context: grpc.aio.ServicerContext[bytes, bytes]) -> str:
        """Why it was refused; empty if it was not."""
        for step, seconds in ((handshake.hello, FIRST), (handshake.finish, TIMEOUT)):
            async with asyncio.timeout(seconds):
                data = await _read(context)
            reply = await self._compute(step, data)
            if reply.pin is not None:
                self._hold(reply.pin)  # before the caller knows: it comes at once
            if reply.message is not None:
                await context.write(reply.message)
            self._heed(reply)
            if reply.refusal:
                return reply.refusal
        return ""

    def _heed(self, reply: Reply) -> None:
        """Tell that a peer holds a newer start of this party; t+1 of them end this one."""
        line = None if reply.outlived is None else self.hub.lines.get(reply.outlived)
        if line is not None:
            line.up.superseded(line.role)

    async def _compute(self, step: Callable[[bytes], Reply], data: bytes) -> Reply:
        return await asyncio.get_running_loop().run_in_executor(self._threads, step, data)


class _Readable(Protocol):
    async def read(self) -> object: ...


async def _read(pipe: _Readable) -> bytes:
    """The next message; nothing when the other side has ended."""
    data = await pipe.read()
    return data if isinstance(data, bytes) else b""


def _address(peer: str) -> str:
    """Without the port, which a caller chooses."""
    return peer.rpartition(":")[0]
