"""`dkg-software drain`: end the nodes that `run-local --keep` left running."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_node.errors import UsageError
from dkg_node.service.command import DONE

if TYPE_CHECKING:
    import argparse


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
    sys.stdout.write(f"{len(sockets)} nodes drained\n")
    return DONE


async def _drain(sockets: list[Path]) -> None:
    from dkg_node.service.control_client import ControlClient  # noqa: PLC0415 - loads gRPC

    clients = [ControlClient(path) for path in sockets]
    await asyncio.gather(*(client.drain() for client in clients))
    for client in clients:
        await client.close()
