"""`fetch`: bring the public artefacts of a running node out, through its control socket."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_api.terms import SOFTWARE_NOTICE
from dkg_node.service.command import DONE, EnvironmentFault

if TYPE_CHECKING:
    import argparse

PATIENCE = 10.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `fetch`."""
    parser.add_argument("socket", type=Path, metavar="SOCKET", help="control socket of the node")
    parser.add_argument("directory", type=Path, metavar="DIR", help="where the files go")


def run(options: argparse.Namespace) -> int:
    """Fetch everything the node names in its status."""
    if not options.socket.is_socket():
        raise EnvironmentFault(f"no node listens on {options.socket}: give the control socket of a running one")
    names = asyncio.run(_fetch(options))
    sys.stdout.write("\n".join(names) + "\n")
    return DONE


async def _fetch(options: argparse.Namespace) -> list[str]:
    from dkg_node.service.control_client import ControlClient  # noqa: PLC0415 - loads gRPC

    client = ControlClient(options.socket.absolute())
    try:
        async with asyncio.timeout(PATIENCE):
            status = await client.status()
        options.edition.check("software" if SOFTWARE_NOTICE in status.notices else "nitro", "fetch")
        for name in status.artefacts:
            target = options.directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            await client.fetch(name, target)
    except TimeoutError:
        raise EnvironmentFault(f"the node behind {options.socket} does not answer: look at its log") from None
    finally:
        await client.close()
    return [*status.notices, *(str(options.directory / name) for name in status.artefacts)]
