"""A local ceremony from terms to report: the launcher plays the organisations and their couriers, never a party."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg_api.enrolment import Enrolment, enrol
from dkg_node.attestation.appraiser import LONG_LIVED, TermsAppraiser
from dkg_node.attestation.obstacles import ChannelRefused
from dkg_node.errors import DkgError, QuorumLost, UsageError
from dkg_node.protocols.session import Group
from dkg_node.sealing.files import write_atomic
from dkg_node.service.clock import milliseconds
from dkg_node.service.command import DONE, ENVIRONMENT, LOST, NEGATIVE, USAGE, EnvironmentFault, NegativeVerdict
from dkg_node.service.control_client import ControlClient
from dkg_node.service.report_tool import lines_of
from dkg_node_software import collect, report
from dkg_node_software.agreement import ATTEMPT, Agreement, Pace, agree
from dkg_node_software.custody import DoubleParty, enrolled_arn, write_table
from dkg_node_software.display import Display
from dkg_node_software.double.running import running_double
from dkg_node_software.layout import Layout
from dkg_node_software.measure import measure
from dkg_node_software.preflight import attest_port, peer_port
from dkg_node_software.processes import Processes, Start
from dkg_node_software.root import SOFTWARE_ROOT
from dkg_node_software.selfcheck import self_check

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dkg_api.terms import Terms
    from dkg_node_software.collect import Collected
    from dkg_node_software.run_local import Wish

HOST = "127.0.0.1"
SETTLE = 0.1


@dataclass(slots=True)
class Ends:
    """How far each party got."""

    done: set[int] = field(default_factory=set)
    stopped: dict[int, str] = field(default_factory=dict)
    """Party -> its last words."""
    phases: dict[int, str] = field(default_factory=dict)
    codes: dict[int, int] = field(default_factory=dict)
    unattested: dict[int, str] = field(default_factory=dict)
    """Party -> code of what is wrong with its evidence."""


@dataclass(frozen=True, slots=True)
class Run:
    """One local ceremony under way."""

    wish: Wish
    layout: Layout
    group: Group
    agreement: Agreement
    processes: Processes
    display: Display
    enrolments: tuple[Enrolment, ...] = ()
    """Those of the run that is resumed; none: the parties are new."""
    ends: Ends = field(default_factory=Ends)

    @property
    def terms(self) -> Terms:
        """What was agreed on."""
        return self.agreement.terms


async def launch(wish: Wish) -> int:
    """Run the ceremony; returns 0. Raises DkgError; whatever happens, no process stays behind but with --keep."""
    run = await _prepare(wish)
    with running_double(run.layout.double):
        return await _launch(run)


async def _launch(run: Run) -> int:
    """From the first process to the summary."""
    wish, keep = run.wish, False
    try:
        clients = await _start(run)
        await _watch(run, clients)
        collected = await _harvest(run, clients)
        keep = wish.keep
    except DkgError:
        report.write_failed(run.layout, run.terms, _left(run))
        raise
    finally:
        run.display.close()
        if not keep:
            await run.processes.stop()
    return await _finish(run, collected)


async def _prepare(wish: Wish) -> Run:
    """Directories, terms, the notices on the screen."""
    layout, group = Layout(wish.out), Group(wish.parties, wish.threshold)
    if wish.unfinished is None:
        layout.make(group.n)
        agreement = agree(wish.parameter_set, group, [await asyncio.to_thread(measure)], Pace(*wish.pace), wish.seed)
        write_atomic(layout.terms, _json(_signed_terms(agreement)))
        write_table(layout.double, agreement.terms, group.n)
    else:
        agreement = Agreement(wish.unfinished.terms, wish.unfinished.signatures, {})
    enrolments = wish.unfinished.enrolments if wish.unfinished is not None else ()
    display = Display(group.n)
    seeded = ["SEEDED RANDOMNESS: ANYBODY CAN REPEAT IT"] if wish.seed is not None else []
    for line in (*agreement.terms.notices, *seeded, f"terms {agreement.terms.digest.hex()}"):
        display.say(line)
    listen = {party: f"{HOST}:{peer_port(wish.base_port, party)}" for party in group.roles}
    attest = {party: f"{HOST}:{attest_port(wish.base_port, party)}" for party in group.roles}
    processes = Processes(Start(layout, listen, attest, wish.keep, wish.seed, wish.adversaries))
    return Run(wish, layout, group, agreement, processes, display, enrolments)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def _signed_terms(agreement: Agreement) -> dict[str, object]:
    signatures = [signature.model_dump(mode="json") for signature in agreement.signatures]
    return {"terms": agreement.terms.as_json(), "signatures": signatures}


async def _start(run: Run) -> dict[int, ControlClient]:
    """Start all nodes, enrol the identities they made, tell everybody about everybody."""
    agreement, parties, arns = run.agreement, list(run.group.roles), _kms_keys(run)
    peers: list[dict[str, object]] = [
        {
            "index": party, "host": HOST, "peerPort": peer_port(run.wish.base_port, party),
            "attestPort": attest_port(run.wish.base_port, party),
        }
        for party in parties
    ]  # fmt: skip
    for party in parties:
        (run.layout.party(party) / "identity.json").unlink(missing_ok=True)
        write_atomic(run.layout.desired_state(party), _json(_state(agreement, arns, party, peers, run.enrolments)))
        run.processes.launch(party)
    found = await asyncio.gather(*(run.processes.identity(party) for party in parties))
    keys = {party: bytes.fromhex(facts.identity_key) for party, facts in zip(parties, found, strict=True)}
    documents = {party: b64decode(facts.document) for party, facts in zip(parties, found, strict=True)}
    enrolments = run.enrolments or [
        enrol(agreement.terms.digest, party, key, agreement.keys[party], documents[party], arns[party])
        for party, key in keys.items()
    ]  # fmt: skip
    for party in parties:
        write_atomic(run.layout.desired_state(party), _json(_state(agreement, arns, party, peers, enrolments)))
    _appraise(run, enrolments)
    return {party: ControlClient(run.processes.socket(party), key) for party, key in keys.items()}


def _appraise(run: Run, enrolments: Sequence[Enrolment]) -> None:
    """What `enrol` would have told an honest organisation, and what all other parties find by themselves."""
    appraiser = TermsAppraiser(run.terms, LONG_LIVED, SOFTWARE_ROOT)
    for enrolment in enrolments:
        try:
            appraiser.enrolment(enrolment, milliseconds())
        except ChannelRefused as refusal:
            run.ends.unattested[enrolment.party] = refusal.code
            run.display.say(f"party {enrolment.party} is refused by all others: {refusal}")


def _kms_keys(run: Run) -> dict[int, str]:
    """ARN of each party's KMS key: those that are enrolled, or new ones, made as the parties' operators make them."""
    if run.enrolments:
        return {party: enrolled_arn(run.layout, party) for party in run.group.roles}
    return {party: DoubleParty(run.layout.double, run.terms, party).make_key() for party in run.group.roles}


def _state(
    agreement: Agreement,
    arns: Mapping[int, str],
    party: int,
    peers: list[dict[str, object]],
    enrolments: Sequence[Enrolment],
) -> dict[str, object]:
    return {
        **_signed_terms(agreement),
        "party": party,
        "attempt": ATTEMPT,
        "keyArn": arns[party],
        "peers": peers,
        "enrolments": [enrolment.model_dump(mode="json") for enrolment in enrolments],
    }


async def _watch(run: Run, clients: Mapping[int, ControlClient]) -> None:
    """Show progress until every party is done or stopped. QuorumLost as soon as more than t parties can't finish."""
    ends, news = run.ends, asyncio.Event()

    async def follow(party: int) -> None:
        async for item in clients[party].watch():
            ends.phases[party] = item.phase
            run.display.update(party, item)
            if item.state == "done":
                ends.done.add(party)
                news.set()
                return

    async def mourn(party: int) -> None:
        ends.codes[party] = await run.processes.ended(party)
        if party not in ends.done:
            ends.stopped[party] = run.processes.last_words(party)
            run.display.gone(party, ends.stopped[party])
        news.set()

    tasks = [asyncio.create_task(one(party)) for party in run.group.roles for one in (follow, mourn)]
    try:
        while len(ends.done) + len(ends.stopped) < run.group.n:
            news.clear()
            try:
                await asyncio.wait_for(news.wait(), _patience(run))
            except TimeoutError:
                break
            if len(ends.stopped) > run.group.t:
                await asyncio.sleep(SETTLE)
                raise _lost(ends)
    finally:
        for task in tasks:
            task.cancel()


