"""A new release takes over: only under successor terms of all, only between the two releases, only for one party."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.errors import ApiError
from dkg_api.kms_policy import KeyTerms, kms_policy
from dkg_api.signatures import SignatureMissing
from dkg_api.successor import Custody, SuccessorError, SuccessorTerms, parse_successor, sign_successor, succeed
from dkg_api.terms import Terms
from dkg_api.user_data import UserData
from dkg_node.algebra.kernel import Shares
from dkg_node.attestation.policy import Expected, Policy
from dkg_node.attestation.verifier import appraise
from dkg_node.sealing.readback import read_back
from dkg_node.sealing.reasons import Reason, SealingRefusal
from dkg_node.sealing.reseal import Appraise, Exchange, Giver, Taker
from dkg_node.sealing.sealer import KmsSealer
from dkg_node.sealing.stores import BlobStore, DirectoryBlobs
from dkg_node.testing.aws_double import service_of
from dkg_node_software.nsm import milliseconds, software_attester
from dkg_node_software.root import SOFTWARE_ROOT

WIRE = bytes(range(256)) * 4
OLD = {"pcr0": "0a" * 48, "pcr1": "0b" * 48, "pcr2": "0c" * 48}
NEW = {"pcr0": "1a" * 48, "pcr1": "1b" * 48, "pcr2": "1c" * 48}
CERTIFICATE = bytes([7] * 32)
ATTESTERS = {side["pcr0"]: software_attester(side) for side in (OLD, NEW, {**NEW, "pcr0": "dd" * 48})}
OrganizationKey = Callable[[int], Ed25519PrivateKey]


class World(Protocol):
    """See conftest."""

    def api(self, service: str, who: str = ...) -> Any: ...  # noqa: ANN401 - made by boto3
    def make_key(self, terms: KeyTerms, party: int = ..., policy: str | None = ...) -> str: ...
    def sealer(
        self, key: str, terms: KeyTerms, store: BlobStore, *, party: int = ..., pcr0: str = ...
    ) -> KmsSealer: ...


def successor_of(current: KeyTerms, terms: Terms, **changes: object) -> SuccessorTerms:
    sealing = [party.sealing.model_dump(mode="json") for party in terms.parties]
    usual = {
        "schemaVersion": 1, "predecessor": current.digest.hex(), "certificate": CERTIFICATE.hex(), "releases": [NEW],
        "sealing": sealing,
    }  # fmt: skip
    return parse_successor({**usual, **changes})


@pytest.fixture
def custody(terms: Terms, organization_key: OrganizationKey) -> Custody:
    successor = successor_of(terms, terms)
    signatures = [sign_successor(successor, terms, i, organization_key(i)) for i in range(1, 5)]
    return succeed(terms, terms, CERTIFICATE, successor, signatures)


def statement(terms: KeyTerms, party: int = 1) -> UserData:
    return UserData(
        purpose="reseal", terms_digest=terms.digest, attempt=1, party=party, boot_id=bytes(16), boot_number=1,
        root=SOFTWARE_ROOT,
    )  # fmt: skip


def appraiser(terms: KeyTerms, party: int = 1) -> Appraise:
    """As the real one: the real verifier under the other side's terms."""
    triples = frozenset(
        tuple(bytes.fromhex(pcr) for pcr in (r.pcr0, r.pcr1, r.pcr2)) for r in terms.releases
    )  # fmt: skip
    expected = Expected(
        purpose="reseal", terms_digest=terms.digest, attempt=1, party=party, identity_keys=None, sealing=None
    )  # fmt: skip

    def judge(document: bytes, nonce: bytes, public_key: bytes) -> UserData:
        policy = Policy(root=SOFTWARE_ROOT, releases=triples, expected=expected, public_key=public_key)
        return appraise(document, policy, nonce, milliseconds()).statement

    return judge


@dataclass
class Sides:
    """One handing over."""

    giver: Giver
    taker: Taker
    sealer: KmsSealer
    """The new enclave's."""

    def run(self, change: Callable[[int, bytes], bytes] = lambda _, message: message) -> str:
        second = self.taker.second(change(1, self.giver.first()))
        third = self.giver.third(change(2, second), Shares.from_wire(128, WIRE))
        assert WIRE[:16] not in third
        return self.giver.fourth(change(4, self.taker.receipt(change(3, third), self.sealer, Shares.unsealed)))


