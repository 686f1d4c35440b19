"""`dkg-software drain`: end the nodes that `run-local --keep` left running."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_node.errors import UsageError
from dkg_node.service.command import DONE, EnvironmentFault

if TYPE_CHECKING:
    import argparse


PATIENCE = 30.0
POLL = 0.05


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `drain`."""
    parser.add_argument(
        "sockets", type=Path, metavar="DIR", help="directory of control sockets, as run-local printed it"
    )


def run(options: argparse.Namespace) -> int:
    """Drain every node whose socket is there."""
    sockets = sorted(options.sockets.glob("*.sock"))
    if not sockets:
        raise UsageError(f"give the directory that run-local printed: there is no control socket in {options.sockets}")
    asyncio.run(_drain(sockets))
    _wait_gone(sockets)
    sys.stdout.write(f"{len(sockets)} nodes drained\n")
    return DONE


def _wait_gone(sockets: list[Path]) -> None:
    """A node removes its socket when it ends; the last one leaves an empty directory."""
    end = time.monotonic() + PATIENCE
    while any(path.exists() for path in sockets) and time.monotonic() < end:
        time.sleep(POLL)
    left = [path for path in sockets if path.exists()]
    if left:
        raise EnvironmentFault(f"{len(left)} nodes do not end: end the processes that hold {left[0]} by hand")
    with suppress(OSError):
        sockets[0].parent.rmdir()


async def _drain(sockets: list[Path]) -> None:
    from dkg_node.service.control_client import ControlClient  # noqa: PLC0415 - loads gRPC

    clients = [ControlClient(path) for path in sockets]
    await asyncio.gather(*(client.drain() for client in clients))
    for client in clients:
        await client.close()
