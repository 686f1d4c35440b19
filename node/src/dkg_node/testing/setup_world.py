"""A ceremony of a setup and small batches: the real control layer, programs, kernel and sealing, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random
from shutil import rmtree
from typing import TYPE_CHECKING, cast

from dkg_node.algebra.encoding import enc
from dkg_node.algebra.kernel import Secret, prss, robust_open
from dkg_node.ceremony import letters
from dkg_node.ceremony.chain import SEGMENT_PURPOSE, Chain, EraProof, results
from dkg_node.ceremony.control import Control
from dkg_node.ceremony.making import Making
from dkg_node.ceremony.phases import Segment
from dkg_node.ceremony.program import Ports, Sealed
from dkg_node.ceremony.run import Findings
from dkg_node.ceremony.setup import SetupKeeper
from dkg_node.offline.batch import batch_slots
from dkg_node.protocols.prss import setup_slots
from dkg_node.protocols.session import Group
from dkg_node.testing.control_party import mac
from dkg_node.testing.plain_keys import plain_sealer
from dkg_node.testing.simnet import Faults, SimNetwork, Wires
from dkg_node.testing.toy_segments import ToyPace
from dkg_node.testing.virtual_time import run_virtual

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from dkg_node.algebra.kernel import Keys
    from dkg_node.ceremony.chain import Position
    from dkg_node.ceremony.letters import Letter
    from dkg_node.ceremony.ports import Entropy
    from dkg_node.ceremony.run import Party, Work
    from dkg_node.offline.chunk import Batch
    from dkg_node.protocols.session import Role
    from dkg_node.sealing.sealer import KmsSealer

SID = bytes(range(32))
LABEL = enc("look")
LINGER = 1.4


class Silence:
    """Takes progress and transcript entries, and forgets them."""

    def sent(self, size: int) -> None:
        """Bytes left."""

    def add(self, event: str, **facts: object) -> None:
        """Something happened."""

    def sync(self) -> None:
        """Make it durable."""


@dataclass(slots=True)
class Draws:
    """A party's entropy: counts what it gives."""

    role: Role
    count: int = 0

    def draw(self) -> Secret:
        """Another secret each time."""
        self.count += 1
        return Secret.from_bytes(bytes([self.role, self.count]) * 16)


@dataclass(slots=True)
class Archive:
    """See ceremony.ports.Archive; in memory."""

    bodies: dict[bytes, bytes] = field(default_factory=dict)

    def keep(self, digest: bytes, body: bytes) -> None:
        """Written."""
        self.bodies[digest] = body

    def get(self, digest: bytes) -> bytes | None:
        """Read."""
        return self.bodies.get(digest)

    def put(self, body: bytes) -> bytes:
        """As a store."""
        self.keep(sha256(body).digest(), body)
        return sha256(body).digest()

    def drop(self, digest: bytes) -> None:
        """As a store."""
        self.bodies.pop(digest, None)

    def durable(self, digests: Iterable[bytes]) -> None:
        """As a store: it is."""


@dataclass(slots=True)
class Home:
    """A party's disk. A Vault."""

    group: Group
    role: Role
    directory: Path
    draws: Draws
    archive: Archive = field(default_factory=Archive)
    sealed: Sealed = field(default_factory=Sealed)

    def keep(self, proof: EraProof, chain: Chain) -> None:
        """See Vault."""
        self.sealed = Sealed(proof, chain, "restart")

    @property
    def sealer(self) -> KmsSealer:
        """Of a fresh boot."""
        self.directory.mkdir(parents=True, exist_ok=True)
        return plain_sealer(self.directory, self.role)

    def keeper(self) -> SetupKeeper:
        """What a fresh process would find of the setup."""
        entropy: Entropy = self.draws
        return SetupKeeper(self.group, self.role, SID, self.sealer, entropy)

    def wipe(self) -> None:
        """A lost disk."""
        rmtree(self.directory)
        self.archive, self.sealed = Archive(), Sealed(how="lost disk")


@dataclass(frozen=True, slots=True)
class Signer:
    """Ideal signatures; tells what this party signs."""

    role: Role
    signs: Callable[[Role, str], None]

    def sign(self, purpose: str, message: bytes) -> bytes:
        """See Identity."""
        self.signs(self.role, purpose)
        return mac(0, self.role, purpose, message)

    def verify(self, role: Role, purpose: str, message: bytes, signature: bytes) -> bool:
        """See Identity."""
        return signature == mac(0, role, purpose, message)


