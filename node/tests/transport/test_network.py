"""Whole networks over mutual TLS on loopback: what they deliver, and what they do when links or peers fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from hashlib import sha256

import pytest

from dkg_node.errors import UsageError
from dkg_node.protocols.session import Group, Tag
from dkg_node.testing.links import ManualClock, Proxy
from dkg_node.testing.world import World, ask, eventually, until
from dkg_node.transport.network import Letter, Limits, PeerNetwork

MIB = 1 << 20
Play = Callable[..., None]


def everybody(group: Group, body: bytes) -> dict[int, bytes]:
    return dict.fromkeys(group.roles, body)


def test_four_parties_exchange_one_message_each_with_everybody(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start()
        world.open_all()
        got = await asyncio.gather(
            *(
                network.exchange(ask(everybody(world.group, bytes([role]) * role), world.group.roles))
                for role, network in world.networks.items()
            )
        )
        assert all(result == {role: bytes([role]) * role for role in world.group.roles} for result in got)

    play(scene)


async def swap(world: World, parts: int, size: int, window: int = 8) -> None:
    """Parties 1 and 2 exchange ``parts`` messages of ``size`` bytes, all different, and check each."""

    def body(role: int, part: int) -> bytes:
        return sha256(bytes([role]) + part.to_bytes(4, "big")).digest() * (size // 32)

    async def one(network: PeerNetwork, me: int, peer: int, part: int) -> None:
        got = await network.exchange(ask({peer: body(me, part)}, [peer], part=part))
        assert got[peer] == body(peer, part)

    async def side(me: int, peer: int) -> None:
        network = world.networks[me]
        await network.parallel([lambda part=part: one(network, me, peer, part) for part in range(parts)], window)

    await asyncio.gather(side(1, 2), side(2, 1))


def test_a_link_cut_in_mid_message_again_and_again_loses_and_doubles_nothing(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.boot(1)
        world.proxies[2, 1] = proxy = await Proxy(world.networks[1].port).start()
        proxy.cut_after = [700_000 + 900_000 * number for number in range(6)]
        await world.boot(2)
        world.open_all()
        await swap(world, parts=12, size=MIB + 4096)
        assert proxy.cut_after == []
        for role in (1, 2):
            counters = world.networks[role].counters()
            assert counters.get("duplicate", 0) == counters.get("late", 0) == counters["damaged"] == 0
        sent = sum(row.sent_payload for row in world.networks[2].traffic() if row.slot == 0)
        assert sent == 12 * (MIB + 4096)
        total = sum(row.sent_total for row in world.networks[2].traffic() if row.slot == 0)
        assert total > sent + 6 * 100_000, "cut frames were sent again"

    play(scene)


def test_both_sides_count_the_same_bytes(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        world.open_all()
        await swap(world, parts=5, size=3 * MIB)
        rows = {role: [row for row in world.networks[role].traffic() if row.slot == 0] for role in (1, 2)}
        for me, peer in ((1, 2), (2, 1)):
            (mine,), (theirs,) = rows[me], rows[peer]
            assert mine.sent_payload == theirs.received_payload == 15 * MIB
            assert mine.sent_total == theirs.received_total
            assert mine.sent_payload < mine.sent_total < 1.001 * mine.sent_payload

    play(scene)


def test_a_peer_that_was_away_gets_what_was_sent_meanwhile(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        proxy = world.proxies[2, 1]
        await world.connected()
        proxy.refusing = True
        proxy.cut()
        await until(world.networks[2], lambda: not world.networks[2].connected())
        world.open_all()
        exchanges = asyncio.ensure_future(swap(world, parts=3, size=64))
        await until(world.networks[2], lambda: "party 1 at" in world.networks[2].status()[1].reason)
        assert not exchanges.done()
        proxy.refusing = False
        await exchanges

    play(scene, via=[(2, 1)])


def test_an_unreachable_peer_is_one_clear_line_and_the_others_go_on(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.boot(1)
        listener = world.networks.pop(1)
        await world.boot(2)  # was told port 1
        await until(world.networks[2], lambda: "refused" in world.networks[2].status()[1].reason)
        assert world.networks[2].status()[1].reason == (
            "party 1 at 127.0.0.1:1 can't be reached (connection refused): start it or correct its address"
        )
        assert world.networks[2].connected() == frozenset()
        world.networks[1] = listener
        await world.introduce()
        await world.connected()

    play(scene)


def test_a_busy_port_is_one_clear_line(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1])
        with pytest.raises(UsageError, match="choose another port"):
            await world.boot(2, port=world.networks[1].port)

    play(scene)


def test_a_foreign_ceremony_is_refused_on_both_sides_with_the_reason(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        for me, peer in ((1, 2), (2, 1)):
            network = world.networks[me]
            await until(network, lambda n=network, p=peer: "another ceremony" in n.status()[p].reason)
            assert f"party {peer}" in network.status()[peer].reason
            assert network.connected() == frozenset()

    play(scene, sids={2: bytes(32)})


def test_letters_come_in_order_outside_of_any_segment(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start()
        for sender in (2, 3, 4):
            for number in range(20):
                world.networks[sender].post(1, bytes([number]))
        got: dict[int, list[bytes | None]] = {2: [], 3: [], 4: []}
        for _ in range(60):
            letter = await world.networks[1].inbox()
            got[letter.role].append(letter.payload)
        assert all(found == [bytes([number]) for number in range(20)] for found in got.values())
        world.networks[1].post(1, b"to myself")
        assert await world.networks[1].inbox() == Letter(1, b"to myself")

    play(scene)


def test_a_flood_of_letters_delays_an_honest_one_by_one_letter_of_each_flooder(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start()
        one = world.networks[1]
        for flooder in (3, 4):
            for number in range(500):
                world.networks[flooder].post(1, b"%d" % number)
        await eventually(lambda: one._letters._bytes.keys() >= {3, 4})
        world.networks[2].post(1, b"honest")
        await eventually(lambda: 2 in one._letters._bytes)
        assert Letter(2, b"honest") in [await one.inbox() for _ in range(3)]

    play(scene)


def test_a_new_boot_of_a_peer_begins_anew_and_is_told(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        await world.connected()
        world.networks[1].post(2, b"before")
        assert await world.networks[2].inbox() == Letter(1, b"before")
        await world.networks.pop(2).stop(linger=0)
        world.networks[1].post(2, b"for the old boot")
        await world.boot(2)
        assert await world.networks[1].inbox() == Letter(2, None)
        world.networks[1].post(2, b"after")
        assert await world.networks[2].inbox() == Letter(1, b"after")

    play(scene)


def test_a_peer_that_stops_on_purpose_says_so(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        await world.connected()
        two = world.networks[2]
        await world.networks.pop(1).stop(linger=0)
        await until(two, lambda: not two.connected())
        assert "it is stopping" in two.status()[1].reason or "refused" in two.status()[1].reason

    play(scene)


def test_what_was_sent_arrives_before_a_stop(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        await world.connected()
        world.open_all()
        await world.networks[1].exchange(ask({2: bytes(5 * MIB)}, []))
        await world.networks.pop(1).stop(linger=60)
        assert await world.networks[2].exchange(ask({}, [1])) == {1: bytes(5 * MIB)}

    play(scene)


def test_an_older_boot_is_refused(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        await world.connected()
        await world.networks.pop(2).stop(linger=0)
        world.boots[2] = -1
        older = await world.boot(2)
        await until(older, lambda: "older start" in older.status()[1].reason)
        assert "run each party once" in older.status()[1].reason
        assert older.connected() == frozenset()

    play(scene)


# --- slots


def test_a_silent_party_is_none_at_the_deadline_and_not_before(play: Play, manual_clock: ManualClock) -> None:
    async def scene(world: World) -> None:
        await world.start()
        world.open_all(seconds=50)
        running = [
            asyncio.ensure_future(world.networks[role].exchange(ask(everybody(world.group, b"x"), world.group.roles)))
            for role in (1, 2, 3)
        ]
        await world.delivered()
        manual_clock.advance(49.9)
        await world.delivered()
        assert not any(task.done() for task in running)
        manual_clock.advance(0.2)
        for result in await asyncio.gather(*running):
            assert result == {1: b"x", 2: b"x", 3: b"x", 4: None}

    play(scene, clock=manual_clock)


def test_the_slow_are_left_behind_after_a_grace_when_there_is_enough(play: Play, manual_clock: ManualClock) -> None:
    async def scene(world: World) -> None:
        await world.start()
        world.open_all(seconds=500)
        three = (1, 2, 3)

        def run(slot: int) -> list[asyncio.Task[object]]:
            return [
                asyncio.ensure_future(
                    world.networks[role].exchange(
                        ask(everybody(world.group, b"x"), world.group.roles, slot, enough=lambda got: len(got) >= 3)
                    )
                )
                for role in three
            ]

        first = run(0)
        await world.delivered()
        assert not any(task.done() for task in first), "grace first"
        manual_clock.advance(10.0)  # a quarter of roundTimeout
        assert all(result == {1: b"x", 2: b"x", 3: b"x", 4: None} for result in await asyncio.gather(*first))
        second = run(1)  # party 4 is lagging now: nobody waits for it
        assert all(result == {1: b"x", 2: b"x", 3: b"x", 4: None} for result in await asyncio.gather(*second))
        assert manual_clock.now() == 1010.0

    play(scene, clock=manual_clock)


def test_messages_over_the_limit_are_none_at_once(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        world.open_all()
        long, got = await asyncio.gather(
            world.networks[1].exchange(ask({2: bytes(1001)}, [2])),
            world.networks[2].exchange(ask({1: bytes(1000)}, [1], limit=1000)),
        )
        assert long == {2: bytes(1000)}
        assert got == {1: None}
        assert world.networks[2].counters()["oversize"] == 1

    play(scene)


def test_messages_ahead_of_the_receiver_wait_for_its_segment(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        ahead = world.networks[1]
        ahead.open_segment(0, [ahead.now() + 500])
        for segment in (0, 1):
            if segment:
                ahead.close_segment(segment - 1)
                ahead.open_segment(segment, [ahead.now() + 500])
            await ahead.exchange(ask({2: b"segment %d" % segment}, [], segment=segment))
        late = world.networks[2]
        for segment in (0, 1):
            late.open_segment(segment, [late.now() + 500])
            assert await late.exchange(ask({}, [1], segment=segment)) == {1: b"segment %d" % segment}
            late.close_segment(segment)

    play(scene)


def test_a_message_after_its_exchange_ended_is_dropped_and_counted(play: Play, manual_clock: ManualClock) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        world.open_all(seconds=50)
        waiting = asyncio.ensure_future(world.networks[1].exchange(ask({}, [2])))
        await asyncio.sleep(0)
        manual_clock.advance(51)
        assert await waiting == {2: None}
        await world.networks[2].exchange(ask({1: b"too late"}, []))
        await world.delivered()
        assert world.networks[1].counters()["late"] == 1

    play(scene, clock=manual_clock)


def test_a_body_that_is_named_is_pulled_from_whom_names_it(play: Play) -> None:
    body = bytes(3 * MIB)
    digest = sha256(body).digest()

    async def scene(world: World) -> None:
        await world.start()
        world.open_all()
        world.networks[2].offer(digest, body)
        one = world.networks[1]
        got, *_ = await asyncio.gather(
            one.exchange(ask({}, [2], names=lambda _, message: [message], body_limit=len(body))),
            world.networks[2].exchange(ask({1: digest}, [])),
        )
        assert got == {2: digest}
        assert one.held(digest) == body
        rows = [row for row in world.networks[2].traffic() if row.role == 1 and row.slot == 0]
        assert sum(row.sent_payload for row in rows) == 32 + 32 + len(body), "counted where it was wanted"

    play(scene)


def test_a_peer_that_asks_for_a_body_without_end_gets_it_a_bounded_number_of_times(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = bytes(1000)
    digest = sha256(body).digest()

    async def scene(world: World) -> None:
        monkeypatch.setattr("dkg_node.transport.network.MOST_WANTS", 5)
        await world.start([1, 2, 3])
        await world.connected()
        world.open_all()
        world.networks[1].offer(digest, body)
        for peer, times in ((2, 50), (3, 1)):
            for _ in range(times):
                world.networks[peer].pull(1, Tag(0, 3, 0), digest)
            asked = world.networks[1].exchange(ask({}, [peer], slot=4 + peer))
            await asyncio.gather(asked, world.networks[peer].exchange(ask({1: b"that's all"}, [], slot=4 + peer)))
        await world.delivered()
        sent = Counter({row.role: row.sent_payload for row in world.networks[1].traffic() if row.slot == 3})
        assert sent == {2: 5 * (32 + len(body)), 3: 32 + len(body)}
        for segment in (1, 2):
            world.networks[1].close_segment(segment - 1)
            world.networks[1].open_segment(segment, [world.networks[1].now() + 10])
        world.networks[1].close_segment(2)
        assert not world.networks[1]._served, "what is no longer served is not counted"

    play(scene)


def test_who_names_a_body_it_does_not_have_holds_up_nobody_for_longer_than_the_slot(
    play: Play, manual_clock: ManualClock
) -> None:
    body = b"the body"
    digest = sha256(body).digest()

    async def scene(world: World) -> None:
        await world.start()
        world.open_all(seconds=100)
        world.networks[3].offer(digest, body)
        one = world.networks[1]
        running = asyncio.ensure_future(
            one.exchange(ask({}, [2, 3], names=lambda _, message: [message], body_limit=100))
        )
        await world.networks[2].exchange(ask({1: digest}, []))  # the liar is asked first, perhaps
        await world.networks[3].exchange(ask({1: digest}, []))
        assert await running == {2: digest, 3: digest}
        assert one.held(digest) == body

    play(scene, clock=manual_clock)


def test_children_overlap_in_a_bounded_window_and_start_in_order(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1])
        network, running, most, started = world.networks[1], 0, 0, []

        async def child(number: int) -> int:
            nonlocal running, most
            started.append(number)
            running += 1
            most = max(most, running)
            for _ in range(number % 3):
                await asyncio.sleep(0)
            running -= 1
            return number * number

        results = await network.parallel([lambda i=i: child(i) for i in range(50)], 4)
        assert results == [number * number for number in range(50)]
        assert most == 4
        assert started == list(range(50))

    play(scene)


def test_the_first_error_of_a_child_ends_the_others_and_is_raised_itself(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1])
        world.open_all()
        network = world.networks[1]

        async def waits(part: int) -> None:
            await network.exchange(ask({}, [2], part=part))

        async def fails() -> None:
            raise UsageError("this one")

        with pytest.raises(UsageError, match="this one"):
            await network.parallel([lambda: waits(1), fails, lambda: waits(2)], 3)
        assert not network._mailbox.open_positions[0, 0].pending, "nobody waits for what was called off"

    play(scene)


# --- back-pressure


def test_a_peer_that_is_slow_bounds_what_is_kept_for_it_and_what_it_keeps(play: Play) -> None:
    limits = Limits(backlog=4 * MIB, waiting=4 * MIB)

    async def scene(world: World) -> None:
        await world.start([1, 2])
        proxy = world.proxies[2, 1]
        await world.connected()
        world.open_all(slots=100)
        sender, receiver = world.networks[2], world.networks[1]
        most = 0

        async def send(slot: int) -> None:
            nonlocal most
            await sender.exchange(ask({1: bytes(MIB)}, [], slot))
            most = max(most, sender.backlog(1))

        proxy.flowing.clear()
        sending = asyncio.ensure_future(sender.parallel([lambda slot=slot: send(slot) for slot in range(64)], 64))
        await eventually(lambda: sender.backlog(1) >= limits.backlog)
        assert not sending.done(), "a stopped line stops the sender"
        proxy.flowing.set()
        for slot in range(64):
            assert await receiver.exchange(ask({}, [2], slot)) == {2: bytes(MIB)}
            assert receiver._flow.waiting_in(2) <= limits.waiting + 3 * MIB
        await sending
        assert most <= limits.backlog + MIB

    play(scene, limits=limits, via=[(2, 1)])


def test_a_peer_that_stands_still_costs_one_grace_and_is_not_waited_for_again(
    play: Play, manual_clock: ManualClock
) -> None:
    limits = Limits(backlog=MIB, overflow=8 * MIB)

    async def scene(world: World) -> None:
        await world.start([1])
        sender = world.networks[1]
        sender.open_segment(0, [sender.now() + 10_000] * 100)
        await sender.exchange(ask({2: bytes(MIB)}, []))
        running = asyncio.ensure_future(sender.exchange(ask({2: bytes(MIB)}, [], 1)))
        await eventually(lambda: sender._gates.waits_for(2))
        manual_clock.advance(10.0)
        await running
        for slot in range(2, 50):
            await sender.exchange(ask({2: bytes(MIB)}, [], slot))
        assert sender.backlog(2) == 8 * MIB, "and what is kept for it has an end"
        assert sender.counters()["dropped"] == 42
        assert manual_clock.now() == 1010.0
        sender.close_segment(0)
        sender.open_segment(1, [sender.now() + 100])
        sender.close_segment(1)
        await eventually(lambda: sender.backlog(2) == 0)  # nobody can use it any more

    play(scene, clock=manual_clock, limits=limits)
