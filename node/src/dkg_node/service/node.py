"""One party, one process: main thread for signals, protocol loop in a thread of its own, control service on threads."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import time
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from dkg_api.signatures import public_bytes
from dkg_node.ceremony.run import run_ceremony
from dkg_node.errors import DkgError, UsageError
from dkg_node.sealing.files import write_atomic
from dkg_node.service import wire
from dkg_node.service.attested import Proof, admitted
from dkg_node.service.command import DONE, EnvironmentFault, as_fault, exit_code_of, say_error
from dkg_node.service.config import read_state, settled, states
from dkg_node.service.control import ControlService, serve
from dkg_node.service.custody import take_custody
from dkg_node.service.identity import NodeIdentity
from dkg_node.service.status import StatusBoard
from dkg_node.transport.frames import Boot
from dkg_node.transport.settings import Lifetimes

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from pathlib import Path
    from typing import Any

    from dkg_api.desired_state import DesiredState
    from dkg_node.ceremony.run import Outcome, Party, Work
    from dkg_node.service.build import Build
    from dkg_node.transport.network import PeerNetwork

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
COUNT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """The command line of a node."""

    desired_state: Path
    paths: wire.Paths
    control: Path
    """Unix socket of the control service."""
    listen: str | None
    """HOST:PORT of the peer service; None: all addresses, the port of the party's own entry."""
    attest_listen: str | None = None
    """The same of the handshakes."""


