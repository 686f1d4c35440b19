"""A double for as long as it is needed: the one that listens already, or one started here and ended again."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from dkg_node.service.command import EnvironmentFault

ENDPOINT_FILE: Final = "endpoint"
CONNECT_SECONDS: Final = 2.0
END_SECONDS: Final = 30.0


@contextmanager
def running_double(state: Path) -> Iterator[None]:
    """The double over ``state`` listens inside. EnvironmentFault when it can't be started."""
    if _listens(state):
        yield
        return
    process = start_double(state)
    try:
        yield
    finally:
        end_double(process)


def start_double(state: Path, *, output: int | None = subprocess.DEVNULL) -> subprocess.Popen[str]:
    """Start one, which ends when this process does; it listens when this returns. ``output``: where stderr goes."""
    program = str(Path(sys.executable).parent / "dkg-software")
    command = [program, "aws-double", "--state", str(state), "--until-eof"]
    process = subprocess.Popen(  # noqa: S603 - our own command, no shell
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True, start_new_session=True
    )
    lines = [process.stdout.readline() for _ in range(2)] if process.stdout is not None else []
    if len(lines) != 2 or not lines[1].startswith("https://"):
        end_double(process)
        raise EnvironmentFault(f"the AWS double does not start: run dkg-software aws-double --state {state} to see why")
    return process


def end_double(process: subprocess.Popen[str]) -> None:
    """End it, at last by its own id."""
    try:
        process.communicate(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _listens(state: Path) -> bool:
    """Whether the double of this state does: another process may have its port by now."""
    try:
        place = urlsplit((state / ENDPOINT_FILE).read_text().strip())
        context, host = ssl.create_default_context(cafile=state / "ca.pem"), place.hostname or ""
        with (
            socket.create_connection((host, place.port or 0), CONNECT_SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except (OSError, ValueError):
        return False
