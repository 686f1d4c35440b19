"""`verify --faults`: a stranger finds what the parties found, by files alone, and believes nobody's word."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg_api.terms import parse_terms
from dkg_node.ceremony.transcript import Transcript
from dkg_node.offline.evidence import Conviction
from dkg_node.offline.record import decode_fault, encode_fault
from dkg_node.service import dkgctl
from dkg_node.service.command import run_command
from dkg_node.service.editions import Edition, dispatch
from dkg_node.service.fault_records import entries_of, openings_of
from dkg_node.testing.enclaves import forged_root
from dkg_node.testing.forge import AT
from dkg_node.testing.lying_outputs import PHASE, FixedClock, certificate_of, signed_terms, write_output

NEGATIVE, USAGE = 1, 2
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1 << 40) | st.text(max_size=8) | st.just("00ff"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
Capture = pytest.CaptureFixture[str]
Change = Callable[[dict[str, Any]], None]


def verify(arguments: list[str]) -> int:
    """`dkg-software verify`: the same tool over software terms."""
    edition = Edition("software", "dkg-software", "dkgctl", forged_root())
    return run_command(lambda given: dispatch(edition, "", dkgctl.TOOLS, given), ["verify", *arguments])


@pytest.fixture
def out(
    tmp_path: Path,
    terms_json: dict[str, Any],
    organization_keys: dict[int, Ed25519PrivateKey],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """What a ceremony leaves in which a king forged a V and lied in the check, a day after its enrolments."""
    monkeypatch.setattr("time.time_ns", lambda: (AT + 86_400_000) * 1_000_000)
    write_output(tmp_path, parse_terms(terms_json), organization_keys)
    return tmp_path


def transcripts(out: Path) -> list[Path]:
    return sorted((out / "transcript").iterdir())


def rewrite(path: Path, change: Change) -> None:
    """A transcript with another fault entry, its chain made anew."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    path.unlink()
    transcript = Transcript(path, FixedClock())
    for line in lines:
        change(line)
        transcript.add(line.pop("event"), **{k: v for k, v in line.items() if k not in {"prev", "time"}})
    transcript.close()


def test_a_stranger_convicts_whom_the_parties_convicted(out: Path, capsys: Capture) -> None:
    assert verify([str(out), "--faults"]) == 0
    text = capsys.readouterr().out
    assert "convicted: party 1: check share, king" in text
    assert text.count("proves party 1: check share, party 1: king") == len(transcripts(out)) == 4


