"""What a run came to: who finished with which key, who was named, who was wronged."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_api.certificate import CertificateError, parse_certificate, verify_certificate
from dkg_node.errors import DkgError
from dkg_node.service.verify import judge as judge_enrolments
from dkg_node_software.chaos.harness import missing_named
from dkg_node_software.chaos.record import Injected, Record, must_name
from dkg_node_software.chaos.schedule import CONVICTED, PERHAPS
from dkg_node_software.collect import KEY_FILES
from dkg_node_software.measurements import read_measurements
from dkg_node_software.root import SOFTWARE_ROOT
from dkg_node_software.selfcheck import self_check

if TYPE_CHECKING:
    from dkg_api.certificate import Certificate
    from dkg_node.protocols.session import Role
    from dkg_node_software.chaos.harness import Stage

ABSENCE = ("missing",)
"""Kinds of faults in a certificate that say no more than that a party was not there."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A run without faults on this machine."""

    seconds: float = 0.0
    carried: int = 0
    """Bytes over all links."""


class Findings:
    """Everything the finished honest parties left."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.certificates: dict[Role, Certificate] = {}
        self.wrong_shares: dict[Role, frozenset[Role]] = {}
        self.corrupt: dict[Role, frozenset[Role]] = {}
        """Proven wrong, as each party's last certified public state says."""
        self.problems: list[str] = []


async def gather(stage: Stage) -> Findings:
    """Fetch and check what every finished party made that is no liar."""
    found = Findings()
    for party in sorted(stage.done - set(stage.schedule.liars)):
        try:
            await _fetch(stage, party, found)
        except (DkgError, CertificateError, ValueError, KeyError) as error:
            found.problems.append(f"party {party} has no good results: {error}")
    contents = {certificate.content() for certificate in found.certificates.values()}
    if len(contents) > 1:
        found.problems.append(f"{len(contents)} different keys are certified")
    if len(set(found.corrupt.values())) > 1:
        found.problems.append(f"the parties convict differently: {found.corrupt}")
    return found


async def _fetch(stage: Stage, party: Role, found: Findings) -> None:
    home, client = stage.layout.party(party), stage.clients[party]
    await client.fetch("certificate.json", home / "fetched-certificate.json")
    certificate = parse_certificate((home / "fetched-certificate.json").read_bytes())
    problems = verify_certificate(certificate, stage.terms, judge_enrolments(stage.terms, SOFTWARE_ROOT))
    found.problems += [f"party {party}: {problem}" for problem in problems]
    for name in KEY_FILES:
        digest = await client.fetch(f"public/{name}.bin", stage.layout.public / f"{name}.bin")
        if digest.hex() != certificate.digests.get(name):
            found.problems.append(f"party {party}: {name}.bin is not the file of its certificate")
    await client.fetch("measurements.json", home / "fetched-measurements.json")
    measured = read_measurements((home / "fetched-measurements.json").read_bytes(), party)
    found.certificates[party] = certificate
    found.wrong_shares[party] = frozenset(measured.wrong_shares)
    await client.fetch("transcript.jsonl", home / "fetched-transcript.jsonl")
    found.corrupt[party] = _last_corrupt((home / "fetched-transcript.jsonl").read_bytes())


def _last_corrupt(transcript: bytes) -> frozenset[Role]:
    """Who is Corrupt in the newest certified public state of a transcript."""
    entries = [json.loads(line) for line in transcript.splitlines()]
    return next((frozenset(entry["corrupt"]) for entry in reversed(entries) if "corrupt" in entry), frozenset())