@dataclass(slots=True)
class SetupWorld:
    """All parties. ``play`` runs a scene that boots, crashes and waits."""

    group: Group
    directory: Path
    batches: tuple[Batch, ...] = ()
    faults: Faults = field(default_factory=Faults)
    twists: dict[Role, Callable[[Letter], Letter]] = field(default_factory=dict)
    """What a faulty party makes of its letters."""
    homes: dict[Role, Home] = field(default_factory=dict)
    controls: dict[Role, Control] = field(default_factory=dict)
    networks: dict[Role, SimNetwork] = field(default_factory=dict)
    post: list[tuple[Role, Role, Letter]] = field(default_factory=list)
    """Sender, receiver, letter: all that was sent."""
    events: list[tuple[Role, str]] = field(default_factory=list)
    signatures: set[tuple[Role, str, int]] = field(default_factory=set)
    unsealed: list[Role] = field(default_factory=list)
    """Who signed the setup before contributions and keys were sealed."""
    _wires: Wires | None = None
    _pumps: dict[Role, asyncio.Task[None]] = field(default_factory=dict)
    _waiting: dict[tuple[Role, str], asyncio.Event] = field(default_factory=dict)

    def play(self, scene: Callable[[SetupWorld], Awaitable[None]]) -> None:
        """Run the scene to its end in virtual time, at most 10,000 s."""
        run_virtual(self._main(scene))

    async def _main(self, scene: Callable[[SetupWorld], Awaitable[None]]) -> None:
        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context.get("exception")))
        self._wires = Wires(self.group, Random(1), self.faults)
        for role in self.group.roles:
            self.homes[role] = Home(self.group, role, self.directory / str(role), Draws(role))
        try:
            async with asyncio.timeout(10_000):
                await scene(self)
        finally:
            for role in tuple(self.controls):
                self._stop(role)
        if errors:
            raise ValueError(f"something raised for what a peer did: {errors}")

    def boot(self, *roles: Role) -> None:
        """Start these parties (all of them when none is named) with what their disks hold."""
        if self._wires is None:
            raise ValueError("play a scene first")
        for role in roles or self.group.roles:
            home, pace = self.homes[role], ToyPace()
            network = self.networks[role] = self._wires.boot(role, pace.round_timeout)
            ports = Ports(
                group=self.group,
                me=role,
                sid=SID,
                identity=Signer(role, self._signs),
                network=network,
                link=network,
                send=partial(self._send, role),
                program=self._program(home),
                vault=home,
                pace=pace,
                observe=partial(self._observe, role),
                linger=LINGER,
            )
            control = self.controls[role] = Control(ports, home.sealed)
            control.start()
            self._pumps[role] = asyncio.create_task(_pump(network, control))

    def crash(self, *roles: Role) -> None:
        """End these boots."""
        if self._wires is None:
            raise ValueError("play a scene first")
        for role in roles:
            self._wires.crash(role)
            self._stop(role)

    def _stop(self, role: Role) -> None:
        """End a boot. What its letters raised is raised again."""
        self.controls.pop(role).close()
        pump = self._pumps.pop(role)
        if pump.done():
            pump.result()
        pump.cancel()

    async def ended(self, *roles: Role) -> None:
        """Until these parties hold the whole chain with its results."""
        await asyncio.gather(*(self.controls[role].finished for role in roles))

    async def happens(self, role: Role, event: str) -> None:
        """Until the next time that something happens at a party."""
        waiting = self._waiting[role, event] = asyncio.Event()
        await waiting.wait()

    def keys(self, role: Role) -> Keys:
        """The PRSS keys that a party has sealed under the certificate of its chain."""
        home = self.homes[role]
        return home.keeper().keys(results(home.sealed.chain)[0].core.contents)

    def opened(self, *roles: Role) -> bytes:
        """A PRSS value opened from the shares of these parties, all of them right: of one set of keys."""
        return self._opened({role: self.share(role) for role in roles})

    def batch(self, number: int, *roles: Role) -> bytes:
        """A batch (K = 64) opened from what these parties have sealed, all of it right."""
        shares = {}
        for role in roles:
            home = self.homes[role]
            digest = results(home.sealed.chain)[number].core.contents
            shares[role] = home.sealer.unseal_shares(f"batch-{number}-{digest.hex()[:16]}", 0).to_wire()
        return self._opened(shares)

    def signed(self, role: Role, segment: int) -> bool:
        """Whether a party signed a segment."""
        return (role, "signed", segment) in self.signatures

    def _opened(self, shares: Mapping[Role, bytes]) -> bytes:
        found = robust_open(self.group.n, self.group.t, 64, shares)
        if found is None or found[1]:
            raise ValueError(f"the shares lie on no polynomial: {None if found is None else bin(found[1])}")
        return found[0]

    def share(self, role: Role) -> bytes:
        """One party's share of that value: it tells other keys from the same."""
        return prss(self.keys(role), LABEL, 64, 0, 8).to_wire()

    def _program(self, home: Home) -> Making:
        setup = Segment(0, "setup", "setup", setup_slots(self.group))
        batches = (
            Segment(number, f"batch {number}", "batch", batch_slots(self.group, batch), batch)
            for number, batch in enumerate(self.batches, start=1)
        )
        work, party = (
            _Work(self.group, SID, (setup, *batches)),
            _Party(home.role, home.sealer, home.draws, home.archive),
        )
        return Making(cast("Work", work), cast("Party", party), Findings())

    def _send(self, sender: Role, receiver: Role, data: bytes) -> None:
        letter = letters.decode(self.group, data)
        if letter is None:
            raise ValueError("an honest party sends a letter that nobody can read")
        twist = self.twists.get(sender)
        letter = letter if twist is None else twist(letter)
        self.post.append((sender, receiver, letter))
        self.networks[sender].post(receiver, letters.encode(letter))

    def _signs(self, role: Role, purpose: str) -> None:
        if purpose == SEGMENT_PURPOSE:
            sealed = {path.name.rpartition("-")[0] for path in self.homes[role].directory.glob("setup-*-*.sealed")}
            if not {"setup-held", "setup-keys"} <= sealed:
                self.unsealed.append(role)

    def _observe(self, role: Role, event: str, position: Position) -> None:
        self.signatures.add((role, event, position.segment))
        self.events.append((role, event))
        if (role, event) in self._waiting:
            self._waiting.pop((role, event)).set()


async def _pump(network: SimNetwork, control: Control) -> None:
    """Hand out letters for ever."""
    while True:
        letter = await network.inbox()
        control.take(letter.role, letter.payload)
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class _Work:
    """What the setup needs of the Work."""

    group: Group
    sid: bytes
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class _Party:
    """What the setup needs of the Party."""

    me: Role
    sealer: KmsSealer
    entropy: Draws
    archive: Archive
    meter: Silence = field(default_factory=Silence)
    transcript: Silence = field(default_factory=Silence)

    @property
    def store(self) -> Archive:
        """Public bodies."""
        return self.archive