def _patience(run: Run) -> float | None:
    """How long to wait for the next party: with n-t done, no longer than the terms grant a late one."""
    enough = len(run.ends.done) >= run.group.quorum
    return (run.terms.round_timeout + run.terms.start_grace) / 1000 if enough else None


def _lost(ends: Ends) -> DkgError:
    """More than t parties stopped: why, in the words most of them used, and with their exit code's meaning."""
    spoken = {party: words for party, words in sorted(ends.stopped.items()) if ends.codes[party] > 0}
    words = Counter(spoken.values()).most_common(1)[0][0] if spoken else next(iter(ends.stopped.values()))
    code = next((ends.codes[party] for party, said in spoken.items() if said == words), LOST)
    text = f"parties {sorted(ends.stopped)} stopped: {words}"
    kinds: dict[int, type[DkgError]] = {NEGATIVE: NegativeVerdict, USAGE: UsageError, ENVIRONMENT: EnvironmentFault}
    return kinds[code](text) if code in kinds else QuorumLost(text, ends.stopped)


def _unfinished(run: Run) -> dict[int, str]:
    """Parties that did not finish, with the phase they were last seen in."""
    return {party: run.ends.phases.get(party, "start") for party in run.group.roles if party not in run.ends.done}


def _left(run: Run) -> report.Left:
    """Who is not among those that finished, and why."""
    return report.Left(_unfinished(run), run.ends.unattested)


async def _harvest(run: Run, clients: Mapping[int, ControlClient]) -> Collected:
    """Fetch what the parties that finished made, then drain them; all digests must be equal."""
    for party in run.ends.stopped:
        collect.keep_transcript(run.layout, party)
    done = {party: clients[party] for party in sorted(run.ends.done)}
    collected = await collect.collect(run.layout, run.terms, done)
    if not run.wish.keep:  # nobody comes back to this run: what was kept for that goes
        await asyncio.gather(*(client.drain() for client in done.values()))
    return collected


async def _finish(run: Run, collected: Collected) -> int:
    """After the run has ended: the self-check on the reconstructed key, the report, the summary."""
    say = run.display.say
    checked = await self_check(run.layout, run.terms, say)
    written = report.write(run.layout, run.terms, collected, _left(run), checked)
    if run.wish.keep:
        say(f"nodes keep running; end them with: dkg-software drain {run.processes.sockets}")
    else:
        collect.tidy(run.layout, run.terms.n)
    for line in lines_of(written):
        say(line)
    if not checked.passed:
        raise NegativeVerdict("the self-check failed: stock tfhe-rs does not compute with this key; do not use it")
    return DONE
