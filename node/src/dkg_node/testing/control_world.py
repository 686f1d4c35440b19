"""A simulated ceremony of control layers: parties, their crashes and boots, faulty ones, and what must never be."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING

from dkg_node.ceremony.chain import NO_PROOF, SEGMENT_PURPOSE, Chain, EraProof, Position, results
from dkg_node.ceremony.control import Control
from dkg_node.ceremony.program import Ports, Sealed
from dkg_node.protocols.decoding import decoded
from dkg_node.protocols.session import Group, Role
from dkg_node.testing.control_faults import Behaviour, Colluders
from dkg_node.testing.simnet import SimNetwork, Wires
from dkg_node.testing.toy_segments import Disk, Shape, ToyPace, ToyProgram
from dkg_node.testing.virtual_time import run_virtual

if TYPE_CHECKING:
    from collections.abc import Sequence

SPREAD = 2.001
"""Most between two honest starts: two message delays."""
CRASH_POINTS = frozenset({"start", "certificate", "era", "quorum lost", "no certificate", "signed"})


@dataclass(frozen=True, slots=True)
class Crash:
    """An honest party ends at a moment and boots again ``down`` later; ``wiped``: with an empty disk."""

    when: float
    role: Role
    down: float
    wiped: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is to happen in a run, drawn from its seed."""

    group: Group
    seed: int
    faulty: frozenset[Role] = frozenset()
    behaviour: Behaviour = "honest"
    crashes: Sequence[Crash] = ()
    event_crashes: int = 0
    """How many crashes follow right on an event of a party, with chance ``event_chance`` each, before ``calm``."""
    event_chance: float = 0.2
    calm: float = 0.0
    cut: float = 0.5
    linger: float = 0.0
    end: float = 4000.0
    shape: Shape = Shape()


class Keys:
    """Signatures as an ideal functionality: a keyed hash that everybody can check and only its owner makes."""

    def __init__(self, world: World, role: Role) -> None:
        """Of one party."""
        self._world, self._role = world, role

    def sign(self, purpose: str, message: bytes) -> bytes:
        """64 bytes; honest parties' signatures are watched for two different ones where there may be one."""
        self._world.watch(self._role, purpose, message)
        return mac(self._world.plan.seed, self._role, purpose, message)

    def verify(self, role: Role, purpose: str, message: bytes, signature: bytes) -> bool:
        """Whether it is that party's."""
        return signature == mac(self._world.plan.seed, role, purpose, message)


def mac(seed: int, role: Role, purpose: str, message: bytes) -> bytes:
    """The ideal signature."""
    return 2 * sha256(b"%d %d %s " % (seed, role, purpose.encode()) + message).digest()


@dataclass(slots=True)
class Memory:
    """A party's sealed state and disk: what a boot finds. A Vault."""

    sealed: Sealed = field(default_factory=Sealed)
    disk: Disk = field(default_factory=Disk)

    def keep(self, proof: EraProof, chain: Chain) -> None:
        """See Vault."""
        self.sealed = Sealed(proof, chain, "restart")


