"""The node processes of a local run: started together, ended by their own ids, never by name."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from dkg_api.model import Hex32
from dkg_node.service.command import EnvironmentFault
from dkg_node_software.modified import KIND as MODIFIED
from dkg_node_software.modified import modified_copy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node_software.layout import Layout

POLL = 0.03
STOP_SECONDS = 8.0
ERROR = "error: "


class Published(BaseModel):
    """identity.json of a node."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    identity_key: Hex32
    document: str
    """Attestation document for the enrolment, base64."""


@dataclass(frozen=True, slots=True)
class Start:
    """How the nodes of a run are started."""

    layout: Layout
    listen: Mapping[int, str]
    """HOST:PORT by party."""
    attest: Mapping[int, str]
    """The same of the handshakes."""
    keep: bool
    seed: str | None
    adversaries: Mapping[int, str]


@dataclass(slots=True)
class Processes:
    """All nodes of a run."""

    start: Start
    sockets: Path = field(default_factory=lambda: Path(mkdtemp(prefix="dkg-")))
    """Directory of the control sockets: short paths, as Unix sockets need."""
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def socket(self, party: int) -> Path:
        """Control socket of a party."""
        return self.sockets / f"{party}.sock"

    def launch(self, party: int) -> None:
        """Start one node. It ends by itself when the launcher is gone, unless nodes are kept."""
        layout = self.start.layout
        with layout.log(party).open("ab") as log:
            self.running[party] = subprocess.Popen(  # noqa: S603 - our own command, no shell
                self._command(party),
                stdin=subprocess.DEVNULL if self.start.keep else subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=layout.party(party),
                env=self._environment(party),
                start_new_session=True,
            )

    def _environment(self, party: int) -> dict[str, str] | None:
        """Ours, but for a party whose code is changed."""
        if self.start.adversaries.get(party) != MODIFIED:
            return None
        return {**os.environ, "PYTHONPATH": str(modified_copy(self.start.layout.party(party)))}

    def _command(self, party: int) -> list[str]:
        layout = self.start.layout
        command = [sys.executable, "-m", "dkg_node_software.main", "node"]
        command += ["--desired-state", str(layout.desired_state(party)), "--objects", str(layout.objects)]
        command += ["--control", str(self.socket(party)), "--listen", self.start.listen[party]]
        command += ["--aws-double", str(layout.double)]
        command += ["--attest-listen", self.start.attest[party]]
        if not self.start.keep:
            command.append("--until-eof")
        if self.start.seed is not None:
            command += ["--seed", self.start.seed]
        if party in self.start.adversaries:
            command += ["--adversary", self.start.adversaries[party]]
        return command

    async def identity(self, party: int) -> Published:
        """What the node published of itself; EnvironmentFault with its own words when it stopped instead."""
        path = self.start.layout.party(party) / "identity.json"
        while not path.exists():
            if self.running[party].poll() is not None:
                raise EnvironmentFault(f"party {party} did not start: {self.last_words(party)}")
            await asyncio.sleep(POLL)
        try:
            return Published.model_validate_json(path.read_bytes())
        except ValidationError:
            raise EnvironmentFault(f"party {party} published no usable identity: see {path}") from None

    def last_words(self, party: int) -> str:
        """The error line of a node that stopped, or how it ended."""
        lines = self.start.layout.log(party).read_text(errors="replace").splitlines()
        errors = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
        if errors:
            return "".join(letter if letter.isprintable() else "?" for letter in errors[-1])[:500]
        code = self.running[party].returncode
        how = (
            f"was ended by signal {signal.Signals(-code).name}"
            if code is not None and code < 0
            else f"ended with code {code}"
        )
        return f"{how}, see {self.start.layout.log(party)}"

    async def ended(self, party: int) -> int:
        """Wait for a node to end; returns its exit code."""
        while (code := self.running[party].poll()) is None:  # noqa: ASYNC110 - the end of a process sets no event
            await asyncio.sleep(POLL)
        return code

    async def stop(self) -> None:
        """End all nodes that still run: SIGTERM, then SIGKILL; wait for every one."""
        alive = [party for party, process in self.running.items() if process.poll() is None]
        for party in alive:
            self.running[party].terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                for party in alive:
                    await self.ended(party)
        except TimeoutError:
            for party in alive:
                self.running[party].kill()
        for process in self.running.values():
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        shutil.rmtree(self.sockets, ignore_errors=True)
