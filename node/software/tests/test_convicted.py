"""The report says why each certified culprit is Corrupt and by which record; what a stranger needs stays in OUT."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from dkg_api.certificate import Fault, parse_certificate
from dkg_api.terms import Terms
from dkg_node.protocols.session import Group
from dkg_node.service import dkgctl
from dkg_node.service.command import run_command
from dkg_node.service.editions import Edition, dispatch
from dkg_node.testing.enclaves import forged_root
from dkg_node.testing.forge import AT
from dkg_node.testing.lying_outputs import LIAR, PHASE, write_output
from dkg_node_software import collect, report
from dkg_node_software.agreement import Pace, agree
from dkg_node_software.layout import Layout

GROUP = Group(4, 1)


@pytest.fixture
def scene(tmp_path: Path) -> tuple[Layout, Terms]:
    agreed = agree("test", GROUP, [dict.fromkeys(("pcr0", "pcr1", "pcr2"), "01" * 48)], Pace(), None)
    layout = Layout(tmp_path)
    layout.make(GROUP.n)
    write_output(tmp_path, agreed.terms, agreed.keys)
    return layout, agreed.terms


def found(layout: Layout, terms: Terms) -> tuple[Fault, ...]:
    return report.convicted(layout, terms, parse_certificate(layout.certificate.read_bytes()))


def record(layout: Layout, party: int) -> bytes:
    return bytes.fromhex(json.loads(layout.transcript(party).read_bytes().splitlines()[0])["record"])


def test_every_kind_of_a_culprit_is_reported_with_the_record_that_proves_it(scene: tuple[Layout, Terms]) -> None:
    layout, terms = scene
    name = sha256(record(layout, 1)).hexdigest()
    kinds = [Fault(party=LIAR, kind=kind, phase=PHASE, evidence_sha256=name) for kind in ("check share", "king")]
    assert list(found(layout, terms)) == kinds


def test_a_transcript_full_of_rubbish_changes_no_reported_fault(scene: tuple[Layout, Terms]) -> None:
    """The culprit hands out its own transcript: another record decides."""
    layout, terms = scene
    layout.transcript(1).write_bytes(b'{"event":"fault","record":"00","convicted":{"2":"king"}}\n\xff\n')
    assert {fault.party for fault in found(layout, terms)} == {LIAR}
    assert {fault.evidence_sha256 for fault in found(layout, terms)} == {sha256(record(layout, 2)).hexdigest()}


def test_a_culprit_without_any_record_is_reported_without_evidence(scene: tuple[Layout, Terms]) -> None:
    layout, terms = scene
    for party in GROUP.roles:
        layout.transcript(party).unlink()
    assert found(layout, terms) == (Fault(party=LIAR, kind="corrupt", phase=PHASE),)


def test_what_a_stranger_needs_is_kept_when_the_rest_is_tidied_away(
    scene: tuple[Layout, Terms], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time_ns", lambda: (AT + 86_400_000) * 1_000_000)
    layout, _ = scene
    before = len(list(layout.objects.iterdir()))
    collect.tidy(layout, GROUP.n)
    assert 0 < len(list(layout.objects.iterdir())) < before
    edition = Edition("software", "dkg-software", "dkgctl", forged_root())
    arguments = ["verify", str(layout.out), "--faults"]
    assert run_command(lambda given: dispatch(edition, "", dkgctl.TOOLS, given), arguments) == 0
