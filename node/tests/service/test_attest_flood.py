"""Callers of the attest port who say nothing: one address keeps no other out, and nobody is held for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest

from dkg_node.protocols.session import Group
from dkg_node.service.channels import Boots, Channels, Identities
from dkg_node.testing.enclaves import Enclave, terms_of
from dkg_node.testing.forge import AT
from dkg_node.testing.world import eventually
from dkg_node.transport import attest
from dkg_node.transport.attest import METHOD, SERVICE, AttestPort, Limit, Listening, Reply
from dkg_node.transport.frames import Boot
from dkg_node.transport.network import NetworkThread, PeerNetwork, PeerSettings
from dkg_node.transport.settings import Lifetimes

TERMS = terms_of()
Attack = Callable[[AttestPort], Awaitable[Reply]]


def channels_of(party: int) -> Channels:
    """Of a caller without a network."""
    enclave, boots = Enclave(TERMS, party), Boots()
    speaker = enclave.speaker(newer=boots.newer)
    return Channels(speaker, enclave.channel_key, Identities(party, Lifetimes()), boots, lambda: AT)


@pytest.fixture
def thread() -> Iterator[NetworkThread]:
    thread = NetworkThread()
    yield thread
    thread.close()


def attacked(thread: NetworkThread, attack: Attack) -> Reply:
    """What the attack comes to against party 1's own port."""

    async def main() -> Reply:
        channels = channels_of(1)
        settings = PeerSettings(
            Group(4, 1), 1, bytes(32), Boot(1, bytes(16)), channels.shown(), "127.0.0.1:0", 40.0,
            attest_listen="127.0.0.1:0",
        )  # fmt: skip
        network = PeerNetwork(settings, {}, thread=thread, handshakes=Countable(channels))
        await network.start()
        try:
            async with asyncio.timeout(60):
                assert network._attest is not None

                async def there(port: AttestPort) -> Reply:
                    return await attack(port)

                return await thread.run(there(network._attest))
        finally:
            await network.stop(linger=0)

    return asyncio.run(main())


class Countable:
    """A party's handshakes, with methods that a test may replace."""

    def __init__(self, channels: Channels) -> None:
        self.dial, self.listen, self.shown = channels.dial, channels.listen, channels.shown


async def handshake(port: int) -> Reply:
    """Party 2's, with party 1."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        dialled = channels_of(2).dial(1)
        call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(f"/{SERVICE}/{METHOD}")()
        await call.write(dialled.hello())
        reply = dialled.response(await call.read())  # type: ignore[arg-type]
        if reply.message is not None:
            await call.write(reply.message)
        return reply if reply.refusal else dialled.confirmed(await call.read())  # type: ignore[arg-type]


@asynccontextmanager
async def silent_flood(port: AttestPort) -> AsyncIterator[None]:
    """33 connections from 127.0.0.1 with 4 streams each that say nothing; all that fit have reached the port."""
    listen, came = port.handshakes.listen, 0

    def counted() -> Listening:
        nonlocal came
        came += 1
        return listen()

    port.handshakes.listen = counted  # type: ignore[method-assign]
    options = [("grpc.use_local_subchannel_pool", 1)]
    lines = [grpc.aio.insecure_channel(f"127.0.0.1:{port.port}", options) for _ in range(33)]
    calls: list[grpc.aio.StreamStreamCall[bytes, bytes]] = [
        line.stream_stream(f"/{SERVICE}/{METHOD}")() for line in lines for _ in range(4)
    ]
    reads = [asyncio.ensure_future(call.read()) for call in calls]
    await eventually(lambda: came >= 128)
    try:
        yield
    finally:
        for call in calls:
            call.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
        for line in lines:
            await line.close()


async def from_another_address(port: int) -> Reply:
    """A handshake that comes from 127.0.0.2."""

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
        sink.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        await asyncio.gather(carry(reader, there[1]), carry(there[0], writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        return await handshake(server.sockets[0].getsockname()[1])
    finally:
        server.close()


@pytest.mark.parametrize("burst", [2.0, 1000.0], ids=["turned away", "within its rate"])
def test_an_address_that_floods_with_silence_keeps_no_other_out(thread: NetworkThread, burst: float) -> None:
    async def attack(port: AttestPort) -> Reply:
        port._buckets.limit = Limit(rate=0.0, burst=burst)
        async with silent_flood(port):
            return await from_another_address(port.port)

    reply = attacked(thread, attack)
    assert reply.pin is not None, reply.refusal


def test_who_says_nothing_is_not_held_for_as_long_as_a_handshake_may_take(
    thread: NetworkThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attest, "TIMEOUT", 3600.0)

    async def attack(port: AttestPort) -> Reply:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port.port}") as channel:
            call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(f"/{SERVICE}/{METHOD}")()
            assert not isinstance(await call.read(), bytes)
            assert await call.code() is grpc.StatusCode.OK
        return await handshake(port.port)

    assert attacked(thread, attack).pin is not None
