"""Back-pressure of the sending side: an exchange waits for room towards a peer, as long as the peer keeps up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dkg_node.protocols.session import Role
    from dkg_node.transport.flow import Flow
    from dkg_node.transport.settings import Clock


@dataclass(slots=True, eq=False)
class _Waiter:
    """A message in front of the gate."""

    size: int
    turn: asyncio.Future[None]


@dataclass(slots=True)
class Gates:
    """One gate a peer. On the protocol's loop.

    A peer that acknowledges less than ``min_rate`` during a grace is *clogged*: nobody waits for it until its backlog
    is down to half. So a peer that is gone or slower than the terms allow costs one grace, and an honest slow one is
    waited for.
    """

    flow: Flow
    clock: Clock
    limit: int
    """Bytes of backlog above which the gate is shut."""
    min_rate: float
    """Bytes a second."""
    grace: float
    """Seconds."""
    _clogged: set[Role] = field(default_factory=set)
    _waiting: dict[Role, list[_Waiter]] = field(default_factory=dict)

    def open(self, role: Role) -> bool:
        """Whether a message may be sent at once."""
        backlog = self.flow.backlog(role)
        if role in self._clogged and backlog <= self.limit // 2:
            self._clogged.discard(role)
        return role in self._clogged or (backlog < self.limit and not self._waiting.get(role))

    def waits_for(self, role: Role) -> bool:
        """Whether somebody waits for room towards the peer."""
        return bool(self._waiting.get(role))

    async def admit(self, role: Role, size: int, deadline: float) -> None:
        """Wait for room, in order of asking; at most until the deadline, or until the peer is found clogged."""
        while not self.open(role):
            done, began = self.flow.done(role), self.clock.now()
            admitted = await self._wait(role, size, min(deadline, began + self.grace))
            if admitted or self.clock.now() >= deadline:
                return
            if self.flow.done(role) - done < self.min_rate * (self.clock.now() - began):
                self._clogged.add(role)
                for waiter in self._waiting.get(role, []):
                    _give(waiter)

    async def _wait(self, role: Role, size: int, until: float) -> bool:
        """Whether the turn came before that time."""
        waiter = _Waiter(size, asyncio.get_running_loop().create_future())
        queue = self._waiting.setdefault(role, [])
        queue.append(waiter)
        timer = self.clock.call_at(until, lambda: _cancel(waiter))
        try:
            await asyncio.wait([waiter.turn])
        finally:
            timer.cancel()
            queue.remove(waiter)
        return not waiter.turn.cancelled()

    def freed(self, role: Role) -> None:
        """There is more room: let the first ones go, as many as fit."""
        room = self.limit - self.flow.backlog(role)
        for waiter in self._waiting.get(role, []):
            if room <= 0:
                return
            room -= waiter.size
            _give(waiter)


def _cancel(waiter: _Waiter) -> None:
    waiter.turn.cancel()


def _give(waiter: _Waiter) -> None:
    if not waiter.turn.done():
        waiter.turn.set_result(None)
