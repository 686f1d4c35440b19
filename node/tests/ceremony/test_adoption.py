"""What a party asks for when it catches up: only answers of those that were asked, only while it waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from dkg_node.ceremony.adoption import Adoption
from dkg_node.ceremony.letters import Inquire
from dkg_node.protocols.session import Group
from dkg_node.testing.virtual_time import run_virtual

if TYPE_CHECKING:
    from dkg_node.ceremony.letters import Letter
    from dkg_node.ceremony.program import Program
    from dkg_node.protocols.session import Role

PATIENCE = 3.0


class Asker:
    """An adoption whose letters are noted, and whose inquiry ends with the answer ``right``."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, Role, Letter]] = []
        self.heard: list[tuple[Role, bytes]] = []
        self.adoption = Adoption(cast("Program", None), Group(4, 1), 1, self.send, PATIENCE)

    def send(self, role: Role, letter: Letter) -> None:
        self.sent.append((asyncio.get_running_loop().time(), role, letter))

    def take(self, role: Role, body: bytes) -> bool:
        self.heard.append((role, body))
        return body == b"right"


def test_an_inquiry_hears_those_it_asked_until_it_has_what_it_needs() -> None:
    asker = Asker()

    async def scene() -> None:
        asker.adoption.replied(2, b"early")
        inquiry = asyncio.create_task(asker.adoption.inquire({2: b"a", 3: b"b"}, asker.take))
        await asyncio.sleep(0)
        asker.adoption.replied(4, b"right")
        asker.adoption.replied(2, b"wrong")
        assert not inquiry.done()
        asker.adoption.replied(3, b"right")
        asker.adoption.replied(2, b"late")
        await inquiry
        asker.adoption.replied(2, b"later")

    run_virtual(scene())
    assert asker.heard == [(2, b"wrong"), (3, b"right")]


def test_an_inquiry_is_repeated_until_somebody_answers() -> None:
    asker = Asker()

    async def scene() -> None:
        inquiry = asyncio.create_task(asker.adoption.inquire({2: b"a", 3: b"b"}, asker.take))
        asyncio.get_running_loop().call_later(2.5 * PATIENCE, asker.adoption.replied, 2, b"right")
        await inquiry

    run_virtual(scene())
    each = [(2, Inquire(b"a")), (3, Inquire(b"b"))]
    assert [(role, letter) for _, role, letter in asker.sent] == 3 * each
    assert [when for when, _, _ in asker.sent] == [0, 0, PATIENCE, PATIENCE, 2 * PATIENCE, 2 * PATIENCE]


def test_an_inquiry_that_is_given_up_hears_nothing_more() -> None:
    asker = Asker()

    async def scene() -> None:
        inquiry = asyncio.create_task(asker.adoption.inquire({2: b"a"}, asker.take))
        await asyncio.sleep(0)
        inquiry.cancel()
        with pytest.raises(asyncio.CancelledError):
            await inquiry
        asker.adoption.replied(2, b"right")

    run_virtual(scene())
    assert asker.heard == []
