"""One live boot a party: what becomes of two copies, over mutual TLS on loopback (03 "Channel")."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dkg_node.errors import Superseded
from dkg_node.testing.world import SID, World, until
from dkg_node.transport.channel import Channel
from dkg_node.transport.frames import Boot, Refusal, decode_refusal, encode_refusal
from dkg_node.transport.network import Letter, PeerNetwork, TlsIdentity

Play = Callable[..., None]


async def untroubled(*networks: PeerNetwork) -> None:
    """None of them has been told that it is an older start."""
    for network in networks:
        assert not network._refused.is_set()


def test_a_second_copy_supersedes_and_the_first_stops(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start()
        await world.connected()
        first = world.networks[2]
        second = await world.boot(2)  # with a certificate of its own, as every start
        try:
            end = await first.ended()
            assert isinstance(end, Superseded)
            assert "stop all but one copy" in str(end)
            assert "clock" in str(end)
            await world.connected()
            for peer in (1, 3, 4):
                second.post(peer, b"second")
                letter = await world.networks[peer].inbox()
                assert letter == Letter(2, None), "the peer says that another boot was bound"
                assert await world.networks[peer].inbox() == Letter(2, b"second")
            await untroubled(second, *(world.networks[role] for role in (1, 3, 4)))
        finally:
            await first.stop(linger=0)

    play(scene)


def test_a_copy_with_the_same_certificate_is_refused_and_cuts_no_stream_of_the_newer(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start()
        await world.connected()
        first = world.networks[4]
        settings = world.settings(4)
        newer = replace(settings, boot=Boot(settings.boot.number + 1, b"another start..."))
        second = PeerNetwork(newer, world.peers(4), thread=world.thread)
        await second.start()
        try:
            while second.connected() != {1, 2, 3}:
                await second.status_change()
            assert isinstance(await first.ended(), Superseded)
            await until(first, lambda: all("older start" in status.reason for status in first.status().values()))
            assert second.connected() == {1, 2, 3}
            for peer in (1, 2, 3):
                assert 4 in world.networks[peer].connected(), "a refused copy is no reason to call the party away"
            await untroubled(second, *(world.networks[role] for role in (1, 2, 3)))
        finally:
            await first.stop(linger=0)
            world.networks[4] = second

    play(scene)


def test_a_start_with_a_smaller_number_stops_and_names_the_clock(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start()
        await world.connected()
        await world.networks.pop(3).stop(linger=0)
        world.boots[3] = -1
        older = await world.boot(3)
        end = await older.ended()
        assert "clock right" in str(end)
        await until(older, lambda: not older.connected())
        await untroubled(*(world.networks[role] for role in (1, 2, 4)))

    play(scene)


def test_another_certificate_of_the_same_start_supersedes_nobody_and_cuts_nothing(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start()
        await world.connected()
        two = world.networks[2]
        world.tls[2] = TlsIdentity.fresh(2, datetime.now(UTC))  # pinned by all peers before anybody shows it
        await world.introduce()
        told = asyncio.ensure_future(two.ended())
        for peer in (1, 3, 4):
            world.networks[peer].post(2, b"go on")
        letters = asyncio.ensure_future(_letters(two, 3))
        await asyncio.wait([told, letters], return_when=asyncio.FIRST_COMPLETED)
        assert not told.done(), "no newer start has bound"
        told.cancel()
        assert await letters == {(1, b"go on"), (3, b"go on"), (4, b"go on")}
        await untroubled(*world.networks.values())

    play(scene)


def test_a_stream_under_a_replaced_certificate_is_cut_in_the_end(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dkg_node.transport.hub.OVERLAP", 0.0)

    async def scene(world: World) -> None:
        await world.start([1, 2, 3])
        await world.connected()
        world.tls[2] = TlsIdentity.fresh(2, datetime.now(UTC))
        await world.introduce()
        for peer in (1, 3):
            network = world.networks[peer]
            await until(network, lambda network=network: 2 not in network.connected())
        await untroubled(*world.networks.values())

    play(scene)


async def _letters(network: PeerNetwork, count: int) -> set[tuple[int, bytes | None]]:
    letters = [await network.inbox() for _ in range(count)]
    return {(letter.role, letter.payload) for letter in letters}


def test_t_liars_can_stop_nobody(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        one = world.networks[1]
        for _ in range(5):
            one._refuse(2)
        await untroubled(one)
        one._refuse(3)
        await asyncio.wait_for(one.ended(), 1)

    play(scene)


def test_a_refusal_must_name_another_start_no_older_than_ones_own() -> None:
    channel = Channel(1, 2, SID, Boot(5, b"a" * 16), 100)
    good = Refusal(SID, 2, 1, Boot(6, b"b" * 16))
    assert channel.superseded(good)
    assert decode_refusal(encode_refusal(good)) == good
    for bad in (
        replace(good, boot=Boot(4, b"b" * 16)),
        replace(good, boot=Boot(6, b"a" * 16)),
        replace(good, boot=Boot(6, bytes(16))),
        replace(good, sid=bytes(32)),
        replace(good, sender=3),
        replace(good, receiver=4),
    ):
        assert not channel.superseded(bad)
    data = encode_refusal(good)
    assert decode_refusal(data[:-1]) is None
    assert decode_refusal(data + b"\x00") is None
    assert decode_refusal(b"dkg1" + data[4:]) is None
