"""Many coroutines, few at a time: what keeps chunks overlapping without taking memory for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def in_window(bodies: Sequence[Callable[[], Awaitable[T]]], window: int) -> list[T]:
    """Run the coroutines, at most ``window`` at a time, started in order; results in order.

    The first error ends the others and is raised itself.
    """
    results: dict[int, T] = {}
    numbers = iter(range(len(bodies)))

    async def work() -> None:
        for number in numbers:
            results[number] = await bodies[number]()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(max(1, window), len(bodies))):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [results[number] for number in range(len(bodies))]
