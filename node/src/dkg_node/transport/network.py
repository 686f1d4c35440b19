"""PeerNetwork: one party's network, seen from the protocol's loop. gRPC runs on a loop in a thread of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TypeVar

from dkg_node.errors import DkgError, Superseded, UsageError
from dkg_node.protocols.session import Exchange, Role, Tag
from dkg_node.transport.attest import AttestPort, Handshakes
from dkg_node.transport.channel import Channel, Message
from dkg_node.transport.flow import Flow, Meter, Traffic
from dkg_node.transport.frames import NO_SLOT, Address, Boot, Kind
from dkg_node.transport.gate import Gates
from dkg_node.transport.hub import Hub, Peer
from dkg_node.transport.inbox import Inbox
from dkg_node.transport.mailbox import Mailbox, Pending, cost
from dkg_node.transport.settings import Clock, Letter, Limits, LoopClock, NetworkThread, PeerSettings, PeerStatus, Timer
from dkg_node.transport.streams import Line
from dkg_node.transport.tls import Pin, TlsIdentity
from dkg_node.transport.window import Window

__all__ = [
    "Boot", "Clock", "Letter", "Limits", "NetworkThread", "Peer", "PeerNetwork", "PeerSettings", "PeerStatus",
    "TlsIdentity", "Traffic",
]  # fmt: skip

T = TypeVar("T")
ERA_LIMIT = SEGMENT_LIMIT = PART_LIMIT = 1 << 32

MOST_WANTS = 1 << 13
"""Bodies a peer may ask for in one segment: each answer costs memory until acknowledged."""


class PeerNetwork:
    """Ordered, resumable, authenticated streams to every peer, and the Link of the open segment.

    Every call is made on the loop that ``start`` was awaited on. Nothing raises for what a peer does.
    """

    def __init__(
        self,
        settings: PeerSettings,
        peers: Mapping[Role, Peer],
        *,
        clock: Clock | None = None,
        thread: NetworkThread | None = None,
        handshakes: Handshakes | None = None,
    ) -> None:
        """``thread``: share one (tests with many networks); else a thread is made and ended with this network.

        ``handshakes``: pins come from these and from nothing else; without them from the peers' certificates.
        AttestationError for a certificate that can't be pinned.
        """
        self._settings = settings
        self._others = [role for role in settings.group.roles if role != settings.me]
        self._peers = dict(peers)
        self._handshakes = handshakes
        self._attest: AttestPort | None = None
        self._pins = self._pins_of(peers)
        self._clock = clock or LoopClock()
        self._own_thread = thread is None
        self._thread = thread
        self._flow, self._meter = Flow(), Meter()
        self._counters: Counter[str] = Counter()
        self._mailbox = Mailbox(
            settings.me, self, settings.round_timeout / 4, settings.limits.early, counters=self._counters
        )
        self._gates = Gates(self._flow, self._clock, settings.limits.backlog, settings.min_rate, self._mailbox.grace)
        self._futures: dict[Pending, asyncio.Future[None]] = {}
        self._window = Window(self._clock)
        self._looking: set[Pending] = set()
        self._hurry: Timer | None = None
        self._served: Counter[tuple[Role, tuple[int, int]]] = Counter()
        self._era = 0
        self._status = {
            role: PeerStatus(connected=False, reason=f"party {role} was not reached yet") for role in self._others
        }
        self._letters = Inbox(settings.limits.inbox)
        self._status_changed = asyncio.Event()
        self._paused: set[Role] = set()
        self._refused_by: set[Role] = set()
        self._refused = asyncio.Event()
        self._hub: Hub | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- life

    async def start(self) -> None:
        """Listen and call the peers. UsageError if the port can't be had."""
        settings = self._settings
        self._loop = asyncio.get_running_loop()
        self._thread = self._thread or NetworkThread()
        lines = {
            role: Line(
                role,
                Channel(settings.me, role, settings.sid, settings.boot, settings.limits.message),
                self, self._flow, self._meter, settings.limits.waiting,
            )
            for role in self._others
        }  # fmt: skip
        hub = Hub(settings.me, settings.tls, lines, settings.listen, self._tell)
        hub.update(self._peers, self._pins)
        if self._handshakes is not None:
            hub.own, hub.lifetime = self._handshakes.shown(), settings.lifetimes.pin
            self._attest = AttestPort(settings.me, hub, self._handshakes, settings.attest_listen, settings.lifetimes)
            self._attest.update(self._peers)
        try:
            await self._thread.run(hub.start())
            if self._attest is not None:
                await self._thread.run(self._attest.start())
        except UsageError:
            self._end_thread()
            raise
        self._hub = hub

    async def stop(self, linger: float = 5.0) -> None:
        """End; waits up to ``linger`` seconds for connected peers to acknowledge what was sent."""
        for position in list(self._mailbox.open_positions):
            self.close_segment(position[1], position[0])
        if self._hub is not None and self._thread is not None:
            hub, self._hub = self._hub, None
            if self._attest is not None:
                await self._thread.run(self._attest.stop())
            await self._thread.run(hub.stop(linger))
            self._counters["damaged"] += hub.damaged
        self._end_thread()

    def _end_thread(self) -> None:
        if self._own_thread and self._thread is not None:
            self._thread.close()
            self._thread = None

    async def ended(self) -> DkgError:
        """Why this boot must end, once t+1 peers, so an honest one, hold a newer start of the party (03)."""
        await self._refused.wait()
        msg = f"parties {sorted(self._refused_by)} hold a newer start of this party: stop all but one copy of it"
        return Superseded(f"{msg}, or set this machine's clock right if there is no other")

    def update_peers(self, peers: Mapping[Role, Peer]) -> None:
        """Take new addresses and certificates; a stream under a replaced certificate ends when its successor is up.

        AttestationError, with nothing changed, for a certificate that can't be pinned.
        """
        pins = self._pins_of(peers)
        self._peers, self._pins = dict(peers), pins
        if self._attest is None:
            self._on_hub("update", self._peers, self._pins)
        elif self._thread is not None:
            self._thread.call(self._attest.update, self._peers)

    def _pins_of(self, peers: Mapping[Role, Peer]) -> dict[Role, tuple[Pin, ...]]:
        """What the desired state pins: nothing where parties attest."""
        if self._handshakes is not None:
            return {}
        me = self._settings.me
        return {role: (Pin.of(role, peer.certificate),) for role, peer in peers.items() if role != me}

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._hub.port if self._hub is not None else 0

    @property
    def attest_port(self) -> int:
        """The port that handshakes are answered on; 0 without them."""
        return self._attest.port if self._attest is not None else 0

    def now(self) -> float:
        """The clock that deadlines are on: monotonic, seconds."""
        return self._clock.now()

    # --- segments and the Link

    def open_segment(self, segment: int, deadlines: Sequence[float], era: int = 0) -> None:
        """Begin a segment: slot k ends at ``deadlines[k]``. Positions (era, segment) only grow."""
        self._mailbox.open((era, segment), deadlines)
        self._era = era

    def close_segment(self, segment: int, era: int = 0) -> None:
        """End it: its messages are dropped, its bodies are kept until the next one ends (peers may lag behind).

        A peer with a full backlog is past using what was meant for segments before this one.
        """
        for pending in self._mailbox.close((era, segment)):
            self._finish(pending)
        for role, position in [key for key in self._served if not self._mailbox.serves(key[1])]:
            del self._served[role, position]
        for role in self._others:
            if self._flow.backlog(role) > self._settings.limits.backlog:
                self._on_hub("purge", role, era, segment)

    async def exchange(self, request: Exchange) -> Mapping[Role, bytes | None]:
        """See session.Link. Waits, too, for room towards the peers it sends to, while they keep up."""
        era = self._era
        pending = self._mailbox.begin(request, era, self.now())
        if request.tag.part:
            self._window.entered(pending.deadline)
        timers = self._watch(pending)
        try:
            await self._send_all(pending, era)
            if pending.result is None:
                await self._futures[pending]
            if pending.result is None:
                msg = "end an exchange before reading its result"
                raise RuntimeError(msg)
            return pending.result
        finally:
            for timer in timers:
                timer.cancel()
            self._mailbox.end(pending)
            self._futures.pop(pending, None)

    def _watch(self, pending: Pending) -> list[Timer]:
        """Look at the exchange now, when its grace ends, at its deadline."""
        self._futures[pending] = asyncio.get_running_loop().create_future()
        self._look(pending)
        if pending.result is not None:
            return []
        self._let_read(pending.unheard)
        times = [pending.deadline] if pending.request.enough is None else [pending.grace_ends, pending.deadline]
        return [self._clock.call_at(when, partial(self._look, pending, when)) for when in times]

    def _look_soon(self, pending: Pending) -> None:
        """Look when all that has arrived was taken: a busy loop must not make those late who were in time."""
        if not pending.unheard:
            self._look(pending)
        elif pending not in self._looking:
            self._looking.add(pending)
            asyncio.get_running_loop().call_soon(self._look, pending)

    def _look(self, pending: Pending, when: float = 0.0) -> None:
        """``when``: the moment a timer was set to; asyncio may call a clock tick before it."""
        self._looking.discard(pending)
        if self._mailbox.settle(pending, max(self.now(), when)):
            self._finish(pending)

    def _finish(self, pending: Pending) -> None:
        future = self._futures.get(pending)
        if future is not None and not future.done():
            future.set_result(None)

    async def _send_all(self, pending: Pending, era: int) -> None:
        tag = pending.request.tag
        address = Address(Kind.SLOT, era, tag.segment, tag.slot, tag.part)
        now: list[tuple[Role, Message]] = []
        later: list[tuple[Role, Message]] = []
        for role, body in pending.request.outgoing.items():
            if role == self._settings.me:
                continue
            (now if self._gates.open(role) else later).append((role, Message(address, body)))
        self._send(now)
        if not later:
            return
        self._let_read({role for role, _ in later})
        async with asyncio.TaskGroup() as group:
            for role, message in later:
                group.create_task(self._send_later(role, message, pending.deadline))

    async def _send_later(self, role: Role, message: Message, deadline: float) -> None:
        await self._gates.admit(role, len(message.body), deadline)
        self._send([(role, message)])

    def _send(self, batch: list[tuple[Role, Message]]) -> None:
        """Hand messages to the network thread; what is too long or too much for a peer is dropped and counted."""
        taken = []
        for role, message in batch:
            if len(message.body) > self._settings.limits.message:
                raise UsageError(f"send at most {self._settings.limits.message} bytes a message")
            if self._flow.backlog(role) + len(message.body) > self._settings.limits.overflow:
                self._counters["dropped"] += 1
                continue
            self._flow.handed_out(role, len(message.body))
            taken.append((role, message))
        if taken:
            self._on_hub("send", taken)

    async def parallel(self, bodies: Sequence[Callable[[], Awaitable[T]]], window: int) -> list[T]:
        """See session.Link, and ``window``: children that wait for a silent party hold up no others."""
        return await self._window.run(bodies, window)

    def offer(self, digest: bytes, body: bytes) -> None:
        """Hold a body and serve it by digest until the segment ends."""
        self._mailbox.offer(digest, body)

    def held(self, digest: bytes) -> bytes | None:
        """A body offered or pulled in this segment."""
        return self._mailbox.held(digest)

    def skip(self, segment: int, slots: Collection[int]) -> None:
        """See session.Link."""
        self._mailbox.skip((self._era, segment), slots)

    # --- letters

    def post(self, role: Role, payload: bytes) -> None:
        """Queue a message outside of any slot; it overtakes messages of slots. To oneself: into the own inbox."""
        if role == self._settings.me:
            self._file(Letter(role, payload))
        else:
            self._send([(role, Message(Address(Kind.POST, 0, 0, NO_SLOT, 0), payload))])

    async def inbox(self) -> Letter:
        """The next letter, of each peer that has some waiting in turn; one reader at a time."""
        return await self._letters.get()

    def _file(self, letter: Letter) -> None:
        self._counters["dropped letters"] += not self._letters.put(letter)

    # --- what is known

    def connected(self) -> frozenset[Role]:
        """Peers with a live stream."""
        return frozenset(role for role, status in self._status.items() if status.connected)

    def status(self) -> Mapping[Role, PeerStatus]:
        """Of every peer."""
        return dict(self._status)

    async def status_change(self) -> None:
        """Return when a peer's status has changed since the call."""
        self._status_changed.clear()
        await self._status_changed.wait()

    def backlog(self, role: Role) -> int:
        """Bytes sent to a peer that it has not acknowledged."""
        return self._flow.backlog(role)

    def traffic(self) -> Sequence[Traffic]:
        """Bytes by peer, segment and slot."""
        return self._meter.rows()

    def counters(self) -> Mapping[str, int]:
        """What was not taken from peers, and why: late, duplicate, oversize, overflow, foreign, unserved, damaged."""
        damaged = self._hub.damaged if self._hub is not None else 0
        return {**self._counters, "damaged": self._counters["damaged"] + damaged}

    # --- effects of the mailbox

    def pull(self, role: Role, tag: Tag, digest: bytes) -> None:
        """Ask a peer for a body, and others that name it if it takes long."""
        self._send([(role, Message(Address(Kind.WANT, self._era, tag.segment, tag.slot, tag.part), digest))])

    def hurry_at(self, instant: float) -> None:
        """Have the mailbox ask others for what takes long."""
        if self._hurry is None:
            self._hurry = self._clock.call_at(instant, partial(self._hurry_up, instant))

    def _hurry_up(self, when: float) -> None:
        self._hurry = None
        self._mailbox.hurry(max(self.now(), when))

    def consumed(self, role: Role, size: int) -> None:
        """A peer's message needs no room any more."""
        left = self._flow.finished_in(role, size)
        if role in self._paused and left <= self._settings.limits.waiting:
            self._resume(role)

    # --- upcalls of the network thread, carried over to the protocol's loop

    def messages(self, role: Role, messages: Sequence[Message]) -> None:
        """Messages came."""
        self._on_loop(self._take, role, messages)

    def freed(self, role: Role) -> None:
        """There is more room."""
        self._on_loop(self._gates.freed, role)

    def paused(self, role: Role) -> None:
        """Nothing more is read from a peer."""
        self._on_loop(self._pause, role)

    def rebooted(self, role: Role) -> None:
        """A peer began anew."""
        self._on_loop(self._file, Letter(role, None))

    def superseded(self, role: Role) -> None:
        """A peer holds a newer start of this party."""
        self._on_loop(self._refuse, role)

    def _refuse(self, role: Role) -> None:
        self._refused_by.add(role)
        if len(self._refused_by) > self._settings.group.t:
            self._refused.set()

    def _tell(self, role: Role, connected: bool, reason: str) -> None:  # noqa: FBT001 - the hub's word
        self._on_loop(self._set_status, role, PeerStatus(connected, reason))

    def _set_status(self, role: Role, status: PeerStatus) -> None:
        self._status[role] = status
        self._status_changed.set()

    def _take(self, role: Role, messages: Sequence[Message]) -> None:
        for message in messages:
            address, body = message.address, message.body
            if address.kind is Kind.SLOT:
                tag = Tag(address.segment, address.slot, address.part)
                pending = self._mailbox.deliver(role, address.era, tag, body, self.now())
                if pending is not None:
                    self._look_soon(pending)
                continue
            self.consumed(role, cost(body))
            if address.kind is Kind.POST:
                self._file(Letter(role, body))
            elif address.kind is Kind.WANT:
                self._serve(role, address, body)
            elif address.kind is Kind.BODY:
                tag = Tag(address.segment, address.slot, address.part)
                for pending in self._mailbox.body(role, address.era, tag, body):
                    self._look_soon(pending)

    def _serve(self, role: Role, wanted: Address, digest: bytes) -> None:
        position = (wanted.era, wanted.segment)
        if len(digest) == 32 and self._mailbox.serves(position) and self._served[role, position] < MOST_WANTS:
            self._served[role, position] += 1
            body = self._mailbox.serve(wanted.era, wanted.segment, digest)
            address = Address(Kind.BODY, wanted.era, wanted.segment, wanted.slot, wanted.part)
            self._send([(role, Message(address, digest + (body or b"")))])

    def _pause(self, role: Role) -> None:
        """Everything the peer sent has been taken by now: let it go on if it fits or somebody waits for it."""
        fits = self._flow.waiting_in(role) <= self._settings.limits.waiting
        if fits or self._mailbox.waits_for(role) or self._gates.waits_for(role):
            self._resume(role)
        else:
            self._paused.add(role)

    def _let_read(self, roles: frozenset[Role] | set[Role]) -> None:
        for role in self._paused & roles:
            self._resume(role)

    def _resume(self, role: Role) -> None:
        self._paused.discard(role)
        self._on_hub("resume", role)

    # --- threads

    def _on_loop(self, function: Callable[..., object], *arguments: object) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    def _on_hub(self, method: str, *arguments: object) -> None:
        if self._hub is not None and self._thread is not None:
            self._thread.call(getattr(self._hub, method), *arguments)