Between = Callable[..., Sides]


@pytest.fixture
def between(world: World, terms: Terms, custody: Custody, tmp_path: Path) -> Between:
    key = world.make_key(custody, policy=kms_policy(custody, 1))

    def build(*, old: str = OLD["pcr0"], new: str = NEW["pcr0"], taker_party: int = 1) -> Sides:
        exchange = Exchange(terms.digest, custody.digest, 1, "share", 0)
        giver = Giver(exchange, ATTESTERS[old], statement(terms), appraiser(custody))
        taker = Taker(exchange, ATTESTERS[new], statement(custody, taker_party), appraiser(terms))
        sealer = world.sealer(key, custody, DirectoryBlobs(tmp_path), pcr0="1a" * 48)
        service = replace(service_of(sealer), attester=ATTESTERS[NEW["pcr0"]])
        return Sides(giver, taker, KmsSealer(sealer.store, service, sealer.context))

    return build


def refused(call: Callable[..., object], *arguments: object) -> Reason:
    with pytest.raises(SealingRefusal) as found:
        call(*arguments)
    return found.value.reason


def test_the_new_release_holds_the_share_and_the_old_one_can_not_open_it(
    world: World, custody: Custody, between: Between
) -> None:
    sides = between()
    digest = sides.run()
    assert sides.sealer.fingerprint("share").hex() == digest
    assert sides.sealer.unseal_shares("share", 0).to_wire() == WIRE
    assert read_back(world.api("kms"), service_of(sides.sealer).key_arn, custody, 1)
    old = replace(service_of(sides.sealer), attester=ATTESTERS[OLD["pcr0"]])
    former = KmsSealer(sides.sealer.store, old, sides.sealer.context)
    assert refused(former.unseal_shares, "share", 0) is Reason.DENIED


def test_a_taker_of_another_release_gets_nothing(between: Between) -> None:
    sides = between(new="dd" * 48)
    second = sides.taker.second(sides.giver.first())
    assert refused(sides.giver.third, second, Shares.from_wire(128, WIRE)) is Reason.RESEAL


def test_a_giver_of_another_release_gives_nothing_that_is_kept(between: Between) -> None:
    sides = between(old="dd" * 48)
    assert refused(sides.run) is Reason.RESEAL
    assert not sides.sealer.has("share")


def test_another_partys_enclave_gets_nothing(between: Between) -> None:
    sides = between(taker_party=2)
    assert refused(sides.run) is Reason.RESEAL


def test_the_old_enclave_itself_is_no_taker(between: Between) -> None:
    assert refused(between(new=OLD["pcr0"]).run) is Reason.RESEAL


def test_messages_of_another_handing_over_are_refused(between: Between) -> None:
    one, two = between(), between()
    second = one.taker.second(one.giver.first())
    two.giver.first()
    assert refused(two.giver.third, second, Shares.from_wire(128, WIRE)) is Reason.RESEAL
    third = one.giver.third(second, Shares.from_wire(128, WIRE))
    two.taker.second(one.giver.first())
    assert refused(two.taker.receipt, third, two.sealer, Shares.unsealed) is Reason.RESEAL
    receipt = one.taker.receipt(third, one.sealer, Shares.unsealed)
    assert refused(two.giver.fourth, receipt) is Reason.RESEAL
    assert one.giver.fourth(receipt)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_any_changed_byte_of_a_message_is_refused(between: Between, number: int) -> None:
    source = random.Random(number)

    def change(message_number: int, message: bytes) -> bytes:
        if message_number != number:
            return message
        changed = bytearray(message)
        changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
        return bytes(changed)

    for _ in range(12):
        assert refused(between().run, change) is Reason.RESEAL


@pytest.mark.parametrize("said", [{"channel_key": bytes(32)}, {"party": 2}, {"purpose": "channel"}])
def test_a_statement_about_another_key_party_or_purpose_is_refused(between: Between, said: dict[str, Any]) -> None:
    """Also by an appraiser that overlooks it: the key is named twice, and both must be the one in use."""
    sides = between()
    judge = sides.giver.appraise

    def overlooking(document: bytes, nonce: bytes, public_key: bytes) -> UserData:
        return replace(judge(document, nonce, public_key), **{"identity_key": bytes(32), **said})

    sides.giver.appraise = overlooking
    second = sides.taker.second(sides.giver.first())
    assert refused(sides.giver.third, second, Shares.from_wire(128, WIRE)) is Reason.RESEAL


