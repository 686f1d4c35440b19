"""Whole networks over mutual TLS on loopback: what they deliver, and what they do when links or peers fail."""

from __future__ import annotations

import asyncio
from typing import Any

from dkg_node.protocols.session import Group


def everybody(group: Group, body: bytes) -> dict[int, bytes]:
    return dict.fromkeys(group.roles, body)


def test_four_parties_exchange_one_message_each_with_everybody(play: Any, ask: Any) -> None:
    async def scene(world: Any) -> None:
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
