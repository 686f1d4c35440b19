"""The command `dkg-bridge` as the node calls it: a process, found beside the running interpreter and nowhere else.

The environment is the host's to write: nothing is looked up there, and the process gets an empty one.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_node.service.command import EnvironmentFault, NegativeVerdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

COMMAND = "dkg-bridge"
NEGATIVE = 1
KEY_FILES = ("keyset", "public_key", "server_key")


def bridge_path() -> Path:
    """Where the command is; EnvironmentFault when it is not installed."""
    beside = Path(sys.executable).with_name(COMMAND)
    if not beside.exists():
        raise EnvironmentFault(f"the command {COMMAND} is missing: run make setup")
    return beside


async def call_bridge(*arguments: str) -> Mapping[str, object]:
    """Run the command; returns the JSON object of its last line.

    Raises NegativeVerdict on exit code 1, EnvironmentFault on any other but 0; both with the command's own line.
    """
    process = await asyncio.create_subprocess_exec(
        bridge_path(),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={},
    )
    try:
        output, errors = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        raise
    if process.returncode:
        line = errors.decode(errors="replace").strip().splitlines()
        text = line[-1] if line else f"{COMMAND} ended with code {process.returncode}"
        raise (NegativeVerdict if process.returncode == NEGATIVE else EnvironmentFault)(text)
    return parse_result(output)


def parse_result(output: bytes) -> Mapping[str, object]:
    """The last line of the output as a JSON object."""
    try:
        value = json.loads(output.strip().splitlines()[-1])
    except (ValueError, IndexError):
        value = None
    if not isinstance(value, dict):
        raise EnvironmentFault(f"{COMMAND} printed no result: build it again with make setup")
    return value


@dataclass(frozen=True, slots=True)
class BridgeAssembler:
    """Key files by `dkg-bridge assemble`. ``lock`` (a file): one party of a machine at a time, for it takes memory."""

    parameter_set: str
    lock: Path | None = None

    async def assemble(self, bodies: Path, seed: bytes, out: Path) -> Mapping[str, str]:
        """See the port. ``seed`` is the XOF seed, 16 bytes in byte order."""
        arguments = (
            "assemble",
            "--parameter-set",
            self.parameter_set,
            "--seed",
            seed.hex(),
            "--bodies",
            str(bodies),
            "--out",
            str(out),
        )
        async with _turn(self.lock):
            result = await call_bridge(*arguments)
        return {name: _hash_of(result, name) for name in KEY_FILES}


@asynccontextmanager
async def _turn(lock: Path | None) -> AsyncIterator[None]:
    """Hold an exclusive lock on a file; it ends with the process at the latest."""
    if lock is None:
        yield
        return
    with lock.open("ab") as file:
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield


def _hash_of(result: Mapping[str, object], name: str) -> str:
    value = result.get(f"{name}_sha256")
    if not isinstance(value, str):
        raise EnvironmentFault(f"{COMMAND} gave no hash of {name}: build it again with make setup")
    return value
