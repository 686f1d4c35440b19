"""`dkgctl evidence show` on the documents that real enclaves made."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.signatures import sign_terms
from dkg_api.terms import parse_terms
from dkg_node.attestation import root
from dkg_node.errors import UsageError
from dkg_node.service import dkgctl, evidence_tool
from dkg_node.service.command import NegativeVerdict, Parser
from dkg_node.service.editions import Edition
from dkg_node.service.evidence_tool import instant_of, milliseconds_of
from dkg_node.testing import forge

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "nitro"
MANIFEST: list[dict[str, Any]] = json.loads((VECTORS / "manifest.json").read_text())
DEBUG = next(entry for entry in MANIFEST if entry["debug"])
PRODUCTION = next(entry for entry in MANIFEST if not entry["debug"])
NEGATIVE, USAGE = 1, 2
Capture = pytest.CaptureFixture[str]
each_vector = pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["file"])


def own_time(entry: dict[str, Any]) -> str:
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=entry["timestamp_ms"])
    return instant.isoformat(timespec="milliseconds")


def show(entry: dict[str, Any], *more: str) -> int:
    return dkgctl.main(["evidence", "show", str(VECTORS / entry["file"]), *more])


@pytest.fixture
def signed_terms(
    tmp_path: Path, terms_json: dict[str, Any], organization_keys: dict[int, Ed25519PrivateKey]
) -> dict[str, Path]:
    """Files of signed terms that list the PCRs of a real release, and of software terms."""
    release = {name: PRODUCTION[name] for name in ("pcr0", "pcr1", "pcr2")}
    kinds: dict[str, dict[str, Any]] = {
        "nitro": {"releases": [release]},
        "foreign": {},
        "software": {"attestation": "software"},
    }
    files = {}
    for name, changes in kinds.items():
        terms = parse_terms({**terms_json, "attestation": "nitro", **changes})
        signatures = [sign_terms(terms, party, key).model_dump(mode="json") for party, key in organization_keys.items()]
        files[name] = tmp_path / f"{name}.json"
        files[name].write_text(json.dumps({"terms": terms.as_json(), "signatures": signatures}))
    return files


@each_vector
def test_a_document_is_genuine_at_its_own_time_even_in_debug_mode(entry: dict[str, Any], capsys: Capture) -> None:
    assert show(entry, "--at", own_time(entry), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said) == {"genuine", "reason", "timestamp", "debug", "pcrs", "module_id"}
    assert said["genuine"] is True
    assert said["reason"] is None
    assert said["debug"] is entry["debug"]
    assert said["module_id"] == entry["module_id"]
    assert all(said["pcrs"][name] == entry[name] for name in ("pcr0", "pcr1", "pcr2", "pcr8"))
    assert milliseconds_of(said["timestamp"]) == entry["timestamp_ms"]
    assert show(entry, "--at", said["timestamp"]) == 0
    text = capsys.readouterr().out
    assert "genuine      yes" in text
    assert ("debug        YES" in text) is entry["debug"]
    assert entry["pcr0"] in text


@each_vector
def test_a_document_is_refused_now(entry: dict[str, Any], capsys: Capture) -> None:
    assert show(entry, "--json") == NEGATIVE
    captured = capsys.readouterr()
    said = json.loads(captured.out)
    assert (said["genuine"], said["reason"]) == (False, "expired")
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert show(entry) == NEGATIVE
    assert "Nothing of it is proven" in capsys.readouterr().out


def test_what_is_no_document_is_refused(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "document"
    for data in (b"", b"\x00", b"\xff" * 20_000):
        path.write_bytes(data)
        assert dkgctl.main(["evidence", "show", str(path), "--json"]) == NEGATIVE
        said = json.loads(capsys.readouterr().out)
        assert said["genuine"] is False
        assert said["reason"] in {"envelope", "size"}
        assert said["pcrs"] is None
        assert dkgctl.main(["evidence", "show", str(path)]) == NEGATIVE
        assert "genuine      NO" in capsys.readouterr().out
    assert dkgctl.main(["evidence", "show", str(tmp_path / "nothing")]) == USAGE


def test_a_changed_document_is_refused_as_forged(tmp_path: Path, capsys: Capture) -> None:
    data = (VECTORS / PRODUCTION["file"]).read_bytes()
    path = tmp_path / "document"
    path.write_bytes(data.replace(bytes.fromhex(PRODUCTION["pcr0"]), bytes(48)))
    command = ["evidence", "show", str(path), "--at", own_time(PRODUCTION), "--json"]
    assert dkgctl.main(command) == NEGATIVE
    said = json.loads(capsys.readouterr().out)
    assert (said["genuine"], said["reason"], said["debug"]) == (False, "signature", True)


def test_terms_refuse_a_debug_document_and_say_so(signed_terms: dict[str, Path], capsys: Capture) -> None:
    terms = ("--terms", str(signed_terms["foreign"]))
    assert show(DEBUG, "--at", own_time(DEBUG), *terms, "--json") == NEGATIVE
    captured = capsys.readouterr()
    said = json.loads(captured.out)
    assert (said["genuine"], said["reason"]) == (True, "debug")
    assert "without debug mode" in captured.err


def test_terms_refuse_other_code_and_code_that_says_nothing(signed_terms: dict[str, Path], capsys: Capture) -> None:
    at = ("--at", own_time(PRODUCTION), "--json")
    assert show(PRODUCTION, *at, "--terms", str(signed_terms["foreign"])) == NEGATIVE
    assert json.loads(capsys.readouterr().out)["reason"] == "release"
    assert show(PRODUCTION, *at, "--terms", str(signed_terms["nitro"])) == NEGATIVE
    assert json.loads(capsys.readouterr().out)["reason"] == "user_data"
    assert show(PRODUCTION, *at[:2], "--terms", str(signed_terms["nitro"])) == NEGATIVE
    assert "REFUSED (user_data)" in capsys.readouterr().out


def test_an_old_document_is_stale_under_terms(signed_terms: dict[str, Path], capsys: Capture) -> None:
    late = instant_of(PRODUCTION["timestamp_ms"] + 300_001)
    assert show(PRODUCTION, "--at", late, "--terms", str(signed_terms["nitro"]), "--json") == NEGATIVE
    said = json.loads(capsys.readouterr().out)
    assert (said["genuine"], said["reason"]) == (True, "stale")


def test_software_terms_and_unsigned_terms_are_refused(
    signed_terms: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    assert show(PRODUCTION, "--terms", str(signed_terms["software"])) == USAGE
    assert "use dkg-software evidence" in capsys.readouterr().err
    unsigned = tmp_path / "unsigned.json"
    unsigned.write_text(json.dumps({**json.loads(signed_terms["nitro"].read_text()), "signatures": []}))
    assert show(PRODUCTION, "--terms", str(unsigned)) == NEGATIVE
    assert "lacks valid signatures" in capsys.readouterr().err


def test_a_document_of_another_root_is_refused_by_name(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "document"
    path.write_bytes(forge.case().document)
    assert dkgctl.main(["evidence", "show", str(path), "--at", instant_of(forge.AT), "--json"]) == NEGATIVE
    captured = capsys.readouterr()
    assert json.loads(captured.out)["reason"] == "root"
    assert "other build" in captured.err


def run_over(given: forge.Case, path: Path, *more: str) -> int:
    """The tool of a build that has the forged root compiled in."""
    path.write_bytes(given.document)
    parser = Parser()
    parser.set_defaults(edition=Edition("nitro", "dkgctl", "dkg-software", given.policy.root))
    evidence_tool.add_options(parser)
    return evidence_tool.run(parser.parse_args(["show", str(path), "--at", instant_of(given.at), *more]))


def test_a_party_of_the_terms_is_accepted_and_its_statement_shown(
    signed_terms: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    digest = parse_terms(json.loads(signed_terms["nitro"].read_text())["terms"]).digest
    pcrs = {i: bytes.fromhex(PRODUCTION[f"pcr{i}"]) for i in range(3)}
    given = forge.case(fields={"pcrs": pcrs}, said={"terms_digest": digest, "party": 4})
    terms = ("--terms", str(signed_terms["nitro"]))
    assert run_over(given, tmp_path / "document", *terms, "--json") == 0
    assert json.loads(capsys.readouterr().out)["reason"] is None
    assert run_over(given, tmp_path / "document", *terms) == 0
    text = capsys.readouterr().out
    assert f"accepted by terms {digest.hex()}" in text
    assert "for channel, party 4, attempt 1" in text
    assert "INSECURE PARAMETERS" in text


@pytest.mark.parametrize(("changes", "words"), [({}, "other"), ({"party": 5}, "right party")])
def test_a_party_of_other_terms_or_of_none_is_refused(
    changes: dict[str, Any], words: str, signed_terms: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    digest = parse_terms(json.loads(signed_terms["nitro"].read_text())["terms"]).digest
    pcrs = {i: bytes.fromhex(PRODUCTION[f"pcr{i}"]) for i in range(3)}
    said = {"terms_digest": digest, **changes} if changes else {}
    with pytest.raises(NegativeVerdict, match=words):
        run_over(forge.case(fields={"pcrs": pcrs}, said=said), tmp_path / "d", "--terms", str(signed_terms["nitro"]))
    assert "REFUSED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2022-10-12T13:50:06.081Z", 1665582606081),
        ("2022-10-12T13:50:06Z", 1665582606000),
        ("2022-10-12t13:50:06.0819z", 1665582606081),
        ("2022-10-12T15:50:06.0810000001+02:00", 1665582606081),
        ("2022-10-12T13:50:06.1-00:00", 1665582606100),
    ],
)
def test_an_instant_is_read_as_rfc_3339_says(text: str, value: int) -> None:
    assert milliseconds_of(text) == value
    assert milliseconds_of(instant_of(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2022-10-12", "2022-10-12T13:50:06", "2022-10-12 13:50:06Z", "20221012T135006Z", "1665582606",
        "2022-10-12T13:50:06,5Z", "2022-13-12T13:50:06Z", "2022-10-12T24:00:00Z", "0001-01-01T00:00:00+23:59",
        "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-01:00", "2022-10-12T13:50:06.Z", "२०२२-10-12T13:50:06Z",
    ],
)  # fmt: skip
def test_any_other_text_is_no_instant(text: str) -> None:
    with pytest.raises(UsageError, match="RFC 3339"):
        milliseconds_of(text)


def test_nothing_from_outside_names_another_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = forge.case()
    path = tmp_path / "document"
    path.write_bytes(given.document)
    for name in ("NITRO_ROOT", "DKG_ROOT", "ROOT", "SSL_CERT_FILE", "DKG_SOFTWARE", "ATTESTATION"):
        monkeypatch.setenv(name, given.policy.root.hex())
    command = ["evidence", "show", str(path), "--at", instant_of(given.at)]
    assert dkgctl.main(command) == NEGATIVE
    assert dkgctl.main([*command, "--root", given.policy.root.hex()]) == USAGE
    assert given.policy.root != root.NITRO_ROOT