def test_programs_read_the_same(out: Path, capsys: Capture) -> None:
    assert verify([str(out), "--faults", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["valid"] is True
    assert found["problems"] == []
    assert found["convicted"] == {"1": ["check share", "king"]}
    record = bytes.fromhex(json.loads(transcripts(out)[0].read_bytes().splitlines()[0])["record"])
    claims = [{"party": 1, "kind": "check share"}, {"party": 1, "kind": "king"}]
    assert found["records"][0] == {
        "sha256": sha256(record).hexdigest(), "where": "1.jsonl line 1", "phase": PHASE,
        "claims": claims, "proves": claims, "never_king": [], "problem": None,
    }  # fmt: skip


def test_transcripts_enrolments_and_objects_may_lie_elsewhere(out: Path, capsys: Capture) -> None:
    """A ceremony that never ended has no certificate: enrolments prove themselves wherever they come from."""
    home = out / "elsewhere"
    home.mkdir()
    (out / "objects").rename(home / "objects")
    (out / "certificate.json").rename(home / "enrolments.json")
    transcripts(out)[1].rename(home / "t.jsonl")
    arguments = [str(out), "--faults", "--transcript", str(home / "t.jsonl"), "--objects", str(home / "objects")]
    assert verify(arguments) == USAGE
    assert "enrolments" in capsys.readouterr().err
    assert verify([*arguments, "--enrolments", str(home / "enrolments.json")]) == 0
    assert "convicted: party 1: check share, king" in capsys.readouterr().out


def slander(entry: dict[str, Any]) -> None:
    entry["convicted"] = {"2": "king"}


def bent(entry: dict[str, Any]) -> None:
    fault = decode_fault(bytes.fromhex(entry["record"]))
    assert fault is not None
    entry["record"] = encode_fault(replace(fault, convictions=(Conviction(2, "king"),))).hex()
    entry["convicted"] = {"2": "king"}


def forged(entry: dict[str, Any]) -> None:
    entry["record"] = "00" + entry["record"]


def nothing(entry: dict[str, Any]) -> None:
    del entry["record"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (slander, "the line names other parties than its record"),
        (bent, "it does not prove what it claims"),
        (forged, "it is damaged or was written by another version"),
        (nothing, "the line has no fault record"),
    ],
    ids=["slander", "another claim", "no record", "no evidence"],
)
def test_a_record_that_does_not_prove_what_it_claims_is_refused_and_convicts_nobody_else(
    out: Path, capsys: Capture, change: Change, words: str
) -> None:
    rewrite(transcripts(out)[2], change)
    assert verify([str(out), "--faults", "--json"]) == NEGATIVE
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert not found["valid"]
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert set(found["convicted"]) == {"1"}


def test_a_record_without_its_wrong_opening_says_what_is_missing(out: Path, capsys: Capture) -> None:
    for path in (out / "objects").iterdir():
        path.unlink()
    assert verify([str(out), "--faults"]) == NEGATIVE
    assert "put the public value" in capsys.readouterr().err


def test_a_damaged_opening_is_as_good_as_none(out: Path, capsys: Capture) -> None:
    for path in (out / "objects").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert verify([str(out), "--faults"]) == NEGATIVE
    assert "put the public value" in capsys.readouterr().err


def test_a_certified_culprit_without_a_record_is_a_problem(out: Path, capsys: Capture) -> None:
    for path in transcripts(out):
        path.write_bytes(b"")
    assert verify([str(out), "--faults"]) == NEGATIVE
    assert "party 1 is certified Corrupt: get a transcript that proves it" in capsys.readouterr().err


def test_records_of_another_ceremony_prove_nothing_here(
    out: Path, terms_json: dict[str, Any], organization_keys: dict[int, Ed25519PrivateKey], capsys: Capture
) -> None:
    other = parse_terms({**terms_json, "ceremony": "01" * 16})
    (out / "terms.json").write_text(signed_terms(other, organization_keys))
    (out / "certificate.json").write_text(json.dumps(certificate_of(other, organization_keys).as_json()))
    assert verify([str(out), "--faults", "--json"]) == NEGATIVE
    captured = capsys.readouterr()
    assert json.loads(captured.out)["convicted"] == {}
    assert "it belongs to other terms" in captured.err


def test_an_honest_ceremony_has_no_record_and_that_is_good(out: Path, capsys: Capture) -> None:
    for path in transcripts(out):
        path.write_bytes(b"")
    certificate = json.loads((out / "certificate.json").read_text())
    (out / "enrolments.json").write_text(json.dumps({"enrolments": certificate["enrolments"]}))
    (out / "certificate.json").unlink()
    assert verify([str(out), "--faults", "--enrolments", str(out / "enrolments.json")]) == 0
    assert "0 fault records in 4 transcripts; convicted: nobody" in capsys.readouterr().out


@settings(max_examples=60, deadline=None)
@given(
    said=st.dictionaries(st.sampled_from(["event", "record", "convicted", "x"]), JSON),
    raw=st.binary(max_size=40),
)
def test_a_transcript_of_any_lines_is_read_without_a_surprise(
    tmp_path_factory: pytest.TempPathFactory, said: dict[str, Any], raw: bytes
) -> None:
    """A liar hands out what it likes: each line that tells of a fault is one entry, all else is none."""
    path = tmp_path_factory.mktemp("t") / "1.jsonl"
    lines = [json.dumps(said), json.dumps({**said, "event": "fault"}), json.dumps([said])]
    path.write_bytes("\n".join(lines).encode() + b"\n" + raw.replace(b"\n", b""))
    found = list(entries_of(path))
    assert len(found) == 1 + (said.get("event") == "fault")
    assert openings_of([path]) == frozenset()


@pytest.mark.parametrize("name", ["0", "16", "1" * 5000, "\u0661", "-1", "one", ""], ids=lambda name: name[:4])
def test_a_line_that_names_no_party_is_refused(out: Path, name: str, capsys: Capture) -> None:
    def rename(entry: dict[str, Any]) -> None:
        entry["convicted"] = {name: "king"}

    rewrite(transcripts(out)[2], rename)
    assert verify([str(out), "--faults"]) == NEGATIVE
    assert "the line names other parties than its record" in capsys.readouterr().err


def test_a_report_that_refers_to_evidence_nobody_has_is_refused(out: Path, capsys: Capture) -> None:
    report: dict[str, Any] = {
        "result": "completed", "attestation": "software", "parameter_set": "test", "parties": 4, "threshold": 1,
        "terms_digest": "00" * 32, "keyset_sha256": "00" * 32, "bits": {"k64": 1, "k128": 1}, "products": 0,
        "phases": [], "per_party": [], "self_check": None,
        "faults": [{"party": 1, "kind": "king", "phase": PHASE, "evidence_sha256": "11" * 32}],
    }  # fmt: skip
    (out / "report.json").write_text(json.dumps(report))
    assert verify([str(out), "--faults"]) == NEGATIVE
    assert "report.json: no record here proves that party 1 is Corrupt (king)" in capsys.readouterr().err
