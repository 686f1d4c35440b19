"""Changed code in a whole run of processes: its own measurement gives it away, and nobody else lets it in."""

from __future__ import annotations

import json
from pathlib import Path

from dkg_node.testing.commands import run, run_local


def test_a_party_with_changed_code_is_refused_by_all_others_and_named_with_the_reason(tmp_path: Path) -> None:
    done = run_local(tmp_path / "out", "--adversary", "4=modified-code")
    assert done.code == 0, done.errors
    assert done.last_line.startswith("completed: test key set")
    assert "party 4 is refused by all others: run a release that the terms list" in done.output
    report = json.loads((done.out / "report.json").read_bytes())
    assert [(fault["party"], fault["kind"], fault["phase"]) for fault in report["faults"]] == [
        (4, "enrolment.release", "attestation")
    ], "one of t, and nobody else is named"
    assert report["result"] == "completed"
    assert report["self_check"]["passed"]
    assert [row["index"] for row in report["per_party"]] == [1, 2, 3]
    certificate = json.loads((done.out / "certificate.json").read_bytes())
    assert {row["party"] for row in certificate["signatures"]} == {1, 2, 3}
    assert {row["party"] for row in certificate["enrolments"]} == {1, 2, 3}, "its enrolment counts for nobody"
    assert run("dkg-software", "verify", str(done.out)).code == 0
    logs = {party: (done.out / "parties" / str(party) / "node.log").read_text() for party in (1, 2, 3, 4)}
    for party in (1, 2, 3):
        assert "the enrolment of party 4 is refused: run a release that the terms list" in logs[party]
        assert "refused a handshake" in logs[party], "it tried"
    assert "party 1 is not attested: run a release that the terms list" in logs[4], "and was told why"
    assert "the enrolment of party" not in logs[4], "its code believes everybody"
