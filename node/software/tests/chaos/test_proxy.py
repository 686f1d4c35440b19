"""A faulty link carries bytes late or not at all, never others."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import combinations
from typing import Any

import pytest

from dkg_node.protocols.session import Group
from dkg_node_software.chaos.proxy import HELD, HOST, Link, Proxies

PATIENCE = 20.0
SHORT = 0.2
"""How long a test waits for bytes that must not come."""

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Ends:
    """A link with a listener behind it; ``call`` gives both ends of a new connection."""

    def __init__(self, link: Link, came: asyncio.Queue[Pair]) -> None:
        self.link, self._came = link, came
        self._writers: list[asyncio.StreamWriter] = []

    async def call(self) -> tuple[Pair, Pair]:
        mine = await asyncio.open_connection(HOST, self.link.port)
        other = await self._came.get()
        self._writers += [mine[1], other[1]]
        return mine, other

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def linked() -> AsyncIterator[Ends]:
    came: asyncio.Queue[Pair] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await came.put((reader, writer))

    server = await asyncio.start_server(accept, HOST, 0)
    link = Link(1, 2, server.sockets[0].getsockname()[1])
    await link.start()
    ends = Ends(link, came)
    try:
        yield ends
    finally:
        ends.hang_up()
        await link.stop()
        server.close()


def play(scene: Callable[[Ends], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(PATIENCE), linked() as ends:
            await scene(ends)

    asyncio.run(main())


async def silent(reader: asyncio.StreamReader) -> bool:
    """Whether nothing comes for a moment."""
    try:
        await asyncio.wait_for(reader.read(1), SHORT)
    except TimeoutError:
        return True
    return False


def test_bytes_arrive_whole_and_in_order_both_ways() -> None:
    async def scene(ends: Ends) -> None:
        (reader, writer), (there, back) = await ends.call()
        data, answer = os.urandom(3 * HELD), os.urandom(HELD)
        writer.write(data)
        back.write(answer)
        assert await there.readexactly(len(data)) == data
        assert await reader.readexactly(len(answer)) == answer
        assert ends.link.down.carried == len(data)
        assert ends.link.up.carried == len(answer)

    play(scene)


def test_an_end_of_stream_passes_and_leaves_the_other_direction_open() -> None:
    async def scene(ends: Ends) -> None:
        (reader, writer), (there, back) = await ends.call()
        writer.write_eof()
        assert await there.read() == b""
        back.write(b"still here")
        assert await reader.readexactly(10) == b"still here"

    play(scene)


def test_a_partition_holds_what_is_sent_and_gives_it_out_when_it_heals() -> None:
    async def scene(ends: Ends) -> None:
        (_, writer), (there, _) = await ends.call()
        ends.link.down.cut()
        writer.write(b"held")
        assert await silent(there)
        ends.link.down.heal()
        assert await there.readexactly(4) == b"held"

    play(scene)


def test_a_partition_one_way_leaves_the_other_way_alone() -> None:
    async def scene(ends: Ends) -> None:
        (reader, writer), (there, back) = await ends.call()
        ends.link.way(2).cut()
        back.write(b"through")
        writer.write(b"held")
        assert await reader.readexactly(7) == b"through"
        assert await silent(there)

    play(scene)


def test_a_new_connection_does_not_get_around_a_partition() -> None:
    async def scene(ends: Ends) -> None:
        ends.link.down.cut()
        (_, writer), (there, _) = await ends.call()
        writer.write(b"held")
        assert await silent(there)

    play(scene)


def test_a_way_cut_twice_is_open_only_when_both_cuts_are_healed() -> None:
    async def scene(ends: Ends) -> None:
        (_, writer), (there, _) = await ends.call()
        way = ends.link.down
        way.cut()
        way.cut()
        way.heal()
        writer.write(b"held")
        assert await silent(there)
        way.heal()
        assert await there.readexactly(4) == b"held"

    play(scene)


def test_delay_holds_bytes_back_and_keeps_their_order() -> None:
    async def scene(ends: Ends) -> None:
        (_, writer), (there, _) = await ends.call()
        loop = asyncio.get_running_loop()
        ends.link.down.delay, began = SHORT, loop.time()
        writer.write(b"first ")
        await writer.drain()
        first = await there.readexactly(6)
        held = loop.time() - began
        ends.link.down.delay = 0.0
        writer.write(b"second")
        assert first + await there.readexactly(6) == b"first second"
        assert held >= SHORT

    play(scene)


def test_a_narrow_line_needs_its_time() -> None:
    async def scene(ends: Ends) -> None:
        (_, writer), (there, _) = await ends.call()
        loop = asyncio.get_running_loop()
        ends.link.down.rate, began = 1e6, loop.time()
        writer.write(bytes(300_000))
        await there.readexactly(300_000)
        assert loop.time() - began >= 0.3

    play(scene)


def test_a_reset_ends_connections_and_lets_new_ones_through() -> None:
    async def scene(ends: Ends) -> None:
        (reader, _), (there, _) = await ends.call()
        ends.link.reset()
        for end in (reader, there):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await end.readexactly(1)
        (_, writer), (there, _) = await ends.call()
        writer.write(b"again")
        assert await there.readexactly(5) == b"again"

    play(scene)


def test_a_dead_listener_ends_the_callers_connection() -> None:
    async def scene(ends: Ends) -> None:
        (reader, _), (_, back) = await ends.call()
        back.transport.abort()
        assert await reader.read() == b""

    play(scene)


@pytest.mark.parametrize("t", [1, 4])
def test_every_pair_of_parties_has_one_link_and_only_the_caller_goes_through_it(t: int) -> None:
    async def main() -> None:
        group = Group(3 * t + 1, t)
        proxies = Proxies(group, {role: 1000 + role for role in group.roles})
        await proxies.start()
        try:
            assert set(proxies.links) == set(combinations(group.roles, 2))
            assert all(proxies.port(high, low) == link.port for (low, high), link in proxies.links.items())
            assert all(proxies.port(low, high) == 1000 + high for low, high in proxies.links)
        finally:
            await proxies.stop()

    asyncio.run(main())


def test_the_ways_of_a_party_are_what_it_sends_and_what_it_gets() -> None:
    async def main() -> None:
        group = Group(4, 1)
        proxies = Proxies(group, dict.fromkeys(group.roles, 1))
        out, into = proxies.ways(2, "out"), proxies.ways(2, "in")
        assert len(out) == len(into) == 3
        assert not [way for way in out if any(way is other for other in into)]
        assert [id(way) for way in proxies.ways(2, "out", [1])] == [id(proxies.links[1, 2].down)]

    asyncio.run(main())
