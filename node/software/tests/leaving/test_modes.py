"""Node modes `check` and `leave` against the double: what opens, what is erased, and one reason for all else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from dkg_api.leave import order_erasure, parse_receipt
from dkg_node.algebra.kernel import Shares
from dkg_node.sealing.stores import BlobStore, S3Blobs
from dkg_node.service.node_main import main as production
from dkg_node_software.agreement import ATTEMPT, Agreement

NEGATIVE, USAGE, ENVIRONMENT = 1, 2, 4
Capture = pytest.CaptureFixture[str]


class Organisations(Protocol):
    """See conftest."""

    agreement: Agreement
    place: Path
    double: Path
    arns: dict[int, str]

    def home(self, party: int) -> Path: ...
    def seal(self, party: int, store: BlobStore | None = None) -> None: ...
    def sealer(self, party: int, attempt: int, store: BlobStore | None = None) -> Any: ...  # noqa: ANN401 - a KmsSealer
    def side(self, party: int) -> Any: ...  # noqa: ANN401 - a DoubleParty
    def write_state(self, party: int, **changes: object) -> Path: ...
    def node(self, mode: str, party: int, *more: str) -> int: ...


def refused(capsys: Capture, found: int, expected: int, words: str) -> None:
    """One line on stderr that has the words, and the exit code."""
    errors = capsys.readouterr().err
    assert found == expected, errors
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert "Traceback" not in errors
    assert words in errors


def give_order(organisations: Organisations, party: int = 1, **changes: object) -> dict[str, Any]:
    """Sign an order and put it into the desired state."""
    terms, keys = organisations.agreement.terms, organisations.agreement.keys
    order = order_erasure(terms, party, 7, keys[party]).model_dump(mode="json")
    organisations.write_state(party, eraseOrder={**order, **changes})
    return order


def sealed(organisations: Organisations, party: int) -> list[str]:
    return sorted(path.name for path in organisations.home(party).glob("*.sealed"))


def test_the_share_opens_for_this_code_under_these_terms(organisations: Organisations, capsys: Capture) -> None:
    assert organisations.node("check", 1) == 0
    said = capsys.readouterr().out
    assert "party 1: its share opens" in said
    assert "PROVES NOTHING" in said


def test_each_thing_that_keeps_a_share_shut_has_its_reason(organisations: Organisations, capsys: Capture) -> None:
    one, two = organisations.home(1), organisations.home(2)
    older = (one / "share.sealed").read_bytes()
    organisations.sealer(1, ATTEMPT).seal_shares("share", 0, Shares.from_wire(64, bytes(32)))
    refused(capsys, organisations.node("check", 1), NEGATIVE, "older: ")
    (one / "transcript.jsonl").unlink()
    shutil.copy(two / "share.sealed", one / "share.sealed")
    refused(capsys, organisations.node("check", 1), NEGATIVE, "other_key: ")
    (one / "share.sealed").write_bytes(older[:-1] + bytes([older[-1] ^ 1]))
    refused(capsys, organisations.node("check", 1), NEGATIVE, "damaged: ")
    (one / "share.sealed").unlink()
    refused(capsys, organisations.node("check", 1), NEGATIVE, "missing: ")
    organisations.side(2).api("kms", "break-glass").disable_key(KeyId=organisations.arns[2])
    refused(capsys, organisations.node("check", 2), NEGATIVE, "disabled: ")


def test_a_changed_policy_and_a_key_of_other_terms_have_their_reasons(
    organisations: Organisations, capsys: Capture
) -> None:
    side = organisations.side(3)
    text = (organisations.place / "terms.json").read_text()
    stranger = side.api("kms", "operator").create_key(
        Policy=side.api("kms").get_key_policy(KeyId=organisations.arns[3], PolicyName="default")["Policy"].replace(
            organisations.agreement.terms.digest.hex(), "ab" * 32
        ),
        BypassPolicyLockoutSafetyCheck=True,
    )["KeyMetadata"]["Arn"]  # fmt: skip
    assert stranger not in text
    organisations.write_state(3, keyArn=stranger)
    refused(capsys, organisations.node("check", 3), NEGATIVE, "terms: ")


def test_an_identity_key_that_nobody_enrolled_opens_and_is_refused(
    organisations: Organisations, capsys: Capture
) -> None:
    organisations.sealer(1, 0).seal_bytes("identity", 0, bytes(32))
    refused(capsys, organisations.node("check", 1), NEGATIVE, "identity: ")
    give_order(organisations)
    before = sealed(organisations, 1)
    refused(capsys, organisations.node("leave", 1), NEGATIVE, "identity: ")
    assert sealed(organisations, 1) == before


def test_changed_code_opens_and_erases_nothing(
    organisations: Organisations, tmp_path: Path, change_code: Callable[[Path], dict[str, str]]
) -> None:
    """Really changed: a copy of the node with one more line, which measures as something else."""
    give_order(organisations)
    before = sealed(organisations, 1)
    environment = {**os.environ, **change_code(tmp_path / "changed")}
    program = str(Path(sys.executable).parent / "dkg-software")
    for mode in ("check", "leave"):
        command = [
            program, "node", "--mode", mode, "--desired-state", str(organisations.home(1) / "desired-state.json"),
            "--aws-double", str(organisations.double),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == NEGATIVE, done.stderr
        assert "denied: " in done.stderr
    assert sealed(organisations, 1) == before


def test_a_service_that_is_not_there_is_no_verdict(organisations: Organisations, capsys: Capture) -> None:
    endpoint = organisations.double / "endpoint"
    url = endpoint.read_text()
    endpoint.write_text("https://127.0.0.1:1")
    try:
        refused(capsys, organisations.node("check", 1), ENVIRONMENT, "reach the service")
    finally:
        endpoint.write_text(url)


def test_leaving_erases_every_object_and_leaves_a_receipt(organisations: Organisations, capsys: Capture) -> None:
    order = give_order(organisations)
    (organisations.home(1) / ".share.sealed.unfinished").write_bytes(b"x")
    assert organisations.node("leave", 1) == 0
    assert sealed(organisations, 1) == []
    receipt = parse_receipt((organisations.home(1) / "receipt.json").read_bytes())
    assert (receipt.party, receipt.serial, receipt.erased) == (1, order["serial"], 3)
    capsys.readouterr()
    refused(capsys, organisations.node("check", 1), NEGATIVE, "missing: ")


def said(capsys: Capture) -> str:
    """What was written to standard output since."""
    return capsys.readouterr().out


def test_the_receipt_is_printed_too_for_whoever_has_no_file_of_the_enclave(
    organisations: Organisations, capsys: Capture
) -> None:
    give_order(organisations)
    assert organisations.node("leave", 1) == 0
    (line,) = [line for line in said(capsys).splitlines() if line.startswith("{")]
    assert parse_receipt(line) == parse_receipt((organisations.home(1) / "receipt.json").read_bytes())


@pytest.mark.parametrize("deletions", range(4))
def test_leaving_that_broke_off_at_any_deletion_is_finished_by_the_next_start(
    organisations: Organisations, capsys: Capture, monkeypatch: pytest.MonkeyPatch, deletions: int
) -> None:
    """The identity key goes last, so that whoever starts again can sign; nothing else is needed for a receipt."""
    for name in ("prss", "zero"):
        organisations.sealer(1, ATTEMPT).seal_shares(name, 0, Shares.from_wire(64, bytes(32)))
    give_order(organisations)
    unlink, left = Path.unlink, [deletions]

    def failing(path: Path, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - as in pathlib
        if path.name.endswith(".sealed"):
            if not left[0]:
                raise OSError(5, "Input/output error")
            left[0] -= 1
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", failing)
        refused(capsys, organisations.node("leave", 1), NEGATIVE, "store: ")
    assert len(sealed(organisations, 1)) == 4 - deletions
    assert organisations.node("leave", 1) == 0
    assert sealed(organisations, 1) == []
    assert f"{4 - deletions} object versions erased, none is left" in said(capsys)
    assert parse_receipt((organisations.home(1) / "receipt.json").read_bytes()).erased == 4 - deletions


def test_without_an_identity_key_all_is_erased_and_the_refusal_says_that_no_receipt_can_be_had(
    organisations: Organisations, capsys: Capture
) -> None:
    (organisations.home(1) / "identity.sealed").unlink()
    organisations.sealer(1, ATTEMPT).seal_shares("prss", 0, Shares.from_wire(64, bytes(32)))
    give_order(organisations, serial=8)
    refused(capsys, organisations.node("leave", 1), NEGATIVE, "order: ")
    assert sealed(organisations, 1) == ["prss.sealed", "share.sealed"]
    give_order(organisations)
    refused(capsys, organisations.node("leave", 1), NEGATIVE, "no_receipt: ")
    assert sealed(organisations, 1) == []
    assert not (organisations.home(1) / "receipt.json").exists()
    refused(capsys, organisations.node("leave", 1), NEGATIVE, "0 object versions erased")


def test_leaving_again_erases_nothing_and_shows_the_same_receipt(organisations: Organisations, capsys: Capture) -> None:
    give_order(organisations)
    assert organisations.node("leave", 1) == 0
    first = (organisations.home(1) / "receipt.json").read_bytes()
    assert organisations.node("leave", 1) == 0
    assert (organisations.home(1) / "receipt.json").read_bytes() == first
    capsys.readouterr()
    give_order(organisations, serial=8)
    refused(capsys, organisations.node("leave", 1), NEGATIVE, "order: ")


def test_an_old_receipt_is_no_answer_while_something_lies_there(organisations: Organisations, capsys: Capture) -> None:
    """A host that puts blobs back has them erased again, for as long as the key opens them."""
    copies = {path: path.read_bytes() for path in organisations.home(1).glob("*.sealed")}
    give_order(organisations)
    assert organisations.node("leave", 1) == 0
    for path, data in copies.items():
        path.write_bytes(data)
    capsys.readouterr()
    assert organisations.node("leave", 1) == 0
    assert "2 object versions erased" in capsys.readouterr().out
    assert sealed(organisations, 1) == []


def test_in_a_bucket_every_version_and_mark_of_deletion_goes(
    organisations: Organisations, bucket: S3Blobs, capsys: Capture
) -> None:
    organisations.seal(1, bucket)
    organisations.seal(1, bucket)
    bucket.api.delete_object(Bucket=bucket.bucket, Key=bucket.prefix + "share")
    give_order(organisations)
    state = json.loads((organisations.home(1) / "desired-state.json").read_text())
    organisations.write_state(
        1, eraseOrder=state["eraseOrder"], bucket={"name": bucket.bucket, "prefix": bucket.prefix}
    )
    files = sealed(organisations, 1)
    assert organisations.node("leave", 1) == 0
    assert "5 object versions erased" in capsys.readouterr().out
    assert bucket.left() == ()
    assert sealed(organisations, 1) == files  # another place


def test_without_an_order_that_binds_the_party_nothing_goes(organisations: Organisations, capsys: Capture) -> None:
    before = sealed(organisations, 1)
    refused(capsys, organisations.node("leave", 1), USAGE, "eraseOrder")
    terms, keys = organisations.agreement.terms, organisations.agreement.keys
    organisations.write_state(1, eraseOrder=order_erasure(terms, 2, 7, keys[2]).model_dump(mode="json"))
    refused(capsys, organisations.node("leave", 1), NEGATIVE, "order: ")
    give_order(organisations, terms_digest="ab" * 32)
    refused(capsys, organisations.node("leave", 1), NEGATIVE, "order: ")
    give_order(organisations, signature="00" * 64)
    refused(capsys, organisations.node("leave", 1), NEGATIVE, "order: ")
    assert sealed(organisations, 1) == before


@pytest.mark.parametrize("mode", ["check", "leave"])
def test_production_refuses_software_terms_in_every_mode(
    organisations: Organisations, capsys: Capture, mode: str
) -> None:
    give_order(organisations)
    state = str(organisations.home(1) / "desired-state.json")
    command = ["--mode", mode, "--desired-state", state, "--credentials", state]
    refused(capsys, production(command), USAGE, "use dkg-software node")
