"""What an appraiser remembers saves time and decides nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dkg_api.enrolment import Enrolment
from dkg_node.attestation.appraiser import TermsAppraiser
from dkg_node.attestation.chain import Chains
from dkg_node.attestation.document import read_document
from dkg_node.attestation.obstacles import ChannelRefused
from dkg_node.attestation.reasons import Reason, Refusal
from dkg_node.testing.enclaves import Enclave, forged_root, terms_of
from dkg_node.testing.forge import AT, case, changed, usual_chain

TERMS = terms_of()
HOUR = 3_600_000
NONCE, KEY = b"n" * 32, b"k"


def appraiser(**changes: object) -> TermsAppraiser:
    return TermsAppraiser(**{"terms": TERMS, "attempt": 1, "root": forged_root(), **changes})  # type: ignore[arg-type]


def refused(found: TermsAppraiser, enclave: Enclave, enrolment: Enrolment, at: int = AT) -> str:
    document = enclave.attest(enclave.statement().encode(), NONCE, KEY)
    with pytest.raises(ChannelRefused) as error:
        found.channel(document, enrolment, NONCE, KEY, at)
    return error.value.code


def test_a_chain_that_was_good_is_refused_when_it_has_expired_and_before_it_began() -> None:
    good = case()
    chains = Chains()
    document = read_document(good.document)
    assert chains.verify(document, good.policy.root, AT).name
    for at, reason in ((AT + 3 * HOUR, Reason.EXPIRED), (AT - 3 * HOUR, Reason.NOT_YET_VALID)):
        with pytest.raises(Refusal) as error:
            chains.verify(document, good.policy.root, at)
        assert error.value.reason is reason


def test_a_remembered_chain_serves_under_its_own_root_and_bytes_only() -> None:
    good = case()
    chains = Chains()
    document = read_document(good.document)
    chains.verify(document, good.policy.root, AT)
    with pytest.raises(Refusal) as error:
        chains.verify(document, bytes(32), AT)
    assert error.value.reason is Reason.ROOT
    swapped = replace(document, cabundle=(document.cabundle[0], *document.cabundle[2:], document.cabundle[1]))
    with pytest.raises(Refusal):
        chains.verify(swapped, good.policy.root, AT)


def test_a_bad_chain_is_never_remembered_as_good() -> None:
    bad = case(specs=changed(usual_chain(), -1, ca=True, usages=("key_cert_sign",)))
    chains = Chains()
    document = read_document(bad.document)
    for _ in range(2):
        with pytest.raises(Refusal):
            chains.verify(document, bad.policy.root, AT)


def test_a_document_of_a_remembered_chain_is_as_fresh_as_it_says() -> None:
    found, enclave = appraiser(), Enclave(TERMS, 2)
    enrolment = enclave.enrolment()
    found.enrolment(enrolment, AT)
    document = enclave.attest(enclave.statement().encode(), NONCE, KEY)
    assert found.channel(document, enrolment, NONCE, KEY, AT).party == 2
    assert refused(found, replace(enclave, clock=lambda: AT - HOUR), enrolment) == "evidence.stale"
    assert refused(found, replace(enclave, pcrs=(b"x" * 48, *enclave.pcrs[1:])), enrolment) == "evidence.release"


def test_a_remembered_enrolment_still_needs_its_organisations_signature() -> None:
    found, enclave = appraiser(), Enclave(TERMS, 2)
    enrolment = enclave.enrolment()
    found.enrolment(enrolment, AT)
    with pytest.raises(ChannelRefused) as error:
        found.enrolment(enrolment.model_copy(update={"party": 3}), AT)
    assert error.value.code == "enrolment"


def test_terms_whose_roles_make_no_policy_refuse_and_do_not_raise() -> None:
    parties = [party.model_dump(mode="json") for party in TERMS.parties]
    for party in parties:
        party["sealing"]["enclaveRole"] = "a*b"
    terms = terms_of(parties=parties)
    enclave = Enclave(TERMS, 2)
    plain = enclave.enrolment().model_copy(update={"terms_digest": terms.digest.hex()})
    document = enclave.attest(enclave.statement().encode(), NONCE, KEY)
    with pytest.raises(ChannelRefused) as error:
        appraiser(terms=terms).channel(document, plain, NONCE, KEY, AT)
    assert error.value.code == "enrolment"


def test_software_terms_may_do_without_a_kms_key_and_nitro_terms_may_not() -> None:
    for attestation, allowed in (("software", True), ("nitro", False)):
        terms = terms_of(attestation=attestation)
        enrolment = Enclave(terms, 2, key_arn=None).enrolment()
        if allowed:
            appraiser(terms=terms).enrolment(enrolment, AT)
            continue
        with pytest.raises(ChannelRefused, match="no KMS key"):
            appraiser(terms=terms).enrolment(enrolment, AT)
