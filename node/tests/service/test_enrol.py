"""`enrol`, `terms show`, `release measure`: what an organisation signs has been judged as every peer will judge it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dkg_api.enrolment import parse_enrolment
from dkg_api.signatures import public_bytes, sign_terms
from dkg_node.attestation.appraiser import TermsAppraiser
from dkg_node.service import dkgctl
from dkg_node.service.command import run_command
from dkg_node.service.editions import Edition, dispatch
from dkg_node.testing.enclaves import KEY, Enclave, forged_root, organization_key, terms_of
from dkg_node.testing.forge import AT

NEGATIVE, USAGE = 1, 2
TERMS = terms_of()
TWO = Enclave(TERMS, 2)
Capture = pytest.CaptureFixture[str]


def tool(arguments: list[str], attestation: str = "nitro") -> int:
    """The nitro tools over the forged root."""
    edition = Edition(attestation, "dkgctl", "dkg-software", forged_root())
    return run_command(lambda given: dispatch(edition, "", dkgctl.TOOLS, given), arguments)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: AT * 1_000_000)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    signatures = [sign_terms(TERMS, i, organization_key(i)).model_dump() for i in range(1, 5)]
    (tmp_path / "terms.json").write_text(json.dumps({"terms": TERMS.as_json(), "signatures": signatures}))
    for party in (1, 2):
        text = organization_key(party).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / f"{party}.pem").write_bytes(text)
    write(tmp_path, TWO)
    return tmp_path


def write(directory: Path, enclave: Enclave, **changes: Any) -> None:  # noqa: ANN401 - fields of the statement
    document = enclave.enrolment(**changes).evidence
    assert document is not None
    (directory / "enrol.cbor").write_bytes(document)


def enrol(directory: Path, party: int = 2, key: int = 2, arn: str | None = KEY) -> int:
    arguments = ["enrol", f"{directory}/terms.json", "--party", str(party), "--key", f"{directory}/{key}.pem"]
    named = [] if arn is None else ["--key-arn", arn]
    return tool([*arguments, "--document", f"{directory}/enrol.cbor", "--out", f"{directory}/out.json", *named])


def test_an_enclaves_key_is_enrolled_by_its_document(files: Path, capsys: Capture) -> None:
    assert enrol(files) == 0
    made = parse_enrolment((files / "out.json").read_bytes())
    assert made.identity_key == public_bytes(TWO.identity).hex()
    assert made.problem(TERMS) is None
    TermsAppraiser(TERMS, 1, forged_root()).enrolment(made, AT)
    assert "2030-01-01T00:00:00.000Z" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ({"key": 1}, USAGE, "not the organizationKey"),
        ({"party": 9}, USAGE, "1 to 4"),
        ({"party": 1, "key": 1}, NEGATIVE, "another one answers"),
        ({"arn": None}, NEGATIVE, "another"),
        ({"arn": KEY.replace("eu-central-1", "us-east-1")}, NEGATIVE, "single-region key in eu-central-1"),
        ({"arn": "alias/mine"}, USAGE, "key_arn"),
    ],
)
def test_what_peers_would_refuse_is_not_signed(
    files: Path, capsys: Capture, arguments: dict[str, Any], code: int, words: str
) -> None:
    assert enrol(files, **arguments) == code
    assert words in capsys.readouterr().err
    assert not (files / "out.json").exists()


def test_a_key_of_changed_code_or_of_another_purpose_is_not_signed_for(files: Path, capsys: Capture) -> None:
    write(files, Enclave(TERMS, 2, pcrs=(b"x" * 48, *TWO.pcrs[1:])))
    assert enrol(files) == NEGATIVE
    assert "run a release that the terms list" in capsys.readouterr().err
    write(files, TWO, purpose="channel", channel_key=bytes(32))
    assert enrol(files) == NEGATIVE
    assert "purpose" in capsys.readouterr().err
    (files / "enrol.cbor").write_bytes(b"junk")
    assert enrol(files) == NEGATIVE
    assert not (files / "out.json").exists()


def test_terms_are_shown_whole_before_they_are_signed(files: Path, capsys: Capture) -> None:
    assert tool(["terms", "show", f"{files}/terms.json"]) == 0
    shown = capsys.readouterr().out
    for leaf in leaves(TERMS.as_json()):
        assert str(leaf) in shown
    assert "INSECURE PARAMETERS" in shown
    assert "NOT SIGNED" not in shown
    value = json.loads((files / "terms.json").read_text())
    (files / "terms.json").write_text(json.dumps({**value, "signatures": value["signatures"][:3]}))
    assert tool(["terms", "show", f"{files}/terms.json"]) == 0
    assert "Organisation 4: NOT SIGNED" in capsys.readouterr().out


def leaves(value: object) -> list[object]:
    """All that stands in a document."""
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


def test_a_release_measurement_says_that_it_proves_nothing(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dkg_node.service.release_tool.measure", lambda: {"pcr0": "1", "pcr1": "2", "pcr2": "3"})
    assert tool(["release", "measure"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"pcr0": "1", "pcr1": "2", "pcr2": "3"}
    assert "PROVES NOTHING" in said.err
