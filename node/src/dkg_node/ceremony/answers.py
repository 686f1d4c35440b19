"""What a party tells peers that ask: one answer at a time, and each to each peer no more often than is of use.

A few bytes can ask for a whole chain or a megabyte of contents, and answers overtake messages of slots. So a repeated
question is answered once a pause, peers that ask for contents are served in turn, and all contents together take no
more than a part of minRate: slots keep the rest, whoever asks for how much. Honest peers repeat what they need.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from dkg_node.ceremony import letters
from dkg_node.ceremony.letters import Ask, Contents, Inquire, Reply, Want

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_node.ceremony.letters import Letter
    from dkg_node.ceremony.program import Ports
    from dkg_node.protocols.session import Role

QUESTIONS = 1 << 10
"""Different questions of one peer that are answered in a pause."""
STAND = b"stand"
"""Names the question where this party stands; contents are asked for by their digest."""
RATE_PART = 4
"""Contents for all peers together take at most this part of minRate; deadlines allow for half of it."""


@dataclass(slots=True)
class _Peer:
    """What one peer has asked lately."""

    waiting: set[bytes] = field(default_factory=set)
    given: dict[bytes, float] = field(default_factory=dict)
    """When a question was answered last."""

    def forget(self, before: float) -> None:
        """Answers older than a pause stand in nobody's way."""
        self.given = {key: when for key, when in self.given.items() if when > before}

    def full(self) -> bool:
        """Whether it has had enough for now."""
        return len(self.waiting) + len(self.given) >= QUESTIONS


class Answers:
    """One party's."""

    def __init__(self, ports: Ports, stand: Callable[[], list[Letter]]) -> None:
        """``stand``: all that tells a peer where this party stands."""
        self._ports, self._stand = ports, stand
        self._pause = ports.pace.round_timeout / 2
        self._peers: dict[Role, _Peer] = {}
        self._rate = ports.pace.min_rate / RATE_PART
        self._queues: dict[Role, deque[tuple[bytes, Callable[[], list[Letter]]]]] = {}
        """Who is next comes first."""
        self._timers: dict[tuple[Role, bytes], asyncio.TimerHandle] = {}
        self._task: asyncio.Task[None] | None = None

    def read(self, role: Role, letter: Letter) -> None:
        """A letter that asks for something."""
        program = self._ports.program
        match letter:
            case Ask():
                self.ask(role, STAND, self._stand)
            case Want(digest):
                self.ask(role, digest, lambda: [Contents(body) for body in [program.contents(digest)] if body])
            case Inquire(question):
                key = sha256(question).digest()
                self.ask(role, key, lambda: [Reply(body) for body in [program.reply(role, question)] if body])

    def ask(self, role: Role, key: bytes, make: Callable[[], list[Letter]]) -> None:
        """Answer the question ``key`` with what ``make`` gives when its turn comes; if asked too soon, a pause later.

        Dropped when it waits already or the peer has had its share.
        """
        loop = asyncio.get_running_loop()
        peer = self._peers.setdefault(role, _Peer())
        if key in peer.waiting:
            return
        if peer.full():
            peer.forget(loop.time() - self._pause)
            if peer.full():
                return
        peer.waiting.add(key)
        ready = peer.given[key] + self._pause if key in peer.given else 0.0
        if ready > loop.time():
            self._timers[role, key] = loop.call_at(ready, self._put, role, key, make)
        else:
            self._put(role, key, make)

    def close(self) -> None:
        """Say nothing more."""
        for timer in self._timers.values():
            timer.cancel()
        self._queues.clear()
        if self._task is not None:
            self._task.cancel()

    def _put(self, role: Role, key: bytes, make: Callable[[], list[Letter]]) -> None:
        self._timers.pop((role, key), None)
        if key == STAND:  # a chain, once a pause: whoever waits for it must not wait for contents
            self._give(role, key, make)
            return
        self._queues.setdefault(role, deque()).append((key, make))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._serve())

    async def _serve(self) -> None:
        """One answer to each peer in turn, no faster than at ``_rate``."""
        while self._queues:
            role = next(iter(self._queues))
            queue = self._queues.pop(role)
            size = self._give(role, *queue.popleft())
            if queue:
                self._queues[role] = queue
            await asyncio.sleep(size / self._rate)

    def _give(self, role: Role, key: bytes, make: Callable[[], list[Letter]]) -> int:
        """Answer; the number of bytes."""
        peer, size = self._peers[role], 0
        peer.waiting.discard(key)
        for letter in make():
            data = letters.encode(letter)
            size += len(data)
            self._ports.send(role, data)
        peer.given[key] = asyncio.get_running_loop().time()
        return size
