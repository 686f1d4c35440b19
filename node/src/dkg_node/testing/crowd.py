"""A TLS listener among callers that come at once, in a process of its own: what goes wrong there is a native abort."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import socket
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import grpc.aio

from dkg_node.transport.tls import Pin, TlsIdentity, server_credentials

if TYPE_CHECKING:
    from collections.abc import Callable

CALLERS, CONNECTIONS, PINS, EACH = 8, 20_000, 4, 200
"""Callers at once, their connections together, pins that take turns, handshakes a turn."""


def exit_code(*, changing: bool) -> int | None:
    """How a besieged listener's process ends: 0 if a last caller still got through."""
    process = multiprocessing.get_context("spawn").Process(target=_besieged, kwargs={"changing": changing})
    process.start()
    process.join()
    return process.exitcode


def _besieged(*, changing: bool) -> None:
    made = [Pin.of(2, TlsIdentity.fresh(2, datetime.now(UTC)).certificate) for _ in range(PINS)]
    round_robin = itertools.count()
    asyncio.run(_listen(lambda: [made[next(round_robin) // EACH % PINS if changing else 0]]))


async def _listen(pins: Callable[[], list[Pin]]) -> None:
    own = TlsIdentity.fresh(1, datetime.now(UTC))
    server = grpc.aio.server()
    port = server.add_secure_port("127.0.0.1:0", server_credentials(lambda: own, pins))
    await server.start()
    left = threading.Semaphore(CONNECTIONS)
    await asyncio.gather(*(asyncio.to_thread(_call, port, left) for _ in range(CALLERS)))
    await asyncio.to_thread(_call, port, threading.Semaphore(1))
    await server.stop(None)


def _call(port: int, left: threading.Semaphore) -> None:
    """Open connections and drop them: what anybody can do that reaches the port."""
    while left.acquire(blocking=False):
        with socket.create_connection(("127.0.0.1", port), timeout=20):
            pass
