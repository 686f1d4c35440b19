"""`dkg-software aws-double`: KMS, S3 and STS on this machine, with their state in a directory."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from dkg_node.errors import UsageError
from dkg_node.service.command import DONE

if TYPE_CHECKING:
    import argparse
    from types import FrameType

    from dkg_node_software.double.server import Serving

NOTICE = "AWS DOUBLE: KEEPS ITS KEYS ON THIS DISK, PROVES NOTHING.\n"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `aws-double`."""
    parser.add_argument(
        "--state", type=Path, required=True, metavar="DIR", help="where keys, objects, principals and the log lie"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address or name to listen on and to certify")
    parser.add_argument("--port", type=int, default=0, help="default: any; the file endpoint in DIR has the URL")
    parser.add_argument("--until-eof", action="store_true", help="stop when standard input ends")


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop."""
    from dkg_node_software.double.server import serve  # noqa: PLC0415 - loads moto

    options.state.mkdir(parents=True, exist_ok=True)
    try:
        serving = serve(options.state.absolute(), options.host, options.port)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"start with an empty --state: what lies in {options.state} is damaged") from error
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *received: _stop(serving, *received))
    if options.until_eof:
        Thread(target=_stop_at_eof, daemon=True).start()
    sys.stdout.write(f"{NOTICE}{serving.url}\n")
    sys.stdout.flush()
    serving.run()
    return DONE


def _stop(serving: Serving, _number: int, _frame: FrameType | None) -> None:
    """``shutdown`` waits for the loop that this signal interrupted, so another thread calls it."""
    Thread(target=serving.stop, daemon=True).start()


def _stop_at_eof() -> None:
    """The launcher holds the other end: when it is gone, so is its double."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
