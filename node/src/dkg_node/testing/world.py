"""Whole networks of a group in one process, over real sockets and TLS, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dkg_node.protocols.session import Exchange, Group, Tag
from dkg_node.testing.links import ManualClock, Proxy
from dkg_node.transport.network import Boot, Limits, NetworkThread, Peer, PeerNetwork, PeerSettings, TlsIdentity

SID = bytes(range(32))
FAR = 600.0
"""A deadline no honest exchange of a test comes near."""


@dataclass
class World:
    """Networks of one group in one process, which share gRPC's thread."""

    group: Group
    thread: NetworkThread
    clock: ManualClock | None = None
    networks: dict[int, PeerNetwork] = field(default_factory=dict)
    proxies: dict[tuple[int, int], Proxy] = field(default_factory=dict)
    tls: dict[int, TlsIdentity] = field(default_factory=dict)
    boots: dict[int, int] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    sids: Mapping[int, bytes] = field(default_factory=dict)
    """Where a party's differs."""
    via: Iterable[tuple[int, int]] = ()
    """(caller, listener) pairs whose link leads through a proxy."""
    round_timeout: float = 40.0

    async def start(self, roles: Iterable[int] | None = None) -> World:
        """Start in order of index: a lower one listens before a higher one calls."""
        for role in roles or self.group.roles:
            await self.boot(role)
        return self

    async def boot(self, role: int, port: int = 0) -> PeerNetwork:
        """Start a party, or start it again: with fresh key, certificate and boot."""
        self.boots[role] = self.boots.get(role, 0) + 1
        self.tls[role] = TlsIdentity.fresh(role, datetime.now(UTC))
        for caller, listener in self.via:
            if caller == role and (caller, listener) not in self.proxies:
                self.proxies[caller, listener] = await Proxy(self.networks[listener].port).start()
        network = PeerNetwork(self.settings(role, port), self.peers(role), clock=self.clock, thread=self.thread)
        await network.start()
        self.networks[role] = network
        await self.introduce()
        return network

    async def introduce(self) -> None:
        """Tell all started parties of all that were ever started; returns when that is in force."""
        for role, network in self.networks.items():
            network.update_peers(self.peers(role))
        await self.thread.run(asyncio.sleep(0))

    def settings(self, role: int, port: int = 0) -> PeerSettings:
        """Settings of a party's present boot."""
        boot = Boot(self.boots[role], self.boots[role].to_bytes(16, "big"))
        sid = self.sids.get(role, SID)
        return PeerSettings(
            self.group, role, sid, boot, self.tls[role], f"127.0.0.1:{port}", self.round_timeout, limits=self.limits
        )

    def peers(self, me: int) -> dict[int, Peer]:
        """What a party is told about the others that have ever been started."""
        return {
            role: Peer("127.0.0.1", self._port(me, role), tls.certificate)
            for role, tls in self.tls.items()
            if role != me
        }

    def _port(self, me: int, role: int) -> int:
        if (me, role) in self.proxies:
            return self.proxies[me, role].port
        return self.networks[role].port if role in self.networks else 1

    async def connected(self) -> None:
        """Wait until every pair of started parties has a stream."""
        for role, network in self.networks.items():
            others = set(self.networks) - {role}
            while not network.connected() >= others:
                await network.status_change()

    async def delivered(self) -> None:
        """Wait until all that was sent to started parties has been taken by them."""
        await asyncio.sleep(0)  # tasks made just before begin
        pairs = [(me, other) for me in self.networks for other in self.networks if me != other]
        await eventually(lambda: not any(self.networks[me].backlog(other) for me, other in pairs))

    def open_all(self, segment: int = 0, slots: int = 8, seconds: float = FAR) -> None:
        """Open a segment everywhere, all slots with one deadline."""
        for network in self.networks.values():
            network.open_segment(segment, [network.now() + seconds] * slots)

    async def stop(self) -> None:
        """Stop everything."""
        for network in self.networks.values():
            await network.stop(linger=0)
        for proxy in self.proxies.values():
            await proxy.stop()


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what nothing announces; how long it takes decides nothing."""
    while not condition():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.001)


async def until(network: PeerNetwork, condition: Callable[[], bool]) -> None:
    """Wait for a condition on what a network tells about its peers."""
    while not condition():
        await network.status_change()


def ask(outgoing: Mapping[int, bytes], expect: Iterable[int], slot: int = 0, part: int = 0, **rules: Any) -> Exchange:
    """Make an exchange in segment 0 (or ``segment``), with a generous limit."""
    tag = Tag(rules.pop("segment", 0), slot, part)
    return Exchange(tag, outgoing, frozenset(expect), rules.pop("limit", 1 << 26), **rules)
