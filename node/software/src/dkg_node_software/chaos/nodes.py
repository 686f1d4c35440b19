"""The nodes of one run of chaos and their courier: started, stopped, killed, started again, always by their own ids."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_api.enrolment import Enrolment, enrol
from dkg_node.sealing.files import write_atomic
from dkg_node.service.command import EnvironmentFault
from dkg_node_software.agreement import ATTEMPT
from dkg_node_software.chaos.proxy import HOST
from dkg_node_software.custody import DoubleParty, write_table
from dkg_node_software.double.running import end_double, start_double
from dkg_node_software.preflight import PORT_STEP, attest_port, peer_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dkg_node.protocols.session import Group, Role
    from dkg_node_software.agreement import Agreement
    from dkg_node_software.chaos.proxy import Proxies
    from dkg_node_software.layout import Layout

POLL = 0.02
FIRST_PORT, LAST_PORT = 18_000, 32_000
"""Below the ports that Linux gives out by itself."""
STOPPED = "T"


def free_base(parties: int, taken: set[int]) -> int:
    """A base port with room for all parties that nobody uses now; noted in ``taken``."""
    span = PORT_STEP * (parties + 1)
    bases = list(range(FIRST_PORT, LAST_PORT - span, span))
    first = os.getpid() % len(bases)
    for base in bases[first:] + bases[:first]:
        ports = [port(base, party) for port in (attest_port, peer_port) for party in range(1, parties + 1)]
        if base not in taken and all(_free(port) for port in ports):
            taken.add(base)
            return base
    raise EnvironmentFault(f"free some ports between {FIRST_PORT} and {LAST_PORT}: there is no room for a run")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


@dataclass(slots=True)
class Nodes:
    """All nodes of one run."""

    layout: Layout
    group: Group
    agreement: Agreement
    proxies: Proxies
    ports: Mapping[Role, int]
    """What each party listens on."""
    attest: dict[Role, int]
    """Where each answers handshakes: not behind the proxies."""
    liars: Mapping[Role, str]
    sockets: Path
    """Directory of the control sockets; short, as Unix sockets need."""
    seed: str | None = None
    running: dict[Role, subprocess.Popen[bytes]] = field(default_factory=dict)
    enrolments: dict[Role, Enrolment] = field(default_factory=dict)
    arns: dict[Role, str] = field(default_factory=dict)
    """Of the parties' KMS keys."""
    double: subprocess.Popen[str] | None = None
    _retired: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def socket(self, party: Role) -> Path:
        """Control socket of a party."""
        return self.sockets / f"{party}.sock"

    def journal(self, party: Role) -> Path:
        """Where the party's traps say that they went off."""
        return self.layout.party(party) / "chaos.jsonl"

    def key(self, party: Role) -> bytes:
        """The party's identity key."""
        return bytes.fromhex(self.enrolments[party].identity_key)

    async def start(self, traps: Mapping[Role, Sequence[str]]) -> None:
        """Start the double and all parties, enrol the identities that they made, tell everybody about everybody."""
        write_table(self.layout.double, self.agreement.terms, self.group.n)
        self.double = await asyncio.to_thread(start_double, self.layout.double)
        for party in self.group.roles:
            self.arns[party] = DoubleParty(self.layout.double, self.agreement.terms, party).make_key()
        for party in self.group.roles:
            self._tell(party)
            self.launch(party, traps.get(party, ()))
        for party in self.group.roles:
            await self._introduce(party)
        self.tell_all()

    async def again(self, party: Role, traps: Sequence[str]) -> None:
        """Start a killed party again: the others find out its new certificate by themselves."""
        self.running[party].wait()
        self._retired.append(self.running.pop(party))
        self._identity(party).unlink(missing_ok=True)
        self.launch(party, traps)
        await self._introduce(party)
        self.tell_all()

    def launch(self, party: Role, traps: Sequence[str]) -> None:
        """Start one node. It ends by itself when this process is gone."""
        command = [sys.executable, "-m", "dkg_node_software.main", "node"]
        command += ["--desired-state", str(self.layout.desired_state(party)), "--objects", str(self._objects(party))]
        command += ["--control", str(self.socket(party)), "--listen", f"{HOST}:{self.ports[party]}", "--until-eof"]
        command += ["--attest-listen", f"{HOST}:{self.attest[party]}", "--aws-double", str(self.layout.double)]
        command += [word for trap in traps for word in ("--trap", trap)]
        if self.seed is not None:
            command += ["--seed", self.seed]
        if party in self.liars:
            command += ["--adversary", self.liars[party]]
        with self.layout.log(party).open("ab") as log:
            self.running[party] = subprocess.Popen(  # noqa: S603 - our own command, no shell
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.layout.party(party),
                start_new_session=True,
            )

    def signal(self, party: Role, number: signal.Signals) -> None:
        """Send a signal to a node that runs."""
        if self.running[party].poll() is None:
            self.running[party].send_signal(number)

    def stopped(self, party: Role) -> bool:
        """Whether the kernel has stopped the process."""
        try:
            text = Path(f"/proc/{self.running[party].pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return False
        return text.rpartition(")")[2].split()[0] == STOPPED

    def fired(self, party: Role) -> list[tuple[str, float]]:
        """Traps that went off, with their times."""
        try:
            lines = self.journal(party).read_text(encoding="utf-8").splitlines(keepends=True)
        except OSError:
            return []
        entries = [json.loads(line) for line in lines if line.endswith("\n")]
        return [(entry["trap"], entry["time"]) for entry in entries]

    def words(self, party: Role) -> str:
        """The last error line of a party's log."""
        lines = self.layout.log(party).read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.startswith("error: ")), lines[-1] if lines else "")

    def stop(self) -> None:
        """End all, also the stopped ones and the double, and wait for every one."""
        for process in self.running.values():
            process.kill()
        for process in [*self.running.values(), *self._retired]:
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        if self.double is not None:
            end_double(self.double)

    def tell_all(self) -> None:
        """Write every party's desired state."""
        for party in self.group.roles:
            self._tell(party)

    def _objects(self, party: Role) -> Path:
        """Each party has its own: on one machine nobody would ever lack a public value."""
        return self.layout.party(party) / "objects"

    def _identity(self, party: Role) -> Path:
        return self.layout.party(party) / "identity.json"

    async def _introduce(self, party: Role) -> None:
        """Wait for what the node says of itself."""
        path = self._identity(party)
        while not path.exists():
            if self.running[party].poll() is not None:
                raise EnvironmentFault(f"party {party} did not start: {self.words(party)}")
            await asyncio.sleep(POLL)
        facts = json.loads(path.read_bytes())
        if party not in self.enrolments:
            key = bytes.fromhex(facts["identity_key"])
            digest = self.agreement.terms.digest
            document = b64decode(facts["document"])
            self.enrolments[party] = enrol(
                digest, party, key, self.agreement.keys[party], document, self.arns[party]
            )  # fmt: skip

    def _tell(self, party: Role) -> None:
        """What the courier brings a party: the others at their proxies."""
        entries = [
            {
                "index": peer,
                "host": HOST,
                "peerPort": self.ports[party] if peer == party else self.proxies.port(party, peer),
                "attestPort": self.attest[peer],
            }
            for peer in self.group.roles
        ]
        whole = len(self.enrolments) == self.group.n
        state = {
            "terms": self.agreement.terms.as_json(),
            "signatures": [signature.model_dump(mode="json") for signature in self.agreement.signatures],
            "party": party,
            "attempt": ATTEMPT,
            "keyArn": self.arns[party],
            "peers": entries,
            "enrolments": [e.model_dump(mode="json") for e in self.enrolments.values()] if whole else [],
        }
        write_atomic(self.layout.desired_state(party), json.dumps(state).encode())
