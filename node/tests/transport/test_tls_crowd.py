"""Connections that come at once, from strangers too, must not end a listener (ADR 0016)."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import grpc.aio
import pytest

from dkg_node.transport.tls import Pin, TlsIdentity, server_credentials

CALLERS, CONNECTIONS, PINS = 8, 2000, 4


def call(port: int, left: threading.Semaphore) -> None:
    """Open connections and drop them: what anybody can do that reaches the port."""
    while left.acquire(blocking=False):
        with socket.create_connection(("127.0.0.1", port), timeout=20):
            pass


async def listen(pins: Callable[[], list[Pin]]) -> None:
    """A listener among callers; it has outlived them if a last one can connect."""
    own = TlsIdentity.fresh(1, datetime.now(UTC))
    server = grpc.aio.server()
    port = server.add_secure_port("127.0.0.1:0", server_credentials(lambda: own, pins))
    await server.start()
    left = threading.Semaphore(CONNECTIONS)
    await asyncio.gather(*(asyncio.to_thread(call, port, left) for _ in range(CALLERS)))
    await asyncio.to_thread(call, port, threading.Semaphore(1))
    await server.stop(None)


def besieged(*, changing: bool) -> None:
    """Run in a process of its own: what goes wrong here is an abort in native code."""
    made = [Pin.of(2, TlsIdentity.fresh(2, datetime.now(UTC)).certificate) for _ in range(PINS)]
    round_robin = itertools.count()
    asyncio.run(listen(lambda: [made[next(round_robin) // 20 % PINS if changing else 0]]))


@pytest.mark.parametrize("changing", [False, True], ids=["same pins", "pins change meanwhile"])
def test_handshakes_at_once_do_not_end_the_process(*, changing: bool) -> None:
    process = multiprocessing.get_context("spawn").Process(target=besieged, kwargs={"changing": changing})
    process.start()
    process.join()
    assert process.exitcode == 0
