"""Letters that wait for their reader: one queue a peer, served in turn, so that a liar's flood delays only itself."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg_node.transport.mailbox import cost

if TYPE_CHECKING:
    from dkg_node.protocols.session import Role
    from dkg_node.transport.settings import Letter


@dataclass(slots=True)
class Inbox:
    """Letters of all peers, in order for each of them; of those who have some waiting, each gives one in turn."""

    limit: int
    """Bytes of one peer's letters that may wait; what goes beyond is dropped."""
    _queues: dict[Role, deque[Letter]] = field(default_factory=dict)
    """Of those who have letters waiting, next one first."""
    _bytes: Counter[Role] = field(default_factory=Counter)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, letter: Letter) -> bool:
        """Queue a letter; whether there was room."""
        size = cost(letter.payload or b"")
        if self._bytes[letter.role] + size > self.limit:
            return False
        self._bytes[letter.role] += size
        self._queues.setdefault(letter.role, deque()).append(letter)
        self._came.set()
        return True

    async def get(self) -> Letter:
        """The next letter; one reader at a time."""
        while not self._queues:
            self._came.clear()
            await self._came.wait()
        role = next(iter(self._queues))
        queue = self._queues.pop(role)
        letter = queue.popleft()
        if queue:
            self._queues[role] = queue  # behind all others
        self._bytes[role] -= cost(letter.payload or b"")
        return letter
