"""What attestation costs a stream: two parties over loopback, once with attested channels, once with told certificates.

Both kinds run in turns in one process, so that what else the machine does hits both. A stream's bytes take the same way
in both: what is different is how its pin came about, and the MAC at its beginning.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from dkg_node.attestation.binding import ChannelKey
from dkg_node.protocols.session import Exchange, Group, Tag
from dkg_node.service.channels import Boots, Channels, Identities
from dkg_node.transport.frames import Boot
from dkg_node.transport.network import Peer, PeerNetwork, PeerSettings
from dkg_node.transport.settings import Lifetimes
from dkg_node.transport.tls import TlsIdentity
from dkg_node_software.agreement import Pace, agree
from dkg_node_software.bench_attest import RELEASE, speaker

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from dkg_api.terms import Terms

MIB = 1 << 20
WINDOW = 8
"""Messages of a MiB under way at a time, as in the offline phase."""
ROUNDS = 7
HOST = "127.0.0.1"
FAR = 3600.0
SENDER, TAKER = 2, 1


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """One stream, one way. Overheads are of attested over plain, as fractions: 0.05 is 5 % more."""

    mebibytes: int
    """A round."""
    rounds: int
    attested_mb_per_second: float
    """Of the fastest round."""
    plain_mb_per_second: float
    attested_cpu_seconds_per_gb: float
    """Of both ends together, of the round that took least."""
    plain_cpu_seconds_per_gb: float
    overhead_time: float
    overhead_cpu: float


@dataclass(frozen=True, slots=True)
class _End:
    """A party's network and what the other one is told of it."""

    network: PeerNetwork
    certificate: str

    def peer(self) -> Peer:
        """Its address; a certificate that nobody reads where parties attest."""
        return Peer(HOST, self.network.port, self.certificate, self.network.attest_port)


@dataclass(slots=True)
class _Pair:
    """Sender and taker of one kind of channel, and what its best round took."""

    ends: dict[int, _End]
    seconds: float = float("inf")
    cpu: float = float("inf")
    segment: int = -1

    async def start(self) -> None:
        """Return when there is a stream."""
        for end in self.ends.values():
            await end.network.start()
        for me, end in self.ends.items():
            end.network.update_peers({role: other.peer() for role, other in self.ends.items() if role != me})
        taker = self.ends[TAKER].network
        while SENDER not in taker.connected():
            await taker.status_change()

    async def round(self, mebibytes: int) -> None:
        """Carry so much and remember what the best round took."""
        self.segment += 1
        for end in self.ends.values():
            end.network.open_segment(self.segment, [end.network.now() + FAR])
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(self._run(SENDER, mebibytes), self._run(TAKER, mebibytes))
        self.seconds = min(self.seconds, time.perf_counter() - began)
        self.cpu = min(self.cpu, time.process_time() - cpu)
        for end in self.ends.values():
            end.network.close_segment(self.segment)

    async def _run(self, me: int, mebibytes: int) -> None:
        network, body = self.ends[me].network, bytes(MIB)
        sent, expect = ({TAKER: body}, set[int]()) if me == SENDER else ({}, {SENDER})

        async def one(part: int) -> None:
            await network.exchange(Exchange(Tag(self.segment, 0, part), sent, frozenset(expect), MIB))

        parts: list[Callable[[], Awaitable[None]]] = [partial(one, part) for part in range(1, mebibytes + 1)]
        await network.parallel(parts, WINDOW)

    async def stop(self) -> None:
        """End both."""
        for end in self.ends.values():
            await end.network.stop(linger=0)


def channel_row(mebibytes: int, rounds: int = ROUNDS) -> ChannelRow:
    """Measure both kinds. ``mebibytes``: of a round."""
    return asyncio.run(_measure(mebibytes, rounds))


async def _measure(mebibytes: int, rounds: int) -> ChannelRow:
    group = Group(4, 1)
    agreement = agree("test", group, [RELEASE], Pace(), None)
    attested = _Pair({i: _end(group, i, _channels(agreement.terms, i, agreement.keys[i])) for i in (TAKER, SENDER)})
    plain = _Pair({i: _end(group, i, None) for i in (TAKER, SENDER)})
    pairs = (attested, plain)
    try:
        for pair in pairs:
            await pair.start()
        for number in range(rounds):
            for pair in pairs[:: 1 if number % 2 else -1]:  # neither kind is always the second
                await pair.round(mebibytes)
    finally:
        for pair in pairs:
            await pair.stop()
    size = mebibytes * MIB
    return ChannelRow(
        mebibytes=mebibytes,
        rounds=rounds,
        attested_mb_per_second=round(size / attested.seconds / 1e6, 1),
        plain_mb_per_second=round(size / plain.seconds / 1e6, 1),
        attested_cpu_seconds_per_gb=round(attested.cpu / size * 1e9, 3),
        plain_cpu_seconds_per_gb=round(plain.cpu / size * 1e9, 3),
        overhead_time=round(attested.seconds / plain.seconds - 1, 4),
        overhead_cpu=round(attested.cpu / plain.cpu - 1, 4),
    )


def _channels(terms: Terms, party: int, organization: Ed25519PrivateKey) -> Channels:
    key, boots = ChannelKey.fresh(), Boots()
    own = replace(speaker(terms, party, organization, key), newer=boots.newer)
    return Channels(own, key, Identities(party, Lifetimes()), boots)


def _end(group: Group, me: int, channels: Channels | None) -> _End:
    tls = TlsIdentity.fresh(me, datetime.now(UTC))
    said = None if channels is None else channels.speaker.statement
    boot = Boot(1, os.urandom(16)) if said is None else Boot(said.boot_number, said.boot_id)  # streams greet as it
    settings = PeerSettings(group, me, bytes(32), boot, tls, f"{HOST}:0", FAR, attest_listen=f"{HOST}:0")
    return _End(PeerNetwork(settings, {}, handshakes=channels), tls.certificate)