def test_an_object_without_a_challenge_is_refused(between: Between) -> None:
    one, two = between(), between()
    third = one.giver.third(one.taker.second(one.giver.first()), Shares.from_wire(128, WIRE))
    assert refused(two.taker.receipt, third, two.sealer, Shares.unsealed) is Reason.RESEAL
    assert refused(two.giver.fourth, one.taker.receipt(third, one.sealer, Shares.unsealed)) is Reason.RESEAL


@pytest.mark.parametrize("message", [b"", b"x" * 31, b"x" * 32, b"x" * 100, b"\xff" * 200])
def test_what_is_no_message_is_refused(between: Between, message: bytes) -> None:
    sides = between()
    sides.taker.second(sides.giver.first())
    assert refused(sides.giver.third, message, Shares.from_wire(128, WIRE)) is Reason.RESEAL
    assert refused(sides.taker.receipt, message, sides.sealer, Shares.unsealed) is Reason.RESEAL
    assert refused(sides.giver.fourth, message) is Reason.RESEAL


def test_successor_terms_need_all_organisations(terms: Terms, organization_key: OrganizationKey) -> None:
    successor = successor_of(terms, terms)
    signatures = [sign_successor(successor, terms, i, organization_key(i)) for i in range(1, 4)]
    with pytest.raises(SignatureMissing, match="Organisation 4"):
        succeed(terms, terms, CERTIFICATE, successor, signatures)
    forged = signatures[0].model_copy(update={"party": 4})
    with pytest.raises(SignatureMissing, match="Organisation 4"):
        succeed(terms, terms, CERTIFICATE, successor, [*signatures, forged])
    with pytest.raises(ApiError, match="organizationKey"):
        sign_successor(successor, terms, 4, organization_key(1))


def test_successor_terms_of_something_else_are_refused(
    terms: Terms, custody: Custody, organization_key: OrganizationKey
) -> None:
    def follow(current: Terms | Custody, **changes: object) -> Custody:
        successor = successor_of(terms, terms, **changes)
        signatures = [sign_successor(successor, terms, i, organization_key(i)) for i in range(1, 5)]
        return succeed(terms, current, CERTIFICATE, successor, signatures)

    assert follow(terms).digest == custody.digest
    with pytest.raises(ApiError, match="predecessor"):
        follow(custody)
    with pytest.raises(ApiError, match="certificate"):
        follow(terms, certificate="08" * 32)
    with pytest.raises(ApiError, match="each of the 4 parties"):
        follow(terms, sealing=[])


def test_a_successor_may_be_succeeded(terms: Terms, custody: Custody, organization_key: OrganizationKey) -> None:
    third = successor_of(custody, terms, releases=[OLD])
    signatures = [sign_successor(third, terms, i, organization_key(i)) for i in range(1, 5)]
    latest = succeed(terms, custody, CERTIFICATE, third, signatures)
    assert len({terms.digest, custody.digest, latest.digest}) == 3
    assert latest.ceremony == terms.ceremony


@pytest.mark.parametrize("change", [{"releases": []}, {"more": 1}, {"releases": [{**NEW, "pcr0": "00" * 48}]}])
def test_successor_terms_are_read_as_strictly_as_terms(terms: Terms, change: dict[str, object]) -> None:
    with pytest.raises(SuccessorError):
        successor_of(terms, terms, **change)


def test_a_signature_of_the_first_terms_is_none_of_a_successors(
    terms: Terms, organization_key: OrganizationKey
) -> None:  # fmt: skip
    successor = successor_of(terms, terms)
    first = [
        {"party": i, "signature": organization_key(i).sign(b"dkg/v1/terms\0" + terms.canonical).hex()}
        for i in range(1, 5)
    ]
    old = [
        sign_successor(successor, terms, i, organization_key(i)).model_copy(update=first[i - 1]) for i in range(1, 5)
    ]
    with pytest.raises(SignatureMissing):
        succeed(terms, terms, CERTIFICATE, successor, old)
