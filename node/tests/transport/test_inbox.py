"""Letters that wait: a liar that floods delays and loses its own letters, nobody else's."""

from __future__ import annotations

import asyncio
from random import Random

from dkg_node.transport.inbox import Inbox
from dkg_node.transport.mailbox import cost
from dkg_node.transport.settings import Letter

LIMIT = 1 << 20


async def read(inbox: Inbox, count: int) -> list[Letter]:
    async with asyncio.timeout(5):
        return [await inbox.get() for _ in range(count)]


def test_an_honest_letter_waits_for_one_letter_of_each_liar_however_many_they_sent() -> None:
    inbox = Inbox(LIMIT)
    for number in range(1000):
        for liar in (5, 6, 7):
            assert inbox.put(Letter(liar, b"%d" % number))
    inbox.put(Letter(2, b"honest"))
    assert Letter(2, b"honest") in asyncio.run(read(inbox, 4))


def test_a_liar_that_goes_on_while_it_is_read_gains_no_turn() -> None:
    async def scene() -> list[int]:
        inbox = Inbox(LIMIT)
        for number in range(10):
            inbox.put(Letter(2, b"%d" % number))
        heard = []
        for _ in range(20):
            inbox.put(Letter(7, b"more"))
            inbox.put(Letter(7, b"and more"))
            heard.append((await inbox.get()).role)
        return heard

    assert asyncio.run(scene()) == [2, 7] * 10


def test_letters_of_one_peer_keep_their_order_a_new_boot_among_them() -> None:
    random, inbox = Random(1), Inbox(LIMIT)
    sent: dict[int, list[Letter]] = {role: [] for role in range(1, 6)}
    for number in range(200):
        role = random.randrange(1, 6)
        letter = Letter(role, None if number % 17 == 0 else b"%d" % number)
        sent[role].append(letter)
        inbox.put(letter)
    got = asyncio.run(read(inbox, 200))
    for role, letters in sent.items():
        assert [letter for letter in got if letter.role == role] == letters


def test_what_is_too_much_of_one_peer_is_dropped_and_takes_no_room_from_others() -> None:
    inbox = Inbox(LIMIT)
    fit = LIMIT // cost(bytes(1000))
    assert [inbox.put(Letter(7, bytes(1000))) for _ in range(fit + 5)] == [True] * fit + [False] * 5
    assert inbox.put(Letter(2, bytes(1000)))
    asyncio.run(read(inbox, 2))
    assert inbox.put(Letter(7, bytes(1000))), "what was read makes room"


def test_a_reader_that_waits_gets_the_letter_that_comes() -> None:
    async def scene() -> Letter:
        inbox = Inbox(LIMIT)
        waiting = asyncio.create_task(inbox.get())
        await asyncio.sleep(0)
        inbox.put(Letter(3, b"now"))
        return await asyncio.wait_for(waiting, 5)

    assert asyncio.run(scene()) == Letter(3, b"now")
