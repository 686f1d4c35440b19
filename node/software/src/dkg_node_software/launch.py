"""A local ceremony from terms to report: the launcher plays the organisations and their couriers, never a party."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg_api.enrolment import Enrolment, enrol
from dkg_node.errors import QuorumLost
from dkg_node.protocols.session import Group
from dkg_node.sealing.files import write_atomic
from dkg_node.service.command import DONE, NegativeVerdict
from dkg_node_software import collect, report
from dkg_node_software.agreement import ATTEMPT, Agreement, Pace, agree
from dkg_node_software.control_client import ControlClient
from dkg_node_software.display import Display
from dkg_node_software.layout import Layout
from dkg_node_software.measure import measure
from dkg_node_software.preflight import peer_port
from dkg_node_software.processes import Processes, Start
from dkg_node_software.selfcheck import self_check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_api.terms import Terms
    from dkg_node_software.collect import Collected
    from dkg_node_software.run_local import Wish

HOST = "127.0.0.1"
SETTLE = 0.1
EVERYTHING = 100


@dataclass(slots=True)
class Ends:
    """How far each party got."""

    done: set[int] = field(default_factory=set)
    stopped: dict[int, str] = field(default_factory=dict)
    """Party -> its last words."""
    phases: dict[int, str] = field(default_factory=dict)
    codes: dict[int, int] = field(default_factory=dict)


async def launch(wish: Wish) -> int:
    """Run the ceremony; returns 0. Raises DkgError; whatever happens, no process stays behind but with --keep."""
    layout, group = Layout(wish.out), Group(wish.parties, wish.threshold)
    layout.make(group.n)
    agreement = agree(wish.parameter_set, group, [await asyncio.to_thread(measure)], Pace(*wish.pace), wish.seed)
    write_atomic(layout.terms, _json(_signed_terms(agreement)))
    display = Display(group.n)
    for line in _notices(agreement.terms, wish):
        display.say(line)
    listen = {party: f"{HOST}:{peer_port(wish.base_port, party)}" for party in group.roles}
    processes = Processes(Start(layout, listen, wish.keep, wish.seed, wish.adversaries))
    keep = False
    try:
        clients = await _start(agreement, processes, wish)
        ends = await _watch(group, agreement.terms, processes, clients, display)
        display.close()
        collected = await _harvest(group, layout, agreement.terms, clients, ends)
        keep = wish.keep
    finally:
        if not keep:
            await processes.stop()
    return await _finish(layout, agreement.terms, collected, ends, display)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def _signed_terms(agreement: Agreement) -> dict[str, object]:
    signatures = [signature.model_dump(mode="json") for signature in agreement.signatures]
    return {"terms": agreement.terms.as_json(), "signatures": signatures}


def _notices(terms: Terms, wish: Wish) -> list[str]:
    seeded = ["SEEDED RANDOMNESS: ANYBODY CAN REPEAT IT"] if wish.seed is not None else []
    return [*terms.notices, "DEVELOPMENT SEALING", *seeded, f"terms {terms.digest.hex()}"]


async def _start(agreement: Agreement, processes: Processes, wish: Wish) -> dict[int, ControlClient]:
    """Start all nodes, enrol the identities they made, tell everybody about everybody."""
    parties = list(agreement.keys)
    layout = processes.start.layout
    peers: list[dict[str, object]] = [
        {"index": party, "host": HOST, "peerPort": peer_port(wish.base_port, party), "certificate": None}
        for party in parties
    ]
    for party in parties:
        write_atomic(layout.desired_state(party), _json(_state(agreement, party, peers, [])))
        await processes.launch(party)
    found = await asyncio.gather(*(processes.identity(party) for party in parties))
    enrolments = []
    for party, peer, facts in zip(parties, peers, found, strict=True):
        key = bytes.fromhex(facts["identity_key"])
        enrolments.append(enrol(agreement.terms.digest, party, key, agreement.keys[party]))
        peer["certificate"] = facts["certificate"]
    for party in parties:
        write_atomic(layout.desired_state(party), _json(_state(agreement, party, peers, enrolments)))
    keys = {enrolment.party: bytes.fromhex(enrolment.identity_key) for enrolment in enrolments}
    return {party: ControlClient(party, processes.socket(party), keys[party]) for party in parties}


def _state(
    agreement: Agreement, party: int, peers: list[dict[str, object]], enrolments: list[Enrolment]
) -> dict[str, object]:
    return {
        **_signed_terms(agreement),
        "party": party,
        "attempt": ATTEMPT,
        "peers": peers,
        "enrolments": [enrolment.model_dump(mode="json") for enrolment in enrolments],
    }


async def _watch(
    group: Group, terms: Terms, processes: Processes, clients: Mapping[int, ControlClient], display: Display
) -> Ends:
    """Show progress until every party is done or stopped. QuorumLost as soon as more than t parties can't finish."""
    ends = Ends()
    news = asyncio.Event()

    async def follow(party: int) -> None:
        async for item in clients[party].watch():
            ends.phases[party] = item.phase
            display.update(party, item)
            if item.state == "done":
                ends.done.add(party)
                news.set()
                return

    async def mourn(party: int) -> None:
        ends.codes[party] = await processes.running[party].wait()
        if party not in ends.done:
            ends.stopped[party] = processes.last_words(party)
            display.gone(party, ends.stopped[party])
        news.set()

    tasks = [asyncio.create_task(one(party)) for party in group.roles for one in (follow, mourn)]
    try:
        while len(ends.done) + len(ends.stopped) < group.n:
            patience = (terms.round_timeout + terms.start_grace) / 1000 if len(ends.done) >= group.quorum else None
            news.clear()
            try:
                await asyncio.wait_for(news.wait(), patience)
            except TimeoutError:
                break
            if len(ends.stopped) > group.t:
                await asyncio.sleep(SETTLE)
                raise _lost(ends)
    finally:
        for task in tasks:
            task.cancel()
    return ends


def _lost(ends: Ends) -> QuorumLost | NegativeVerdict:
    """More than t parties stopped: why, in the words of the one that said most."""
    spoken = [words for party, words in sorted(ends.stopped.items()) if ends.codes[party] > 0]
    words = max(set(spoken), key=spoken.count) if spoken else next(iter(ends.stopped.values()))
    text = f"parties {sorted(ends.stopped)} stopped: {words}"
    if any(code == 1 for code in ends.codes.values()):
        return NegativeVerdict(text)
    return QuorumLost(text, ends.stopped)


async def _harvest(
    group: Group, layout: Layout, terms: Terms, clients: Mapping[int, ControlClient], ends: Ends
) -> Collected:
    """Fetch what the parties that finished made; all digests must be equal."""
    if len(ends.done) < group.quorum:
        raise _lost(ends)
    for party in ends.stopped:
        collect.keep_transcript(layout, party)
    return await collect.collect(layout, terms, {party: clients[party] for party in sorted(ends.done)})


async def _finish(layout: Layout, terms: Terms, collected: Collected, ends: Ends, display: Display) -> int:
    """After the run has ended: the self-check on the reconstructed key, the report, the summary."""
    checked = await self_check(layout, terms, display.say)
    unfinished = {party: ends.phases.get(party, "start") for party in range(1, terms.n + 1) if party not in ends.done}
    written = report.write(layout, terms, collected, unfinished, checked)
    collect.tidy(layout, terms.n)
    for line in report.summary(written, terms):
        display.say(line)
    if not checked.passed:
        raise NegativeVerdict("the self-check failed: stock tfhe-rs does not compute with this key; do not use it")
    return DONE
