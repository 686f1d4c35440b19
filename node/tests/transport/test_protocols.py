"""Protocols of the lock-step simulator, unchanged, over real networks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from dkg_api.session import session_id
from dkg_node.algebra.encoding import digest
from dkg_node.protocols.broadcast import broadcast, broadcast_slots
from dkg_node.protocols.session import Group, Session
from dkg_node.testing.links import ManualClock
from dkg_node.testing.lockstep import SimulatedIdentities
from dkg_node.testing.world import SID, World

Play = Callable[..., None]


def sessions(world: World, group: Group) -> dict[int, Session]:
    identities = SimulatedIdentities(group, 7)
    slots = broadcast_slots("votes", group, 1000)
    found = {}
    for role, network in world.networks.items():
        network.open_segment(0, [network.now() + 100.0 * (index + 1) for index in range(len(slots))])
        found[role] = Session.of(group, role, SID, network, identities.of(role)).enter(0, slots)
    return found


def test_seven_parties_broadcast_over_the_wire(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start()
        parties = sessions(world, world.group)
        results = await asyncio.gather(
            *(broadcast(session, "votes", bytes([role]) * 900, limit=1000) for role, session in parties.items())
        )
        expected = {role: bytes([role]) * 900 for role in world.group.roles}
        assert all(result == expected for result in results)
        assert all(network.counters()["damaged"] == 0 for network in world.networks.values())

    play(scene, t=2)


def test_thirteen_parties_of_which_four_are_silent_broadcast(play: Play, manual_clock: ManualClock) -> None:
    async def scene(world: World) -> None:
        await world.start(range(1, 10))
        parties = sessions(world, world.group)
        running = asyncio.gather(
            *(broadcast(session, "votes", bytes([role]), limit=1000) for role, session in parties.items())
        )
        for _ in range(5):  # each of the t+1 slots lasts to its deadline: four are never heard
            await world.delivered()
            manual_clock.advance(100.0)
        results: list[Mapping[int, bytes | None]] = await running
        expected = {role: bytes([role]) if role < 10 else None for role in world.group.roles}
        assert all(result == expected for result in results)

    play(scene, t=4, clock=manual_clock)


def test_contract_and_protocol_mean_the_same_session_id() -> None:
    assert session_id(bytes(range(32)), 7) == digest("sid", bytes(range(32)), 7)
