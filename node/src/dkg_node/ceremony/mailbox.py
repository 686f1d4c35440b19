"""Messages outside of slots: one topic byte in front, handed to who asked for the topic, sent again to new boots."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_node.ceremony.ports import Network
    from dkg_node.protocols.session import Group, Role

Topic = Literal["control", "certificate", "epoch"]
EARLY_LIMIT = 1 << 20
"""Bytes of one peer's letters that wait for a reader."""
TOPICS: tuple[Topic, ...] = ("control", "certificate", "epoch")


@dataclass(slots=True)
class Mailbox:
    """One party's letters. ``pump`` runs beside the ceremony on the same loop."""

    group: Group
    me: Role
    network: Network
    _handlers: dict[Topic, Callable[[Role, bytes], None]] = field(default_factory=dict)
    _on_boot: list[Callable[[Role], None]] = field(default_factory=list)
    _early: list[tuple[Role, bytes]] = field(default_factory=list)
    """Letters whose reader is not there yet."""
    _posted: list[bytes] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def on(self, topic: Topic, handler: Callable[[Role, bytes], None]) -> None:
        """Who reads a topic. Handlers take any bytes and never raise for them."""
        self._handlers[topic] = handler
        early, self._early = self._early, []
        for sender, payload in early:
            self._deliver(sender, payload)

    def on_boot(self, handler: Callable[[Role], None]) -> None:
        """Who else is told that a peer bound a new boot."""
        self._on_boot.append(handler)

    def send(self, role: Role, topic: Topic, message: bytes) -> None:
        """Post to one peer; the sender repeats it if need be."""
        self.network.post(role, bytes([TOPICS.index(topic)]) + message)

    def send_to_all(self, topic: Topic, message: bytes) -> None:
        """Post to every peer, and again to each new boot of one until ``forget``."""
        letter = bytes([TOPICS.index(topic)]) + message
        self._posted.append(letter)
        for peer in self.group.roles:
            if peer != self.me:
                self.network.post(peer, letter)

    async def pump(self) -> None:
        """Hand out letters for ever."""
        while True:
            letter = await self.network.inbox()
            if letter.payload is None:
                for message in self._posted:
                    self.network.post(letter.role, message)
                for handler in self._on_boot:
                    handler(letter.role)
            else:
                self._deliver(letter.role, letter.payload)
            await asyncio.sleep(0)  # a peer that posts without end must not keep the slots waiting

    async def news(self, patience: float) -> None:
        """Return when a letter was handed out since the last call, or after ``patience`` seconds."""
        try:
            async with asyncio.timeout(max(0.0, patience)):
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()

    def _deliver(self, sender: Role, payload: bytes) -> None:
        if payload and payload[0] < len(TOPICS) and sender in self.group.roles:
            handler = self._handlers.get(TOPICS[payload[0]])
            if handler is not None:
                handler(sender, payload[1:])
                self._news.set()
            elif sum(len(data) for role, data in self._early if role == sender) + len(payload) <= EARLY_LIMIT:
                self._early.append((sender, payload))
