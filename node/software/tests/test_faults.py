"""Real processes that die or lie: up to t of them change nothing but the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dkg_api.certificate import parse_certificate
from dkg_api.report import Report
from dkg_node.testing.commands import SEED, Ended, run_local


def report_of(ended: Ended) -> Report:
    return Report.model_validate_json((ended.out / "report.json").read_bytes())


def found(ended: Ended) -> set[tuple[int, str]]:
    return {(fault.party, fault.kind) for fault in report_of(ended).faults}


def signers(ended: Ended) -> list[int]:
    certificate = parse_certificate((ended.out / "certificate.json").read_bytes())
    return [signature.party for signature in certificate.signatures]


def test_wrong_shares_of_t_parties_are_corrected_and_the_liars_named(ceremony: Ended, tmp_path: Path) -> None:
    lied = run_local(tmp_path / "out", *SEED, "--adversary", "2=wrong-share")
    assert lied.code == 0, lied.errors
    assert found(lied) == {(2, "wrong-share")}
    assert report_of(lied).keyset_sha256 == report_of(ceremony).keyset_sha256, "the key is the one without the liar"
    assert "self-check passed" in lied.last_line


def test_t_parties_killed_while_bodies_are_opened_leave_the_rest_finishing(ceremony: Ended, tmp_path: Path) -> None:
    died = run_local(tmp_path / "out", *SEED, "--adversary", "3=crash@bodies.decompression_bsk")
    assert died.code == 0, died.errors
    assert found(died) == {(3, "missing")}
    assert signers(died) == [1, 2, 4]
    assert report_of(died).keyset_sha256 == report_of(ceremony).keyset_sha256
    assert "party  3: stopped: was ended by signal SIGKILL" in died.output
    kept = {path.parent.name for path in died.out.glob("parties/*/setup-*.sealed")}
    assert kept <= {"3"}, "drained parties keep nothing for who may come back"
    assert "self-check passed" in died.last_line


def test_more_than_t_killed_parties_end_the_run_with_exit_3_naming_them(tmp_path: Path) -> None:
    died = run_local(tmp_path / "out", "--adversary", "1=crash", "--adversary", "4=crash")
    died.check_refused(3, "parties [1, 4] stopped")
    assert not (died.out / "certificate.json").exists()
    assert not list((died.out / "public").iterdir())
    report = report_of(died)
    assert (report.result, report.keyset_sha256, report.self_check) == ("failed", None, None)


@pytest.mark.long
def test_of_seven_parties_one_may_lie_while_another_dies(tmp_path: Path) -> None:
    ended = run_local(tmp_path / "out", "--adversary", "2=wrong-share", "--adversary", "7=crash", n=7, t=2)
    assert ended.code == 0, ended.errors
    assert found(ended) == {(2, "wrong-share"), (7, "missing")}
    assert json.loads((ended.out / "report.json").read_bytes())["self_check"]["passed"] is True
