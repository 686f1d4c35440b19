"""Signatures and enrolments: what counts, for what, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from dkg_api.enrolment import MAX_ENROLMENTS, Enrolment, EnrolmentError, Keyring, enrol
from dkg_api.errors import ApiError
from dkg_api.session import LAST_ATTEMPT, session_id
from dkg_api.signatures import (
    PURPOSES,
    SignatureMissing,
    TermsSignature,
    missing_organizations,
    public_bytes,
    require_all_signatures,
    sign,
    sign_terms,
    signed_bytes,
    verify,
)
from dkg_api.terms import Terms, parse_terms

Keys = dict[int, Ed25519PrivateKey]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = public_bytes(KEY)


@given(st.binary(max_size=64), st.sampled_from(sorted(PURPOSES)), st.sampled_from(sorted(PURPOSES)))
def test_a_signature_is_good_for_its_purpose_only(message: bytes, purpose: str, other: str) -> None:
    signature = sign(KEY, purpose, message)
    assert verify(PUBLIC, purpose, message, signature)
    assert verify(PUBLIC, other, message, signature) == (purpose == other)


def test_what_is_signed_is_fixed() -> None:
    assert signed_bytes("go", b"message") == b"dkg/v1/go\x00message"
    with pytest.raises(ValueError, match="closed list"):
        signed_bytes("anything", b"")


@given(st.binary(max_size=40), st.binary(max_size=80), st.binary(max_size=70))
def test_a_peers_bytes_never_raise(key: bytes, message: bytes, signature: bytes) -> None:
    assert verify(key, "go", message, signature) is False
    assert verify(PUBLIC, "go", message, signature) is False


def test_one_purpose_is_never_the_beginning_of_another() -> None:
    assert len({signed_bytes(purpose, b"") for purpose in PURPOSES}) == len(PURPOSES) == 16


def test_terms_need_the_signature_of_every_organisation(terms: Terms, organization_keys: Keys) -> None:
    signatures = [sign_terms(terms, index, organization_keys[index]) for index in range(1, terms.n + 1)]
    require_all_signatures(terms, signatures)
    assert missing_organizations(terms, signatures[:2]) == ("Organisation 3", "Organisation 4")
    with pytest.raises(SignatureMissing, match="Organisation 3, Organisation 4"):
        require_all_signatures(terms, signatures[:2])


def test_a_signature_in_anothers_name_or_of_other_terms_counts_for_nothing(
    terms: Terms, organization_keys: Keys, make_terms: Callable[..., dict[str, Any]]
) -> None:
    other = parse_terms(make_terms(startGrace=1))
    forged = [
        TermsSignature(party=2, signature=sign_terms(terms, 1, organization_keys[1]).signature),
        sign_terms(other, 3, organization_keys[3]),
        TermsSignature(party=9, signature="00" * 64),
        TermsSignature(party=4, signature=sign(organization_keys[4], "enrolment", terms.canonical).hex()),
    ]
    assert len(missing_organizations(terms, forged)) == 4


def test_terms_are_signed_with_the_partys_own_key_only(terms: Terms, organization_keys: Keys) -> None:
    with pytest.raises(ApiError, match="sign with the key of party 2"):
        sign_terms(terms, 2, organization_keys[1])


# --- enrolments


def test_an_enrolled_key_speaks_for_its_party(terms: Terms, enrolments: list[Enrolment], identity_keys: Keys) -> None:
    keyring = Keyring.of(terms, enrolments)
    assert keyring.missing() == ()
    signature = sign(identity_keys[2], "broadcast", b"body")
    assert keyring.verify(2, "broadcast", b"body", signature)
    assert keyring.signer(2, "broadcast", b"body", signature) == public_bytes(identity_keys[2])
    assert not keyring.verify(1, "broadcast", b"body", signature)
    assert not keyring.verify(2, "share", b"body", signature)
    assert not keyring.verify(99, "share", b"body", signature)


def test_two_enrolled_keys_of_one_party_are_one_party(
    terms: Terms, organization_keys: Keys, identity_keys: Keys
) -> None:
    both = [enrol(terms.digest, 1, public_bytes(identity_keys[i]), organization_keys[1]) for i in (1, 9)]
    keyring = Keyring.of(terms, both)
    assert all(keyring.verify(1, "go", b"m", sign(identity_keys[i], "go", b"m")) for i in (1, 9))
    assert keyring.missing() == (2, 3, 4)


def refused(terms: Terms, *enrolments: Enrolment) -> str:
    with pytest.raises(EnrolmentError) as error:
        Keyring.of(terms, enrolments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_enrolment_by_another_organisation_is_refused(terms: Terms, organization_keys: Keys) -> None:
    assert "not signed by Organisation 1" in refused(terms, enrol(terms.digest, 1, PUBLIC, organization_keys[2]))


def test_an_enrolment_of_other_terms_is_refused(terms: Terms, organization_keys: Keys) -> None:
    assert "other terms" in refused(terms, enrol(bytes(32), 1, PUBLIC, organization_keys[1]))


def test_an_enrolment_of_an_unknown_party_is_refused(terms: Terms, organization_keys: Keys) -> None:
    assert "parties 1 to 4" in refused(terms, enrol(terms.digest, 5, PUBLIC, organization_keys[5]))


def test_any_changed_field_of_an_enrolment_is_noticed(terms: Terms, enrolments: list[Enrolment]) -> None:
    for changes in ({"identity_key": "11" * 32}, {"document": "eA=="}, {"key_arn": "arn"}):
        assert "not signed" in refused(terms, enrolments[0].model_copy(update=changes))


def test_a_key_enrolled_for_two_parties_is_refused(terms: Terms, organization_keys: Keys) -> None:
    both = [enrol(terms.digest, party, PUBLIC, organization_keys[party]) for party in (1, 2)]
    assert "another party's" in refused(terms, *both)


def test_a_party_enrols_at_most_eight_keys(terms: Terms, organization_keys: Keys) -> None:
    many = [enrol(terms.digest, 1, bytes([i]) * 32, organization_keys[1]) for i in range(MAX_ENROLMENTS + 1)]
    Keyring.of(terms, [*many[:-1], many[0]])
    assert "more than 8" in refused(terms, *many)


def test_the_session_id_follows_the_protocols_encoding() -> None:
    known = session_id(bytes(range(32)), 1)
    assert len(known) == 32
    assert known != session_id(bytes(range(32)), 2)
    for digest, attempt in ((bytes(31), 1), (bytes(32), 0), (bytes(32), LAST_ATTEMPT + 1)):
        with pytest.raises(ValueError, match="attempt of 1 to"):
            session_id(digest, attempt)
