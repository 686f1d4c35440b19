"""One party of a simulated ceremony: its disk, which can be wiped or put back, and one boot of the product's code."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, cast

from dkg_node.algebra.encoding import enc
from dkg_node.ceremony.control import Control
from dkg_node.ceremony.epochs import Epochs, Home
from dkg_node.ceremony.mailbox import Mailbox
from dkg_node.ceremony.statements import Asking, EpochStatement, Kept, Place, Stamp
from dkg_node.testing.toy_segments import Disk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dkg_node.ceremony.chain import Chain, EraProof, Position
    from dkg_node.ceremony.ports import Network
    from dkg_node.ceremony.program import Ports
    from dkg_node.protocols.session import Role
    from dkg_node.testing.simnet import SimNetwork

POLL = 0.25
"""Seconds between two looks whether enough peers have answered a boot."""


@dataclass(frozen=True, slots=True)
class Crash:
    """An honest party ends at a moment and boots again ``down`` later."""

    when: float
    role: Role
    down: float
    wiped: bool = False
    """With an empty disk."""
    rolled_back: int = 0
    """With the disk as it was so many seals before."""


@dataclass(slots=True)
class Memory:
    """A party's disk: what a boot finds. A Safe of the epochs."""

    state: Kept | None = None
    disk: Disk = field(default_factory=Disk)
    peers: dict[Role, EpochStatement] = field(default_factory=dict)
    older: list[tuple[Kept | None, Disk]] = field(default_factory=list)
    """The disk before each seal, the newest last."""

    def keep(self, place: Place, proof: EraProof, chain: Chain, *, blind: bool) -> bytes:
        """See Safe."""
        self.older.append((self.state, self.disk.copy()))
        written = enc(place.boot, place.epoch, [c.core.digest() for c in chain], proof.era, int(blind), self.disk.draw)
        self.state = Kept(Stamp(place, sha256(written).digest()), proof, chain, blind, whole=True)
        return self.state.stamp.digest

    def read(self) -> Kept | None:
        """See Safe."""
        return self.state

    def set_aside(self, mark: int) -> None:
        """See Safe: state and draws."""
        self.state, self.disk.draw = None, b""

    def keep_statements(self, statements: Mapping[Role, EpochStatement]) -> None:
        """See Safe."""
        self.peers = dict(statements)

    def statements(self) -> Mapping[Role, EpochStatement]:
        """See Safe."""
        return self.peers

    def after(self, crash: Crash) -> Memory:
        """What the next boot finds."""
        if crash.wiped:
            return Memory()
        if 0 < crash.rolled_back <= len(self.older):
            state, disk = self.older[-crash.rolled_back]
            return Memory(state, disk.copy(), self.peers)
        return self


class Denying(Epochs):
    """A liar's: it remembers nothing of anybody."""

    def _answer(self, role: Role) -> None:
        self._send(role, enc("newest", b""))


@dataclass(frozen=True, slots=True)
class Watch:
    """Who hears of a boot."""

    control: Callable[[Control], None]
    """The control layer begins."""
    event: Callable[[Control, str, Position], None]
    ended: Callable[[BaseException | None], None]
    """The boot must end, or is over."""


class Party:
    """One boot of one party: asks its peers how new its sealed state must be, then runs the control layer."""

    def __init__(self, ports: Ports, memory: Memory, network: SimNetwork, watch: Watch, *, denying: bool) -> None:
        """``ports`` lack what comes from the epochs."""
        self._watch, self._network = watch, network
        self._mailbox = Mailbox(ports.group, ports.me, cast("Network", network))
        home = Home(ports.group, ports.me, ports.sid, ports.identity)
        asking = Asking(ports.group, ports.me, ports.pace.start_grace, ports.pace.round_timeout / 4)
        self._epochs = (Denying if denying else Epochs)(home, memory, self._mailbox, network.boot, asking)
        self._ports = replace(
            ports,
            send=lambda role, data: self._mailbox.send(role, "control", data),
            vault=self._epochs,
            observe=self._observe,
            remembered=self._epochs.remembered,
        )
        self.control: Control | None = None
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(work) for work in (self._mailbox.pump(), self._begin(), self._end())]

    async def _begin(self) -> None:
        """As ceremony/run.py does."""
        self._epochs.ask()
        while not self._epochs.enough(self._network.connected(), self._network.now()):
            await self._mailbox.news(POLL)
        control = self.control = Control(self._ports, self._epochs.decide())
        self._epochs.on_remembered = control.remembered
        self._watch.control(control)
        control.start()
        self._mailbox.on("control", control.take)
        self._mailbox.on_boot(lambda role: control.take(role, None))

    async def _end(self) -> None:
        self._watch.ended(await self._epochs.ended())

    def _observe(self, event: str, position: Position) -> None:
        control = self.control
        if control is None:
            return
        if event == "start" and control.running is not None and not control.running.silent:
            self._epochs.spoke()
        self._watch.event(control, event, position)

    def close(self) -> None:
        """Crash: nothing of the boot is left."""
        for task in self._tasks:
            task.cancel()
        self._epochs.close()
        if self.control is not None:
            self.control.close()


def mac(seed: int, role: Role, purpose: str, message: bytes) -> bytes:
    """The ideal signature: 64 bytes."""
    return 2 * sha256(b"%d %d %s " % (seed, role, purpose.encode()) + message).digest()


class Keys:
    """Signatures as an ideal functionality: a keyed hash that everybody can check and only its owner makes."""

    def __init__(self, seed: int, role: Role, watch: Callable[[Role, str, bytes], None]) -> None:
        """Of one party; ``watch`` hears what it signs."""
        self._seed, self._role, self._watch = seed, role, watch

    def sign(self, purpose: str, message: bytes) -> bytes:
        """64 bytes; honest parties' signatures are watched for two different ones where there may be one."""
        self._watch(self._role, purpose, message)
        return mac(self._seed, self._role, purpose, message)

    def verify(self, role: Role, purpose: str, message: bytes, signature: bytes) -> bool:
        """Whether it is that party's."""
        return signature == mac(self._seed, role, purpose, message)
