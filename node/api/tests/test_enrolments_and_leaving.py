"""Enrolments with evidence, erase orders, receipts: one text each, all else refused."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.enrolment import MAX_DOCUMENT, Enrolment, EnrolmentFormatError, Keyring, decode_enrolment, enrol
from dkg_api.enrolment import parse_enrolment as parse
from dkg_api.errors import ApiError
from dkg_api.leave import LeaveError, order_erasure, parse_erase_order, parse_receipt, sign_receipt
from dkg_api.signatures import public_bytes
from dkg_api.successor import Custody, SuccessorError, SuccessorTerms, parse_successor
from dkg_api.terms import Terms, parse_terms

Keys = dict[int, Ed25519PrivateKey]
ARN = "arn:aws:kms:eu-central-1:000000000000:key/01234567-89ab-cdef-0123-456789abcdef"
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def full(terms: Terms, organization_keys: Keys, identity_keys: Keys) -> Enrolment:
    return enrol(terms.digest, 2, public_bytes(identity_keys[2]), organization_keys[2], b"document", ARN)


def golden(name: str, made: Any) -> None:  # noqa: ANN401 - any of the documents
    """The committed text of a schema version never changes: it is what organisations have signed."""
    assert (GOLDEN / name).read_bytes() == json.dumps(made.model_dump(mode="json"), indent=1).encode() + b"\n"


def successor_of(terms: Terms) -> SuccessorTerms:
    return parse_successor({
        "schemaVersion": 1, "predecessor": terms.digest.hex(), "certificate": "ab" * 32,
        "releases": [{"pcr0": "1a" * 48, "pcr1": "1b" * 48, "pcr2": "1c" * 48}],
        "sealing": [party.sealing.model_dump(mode="json") for party in terms.parties],
    })  # fmt: skip


def test_version_1_of_every_signed_document_stays_as_it_is(
    terms: Terms, full: Enrolment, organization_keys: Keys, identity_keys: Keys
) -> None:
    order = order_erasure(terms, 2, 7, organization_keys[2])
    golden("terms-1.json", terms)
    golden("enrolment-1.json", full)
    golden("erase-order-1.json", order)
    golden("successor-1.json", successor_of(terms))
    golden("receipt-1.json", sign_receipt(order, 5, full.document, identity_keys[2]))


def test_a_golden_file_is_read_back_as_what_it_was(terms: Terms, full: Enrolment) -> None:
    assert parse_terms((GOLDEN / "terms-1.json").read_bytes()).digest == terms.digest
    assert parse((GOLDEN / "enrolment-1.json").read_bytes()) == full
    assert parse_erase_order((GOLDEN / "erase-order-1.json").read_bytes()).problem(terms, 2) is None
    successor = parse_successor((GOLDEN / "successor-1.json").read_bytes())
    assert (successor.digest, successor.predecessor) == (successor_of(terms).digest, terms.digest.hex())
    receipt = parse_receipt((GOLDEN / "receipt-1.json").read_bytes())
    assert (
        receipt.problem(parse_erase_order((GOLDEN / "erase-order-1.json").read_bytes()), Keyring.of(terms, [full]))
        is None
    )


def test_an_enrolment_carries_its_evidence_and_key_under_the_organisations_signature(
    terms: Terms, full: Enrolment
) -> None:
    assert full.problem(terms) is None
    assert full.evidence == b"document"
    assert decode_enrolment(full.encode()) == full
    for changes in ({"document": b64encode(b"other").decode()}, {"document": None}, {"key_arn": None}):
        problem = full.model_copy(update=changes).problem(terms)
        assert problem is not None
        assert "not signed" in problem


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": 2},
        {"more": 1},
        {"document": ""},
        {"document": "A"},
        {"document": "AB=="},
        {"document": "QQ==\n"},
        {"document": b64encode(bytes(MAX_DOCUMENT + 1)).decode()},
        {"key_arn": "arn"},
        {"key_arn": ARN + "\n"},
        {"party": "2"},
        {"identity_key": "AA" * 32},
        {"signature": None},
    ],
)
def test_what_is_no_enrolment_of_this_version_is_refused(full: Enrolment, changes: dict[str, Any]) -> None:
    with pytest.raises(EnrolmentFormatError):
        parse({**full.model_dump(), **changes})
    assert decode_enrolment(json.dumps({**full.model_dump(), **changes}).encode()) is None


@pytest.mark.parametrize(
    "name",
    [
        "aws-cn:kms:eu-central-1:000000000000:key/01234567-89ab-cdef-0123-456789abcdef",
        "aws:kms:us-east-1:000000000000:key/01234567-89ab-cdef-0123-456789abcdef",
        "aws:kms:eu-central-1:000000000001:key/01234567-89ab-cdef-0123-456789abcdef",
        "aws:kms:eu-central-1:000000000000:alias/mine",
        "aws:kms:eu-central-1:000000000000:key/mrk-0123456789abcdef0123456789abcdef",
    ],
)
def test_a_key_elsewhere_or_one_that_can_move_is_no_partys_key(
    terms: Terms, organization_keys: Keys, name: str
) -> None:
    problem = enrol(terms.digest, 2, bytes(32), organization_keys[2], b"d", f"arn:{name}").problem(terms)
    assert problem is not None
    assert "single-region key in eu-central-1" in problem


def test_another_spelling_of_an_enrolment_is_not_taken_from_a_peer(full: Enrolment) -> None:
    assert decode_enrolment(full.encode() + b" ") is None
    assert decode_enrolment(json.dumps(full.model_dump(), indent=1).encode()) is None
    assert decode_enrolment(b"\xff") is None


def test_a_keyring_asks_who_has_a_root_about_every_document(terms: Terms, enrolments: list[Enrolment]) -> None:
    asked: list[Enrolment] = []
    Keyring.of(terms, enrolments, asked.append)
    assert asked == enrolments

    def refuse(_: Enrolment) -> None:
        raise ApiError("refused")

    with pytest.raises(ApiError, match="refused"):
        Keyring.of(terms, enrolments, refuse)


def test_an_erase_order_holds_for_one_party_of_one_terms_by_its_organisation(
    terms: Terms, organization_keys: Keys, make_terms: Callable[..., dict[str, Any]]
) -> None:
    order = order_erasure(terms, 2, 1, organization_keys[2])
    assert order.problem(terms, 2) is None
    assert "for party 2" in (order.problem(terms, 1) or "")
    assert "others" in (order.problem(parse_terms(make_terms(startGrace=1)), 2) or "")
    assert "does not fit" in (order.model_copy(update={"serial": 2}).problem(terms, 2) or "")
    with pytest.raises(ApiError, match="sign with the key of party 2"):
        order_erasure(terms, 2, 1, organization_keys[1])
    for changes in ({"serial": 0}, {"schema_version": 2}, {"x": 1}):
        with pytest.raises(LeaveError):
            parse_erase_order({**order.model_dump(), **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"schemaVersion": 2},
        {"more": 1},
        {"releases": []},
        {"releases": [{"pcr0": "00" * 48, "pcr1": "1b" * 48, "pcr2": "1c" * 48}]},
        {"releases": [{"pcr0": "1a" * 48, "pcr1": "1b" * 48, "pcr2": "1c" * 48}] * 2},
        {"predecessor": "ab"},
        {"certificate": None},
        {"sealing": [{"partition": "aws"}]},
        {"threshold": 1},
    ],
)
def test_what_is_no_successor_of_this_version_is_refused(terms: Terms, changes: dict[str, Any]) -> None:
    with pytest.raises(SuccessorError):
        parse_successor({**successor_of(terms).model_dump(mode="json"), **changes})


def test_an_order_under_successor_terms_is_none_under_the_first(terms: Terms, organization_keys: Keys) -> None:
    custody = Custody(terms, successor_of(terms))
    order = order_erasure(custody, 2, 1, organization_keys[2])
    assert order.problem(custody, 2) is None
    assert "others" in (order.problem(terms, 2) or "")
    assert "others" in (order_erasure(terms, 2, 1, organization_keys[2]).problem(custody, 2) or "")


def test_a_receipt_answers_one_order_by_an_enrolled_key(
    terms: Terms, organization_keys: Keys, identity_keys: Keys, enrolments: list[Enrolment]
) -> None:
    keyring = Keyring.of(terms, enrolments)
    order, next_order = (order_erasure(terms, 2, serial, organization_keys[2]) for serial in (1, 2))
    receipt = sign_receipt(order, 3, None, identity_keys[2])
    assert receipt.problem(order, keyring) is None
    assert "another" in (receipt.problem(next_order, keyring) or "")
    assert "not enrolled" in (sign_receipt(order, 3, None, identity_keys[3]).problem(order, keyring) or "")
    assert "does not fit" in (receipt.model_copy(update={"erased": 0}).problem(order, keyring) or "")
    with pytest.raises(LeaveError):
        parse_receipt({**receipt.model_dump(), "schema_version": 2})