async def judge(stage: Stage, commit: str, place: tuple[str, int], *, check: bool, reference: Reference) -> Record:
    """The record of a run that has ended, its nodes still there. ``place`` is (seed, run)."""
    found = await gather(stage)
    group, schedule = stage.setting.group, stage.schedule
    honest = frozenset(group.roles) - schedule.faulty
    convicted, named, accused = _named(stage, found)
    lies = {party: lie for party, lie in schedule.liars.items() if _could_lie(stage, party)}
    wanted = must_name(lies)
    passed = await _self_check(stage) if check and (stage.layout.public / f"{KEY_FILES[0]}.bin").exists() else None
    missing = missing_named(stage) if schedule.lost and _all_injected(stage) else None
    seconds = max((stage.seen[party].done_at or stage.took for party in stage.expected), default=0.0)
    problems = list(found.problems)
    unfinished = stage.expected - stage.done
    if unfinished:
        problems.append(f"parties {sorted(unfinished)} did not finish: {_why(stage, min(unfinished))}")
    if accused:
        problems.append(f"honest parties {sorted(accused)} were accused")
    if not schedule.lost:
        problems += _culprits(lies, convicted, named)
    problems += ["the self-check failed"] if passed is False else []
    problems += ["nobody named exactly the missing parties"] if missing is False else []
    return Record(
        commit,
        place[0],
        place[1],
        group.n,
        group.t,
        schedule.lost,
        len(schedule.faults),
        _injected(stage),
        tuple(sorted(honest)),
        tuple(sorted(schedule.faulty - schedule.gone)),
        tuple(sorted(stage.done)),
        tuple(sorted(named)),
        tuple(sorted(accused)),
        wanted,
        missing,
        passed,
        round(seconds, 2),
        round(max(0.0, seconds - reference.seconds), 2),
        stage.proxies.carried - reference.carried,
        tuple(problems),
    )


def _culprits(lies: dict[Role, str], convicted: frozenset[Role], named: frozenset[Role]) -> list[str]:
    """What is wrong with the culprits: exactly those are convicted that said a thing which proves them wrong."""
    proven = set(must_name(lies, CONVICTED))
    provable = set(must_name(lies, CONVICTED | PERHAPS))
    unnamed, unproven = sorted(set(must_name(lies)) - named), sorted(convicted & lies.keys() - provable)
    problems = [f"liars {sorted(proven - convicted)} were not convicted"] if proven - convicted else []
    problems += [f"liars {unnamed} were not named"] if unnamed else []
    return problems + ([f"parties {unproven} were convicted of what proves nothing"] if unproven else [])


def _named(stage: Stage, found: Findings) -> tuple[frozenset[Role], frozenset[Role], frozenset[Role]]:
    """Who is convicted; who is named by all; which honest party is called a liar by any honest one."""
    liars = set(stage.schedule.liars)
    agreed = {fault.party for one in found.certificates.values() for fault in one.faults if fault.kind not in ABSENCE}
    agreed |= {role for roles in found.corrupt.values() for role in roles}
    counts = Counter(role for roles in found.wrong_shares.values() for role in roles)
    named = frozenset(agreed | {role for role, count in counts.items() if count > stage.setting.group.t})
    return frozenset(agreed), named, frozenset((agreed | set(counts)) - liars)


def _could_lie(stage: Stage, party: Role) -> bool:
    """Whether the liar took part: its process was not ended by a fault of its own before."""
    return all(fault.kind == "byzantine" for fault in stage.schedule.faults if fault.party == party)


def _all_injected(stage: Stage) -> bool:
    return all(fault in stage.injector.injected for fault in stage.schedule.faults)


def _injected(stage: Stage) -> tuple[Injected, ...]:
    return tuple(
        Injected(
            fault.kind,
            fault.step.phase if fault.step else "all",
            f"{fault.step.name} ({fault.moment})" if fault.step else "start",
            fault.party,
            fault.detail,
        )
        for fault in stage.schedule.faults
        if fault in stage.injector.injected
    )


def _why(stage: Stage, party: Role) -> str:
    """The words of a party that did not finish."""
    seen = stage.seen[party]
    process = stage.nodes.running.get(party)
    ended = "" if process is None or process.poll() is None else f"ended with {process.returncode}: "
    return f"{ended}last seen {seen.state} in {seen.phase!r}; {stage.nodes.words(party)}"


async def _self_check(stage: Stage) -> bool:
    """The key, put together from the shares, computes in stock tfhe-rs."""
    try:
        return (await self_check(stage.layout, stage.terms, lambda _: None)).passed
    except DkgError:
        return False
