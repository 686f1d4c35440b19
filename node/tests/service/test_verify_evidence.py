"""`verify` takes no organisation's word for a key: the certificate's enrolments must show enclaves of the terms."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.certificate import Certificate, CertificateSignature, verify_certificate
from dkg_api.enrolment import Enrolment, enrol
from dkg_api.session import session_id
from dkg_api.signatures import public_bytes, sign
from dkg_node.service.verify import judge
from dkg_node.testing.enclaves import Enclave, forged_root, organization_key, terms_of
from dkg_node.testing.forge import AT

TERMS = terms_of()
ENCLAVES = {party: Enclave(TERMS, party) for party in range(1, 5)}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: (AT + 3_000_000_000) * 1_000_000)  # a month later


def verdict(**wrong: Enrolment) -> tuple[str, ...]:
    """Of a certificate that all signed, with some enrolments exchanged (party_2=...)."""
    enrolments = {party: wrong.get(f"party_{party}") or one.enrolment() for party, one in ENCLAVES.items()}
    plain = Certificate(
        notices=TERMS.notices, terms_digest=TERMS.digest.hex(), sid=session_id(TERMS.digest, 1).hex(), era=0,
        digests={"keyset": "ab" * 32}, enrolments=tuple(enrolments.values()),
    )  # fmt: skip
    signatures = tuple(
        CertificateSignature(
            party=party, key=public_bytes(one.identity).hex(),
            signature=sign(one.identity, "certificate", plain.content()).hex(),
        )
        for party, one in ENCLAVES.items()
    )  # fmt: skip
    signed = plain.model_copy(update={"signatures": signatures})
    return verify_certificate(signed, TERMS, judge(TERMS, forged_root()))


def test_a_certificate_of_enclaves_is_good_a_month_later() -> None:
    assert verdict() == ()


def test_a_key_made_outside_an_enclave_is_refused_by_verify() -> None:
    outside = Ed25519PrivateKey.generate()
    document = ENCLAVES[2].enrolment().evidence
    forged = enrol(TERMS.digest, 2, public_bytes(outside), organization_key(2), document, ENCLAVES[2].key_arn)
    (problem,) = verdict(party_2=forged)
    assert "enrolment of party 2: enrol the identity key" in problem


def test_a_key_without_document_or_of_changed_code_is_refused_by_verify() -> None:
    bare = enrol(TERMS.digest, 2, public_bytes(ENCLAVES[2].identity), organization_key(2), None, ENCLAVES[2].key_arn)
    assert "no attestation document" in verdict(party_2=bare)[0]
    changed = replace(ENCLAVES[2], pcrs=(b"x" * 48, *ENCLAVES[2].pcrs[1:])).enrolment()
    assert "run a release that the terms list" in verdict(party_2=changed)[0]


def test_a_document_from_the_future_is_refused_by_verify() -> None:
    later = replace(ENCLAVES[2], clock=lambda: AT + 4_000_000_000).enrolment()
    assert "set the clock right" in verdict(party_2=later)[0]