class Node:
    """A running party."""

    def __init__(self, build: Build, options: NodeOptions) -> None:
        """Read the desired state, make or open the keys, write identity.json. Raises DkgError."""
        self._build, self._options = build, options
        self._first = read_state(options.desired_state)
        terms = self._first.terms
        build.check_terms(terms)
        if self._first.erase_order is not None:
            raise UsageError(f"party {self._first.party} leaves: use --mode leave, or take eraseOrder out again")
        options.paths.make()
        boot, attester = Boot(time.time_ns(), os.urandom(16)), build.attester()
        custody = take_custody(build, attester, self._first, options.paths.home, boot)
        self._key, self._sealer = custody.identity, custody.sealer
        boot = wire.boot_of(self._first, self._sealer, boot)
        self._proof = Proof(attester, build.root, self._key, boot, custody.digest)
        identity = NodeIdentity(self._key, self._first.keyring)
        self._board = StatusBoard(self._first.party, terms.digest, self._first.attempt, terms.notices)
        self._control = ControlService(self._board, identity, options.paths.artefacts)
        self._ends: SimpleQueue[DkgError | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave = asyncio.Event()
        self._write_identity(identity)

    def run(self) -> int:
        """Run until drained or failed; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._ends.put(None))
        try:
            server = serve(self._control, self._options.control)
        except OSError as error:
            raise EnvironmentFault(f"{error}: choose another --control path") from None
        Thread(target=self._wait_for_drain, daemon=True).start()
        protocol = Thread(target=self._protocol, name="protocol", daemon=True)
        protocol.start()
        end = self._ends.get()
        self._board.show("drained" if end is None else "failed", "stopped", "" if end is None else str(end))
        if end is None and self._loop is not None:
            # A protocol that failed has closed its loop; one that ends just now closes it at this very moment.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._leave.set)
        protocol.join(STOP_SECONDS)
        self._control.drained.set()
        server.stop(STOP_SECONDS).wait()
        if end is None:
            return DONE
        say_error(str(end))
        return exit_code_of(end)

    def _wait_for_drain(self) -> None:
        self._control.drain.wait()
        self._ends.put(None)

    def _write_identity(self, identity: NodeIdentity) -> None:
        """What the launcher or operator needs for enrolment and addresses: public values."""
        facts = {
            "party": self._first.party,
            "terms_digest": self._first.terms.digest.hex(),
            "identity_key": identity.public.hex(),
            "document": b64encode(self._proof.enrolment_document(self._first)).decode(),
            "pid": os.getpid(),
        }
        write_atomic(self._options.paths.home / "identity.json", json.dumps(facts, indent=1).encode())

    def _protocol(self) -> None:
        """The protocol's thread. What ends it goes to the main thread."""
        try:
            asyncio.run(self._main())
        except DkgError as error:
            self._ends.put(error)
        except OSError as error:
            self._ends.put(as_fault(error))
        except Exception as error:
            log.exception("the protocol stopped on a mistake in the program")
            self._ends.put(DkgError(f"internal error {type(error).__name__}: please report it with node.log"))

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        left = asyncio.create_task(self._leave.wait())
        ceremony = asyncio.create_task(self._ceremony())
        await asyncio.wait({left, ceremony}, return_when=asyncio.FIRST_COMPLETED)
        ceremony.cancel()
        left.cancel()
        try:
            await ceremony
        except asyncio.CancelledError:
            log.info("drained")

    async def _ceremony(self) -> None:
        """From the first desired state to the end of the process."""
        self._board.show("waiting", "enrolment")
        state = await settled(self._options.desired_state, self._first, public_bytes(self._key))
        self._board.show("waiting", "connecting")
        appraiser = self._proof.appraiser(state)
        state = admitted(state, appraiser)
        work = wire.work_of(state)
        own = state.peer(state.party)
        listen = self._options.listen or f"0.0.0.0:{own.peer_port if own else 0}"
        attest = self._options.attest_listen or f"0.0.0.0:{(own.attest_port if own else None) or 0}"
        channels = self._proof.channels(state, appraiser, Lifetimes())
        boot = self._proof.boot
        network = wire.network_of(state, work, channels, boot, wire.Listen(listen, attest))
        await _listen(network)
        try:
            entropy = self._build.entropy(state.party)
            seen = self._build.network(network, work.segments)
            outside = wire.Outside(self._key, self._sealer, boot, seen, entropy, self._board)
            party, mailbox = wire.party_of(state, work, self._options.paths, outside)
            beside = [
                asyncio.create_task(mailbox.pump()),
                asyncio.create_task(_count(self._board, network)),
                asyncio.create_task(_follow(self._options.desired_state, state, network)),
            ]
            try:
                await _unless((network.ended(), party.epochs.ended()), self._make(work, party))
            except DkgError as error:
                party.transcript.add("failed", error=str(error))
                raise
            finally:
                party.epochs.close()
                party.transcript.close()
                for task in beside:
                    task.cancel()
        finally:
            await network.stop()

    async def _make(self, work: Work, party: Party) -> None:
        """Make the key, then answer peers, also those that come back late, until drained."""
        outcome = await run_ceremony(work, party)
        self._keep(party, outcome)
        try:
            await asyncio.Event().wait()
        finally:
            if self._control.drain.is_set():  # a stop alone may be a restart
                outcome.forget()

    def _keep(self, party: Party, outcome: Outcome) -> None:
        """Write what the ceremony leaves, then say that it is there."""
        artefacts = self._options.paths.artefacts
        certificate = json.dumps(outcome.certificate.as_json(), indent=1).encode()
        write_atomic(artefacts["certificate.json"], certificate)
        measured = {
            "party": party.measurements.report(party.me).model_dump(mode="json"),
            "phases": [phase.model_dump(mode="json") for phase in party.measurements.phases],
            "wrong_shares": sorted(outcome.findings.liars),
            "missing": sorted(outcome.findings.missing),
        }
        write_atomic(artefacts["measurements.json"], json.dumps(measured, indent=1).encode())
        self._board.publish(tuple(name for name, path in artefacts.items() if path.exists()))
        self._board.show("done", "done")


async def _unless(ends: Iterable[Coroutine[Any, Any, DkgError]], body: Coroutine[Any, Any, None]) -> None:
    """Run ``body``, unless this boot must end before: then raises why."""

    async def end(why: Coroutine[Any, Any, DkgError]) -> None:
        raise await why

    tasks = [asyncio.ensure_future(one) for one in (body, *map(end, ends))]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _listen(network: PeerNetwork) -> None:
    """Start the network. What keeps it from listening lies in this machine."""
    try:
        await network.start()
    except UsageError as error:
        raise EnvironmentFault(str(error)) from None


async def _count(board: StatusBoard, network: PeerNetwork) -> None:
    """Bring the byte counters to the board for ever; they belong to this loop."""
    while True:
        items = network.traffic()
        board.traffic = (sum(item.sent_total for item in items), sum(item.received_total for item in items))
        await asyncio.sleep(COUNT_SECONDS)


async def _follow(path: Path, first: DesiredState, network: PeerNetwork) -> None:
    """Take over new addresses and certificates of peers as they come."""
    async for state in states(path, first):
        if state is not first:
            network.update_peers(wire.peers_of(state))
