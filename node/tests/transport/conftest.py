from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from dkg_node.protocols.session import Group
from dkg_node.testing.links import ManualClock
from dkg_node.testing.world import World
from dkg_node.transport.network import NetworkThread


@pytest.fixture(scope="session")
def thread() -> Iterator[NetworkThread]:
    thread = NetworkThread()
    yield thread
    thread.close()


@pytest.fixture
def play(thread: NetworkThread) -> Callable[..., None]:
    """Run a scene in a world of 3t+1 parties, and stop all of it afterwards."""

    def run(scene: Callable[[World], Awaitable[None]], t: int = 1, **world: Any) -> None:  # noqa: ANN401 - fields of World
        async def main() -> None:
            stage = World(Group(3 * t + 1, t), thread, **world)
            try:
                async with asyncio.timeout(120):
                    await scene(stage)
            finally:
                await stage.stop()

        asyncio.run(main())

    return run


@pytest.fixture
def manual_clock() -> ManualClock:
    return ManualClock()
