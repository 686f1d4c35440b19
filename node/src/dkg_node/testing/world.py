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
    sid: Mapping[int, bytes] = field(default_factory=dict)
    round_timeout: float = 40.0

    async def start(self, roles: list[int] | None = None) -> World:
        """Start in order of index: a lower one listens before a higher one calls."""
        for role in roles or list(self.group.roles):
            await self.boot(role)
        return self

    async def boot(self, role: int, port: int = 0) -> PeerNetwork:
        """Start a party (again), with fresh key and certificate."""
        self.boots[role] = self.boots.get(role, 0) + 1
        self.tls[role] = TlsIdentity.fresh(role, datetime.now(UTC))
        settings = PeerSettings(
            self.group, role, self.sid.get(role, SID), Boot(self.boots[role], self.boots[role].to_bytes(16, "big")),
            self.tls[role], f"127.0.0.1:{port}", self.round_timeout, limits=self.limits,
        )  # fmt: skip
        network = PeerNetwork(settings, self.peers(role), clock=self.clock, thread=self.thread)
        await network.start()
        self.networks[role] = network
        self.introduce()
        return network

    def peers(self, me: int) -> dict[int, Peer]:
        return {
            role: Peer("127.0.0.1", self.port(me, role), self.tls[role].certificate)
            for role in self.tls
            if role != me and (role in self.networks or role > me)
        }

    def port(self, me: int, role: int) -> int:
        proxy = self.proxies.get((me, role))
        if proxy is not None:
            return proxy.port
        return self.networks[role].port if role in self.networks else 1

    def introduce(self) -> None:
        for role, network in self.networks.items():
            network.update_peers(self.peers(role))

    async def through_proxy(self, caller: int, listener: int) -> Proxy:
        """Lead the link of two started parties through a proxy."""
        proxy = await Proxy(self.networks[listener].port).start()
        self.proxies[caller, listener] = proxy
        self.networks[caller].update_peers(self.peers(caller))
        return proxy

    async def connected(self) -> None:
        """Wait until every pair of started parties has a stream."""
        for role, network in self.networks.items():
            await until(network, lambda network=network, role=role: network.connected() >= set(self.networks) - {role})

    def open_all(self, segment: int = 0, slots: int = 8, seconds: float = FAR) -> None:
        for network in self.networks.values():
            network.open_segment(segment, [network.now() + seconds] * slots)

    async def stop(self) -> None:
        for network in self.networks.values():
            await network.stop(linger=0)
        for proxy in self.proxies.values():
            await proxy.stop()


async def until(network: PeerNetwork, condition: Callable[[], bool]) -> None:
    """Wait for a condition on what a network tells about its peers."""
    while not condition():
        await network.status_change()


def ask(
    outgoing: Mapping[int, bytes], expect: Iterable[int], slot: int = 0, part: int = 0, **rules: Any
) -> Exchange:  # fmt: skip
    """Make an exchange in segment 0 (or ``segment``), with a generous limit."""
    tag = Tag(rules.pop("segment", 0), slot, part)
    return Exchange(tag, outgoing, frozenset(expect), rules.pop("limit", 1 << 26), **rules)