class World:
    """One run. ``run`` gives the list of what went wrong: empty is good."""

    def __init__(self, plan: Plan) -> None:
        """Prepare all parties; nothing happens yet."""
        self.plan, self.group = plan, plan.group
        self.random = Random(plan.seed)
        self.honest = [role for role in plan.group.roles if role not in plan.faulty]
        self.bad: list[tuple[object, ...]] = []
        self.log: list[tuple[float, Role, str, Position]] = []
        self.eras = 0
        self.memories = {role: Memory() for role in plan.group.roles}
        self.controls: dict[Role, Control] = {}
        self.ends: dict[Role, Chain] = {}
        self._starts: dict[Position, dict[Role, float]] = {}
        self._crashed: dict[Position, set[Role]] = {}
        self._outputs: dict[tuple[object, ...], dict[Role, bytes]] = {}
        self._certified: dict[Position, set[bytes]] = {}
        self._inputs: set[bytes] = set()
        self._said: dict[tuple[object, ...], bytes] = {}
        self._crashes_left = plan.event_crashes
        faults = Colluders(plan.faulty, plan.behaviour, plan.seed, self.group, self.signer)
        faults.spoke = self.spoke
        self.wires = Wires(plan.group, self.random, faults, plan.cut)
        self._over: asyncio.Event

    def signer(self, role: Role, purpose: str, message: bytes) -> bytes:
        """Signatures of faulty parties, for the adversary."""
        return mac(self.plan.seed, role, purpose, message)

    def run(self) -> list[tuple[object, ...]]:
        """Run to the end of all honest parties, or of time."""
        run_virtual(self._main())
        return self.bad

    async def _main(self) -> None:
        self._over = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.bad.append(("ERROR", repr(context.get("exception")))))
        for role in self.group.roles:
            loop.call_at(self.random.uniform(0, 0.5), self._boot, role)
        for crash in self.plan.crashes:
            loop.call_at(crash.when, self._crash, crash)
        try:
            async with asyncio.timeout(self.plan.end):
                await self._over.wait()
        except TimeoutError:
            pass
        self._judge()
        for role in list(self.controls):
            self.controls.pop(role).close()

    # --- boots and crashes

    def _boot(self, role: Role) -> None:
        if role in self.controls:
            return
        pace, memory = ToyPace(), self.memories[role]
        network = self.wires.boot(role, pace.round_timeout)
        program = ToyProgram(
            self.group,
            role,
            memory.disk,
            network.boot,
            self.plan.shape,
            lambda place, given: self._heard(role, place, given),
        )
        ports = Ports(
            group=self.group,
            me=role,
            sid=bytes(32),
            identity=Keys(self, role),
            network=network,
            link=network,
            send=network.post,
            program=program,
            vault=memory,
            pace=pace,
            observe=lambda event, position: self._observe(role, event, position),
            linger=self.plan.linger,
        )
        control = self.controls[role] = Control(ports, memory.sealed)
        control.finished.add_done_callback(lambda done: self._finished(role, done))
        self._connect(network, control)

    @staticmethod
    def _connect(network: SimNetwork, control: Control) -> None:
        network.reader = control.take
        control.start()

    def _crash(self, crash: Crash) -> None:
        control = self.controls.pop(crash.role, None)
        if control is None or crash.role in self.plan.faulty:
            return
        self._note(crash.role, "crash", control.position)
        self._crashed.setdefault(control.position, set()).add(crash.role)
        self.wires.crash(crash.role)
        control.close()
        if crash.wiped:
            self.memories[crash.role] = Memory(Sealed(NO_PROOF, (), "lost disk"))
        asyncio.get_running_loop().call_later(crash.down, self._boot, crash.role)

    # --- what happens

    def _note(self, role: Role, event: str, position: Position) -> None:
        self.log.append((round(asyncio.get_running_loop().time(), 2), role, event, position))

    def _observe(self, role: Role, event: str, position: Position) -> None:
        control = self.controls[role]
        self._note(role, event, position)
        self.eras = max(self.eras, position.era)
        if role in self.plan.faulty:
            return
        if event == "certificate":
            self._certified.setdefault(position, set()).add(control.chain[-1].core.digest())
        if event == "era" and len(control.proof.signatures) < self.group.quorum:
            self.bad.append(("UNPROVEN ERA", role, position))
        if event == "start":
            self._starts.setdefault(position, {})[role] = asyncio.get_running_loop().time()
        if event == "start" and self.plan.shape.is_online(position) and control.running and not control.running.silent:
            self._inputs.add(self.plan.shape.online_input(control.chain))
        loop = asyncio.get_running_loop()
        due = event in CRASH_POINTS and self._crashes_left > 0 and loop.time() < self.plan.calm
        if due and self.random.random() < self.plan.event_chance:
            self._crashes_left -= 1
            when = loop.time() + self.random.choice((0, 0, 0.01, 0.5, 1, 5))
            down = self.random.choice((0.05, 0.5, 3, 12, 30))
            loop.call_at(when, self._crash, Crash(when, role, down))

    def _heard(self, role: Role, place: tuple[object, ...], given: bytes) -> None:
        self._outputs.setdefault(place, {})[role] = given

    def _finished(self, role: Role, done: asyncio.Future[Chain]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            if role in self.honest:
                self.bad.append(("ERROR", role, repr(error)))
            return
        self.ends[role] = done.result()
        if set(self.honest) <= self.ends.keys():
            self._over.set()

    def watch(self, role: Role, purpose: str, message: bytes) -> None:
        """An honest party signs one core a position, over all its boots."""
        items = decoded(message)
        if role in self.plan.faulty or items is None:
            return
        if purpose == SEGMENT_PURPOSE:
            self._once(("core", role, *items[1:3]), bytes(message))

    def spoke(self, role: Role, place: tuple[object, ...], body: bytes) -> None:
        """An honest party sends one thing to each other one in a slot."""
        if body and role not in self.plan.faulty:
            self._once(("slot", role, *place), body)

    def _once(self, place: tuple[object, ...], said: bytes) -> None:
        if self._said.setdefault(place, said) != said:
            self.bad.append(("SLOT REPEATED", place))

    def _judge_agreement(self) -> None:
        """Honest parties hear the same in every Broadcast, if no more than t are faulty, late, or crash in it.

        Late is who started more than two delays after the first honest one: it was away.
        """
        for place, given in self._outputs.items():
            position = Position(int(str(place[0])), int(str(place[1])))
            starts = {r: when for r, when in self._starts.get(position, {}).items() if r in self.honest}
            timely = {role for role, when in starts.items() if when <= min(starts.values()) + SPREAD}
            whole = timely - self._crashed.get(position, set())
            if len(whole) >= self.group.quorum and len({given[role] for role in whole if role in given}) > 1:
                self.bad.append(("SPLIT", place))
        if not self.plan.crashes and not self.plan.event_crashes:
            for position, starts in self._starts.items():
                if max(starts.values()) - min(starts.values()) > SPREAD:
                    self.bad.append(("STARTS APART", position))

    def _judge(self) -> None:
        self._judge_agreement()
        for position, digests in self._certified.items():
            if len(digests) > 1:
                self.bad.append(("TWO CERTIFICATES", position))
        if len(self._inputs) > 1:
            self.bad.append(("ONLINE TWICE", len(self._inputs)))
        ends = [self.ends[role] for role in self.honest if role in self.ends]
        if len({tuple(certificate.core.contents for certificate in results(chain)) for chain in ends}) > 1:
            self.bad.append(("DIFFERENT STATE",))
        for role, control in self.controls.items():
            named = {r for c in control.chain for r in c.core.state.corrupt}
            if role in self.honest and named & set(self.honest):
                self.bad.append(("HONEST NAMED", role, named))
        left = [role for role in self.honest if role not in self.ends]
        if left and not any(entry[0] == "ERROR" for entry in self.bad):
            where = [(role, self.controls[role].position) for role in left if role in self.controls]
            self.bad.append(("STUCK", left, where))
