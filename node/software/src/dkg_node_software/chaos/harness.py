"""One run of chaos: real processes behind proxies, the faults of a schedule, and a judgement of what came out."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from dkg_node.sealing.files import write_atomic
from dkg_node.service.control_client import ControlClient
from dkg_node_software.agreement import Pace, agree
from dkg_node_software.chaos.faults import Injector, traps_of
from dkg_node_software.chaos.nodes import POLL, Nodes, free_base
from dkg_node_software.chaos.proxy import Proxies
from dkg_node_software.launch import _json, _signed_terms
from dkg_node_software.layout import Layout
from dkg_node_software.preflight import attest_port, peer_port

if TYPE_CHECKING:
    from dkg_api.terms import Terms
    from dkg_node.protocols.session import Group, Role
    from dkg_node_software.agreement import Agreement
    from dkg_node_software.chaos.schedule import Schedule

SETTLE = 0.2
PARTIES = re.compile(r"(?:parties|waiting for) \[([0-9, ]+)\]|\"missing\":\[([0-9, ]+)\]")
"""How a party names whom it misses: in its phase while it waits, in its errors, in its transcript."""


@dataclass(slots=True)
class Seen:
    """What a party's control service said."""

    state: str = "starting"
    phase: str = ""
    done_at: float | None = None
    """Seconds after the ceremony began."""
    messages: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Setting:
    """What all runs of one invocation share."""

    group: Group
    parameter_set: str
    release: dict[str, str]
    work: Path
    """Directory for the runs' files."""
    limit: float
    """Seconds that a run may take."""
    pace: Pace | None = None
    """None: ``pace_of`` the group."""
    taken: set[int] = field(default_factory=set)
    """Base ports in use."""


@dataclass(slots=True)
class Stage:
    """Everything of one run while it goes on."""

    setting: Setting
    schedule: Schedule
    agreement: Agreement
    layout: Layout
    base: int
    proxies: Proxies
    nodes: Nodes
    injector: Injector
    clients: dict[Role, ControlClient] = field(default_factory=dict)
    seen: dict[Role, Seen] = field(default_factory=dict)
    began: float = 0.0
    """Wall time at which all parties knew of each other."""
    took: float = 0.0
    """Seconds until all that are to finish had, or could not any more."""

    @property
    def terms(self) -> Terms:
        """What was agreed on."""
        return self.agreement.terms

    @property
    def expected(self) -> frozenset[Role]:
        """Who is to finish."""
        return frozenset(self.setting.group.roles) - self.schedule.gone

    @property
    def done(self) -> frozenset[Role]:
        """Who has finished."""
        return frozenset(party for party, seen in self.seen.items() if seen.done_at is not None)


def pace_of(group: Group) -> Pace:
    """Of the terms of chaos: a slot that waits for a silent party takes seconds, and all nodes share one machine."""
    return Pace(start_grace=375 * group.n, round_timeout=300 * group.n, min_rate=4_000_000, min_speed=1_000)


def make_stage(setting: Setting, schedule: Schedule, name: str) -> Stage:
    """Terms, directories, ports; nothing runs yet."""
    group = setting.group
    layout = Layout(setting.work / name)
    layout.make(group.n)
    agreement = agree(setting.parameter_set, group, [setting.release], setting.pace or pace_of(group), None)
    write_atomic(layout.terms, _json(_signed_terms(agreement)))
    base = free_base(group.n, setting.taken)
    ports = {party: peer_port(base, party) for party in group.roles}
    proxies = Proxies(group, ports)
    sockets = Path(mkdtemp(prefix="dkg-chaos-"))
    attest = {party: attest_port(base, party) for party in group.roles}
    nodes = Nodes(layout, group, agreement, proxies, ports, attest, schedule.liars, sockets)
    stage = Stage(setting, schedule, agreement, layout, base, proxies, nodes, Injector(schedule, nodes, proxies))
    if schedule.lost:
        stage.injector.named = partial(missing_named, stage)
    return stage


async def play(stage: Stage) -> None:
    """Run to the end: all that are to finish have, or the limit is over. Raises EnvironmentFault if it can't start."""
    await stage.proxies.start()
    await stage.nodes.start({party: traps_of(stage.schedule.faults, party) for party in stage.setting.group.roles})
    stage.began = time.time()
    for party in stage.setting.group.roles:
        stage.seen[party] = Seen()
        stage.clients[party] = ControlClient(stage.nodes.socket(party), stage.nodes.key(party))
    tasks = [asyncio.create_task(_follow(stage, party)) for party in stage.setting.group.roles]
    tasks.append(asyncio.create_task(stage.injector.run()))
    try:
        async with asyncio.timeout(stage.setting.limit):
            await _ended(stage, tasks[-1])
    except TimeoutError:
        pass
    finally:
        stage.took = time.time() - stage.began
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def close(stage: Stage, *, keep: bool) -> None:
    """End every process and link of the run."""
    for client in stage.clients.values():
        await client.close()
    await asyncio.to_thread(stage.nodes.stop)
    await stage.proxies.stop()
    shutil.rmtree(stage.nodes.sockets, ignore_errors=True)
    if not keep:
        shutil.rmtree(stage.layout.out, ignore_errors=True)
    stage.setting.taken.discard(stage.base)


async def _follow(stage: Stage, party: Role) -> None:
    """Read the party's status for ever, over its restarts."""
    seen = stage.seen[party]
    while True:
        async for item in stage.clients[party].watch():
            seen.state, seen.phase = item.state, item.phase
            seen.messages |= {item.phase, item.message}
            if item.state == "done" and seen.done_at is None:
                seen.done_at = time.time() - stage.began
        await asyncio.sleep(SETTLE)


async def _ended(stage: Stage, injecting: asyncio.Task[None]) -> None:
    """Return when all that are to finish have finished, or none of them can any more."""
    while not stage.expected <= stage.done:
        if injecting.done():
            injecting.result()
        waiting = stage.expected - stage.done
        if not any(_alive(stage, party) for party in waiting):
            return
        await asyncio.sleep(POLL)


def _alive(stage: Stage, party: Role) -> bool:
    """Whether the party runs, or a fault of it is not over yet."""
    pending = [fault for fault in stage.schedule.faults if fault.party == party and fault in stage.injector.injected]
    restarting = any(fault.kind == "restart" and fault not in stage.injector.over for fault in pending)
    process = stage.nodes.running.get(party)
    return restarting or (process is not None and process.poll() is None)


def missing_named(stage: Stage) -> bool:
    """Whether somebody who waited said exactly whom it missed: in its status, its log, or as `quorum lost`."""
    silent = {fault.party for fault in stage.schedule.faults if fault.kind in ("kill", "restart")}
    for party in stage.expected - silent:
        texts = set(stage.seen[party].messages)
        for path in (stage.layout.log(party), stage.layout.party(party) / "transcript.jsonl"):
            with suppress(OSError):
                texts.add(path.read_text(encoding="utf-8", errors="replace"))
        for found in (one or other for text in texts for one, other in PARTIES.findall(text)):
            if {int(word) for word in found.split(",")} == silent:
                return True
    return False
