"""A simulated ceremony of control layers: parties, their crashes and boots, faulty ones, and what must never be."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TYPE_CHECKING, cast

from dkg_node.ceremony.chain import GO_PURPOSE, SEGMENT_PURPOSE, START, Position, results
from dkg_node.ceremony.program import Ports
from dkg_node.protocols.decoding import decoded
from dkg_node.testing.control_faults import Behaviour, Colluders
from dkg_node.testing.control_judge import Judge
from dkg_node.testing.control_party import Crash, Keys, Memory, Party, Watch, mac
from dkg_node.testing.simnet import Weather, Wires
from dkg_node.testing.toy_segments import Shape, ToyPace, ToyProgram
from dkg_node.testing.virtual_time import run_virtual

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dkg_node.ceremony.chain import Chain
    from dkg_node.ceremony.control import Control
    from dkg_node.ceremony.program import Vault
    from dkg_node.protocols.session import Group, Role

POSITIONS = 8
"""Most that a party remembers statements about."""
CRASH_POINTS = frozenset({"start", "certificate", "era", "quorum lost", "no certificate", "signed"})


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
    rolling: bool = False
    """Whether honest parties restart in turn, one a segment, before ``calm``."""
    shape: Shape = field(default_factory=Shape)
    weather: Weather = field(default_factory=Weather)
    end: float = 4000.0


class World:
    """One run. ``run`` gives the list of what went wrong: empty is good."""

    def __init__(self, plan: Plan) -> None:
        """Prepare all parties; nothing happens yet."""
        self.plan, self.group = plan, plan.group
        self.random = Random(plan.seed)
        self.honest = [role for role in plan.group.roles if role not in plan.faulty]
        self.judge = Judge(plan.group, self.honest, quick=plan.shape.adopting < 1)
        self.bad = self.judge.bad
        self.log: list[tuple[float, Role, str, Position]] = []
        self.eras = 0
        self.memories = {role: Memory() for role in plan.group.roles}
        self.parties: dict[Role, Party] = {}
        self.held_up: set[Role] = set()
        """Whose lost disk faulty parties keep silent to the end, by not showing where they stand."""
        self.ends: dict[Role, Chain] = {}
        self._keys: set[tuple[bytes, ...]] = set()
        """What honest parties held of the whole chain's results when they were done."""
        self._crashes_left = plan.event_crashes
        faults = Colluders(plan.faulty, plan.behaviour, plan.seed, self.group, self.signer, plan.shape)
        faults.spoke = self.spoke
        self.faults = faults
        self.later: list[tuple[float, Callable[[], None]]] = []
        """What a test has happen at a moment."""
        self._rolled: set[Position] = set()
        self.wires = Wires(plan.group, self.random, faults, plan.cut, plan.weather)
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
        for when, call in self.later:
            loop.call_at(when, call)
        for crash in self.plan.crashes:
            loop.call_at(crash.when, self._crash, crash)
        try:
            async with asyncio.timeout(self.plan.end):
                await self._over.wait()
        except TimeoutError:
            pass
        self._judge()
        for role in list(self.parties):
            self.parties.pop(role).close()

    @property
    def controls(self) -> dict[Role, Control]:
        """The control layers that run."""
        return {role: party.control for role, party in self.parties.items() if party.control is not None}

    # --- boots and crashes

    def _boot(self, role: Role) -> None:
        if role in self.parties:
            return
        pace, memory, lies = ToyPace(), self.memories[role], role in self.plan.faulty and self.plan.behaviour == "wrong"
        network = self.wires.boot(role, pace.round_timeout)
        heard = partial(self.judge.heard, role)
        program = ToyProgram(self.group, role, memory.disk, network.boot, self.plan.shape, heard, lies)
        ports = Ports(
            group=self.group,
            me=role,
            sid=bytes(32),
            identity=Keys(self.plan.seed, role, self.watch),
            network=network,
            link=network,
            send=network.post,
            program=program,
            vault=cast("Vault", None),
            pace=pace,
            observe=lambda *_: None,
            linger=self.plan.linger,
        )
        watch = Watch(
            control=lambda control: control.finished.add_done_callback(lambda done: self._finished(role, done)),
            event=lambda control, event, position: self._observe(role, control, event, position),
            ended=lambda _: self._crash(Crash(network.now(), role, 1.0)),
        )
        self.parties[role] = Party(ports, memory, network, watch, denying=lies)

    def _crash(self, crash: Crash) -> None:
        if crash.role not in self.parties or crash.role in self.plan.faulty:
            return
        party = self.parties.pop(crash.role)
        now, position = asyncio.get_running_loop().time(), START if party.control is None else party.control.position
        self._note(crash.role, "crash", position)
        self.judge.crash(crash.role, position, now, now + crash.down)
        self.wires.crash(crash.role)
        party.close()
        self.memories[crash.role] = self.memories[crash.role].after(crash)
        asyncio.get_running_loop().call_later(crash.down, self._boot, crash.role)

    # --- what happens

    def _note(self, role: Role, event: str, position: Position) -> None:
        self.log.append((round(asyncio.get_running_loop().time(), 2), role, event, position))

    def _observe(self, role: Role, control: Control, event: str, position: Position) -> None:
        self._note(role, event, position)
        self.eras = max(self.eras, position.era)
        if event == "certificate":
            self.faults.certified.add(position)
        if role in self.plan.faulty:
            return
        now = asyncio.get_running_loop().time()
        if event == "certificate":
            self.judge.certificate(control.chain[-1].core, now)
            self.faults.absent = control.chain[-1].core.state.absent
        if event == "era" and len(control.proof.signatures) < self.group.quorum:
            self.bad.append(("UNPROVEN ERA", role, position))
        if event == "start" and control.running is not None:
            self.judge.start(role, position, now, silent=control.running.silent)
            if self.plan.shape.is_online(position) and not control.running.silent:
                self.judge.online(self.plan.shape.online_input(control.chain))
            self._roll(position, now)
            self._weigh(role, control)
        self._crash_at_event(role, event, now)

    def _crash_at_event(self, role: Role, event: str, now: float) -> None:
        due = event in CRASH_POINTS and self._crashes_left > 0 and now < self.plan.calm
        if due and self.random.random() < self.plan.event_chance:
            self._crashes_left -= 1
            when = now + self.random.choice((0, 0, 0.01, 0.5, 1, 5))
            down = self.random.choice((0.05, 0.5, 3, 12, 30))
            asyncio.get_running_loop().call_at(when, self._crash, Crash(when, role, down))

    def _weigh(self, role: Role, control: Control) -> None:
        """What peers can make a party remember is bounded: a few positions, a core a party in each."""
        entries, cores = len(control._go.book.entries), len(control._evidence._signatures)  # noqa: SLF001 - weighs it
        if entries > POSITIONS or cores > POSITIONS * self.group.n:
            self.bad.append(("TOO MUCH REMEMBERED", role, entries, cores))

    def _roll(self, position: Position, now: float) -> None:
        """The next honest party in turn goes down in a segment that has just begun."""
        if self.plan.rolling and now < self.plan.calm and position not in self._rolled:
            self._rolled.add(position)
            role = self.honest[len(self._rolled) % len(self.honest)]
            when = now + self.random.uniform(0, 3)
            asyncio.get_running_loop().call_at(when, self._crash, Crash(when, role, self.random.choice((0.05, 1, 3))))

    def _finished(self, role: Role, done: asyncio.Future[Chain]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            if role in self.honest:
                self.bad.append(("ERROR", role, repr(error)))
            return
        chain = self.ends[role] = done.result()
        if role in self.honest:
            made = self.memories[role].disk.made
            self._keys.add(tuple(made.get(certificate.core.contents, b"") for certificate in results(chain)))
        if set(self.honest) <= self.ends.keys():
            self._over.set()

    def watch(self, role: Role, purpose: str, message: bytes) -> None:
        """An honest party signs one core a position, over all its boots."""
        items = decoded(message)
        if role in self.plan.faulty or items is None:
            return
        match items:
            case (bytes(), int() as era, int() as place, "ready") if purpose == GO_PURPOSE:
                self.judge.ready(role, Position(era, place - 1), asyncio.get_running_loop().time())
        if purpose == SEGMENT_PURPOSE:
            self.judge.once(("core", role, *items[1:3]), bytes(message))

    def spoke(self, role: Role, place: tuple[object, ...], body: bytes) -> None:
        """An honest party sends one thing to each other one in a slot."""
        if body and role not in self.plan.faulty:
            self.judge.once(("slot", role, *place), body)

    def _judge(self) -> None:
        chains = {role: control.chain for role, control in self.controls.items()}
        self.judge.conclude(self.ends, chains)
        if len(self._keys) > 1:
            self.bad.append(("DIFFERENT KEYS",))
        left = [role for role in self.honest if role not in self.ends]
        waits = {role: self.controls[role].awaited for role in left if role in self.controls}
        self.held_up = {role for role, awaited in waits.items() if awaited and awaited <= self.plan.faulty}
        if self.held_up:  # a lost disk and t that hide where they stand are more than t missing
            return
        if left and not any(entry[0] == "ERROR" for entry in self.bad):
            where = [(role, self.controls[role].position) for role in left if role in self.controls]
            self.bad.append(("STUCK", left, where))
