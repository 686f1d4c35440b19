"""`leave`: an order, a receipt that is believed only after all checks, and the end of the KMS key."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from dkg_api.leave import EraseReceipt, order_erasure, parse_erase_order, parse_receipt, sign_receipt
from dkg_node.sealing.leave import Leaver
from dkg_node.service import dkgctl
from dkg_node_software.agreement import Agreement
from dkg_node_software.nsm import software_attester

NEGATIVE, USAGE = 1, 2
Capture = pytest.CaptureFixture[str]
Names = Callable[[str], None]


class Organisations(Protocol):
    """See conftest."""

    agreement: Agreement
    place: Path
    identities: dict[int, Any]

    def home(self, party: int) -> Path: ...
    def sealer(self, party: int, attempt: int) -> Any: ...  # noqa: ANN401 - a KmsSealer
    def side(self, party: int) -> Any: ...  # noqa: ANN401 - a DoubleParty
    def write_state(self, party: int, **changes: object) -> Path: ...
    def node(self, mode: str, party: int, *more: str) -> int: ...
    def leave(self, action: str, *arguments: str) -> int: ...
    def order(self, party: int, serial: int = 1, *more: str) -> int: ...
    def ordered(self, party: int) -> dict[str, Any]: ...
    def papers(self, party: int) -> list[str]: ...
    def key_state(self, party: int) -> str: ...


def refused(capsys: Capture, found: int, expected: int, words: str) -> None:
    """One line on stderr that has the words, and the exit code."""
    errors = capsys.readouterr().err
    assert found == expected, errors
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert words in errors


@pytest.fixture
def left(organisations: Organisations, names: Names, capsys: Capture) -> Organisations:
    """Party 1's enclave has obeyed its order."""
    names("local organisation 1\n")
    assert organisations.order(1) == 0
    organisations.write_state(1, eraseOrder=organisations.ordered(1))
    assert organisations.node("leave", 1) == 0
    capsys.readouterr()
    return organisations


def finish(organisations: Organisations, party: int = 1, *more: str) -> int:
    credentials = str(organisations.place / f"break-glass-{party}.json")
    return organisations.leave("finish", *organisations.papers(party), "--credentials", credentials, *more)


def write_receipt(organisations: Organisations, receipt: EraseReceipt) -> None:
    (organisations.home(1) / "receipt.json").write_text(json.dumps(receipt.model_dump(mode="json")))


def test_who_leaves_ends_the_key_for_good(left: Organisations, names: Names, capsys: Capture) -> None:
    assert left.leave("check", *left.papers(1)) == 0
    assert "erased 2 object versions" in capsys.readouterr().out
    assert left.key_state(1) == "Enabled"
    names("local organisation 1\n")
    assert finish(left) == 0
    said = capsys.readouterr().out
    assert "is disabled and will be deleted on 20" in said
    assert "PROVES NOTHING" in said
    assert left.key_state(1) == "PendingDeletion"
    assert left.key_state(2) == "Enabled"


def test_a_copy_that_the_leaver_kept_stays_shut(
    organisations: Organisations, names: Names, capsys: Capture
) -> None:  # fmt: skip
    """The whole way: copies of all blobs are put back after the receipt was given and the key ended."""
    copies = {path: path.read_bytes() for path in organisations.home(1).glob("*.sealed")}
    names("local organisation 1\nlocal organisation 1\n")
    assert organisations.order(1) == 0
    organisations.write_state(1, eraseOrder=organisations.ordered(1))
    assert organisations.node("leave", 1) == 0
    assert finish(organisations) == 0
    for path, data in copies.items():
        path.write_bytes(data)
    capsys.readouterr()
    refused(capsys, organisations.node("check", 1), NEGATIVE, "disabled: ")
    refused(capsys, organisations.node("leave", 1), NEGATIVE, "disabled: ")


def test_the_certificate_brings_the_enrolments_that_were_not_given(left: Organisations, capsys: Capture) -> None:
    """Whoever gives another party's enrolment alone is told nothing without the certificate, and all with it."""
    papers = [*left.papers(1)[:-1], str(left.place / "enrolment-2.json")]
    refused(capsys, left.leave("check", *papers), NEGATIVE, "not enrolled")
    certificate = left.place / "certificate.json"
    assert left.leave("check", *papers, "--certificate", str(certificate)) == 0
    value = json.loads(certificate.read_text())
    certificate.write_text(json.dumps({**value, "signatures": value["signatures"][:2]}))
    capsys.readouterr()
    refused(capsys, left.leave("check", *papers, "--certificate", str(certificate)), NEGATIVE, "2 parties signed")


def test_finishing_again_changes_nothing(left: Organisations, names: Names) -> None:
    names("local organisation 1\nlocal organisation 1\n")
    assert finish(left) == 0
    assert finish(left) == 0
    assert left.key_state(1) == "PendingDeletion"


@pytest.mark.parametrize("name", ["", "\n", "local organisation 2\n", "local organisation 1 \n", "yes\n"])
def test_any_other_name_signs_nothing_and_ends_nothing(
    left: Organisations, names: Names, capsys: Capture, name: str
) -> None:
    names(name)
    refused(capsys, finish(left), USAGE, "nothing was done")
    assert left.key_state(1) == "Enabled"
    (left.place / "order-1.json").unlink()
    names(name)
    refused(capsys, left.order(1), USAGE, "nothing was done")
    assert not (left.place / "order-1.json").exists()


