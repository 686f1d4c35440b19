"""A simulated network under virtual time: seeded delays of at most 1, crashes, boots, faulty senders.

Exchanges follow the transport's own mailbox, so what is tested here is the product's rule for the end of a slot.
Messages of one pair of boots keep their order; those in flight from an old boot may be lost.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, TypeVar

from dkg_node.protocols.session import Exchange, Group, Role, Tag
from dkg_node.transport.inbox import Inbox
from dkg_node.transport.mailbox import Mailbox, Pending
from dkg_node.transport.settings import Letter, LoopClock
from dkg_node.transport.window import Window

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

T = TypeVar("T")
EARLY_LIMIT = 1 << 22
LETTER_LIMIT = 1 << 24
ORDER = 1e-6
"""Two messages of one stream never come at the same instant."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message on its way. ``kind``: slot, post, want, body."""

    kind: str
    era: int
    tag: Tag
    body: bytes


LETTER = Tag(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Weather:
    """How long messages take: 1 at most."""

    far: frozenset[Role] = frozenset()
    """Whose messages take 0.8 to 1.0; those of all others take 0.1 then."""
    both_ways: bool = False
    """Whether messages to far parties take as long as those from them."""
    overtaking: bool = False
    """Whether letters pass messages of slots that left before them."""

    def delay(self, random: Random, sender: Role, receiver: Role, *, letter: bool) -> float:
        """Of one message."""
        if sender in self.far or (self.both_ways and receiver in self.far):
            return random.uniform(0.8, 1.0)
        if self.far or (letter and self.overtaking and random.random() < LETTERS_PASS):
            return 0.1
        return random.choice((0.02, random.uniform(0.01, 1.0), 1.0))


MOST_MESSAGES = 1_000_000
"""A run that needs more has no end."""
LETTERS_PASS = 0.7
"""How many letters are quick where they overtake."""


class Faults:
    """What goes wrong on the way; the default is nothing. Faulty parties are an adversary's."""

    def sends(self, sender: Role, receiver: Role, parcel: Parcel) -> bool:
        """Whether the parcel leaves."""
        return True

    def lag(self, sender: Role, parcel: Parcel) -> float:
        """How long a party waits before it sends."""
        return 0.0

    def twist(self, network: SimNetwork, request: Exchange) -> list[Mapping[Role, bytes]]:
        """What a party really sends in a slot; the default is what it means to."""
        return [request.outgoing]

    def learn(self, network: SimNetwork, request: Exchange, got: Mapping[Role, bytes | None]) -> None:
        """A party has heard a slot."""


@dataclass(slots=True)
class Wires:
    """All parties' networks and what is under way between them."""

    group: Group
    random: Random
    faults: Faults
    cut: float = 0.5
    """Chance that a message in flight is lost when its sender's boot has ended."""
    weather: Weather = field(default_factory=Weather)
    up: dict[Role, SimNetwork] = field(default_factory=dict)
    sent: int = 0
    """Messages under way so far."""
    _boots: Counter[Role] = field(default_factory=Counter)
    _last: dict[tuple[tuple[Role, int, Role, int], bool], float] = field(default_factory=dict)

    def boot(self, role: Role, round_timeout: float) -> SimNetwork:
        """A new boot of a party; peers that are up learn of it."""
        self._boots[role] += 1
        network = SimNetwork(self, role, self._boots[role], round_timeout)
        self.up[role] = network
        for peer in self.up.values():
            if peer is not network:
                peer.file(role, None)
        return network

    def crash(self, role: Role) -> None:
        """A boot ends."""
        network = self.up.pop(role, None)
        if network is not None:
            network.down = True

    def send(self, sender: SimNetwork, receiver: Role, parcel: Parcel) -> None:
        """Bring a parcel under way; it takes at most 1."""
        if sender.down or not self.faults.sends(sender.me, receiver, parcel):
            return
        self.sent += 1
        if self.sent > MOST_MESSAGES:
            raise RuntimeError("parties send without end")
        loop = asyncio.get_running_loop()
        letter = parcel.kind == "post"
        delay = self.weather.delay(self.random, sender.me, receiver, letter=letter)
        delay += self.faults.lag(sender.me, parcel)
        boots = (sender.me, sender.boot, receiver, self._boots[receiver])
        stream = boots, letter and self.weather.overtaking
        when = max(loop.time() + delay, self._last.get(stream, 0.0) + ORDER)
        self._last[stream] = when
        loop.call_at(when, self._arrive, boots, parcel)

    def _arrive(self, boots: tuple[Role, int, Role, int], parcel: Parcel) -> None:
        sender, sent_by, receiver, sent_to = boots
        network = self.up.get(receiver)
        if network is None or network.boot != sent_to:
            return
        if self._boots[sender] != sent_by and self.random.random() < self.cut:
            return
        network.arrive(sender, parcel)


class SimNetwork:
    """One boot of one party: the Link and the segments of the ceremony's network."""

    def __init__(self, wires: Wires, me: Role, boot: int, round_timeout: float) -> None:
        """Up at once."""
        self._wires, self.me, self.boot = wires, me, boot
        self.mailbox = Mailbox(me, self, round_timeout / 4, EARLY_LIMIT)
        self._futures: dict[Pending, asyncio.Future[None]] = {}
        self._window = Window(LoopClock())
        self.era = 0
        self.down = False
        self._letters = Inbox(LETTER_LIMIT)

    def now(self) -> float:
        """Virtual seconds."""
        return asyncio.get_running_loop().time()

    def open_segment(self, segment: int, deadlines: Sequence[float], era: int = 0) -> None:
        """Begin a segment."""
        self.mailbox.open((era, segment), deadlines)
        self.era = era

    def close_segment(self, segment: int, era: int = 0) -> None:
        """End it."""
        for pending in self.mailbox.close((era, segment)):
            self._finish(pending)

    async def exchange(self, request: Exchange) -> Mapping[Role, bytes | None]:
        """See session.Link."""
        loop, era = asyncio.get_running_loop(), self.era
        pending = self.mailbox.begin(request, era, self.now())
        future = self._futures[pending] = loop.create_future()
        if request.tag.part:
            self._window.entered(pending.deadline)
        self._look(pending)
        timers = [loop.call_at(when, self._look, pending, when) for when in (pending.grace_ends, pending.deadline)]
        try:
            for outgoing in self._wires.faults.twist(self, request):
                for role, body in outgoing.items():
                    if role != self.me:
                        self._wires.send(self, role, Parcel("slot", era, request.tag, body))
            await future
            got = pending.result or {}
            self._wires.faults.learn(self, request, got)
            return got
        finally:
            for timer in timers:
                timer.cancel()
            self.mailbox.end(pending)
            self._futures.pop(pending, None)

    async def parallel(self, bodies: Sequence[Callable[[], Awaitable[T]]], window: int) -> list[T]:
        """See session.Link: by the transport's own rule."""
        return await self._window.run(bodies, window)

    def offer(self, digest: bytes, body: bytes) -> None:
        """See session.Link."""
        self.mailbox.offer(digest, body)

    def held(self, digest: bytes) -> bytes | None:
        """See session.Link."""
        return self.mailbox.held(digest)

    def skip(self, segment: int, slots: Collection[int]) -> None:
        """See session.Link."""
        self.mailbox.skip((self.era, segment), slots)

    def post(self, role: Role, payload: bytes) -> None:
        """Send a letter."""
        self._wires.send(self, role, Parcel("post", 0, LETTER, payload))

    def file(self, role: Role, payload: bytes | None) -> None:
        """A letter has come; None: a new boot of the peer."""
        if not self.down:
            self._letters.put(Letter(role, payload))

    async def inbox(self) -> Letter:
        """The next letter."""
        return await self._letters.get()

    def connected(self) -> frozenset[Role]:
        """Peers that are up."""
        return frozenset(self._wires.up) - {self.me}

    def arrive(self, sender: Role, parcel: Parcel) -> None:
        """A parcel has come."""
        tag, now = parcel.tag, self.now()
        if parcel.kind == "post":
            self.file(sender, parcel.body)
        elif parcel.kind == "slot":
            pending = self.mailbox.deliver(sender, parcel.era, tag, parcel.body, now)
            if pending is not None:
                self._look(pending)
        elif parcel.kind == "want":
            body = self.mailbox.serve(parcel.era, tag.segment, parcel.body) or b""
            self._wires.send(self, sender, Parcel("body", parcel.era, tag, parcel.body + body))
        else:
            for pending in self.mailbox.body(sender, parcel.era, tag, parcel.body):
                self._look(pending)

    def pull(self, role: Role, tag: Tag, digest: bytes) -> None:
        """See Effects."""
        self._wires.send(self, role, Parcel("want", self.era, tag, digest))

    def hurry_at(self, instant: float) -> None:
        """See Effects."""
        asyncio.get_running_loop().call_at(instant, self._hurry, instant)

    def _hurry(self, when: float) -> None:
        if not self.down:
            self.mailbox.hurry(max(self.now(), when))

    def consumed(self, role: Role, size: int) -> None:
        """See Effects."""

    def _look(self, pending: Pending, when: float = 0.0) -> None:
        if self.mailbox.settle(pending, max(self.now(), when)):
            self._finish(pending)

    def _finish(self, pending: Pending) -> None:
        future = self._futures.get(pending)
        if future is not None and not future.done():
            future.set_result(None)
