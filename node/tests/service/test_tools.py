from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dkg_api.signatures import sign_terms
from dkg_api.terms import parse_terms
from dkg_node.service import dkgctl, node_main

USAGE, NEGATIVE, ENVIRONMENT = 2, 1, 4
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def key_files(tmp_path: Path, organization_keys: dict[int, Ed25519PrivateKey]) -> dict[int, Path]:
    files = {}
    for party, key in organization_keys.items():
        files[party] = tmp_path / f"{party}.pem"
        files[party].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


@pytest.fixture
def fresh(tmp_path: Path, draft: dict[str, Any], capsys: Capture) -> Path:
    """Terms without signatures, made by `terms new`."""
    (tmp_path / "draft.json").write_text(json.dumps(draft))
    out = tmp_path / "terms.json"
    assert dkgctl.main(["terms", "new", str(tmp_path / "draft.json"), "--out", str(out)]) == 0
    capsys.readouterr()
    return out


def refused(capsys: Capture, code: int, expected: int, words: str) -> None:
    """One line on stderr that has the words, and the exit code."""
    errors = capsys.readouterr().err
    assert code == expected, errors
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert "Traceback" not in errors
    assert words in errors


def test_a_new_key_is_for_its_owner_and_is_never_overwritten(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "key.pem"
    assert dkgctl.main(["key", "new", "--out", str(path)]) == 0
    public = capsys.readouterr().out.strip()
    assert len(bytes.fromhex(public)) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    first = path.read_bytes()
    refused(capsys, dkgctl.main(["key", "new", "--out", str(path)]), USAGE, "exists")
    assert path.read_bytes() == first


def test_terms_go_from_draft_to_signatures_of_all(
    tmp_path: Path, fresh: Path, key_files: dict[int, Path], capsys: Capture
) -> None:
    signed = []
    for party, key in key_files.items():
        out = tmp_path / f"signed-{party}.json"
        arguments = ["terms", "sign", str(fresh), "--party", str(party), "--key", str(key), "--out", str(out)]
        assert dkgctl.main(arguments) == 0
        signed.append(str(out))
    part, whole = tmp_path / "part.json", tmp_path / "whole.json"
    assert dkgctl.main(["terms", "merge", *signed[:-1], "--out", str(part)]) == 0
    capsys.readouterr()
    refused(capsys, dkgctl.main(["terms", "check", str(part)]), NEGATIVE, "Organisation 4")
    assert dkgctl.main(["terms", "merge", str(part), *signed, "--out", str(whole)]) == 0
    assert dkgctl.main(["terms", "check", str(whole)]) == 0
    value = json.loads(whole.read_text())
    assert [signature["party"] for signature in value["signatures"]] == [1, 2, 3, 4]
    assert value["terms"]["roundTimeout"] == 60_000
    assert value["terms"]["attestation"] == "nitro"


@pytest.mark.parametrize("last", [True, False], ids=["the bad one last", "the bad one first"])
def test_an_invalid_signature_takes_no_valid_ones_place(
    tmp_path: Path, fresh: Path, key_files: dict[int, Path], *, last: bool
) -> None:
    """Files come from others."""
    signed, bad, out = (tmp_path / f"{name}.json" for name in ("signed", "bad", "out"))
    sign = ["terms", "sign", str(fresh), "--party", "1", "--key", str(key_files[1]), "--out", str(signed)]
    assert dkgctl.main(sign) == 0
    good = json.loads(signed.read_text())
    bad.write_text(json.dumps({**good, "signatures": [{"party": 1, "signature": "ab" * 64}]}))
    files = [str(signed), str(bad)] if last else [str(bad), str(signed)]
    assert dkgctl.main(["terms", "merge", *files, "--out", str(out)]) == 0
    assert json.loads(out.read_text())["signatures"] == good["signatures"]


def test_a_key_of_another_organisation_signs_nothing(
    tmp_path: Path, fresh: Path, key_files: dict[int, Path], capsys: Capture
) -> None:
    out = tmp_path / "signed.json"
    arguments = ["terms", "sign", str(fresh), "--party", "2", "--key", str(key_files[1]), "--out", str(out)]
    refused(capsys, dkgctl.main(arguments), USAGE, "party 2")
    assert not out.exists()


def test_signatures_of_different_terms_are_not_merged(
    tmp_path: Path, fresh: Path, draft: dict[str, Any], capsys: Capture
) -> None:
    (tmp_path / "draft.json").write_text(json.dumps({**draft, "minRate": 7}))
    other = tmp_path / "other.json"
    assert dkgctl.main(["terms", "new", str(tmp_path / "draft.json"), "--out", str(other)]) == 0
    merge = ["terms", "merge", str(fresh), str(other), "--out", str(tmp_path / "merged.json")]
    refused(capsys, dkgctl.main(merge), USAGE, "other terms")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parameterSet": "tiny"}, "unknown parameter set"),
        ({"threshold": 2}, "list exactly 7"),
        ({"threshold": 0}, "use 1 to 4"),
        ({"releases": [{"pcr0": "00" * 48, "pcr1": "00" * 48, "pcr2": "00" * 48}]}, "all zero"),
        ({"surprise": 1}, "is not known"),
        ({"attestation": "software"}, "use dkg-software terms"),
        ({"deadline": "2020-01-01T00:00:00Z"}, "before notBefore"),
        ({"minRate": 1.5}, "whole numbers"),
    ],
)
def test_a_draft_that_can_never_work_is_refused_in_one_line(
    tmp_path: Path, draft: dict[str, Any], capsys: Capture, changes: dict[str, Any], words: str
) -> None:
    (tmp_path / "draft.json").write_text(json.dumps({**draft, **changes}))
    out = tmp_path / "terms.json"
    code = dkgctl.main(["terms", "new", str(tmp_path / "draft.json"), "--out", str(out)])
    refused(capsys, code, USAGE, words)
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["terms"],
        ["terms", "sing"],
        ["terms", "check"],
        ["terms", "check", "/nonexistent/terms.json"],
        ["terms", "sign", "a", "--party", "one", "--key", "k", "--out", "o"],
        ["key", "old", "--out", "x"],
        ["verify", "/nonexistent"],
        ["report", "/nonexistent"],
        ["report", "--unknown", "x"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_one_line_and_exit_code_2(arguments: list[str], capsys: Capture) -> None:
    refused(capsys, dkgctl.main(arguments), USAGE, "")


def test_fetch_without_a_node_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    code = dkgctl.main(["fetch", str(tmp_path / "control.sock"), str(tmp_path)])
    refused(capsys, code, ENVIRONMENT, "no node listens")


@pytest.mark.parametrize("command", ["verify", "terms"])
def test_dkgctl_refuses_a_software_ceremony_and_names_the_command(
    tmp_path: Path,
    terms_json: dict[str, Any],
    organization_keys: dict[int, Ed25519PrivateKey],
    capsys: Capture,
    command: str,
) -> None:
    terms = parse_terms(terms_json)
    signatures = [sign_terms(terms, i, key).model_dump() for i, key in organization_keys.items()]
    file = tmp_path / "terms.json"
    file.write_text(json.dumps({"terms": terms.as_json(), "signatures": signatures}))
    arguments = {"verify": ["verify", str(tmp_path)], "terms": ["terms", "check", str(file)]}[command]
    refused(capsys, dkgctl.main(arguments), USAGE, f"use dkg-software {command}")


def state_file(directory: Path, terms_json: dict[str, Any], keys: dict[int, Ed25519PrivateKey]) -> Path:
    terms = parse_terms(terms_json)
    state = {
        "terms": terms.as_json(),
        "signatures": [sign_terms(terms, i, key).model_dump() for i, key in keys.items()],
        "party": 1,
        "attempt": 1,
        "keyArn": "arn:aws:kms:eu-central-1:000000000000:key/00000000-0000-0000-0000-000000000001",
        "peers": [],
        "enrolments": [],
    }
    path = directory / "desired-state.json"
    path.write_text(json.dumps(state))
    return path


def test_the_production_node_refuses_software_terms_and_starts_nothing(
    tmp_path: Path, terms_json: dict[str, Any], organization_keys: dict[int, Ed25519PrivateKey], capsys: Capture
) -> None:
    path = state_file(tmp_path, terms_json, organization_keys)
    arguments = ["--desired-state", str(path), "--credentials", "none"]
    refused(capsys, node_main.main(arguments), USAGE, "use dkg-software node")
    assert list(tmp_path.iterdir()) == [path]


def test_the_production_node_says_what_it_needs(capsys: Capture) -> None:
    refused(capsys, node_main.main([]), USAGE, "--desired-state")
    refused(capsys, node_main.main(["--desired-state", "/nonexistent.json"]), USAGE, "--credentials")
    arguments = ["--desired-state", "/nonexistent.json", "--credentials", "none"]
    refused(capsys, node_main.main(arguments), USAGE, "can't read the desired state")


def test_the_production_node_refuses_to_start_where_no_enclave_is(
    tmp_path: Path, terms_json: dict[str, Any], organization_keys: dict[int, Ed25519PrivateKey], capsys: Capture
) -> None:
    path = state_file(tmp_path, {**terms_json, "attestation": "nitro"}, organization_keys)
    refused(capsys, node_main.main(["--desired-state", str(path), "--credentials", "none"]), 1, "inside an enclave")
    assert list(tmp_path.iterdir()) == [path]
