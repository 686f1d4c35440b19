"""report.json and the summary: what the parties measured, what they agree to have found (07)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_api.certificate import Fault
from dkg_api.enrolment import Keyring
from dkg_api.report import BitCounts, Phase, Report
from dkg_node.keygen.parameters import parameter_set
from dkg_node.sealing.files import write_atomic
from dkg_node.service.adapters import DirectoryStore
from dkg_node.service.fault_records import Court, judged_transcripts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dkg_api.certificate import Certificate, SelfCheck
    from dkg_api.terms import Terms
    from dkg_node_software.collect import Collected
    from dkg_node_software.layout import Layout
    from dkg_node_software.measurements import Measurements


@dataclass(frozen=True, slots=True)
class Left:
    """Parties that did not take part to the end."""

    unfinished: Mapping[int, str]
    """With the phase they were last seen in."""
    unattested: Mapping[int, str]
    """With the code of what all others refuse in their evidence."""

    def faults(self) -> list[Fault]:
        """One for each; evidence that is refused says more than a silence that follows from it."""
        silent = {party: phase for party, phase in self.unfinished.items() if party not in self.unattested}
        refused = [
            Fault(party=party, kind=code, phase="attestation") for party, code in sorted(self.unattested.items())
        ]
        return [*refused, *(Fault(party=party, kind="missing", phase=phase) for party, phase in sorted(silent.items()))]


def write(layout: Layout, terms: Terms, collected: Collected, left: Left, checked: SelfCheck) -> Report:
    """Write report.json."""
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
        phases=merge_phases(entry.phases for entry in measured),
        per_party=tuple(entry.party for entry in measured),
        faults=(
            *convicted(layout, terms, collected.certificate),
            *faults(terms.threshold, collected.measured, left),
            *_refused(collected),
        ),
        self_check=checked,
    )
    _save(layout, report)
    return report


def write_failed(layout: Layout, terms: Terms, left: Left) -> None:
    """The report of a run that made no key: nothing in it that was not measured."""
    report = Report(
        result="failed",
        attestation=terms.attestation,
        parameter_set=terms.parameter_set,
        parties=terms.n,
        threshold=terms.threshold,
        terms_digest=terms.digest.hex(),
        keyset_sha256=None,
        bits=BitCounts(k64=0, k128=0),
        products=0,
        phases=(),
        per_party=(),
        faults=tuple(left.faults()),
        self_check=None,
    )
    _save(layout, report)


def _save(layout: Layout, report: Report) -> None:
    write_atomic(layout.report, json.dumps(report.as_json(), indent=1).encode() + b"\n")


def convicted(layout: Layout, terms: Terms, certificate: Certificate) -> tuple[Fault, ...]:
    """Everybody whom the certificate calls Corrupt: why, and the first record of the transcripts that proves it.

    Judging a record takes n times the work of its batch; an honest run has none. ``evidence_sha256`` is missing only
    when no transcript that came out holds a record that proves it.
    """
    if not certificate.faults:
        return ()
    paths = sorted((layout.out / "transcript").glob("*.jsonl"))
    court = Court(terms, Keyring.of(terms, certificate.enrolments), DirectoryStore(layout.objects))
    proofs: dict[tuple[int, str], str] = {}
    for one in judged_transcripts(court, paths):
        for named in one.proves if not one.problem else ():
            proofs.setdefault(named, one.sha256)
    found = []
    for fault in certificate.faults:
        kinds = sorted(kind for party, kind in proofs if party == fault.party)
        found += [
            Fault(party=fault.party, kind=kind, phase=fault.phase, evidence_sha256=proofs[fault.party, kind])
            for kind in kinds
        ] or [fault]
    return tuple(found)


def _refused(collected: Collected) -> list[Fault]:
    return [Fault(party=party, kind="bad-results", phase="certificate") for party in sorted(collected.refused)]


def merge_phases(all_phases: Iterable[tuple[Phase, ...]]) -> tuple[Phase, ...]:
    """Each phase from the first party that began it to the last that ended it."""
    merged: dict[str, Phase] = {}
    for phases in all_phases:
        for phase in phases:
            known = merged.get(phase.name, phase)
            merged[phase.name] = Phase(
                name=phase.name, start=min(known.start, phase.start), end=max(known.end, phase.end)
            )
    return tuple(merged.values())


def faults(threshold: int, measured: Mapping[int, Measurements], left: Left) -> tuple[Fault, ...]:
    """Parties that t+1 others report alike: one reporter is honest. And parties that did not finish."""
    found = left.faults()
    for kind, name in (("wrong-share", "wrong_shares"), ("missing", "missing")):
        votes = Counter(party for entry in measured.values() for party in set(getattr(entry, name)))
        known = {fault.party for fault in found if fault.kind == kind} | left.unattested.keys()
        found += [
            Fault(party=party, kind=kind, phase="online")
            for party, count in sorted(votes.items())
            if count > threshold and party not in known
        ]
    return tuple(found)