def test_an_order_is_signed_by_the_partys_organisation_alone(
    organisations: Organisations, names: Names, capsys: Capture
) -> None:
    other = str(organisations.place / "2.pem")
    names("local organisation 1\n")
    refused(capsys, organisations.order(1, 1, "--key", other), USAGE, "key of party 1")
    refused(capsys, organisations.order(1, 1, "--party", "9"), USAGE, "1 to 4")
    refused(capsys, organisations.order(1, 0), USAGE, "--serial")
    assert not (organisations.place / "order-1.json").exists()


def test_a_receipt_for_another_order_ends_nothing(left: Organisations, names: Names, capsys: Capture) -> None:
    names("local organisation 1\nlocal organisation 1\n")
    assert left.order(1, 2) == 0
    refused(capsys, finish(left), NEGATIVE, "answers another")
    assert left.key_state(1) == "Enabled"


def test_a_receipt_that_says_more_than_the_enclave_signed_ends_nothing(
    left: Organisations, names: Names, capsys: Capture
) -> None:
    receipt = parse_receipt((left.home(1) / "receipt.json").read_bytes())
    write_receipt(left, receipt.model_copy(update={"erased": 99}))
    names("local organisation 1\n")
    refused(capsys, finish(left), NEGATIVE, "signature does not fit")
    assert left.key_state(1) == "Enabled"


def leaver_of(organisations: Organisations, attester: object = None, **changes: Any) -> Leaver:  # noqa: ANN401 - fields
    """Who holds the identity key and erases nothing."""
    service = organisations.sealer(1, 0).service
    said = replace(service.statement, **changes)
    given = service.attester if attester is None else attester
    return Leaver(organisations.agreement.terms, organisations.identities[1], given, said)  # type: ignore[arg-type]


class Empty:
    """A store that holds nothing."""

    def put(self, name: str, blob: bytes) -> None: ...
    def get(self, name: str) -> bytes | None: ...
    def names(self) -> tuple[str, ...]:
        return ()

    def erase(self, name: str) -> None: ...
    def clear(self, last: str) -> int:
        return 0

    def left(self) -> tuple[str, ...]:
        return ()


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("other code", "release"),
        ("no document", "no attestation document"),
        ("another order's document", "nonce"),
        ("another key", "KMS key"),
        ("another attempt", "attempt"),
        ("a key that is not enrolled", "not enrolled"),
    ],
)
def test_a_receipt_that_no_enclave_of_the_terms_gave_ends_nothing(
    organisations: Organisations, names: Names, capsys: Capture, attack: str, words: str
) -> None:
    """Signed by the enrolled identity key, or by another one: what the document does not show is not believed."""
    names("local organisation 1\nlocal organisation 1\n")
    assert organisations.order(1) == 0
    order = parse_erase_order(json.dumps(organisations.ordered(1)))
    key = organisations.identities[1]
    good = leaver_of(organisations).obey(order, Empty())
    later = order_erasure(organisations.agreement.terms, 1, 2, organisations.agreement.keys[1])
    changed = {
        "other code": lambda: leaver_of(
            organisations, software_attester({"pcr0": "dd" * 48, "pcr1": "dd" * 48, "pcr2": "dd" * 48})
        ).obey(order, Empty()),
        "no document": lambda: sign_receipt(order, 0, None, key),
        "another order's document": lambda: sign_receipt(
            order, 0, leaver_of(organisations).obey(later, Empty()).document, key
        ),
        "another key": lambda: leaver_of(organisations, sealing=bytes(32)).obey(order, Empty()),
        "another attempt": lambda: leaver_of(organisations, attempt=1).obey(order, Empty()),
        "a key that is not enrolled": lambda: sign_receipt(order, 0, good.document, organisations.identities[2]),
    }[attack]()
    write_receipt(organisations, changed)
    refused(capsys, finish(organisations), NEGATIVE, words)
    assert organisations.key_state(1) == "Enabled"
    write_receipt(organisations, good)
    assert finish(organisations) == 0  # the same way with nothing changed: the test can fail


def test_credentials_of_others_end_nothing_and_stay_unread_by_them(
    left: Organisations, names: Names, capsys: Capture
) -> None:
    other = left.place / "other.json"
    stranger = str(left.place / "break-glass-1.json")
    Path(stranger).chmod(0o644)
    names("local organisation 1\n")
    refused(capsys, finish(left), USAGE, "chmod 600")
    value = json.loads(Path(stranger).read_text())
    other.touch(mode=0o600)
    other.write_text(json.dumps({**value, "AccessKeyId": "AKIANOBODY0000000001"}))
    refused(capsys, finish(left, 1, "--credentials", str(other)), NEGATIVE, "fresh credentials")
    other.write_text(json.dumps({**value, "SecretAccessKey": "two words"}))
    assert finish(left, 1, "--credentials", str(other)) == USAGE
    said = capsys.readouterr().err
    assert "two words" not in said
    assert left.key_state(1) == "Enabled"


def test_production_refuses_the_papers_of_a_software_ceremony(left: Organisations, capsys: Capture) -> None:
    terms = str(left.place / "terms.json")
    refused(capsys, dkgctl.main(["leave", "check", terms, *left.papers(1)]), USAGE, "use dkg-software leave")
