"""What a good ceremony of four real processes prints and leaves behind."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from dkg_api.certificate import parse_certificate, verify_certificate
from dkg_api.kms_policy import kms_policy, sealing_digest
from dkg_api.report import Report
from dkg_api.signatures import TermsSignature, missing_organizations
from dkg_api.terms import Terms, parse_terms
from dkg_api.transcript import verify_lines
from dkg_api.user_data import decode_user_data
from dkg_node.attestation.document import read_document
from dkg_node.keygen.parameters import parameter_set
from dkg_node.testing.commands import SEED, Ended, is_alive, run, run_local, wait_until_gone
from dkg_node_software.preflight import needs

N, T = 4, 1
NOTICES = ("SOFTWARE ATTESTATION: PROVES NOTHING", "INSECURE PARAMETERS")
KEYS = ("keyset", "public_key", "server_key")


@pytest.fixture
def report(ceremony: Ended) -> Report:
    return Report.model_validate_json((ceremony.out / "report.json").read_bytes())


@pytest.fixture
def terms(ceremony: Ended) -> Terms:
    return parse_terms(json.loads((ceremony.out / "terms.json").read_bytes())["terms"])


def transcript(out: Path, party: int) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "transcript" / f"{party}.jsonl").read_text().splitlines()]


def test_it_ends_with_exit_0_and_a_summary_whose_last_line_is_the_result(ceremony: Ended, report: Report) -> None:
    assert ceremony.code == 0, ceremony.errors
    assert ceremony.errors == ""
    assert ceremony.last_line.startswith(f"completed: test key set {report.keyset_sha256} by 4 parties, threshold 1")
    assert ceremony.last_line.endswith("self-check passed (20 cases)")


def test_every_output_says_what_it_does_not_prove(ceremony: Ended) -> None:
    out = ceremony.out
    for notice in NOTICES:
        assert notice in ceremony.output
    for notice in NOTICES:
        assert notice in json.loads((out / "certificate.json").read_bytes())["notices"]
    for party in range(1, N + 1):
        assert NOTICES[0] in (out / "parties" / str(party) / "node.log").read_text()
        assert (out / "parties" / str(party) / "share.sealed").read_bytes().startswith(b"DKG SEALED BY KMS")


def test_progress_shows_every_party_in_every_part(ceremony: Ended) -> None:
    for party in range(1, N + 1):
        lines = [line for line in ceremony.output.splitlines() if line.startswith(f"party {party:>2}: ")]
        assert any(" done " in line and "100%" in line for line in lines)


def test_out_holds_exactly_the_files_of_the_design(ceremony: Ended) -> None:
    left = {str(path.relative_to(ceremony.out)) for path in ceremony.out.rglob("*") if path.is_file()}
    own = ("share.sealed", "prss.sealed", "identity.sealed", "node.log", "desired-state.json")
    double = ("audit.jsonl", "ca.pem", "endpoint", "keys.json", "principals.json", "server.pem")
    assert left == {
        "terms.json",
        "certificate.json",
        "report.json",
        *(f"aws-double/{name}" for name in double),
        *(f"public/{name}.bin" for name in KEYS),
        *(f"transcript/{party}.jsonl" for party in range(1, N + 1)),
        *(f"parties/{party}/{name}" for party in range(1, N + 1) for name in own),
    }
    assert (ceremony.out / "objects").is_dir()


def test_secrets_are_for_their_owner_only(ceremony: Ended) -> None:
    for party in range(1, N + 1):
        home = ceremony.out / "parties" / str(party)
        assert home.stat().st_mode & 0o077 == 0
        for name in ("share.sealed", "prss.sealed", "identity.sealed"):
            assert (home / name).stat().st_mode & 0o777 == 0o600
    for name in ("keys.json", "server.pem"):
        assert (ceremony.out / "aws-double" / name).stat().st_mode & 0o777 == 0o600


def test_all_parties_sealed_under_keys_of_their_own_and_asked_for_no_more_than_they_need(ceremony: Ended) -> None:
    """Key, policy and grants before anything else; a data key for the identity and one for the attempt."""
    lines = (ceremony.out / "aws-double" / "audit.jsonl").read_text().splitlines()
    entries = [entry for entry in map(json.loads, lines) if entry["eventName"] != "CreateKey"]
    assert [entry for entry in entries if "errorCode" in entry] == []
    for party in range(1, N + 1):
        asked = [e["eventName"] for e in entries if e["userIdentity"]["arn"].endswith(f"{party:012d}:role/enclave")]
        first = ["DescribeKey", "GetKeyPolicy", "ListGrants", "GenerateDataKey", "GenerateDataKey"]
        assert asked[: len(first)] == first
        assert set(asked[len(first) :]) == {"Decrypt"}, "to open the share afterwards"


def test_the_enrolments_vouch_for_the_keys_that_were_read_back(ceremony: Ended, terms: Terms) -> None:
    certificate = parse_certificate((ceremony.out / "certificate.json").read_bytes())
    for enrolment in certificate.enrolments:
        assert enrolment.key_arn is not None
        assert enrolment.evidence is not None
        said = decode_user_data(read_document(enrolment.evidence).user_data)
        assert said is not None
        assert said.sealing == sealing_digest(enrolment.key_arn, kms_policy(terms, enrolment.party))


def test_the_certificate_is_signed_by_all_and_names_the_files(ceremony: Ended, terms: Terms) -> None:
    certificate = parse_certificate((ceremony.out / "certificate.json").read_bytes())
    assert verify_certificate(certificate, terms) == ()
    assert [signature.party for signature in certificate.signatures] == list(range(1, N + 1))
    for name in KEYS:
        assert certificate.digests[name] == sha256((ceremony.out / "public" / f"{name}.bin").read_bytes()).hexdigest()


def test_the_terms_are_signed_by_all_organisations(ceremony: Ended, terms: Terms) -> None:
    signatures = json.loads((ceremony.out / "terms.json").read_bytes())["signatures"]
    assert missing_organizations(terms, [TermsSignature.model_validate(one) for one in signatures]) == ()
    assert terms.attestation == "software"


def test_all_parties_saw_the_same_in_every_segment(ceremony: Ended) -> None:
    def results(party: int) -> list[tuple[object, object]]:
        entries = transcript(ceremony.out, party)
        return [(entry["segment"], entry["digest"]) for entry in entries if entry["event"] == "segment end"]

    first = results(1)
    assert [segment for segment, _ in first] == list(range(len(first)))
    assert len(first) >= 4
    assert all(results(party) == first for party in range(2, N + 1))


def test_transcripts_are_chains(ceremony: Ended) -> None:
    for party in range(1, N + 1):
        with (ceremony.out / "transcript" / f"{party}.jsonl").open("rb") as lines:
            assert verify_lines(lines) is None


def test_the_share_is_sealed_before_anything_is_certified(ceremony: Ended) -> None:
    for party in range(1, N + 1):
        events = [entry["event"] for entry in transcript(ceremony.out, party)]
        assert events.index("sealed") < events.index("certificate")


def test_the_report_is_measured_and_adds_up(ceremony: Ended, report: Report, terms: Terms) -> None:
    assert (report.result, report.parties, report.threshold, report.parameter_set) == ("completed", N, T, "test")
    assert report.terms_digest == terms.digest.hex()
    assert report.keyset_sha256 == sha256((ceremony.out / "public" / "keyset.bin").read_bytes()).hexdigest()
    assert (report.bits.k64 + report.bits.k128, report.products) == (729_638, 66_304)
    assert report.faults == ()
    assert report.self_check is not None
    assert report.self_check.passed
    assert report.self_check.method == "reconstruction"
    assert [party.index for party in report.per_party] == list(range(1, N + 1))
    for party in report.per_party:
        sent = party.sent_bytes
        assert sent.offline == sent.setup + sent.k64 + sent.k128 + sent.fixed
        assert min(sent.setup, sent.k64, sent.k128, sent.fixed, sent.online, party.received_bytes) > 0
        assert min(party.cpu_seconds.offline, party.cpu_seconds.online) > 0
        assert party.peak_rss_bytes > 10_000_000
    names = [phase.name for phase in report.phases]
    assert names[0] == "setup"
    assert names[-1] == "assembly"
    assert all(phase.start <= phase.end for phase in report.phases)


def test_the_preflight_asks_for_at_least_what_was_used(report: Report) -> None:
    used = sum(party.peak_rss_bytes for party in report.per_party)
    assert used <= needs(parameter_set("test"), N).memory <= 3 * used


def test_what_was_sent_was_received(report: Report) -> None:
    sent = sum(party.sent_bytes.offline + party.sent_bytes.online for party in report.per_party)
    received = sum(party.received_bytes for party in report.per_party)
    assert received == pytest.approx(sent, rel=0.01)


def test_verify_passes_and_says_what_it_looked_at(ceremony: Ended) -> None:
    done = run("dkg-software", "verify", str(ceremony.out))
    assert (done.code, done.errors) == (0, "")
    assert "certificate signed by 4 parties" in done.output
    assert "WRONG" not in done.output
    value = json.loads(run("dkg-software", "verify", "--json", str(ceremony.out)).output)
    assert value["valid"] is True
    assert value["notices"] == list(NOTICES)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda out: flip(out / "public" / "keyset.bin"), "not the certified file"),
        (lambda out: flip(out / "public" / "server_key.bin"), "not the certified file"),
        (lambda out: (out / "public" / "public_key.bin").unlink(), "missing"),
        (lambda out: drop_line(out / "transcript" / "2.jsonl"), "does not follow"),
        (lambda out: cut(out / "transcript" / "3.jsonl"), "cut off"),
        (lambda out: edit(out / "certificate.json", "sid", "00" * 32), "certificate.json"),
        (lambda out: edit(out / "certificate.json", "notices", []), "notices"),
        (lambda out: edit(out / "certificate.json", "signatures", []), "0 parties signed"),
        (lambda out: edit_terms(out / "terms.json"), "lacks valid signatures"),
    ],
)
def test_a_damaged_out_is_refused(copy: Path, damage: object, words: str) -> None:
    assert callable(damage)
    damage(copy)
    done = run("dkg-software", "verify", str(copy))
    done.check_refused(1, words)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def drop_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def edit(path: Path, name: str, value: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_bytes()), name: value}))


def edit_terms(path: Path) -> None:
    value = json.loads(path.read_bytes())
    value["terms"]["minRate"] += 1
    path.write_text(json.dumps(value))


@pytest.mark.parametrize("arguments", [("verify",), ("report",)])
def test_dkgctl_refuses_it_and_names_the_command(ceremony: Ended, arguments: tuple[str, ...]) -> None:
    run("dkgctl", *arguments, str(ceremony.out)).check_refused(2, f"dkg-software {arguments[0]}")


def test_the_report_command_shows_the_result_last(ceremony: Ended) -> None:
    done = run("dkg-software", "report", str(ceremony.out))
    assert done.code == 0
    assert done.last_line == ceremony.last_line


@pytest.mark.parametrize("more", [(), ("--resume",)])
def test_a_used_out_is_refused_and_left_as_it_was(ceremony: Ended, more: tuple[str, ...]) -> None:
    before = {path: path.stat().st_mtime_ns for path in ceremony.out.rglob("*")}
    run_local(ceremony.out, *more).check_refused(2, "choose")
    assert {path: path.stat().st_mtime_ns for path in ceremony.out.rglob("*")} == before


def test_kept_nodes_serve_their_artefacts_until_they_are_drained(tmp_path: Path, ceremony: Ended) -> None:
    kept = run_local(tmp_path / "out", "--keep", *SEED)
    assert kept.code == 0, kept.errors
    [line] = [line for line in kept.output.splitlines() if "dkg-software drain" in line]
    sockets = Path(line.rpartition(" ")[2])
    pids = [json.loads(path.read_bytes())["pid"] for path in (tmp_path / "out" / "parties").glob("*/identity.json")]
    try:
        assert len(pids) == N
        assert all(is_alive(pid) for pid in pids)
        done = run("dkg-software", "fetch", str(sockets / "2.sock"), str(tmp_path / "fetched"))
        assert done.code == 0, done.errors
        fetched = (tmp_path / "fetched" / "public" / "keyset.bin").read_bytes()
        assert fetched == (ceremony.out / "public" / "keyset.bin").read_bytes(), "one seed gives one key"
        run("dkgctl", "fetch", str(sockets / "2.sock"), str(tmp_path / "x")).check_refused(2, "dkg-software fetch")
    finally:
        drained = run("dkg-software", "drain", str(sockets))
    assert drained.code == 0
    for pid in pids:
        wait_until_gone(pid)
    assert not sockets.exists()
