"""report.json and the summary: what the parties measured, what they agree to have found (07)."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from dkg_api.certificate import Fault
from dkg_api.report import BitCounts, PartyReport, Phase, Report
from dkg_node.keygen.parameters import parameter_set
from dkg_node.sealing.files import write_atomic
from dkg_node_software.display import si

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from dkg_api.certificate import SelfCheck
    from dkg_api.terms import Terms
    from dkg_node_software.collect import Collected
    from dkg_node_software.layout import Layout


def write(
    layout: Layout, terms: Terms, collected: Collected, unfinished: Mapping[int, str], checked: SelfCheck
) -> Report:
    """Write report.json. ``unfinished``: parties that did not finish, with the phase they were last seen in."""
    params = parameter_set(terms.parameter_set)
    measured = collected.measured.values()
    report = Report(
        result="completed" if checked.passed else "failed",
        attestation=terms.attestation,
        parameter_set=terms.parameter_set,
        parties=terms.n,
        threshold=terms.threshold,
        terms_digest=terms.digest.hex(),
        keyset_sha256=collected.certificate.digests["keyset"],
        bits=BitCounts(k64=params.bits - params.bits128, k128=params.bits128),
        products=params.products,
        phases=merge_phases(entry["phases"] for entry in measured),
        per_party=tuple(PartyReport.model_validate(entry["party"]) for entry in measured),
        faults=faults(terms.threshold, collected.measured, unfinished),
        self_check=checked,
    )
    write_atomic(layout.report, json.dumps(report.as_json(), indent=1).encode() + b"\n")
    return report


def merge_phases(all_phases: Iterable[list[dict[str, str]]]) -> tuple[Phase, ...]:
    """Each phase from the first party that began it to the last that ended it."""
    merged: dict[str, Phase] = {}
    for phases in all_phases:
        for phase in (Phase.model_validate(entry) for entry in phases):
            known = merged.get(phase.name, phase)
            merged[phase.name] = Phase(
                name=phase.name, start=min(known.start, phase.start), end=max(known.end, phase.end)
            )
    return tuple(merged.values())


def faults(threshold: int, measured: Mapping[int, dict[str, Any]], unfinished: Mapping[int, str]) -> tuple[Fault, ...]:
    """Parties that t+1 others report alike: one reporter is honest. And parties that did not finish."""
    found = [Fault(party=party, kind="missing", phase=phase) for party, phase in sorted(unfinished.items())]
    for kind, name in (("wrong-share", "wrong_shares"), ("missing", "missing")):
        votes = Counter(party for entry in measured.values() for party in entry[name])
        known = {fault.party for fault in found if fault.kind == kind}
        found += [
            Fault(party=party, kind=kind, phase="online")
            for party, count in sorted(votes.items())
            if count > threshold and party not in known
        ]
    return tuple(found)


def summary(report: Report, terms: Terms) -> list[str]:
    """The figures a person wants to see; the last line is the result."""
    lines = [
        f"party {one.index:>2}: offline {one.offline_seconds:.1f} s ({one.cpu_seconds.offline:.1f} core-s), "
        f"online {one.online_seconds:.1f} s ({one.cpu_seconds.online:.1f} core-s), "
        f"peak {si(one.peak_rss_bytes)}B, sent {si(one.sent_bytes.offline)}B + {si(one.sent_bytes.online)}B"
        for one in report.per_party
    ]
    lines += [f"fault: party {fault.party}: {fault.kind} in {fault.phase}" for fault in report.faults]
    lines += terms.notices
    check = report.self_check
    passed = check is not None and check.passed
    verdict = f"self-check {'passed' if passed else 'FAILED'} ({check.cases if check else 0} cases)"
    lines.append(
        f"{report.result}: {report.parameter_set} key set {report.keyset_sha256} by {report.parties} parties, "
        f"threshold {report.threshold}; {verdict}"
    )
    return lines
