"""Sealing under KMS, end to end against the double: what opens, and everything that must stay shut."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from dkg_api.kms_policy import kms_policy, sealing_digest
from dkg_api.terms import Terms
from dkg_node.algebra.encoding import enc
from dkg_node.algebra.kernel import Keys, Secret, Shares
from dkg_node.sealing.check import unseal_check
from dkg_node.sealing.readback import read_back
from dkg_node.sealing.reasons import Reason, SealingRefusal
from dkg_node.sealing.sealer import KmsSealer
from dkg_node.sealing.stores import BlobStore, DirectoryBlobs, S3Blobs
from dkg_node.testing.aws_double import ACCOUNT, RunningDouble, service_of

WIRE = bytes(range(256)) * 4
Other = Callable[..., KmsSealer]
MakeTerms = Callable[..., Terms]


class World(Protocol):
    """See conftest."""

    double: RunningDouble

    def api(self, service: str, who: str = ...) -> Any: ...  # noqa: ANN401 - made by boto3
    def make_key(self, terms: Terms, party: int = ..., policy: str | None = ..., **more: object) -> str: ...
    def sealer(
        self, key: str, terms: Terms, store: BlobStore, *, party: int = ..., attempt: int = ..., pcr0: str = ...
    ) -> KmsSealer: ...
    def audit(self) -> list[str]: ...


def shares() -> Shares:
    return Shares.from_wire(128, WIRE)


def refusal(call: Callable[..., object], *arguments: Any, **named: Any) -> Reason:  # noqa: ANN401 - any call
    with pytest.raises(SealingRefusal) as found:
        call(*arguments, **named)
    assert WIRE[:16].hex() not in str(found.value)
    return found.value.reason


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> BlobStore:
    if request.param == "directory":
        return DirectoryBlobs(tmp_path)
    return S3Blobs(world.api("s3"), "shares", f"1/{tmp_path.name}/", ACCOUNT)


def test_what_one_boot_sealed_the_next_one_opens(world: World, key: str, terms: Terms, store: BlobStore) -> None:
    first = world.sealer(key, terms, store)
    digest = first.seal_shares("share", 0, shares())
    first.seal_bytes("identity", 0, bytes(range(32)))
    first.seal_secret("draws", 0, Secret.from_bytes(bytes(32)))
    first.seal_keys("prss", 2, Keys.from_bytes(4, 1, 1, bytes(3 * 32)))
    second = world.sealer(key, terms, store)
    assert second.unseal_shares("share", 0).to_wire() == WIRE
    assert second.unseal_bytes("identity", 0) == bytes(range(32))
    assert second.unseal_secret("draws", 0).derive(b"x") is not None
    assert second.unseal_keys("prss", 2, 4, 1).party == 1
    assert second.fingerprint("share").hex() == digest
    assert store.names() == ("draws", "identity", "prss", "share")
    assert not second.has("nothing")


def test_an_object_of_several_frames_comes_back(sealer: KmsSealer) -> None:
    wire = bytes(17 << 20)
    sealer.seal_shares("share", 0, Shares.from_wire(64, wire))
    assert sealer.unseal_shares("share", 0).to_wire() == wire


def test_the_blob_shows_nothing_of_the_secret(sealer: KmsSealer) -> None:
    sealer.seal_shares("share", 0, shares())
    blob = sealer.store.get("share")
    assert blob is not None
    assert blob.startswith(b"DKG SEALED BY KMS 1\n")
    assert WIRE[:16] not in blob


def test_each_object_has_a_key_of_its_own_besides_its_associated_data(sealer: KmsSealer) -> None:
    sealer.seal_shares("share", 3, shares())
    blob = sealer.store.get("share")
    assert blob is not None
    assert sealer._own is not None
    wrapped, data_key = sealer._own.wrapped, sealer._own.key
    content, aad = blob[blob.index(wrapped) + len(wrapped) :], sealer.context.aad("share", 3)
    assert Shares.unsealed(data_key.derive(enc("object", "share", 3)), aad, content).to_wire() == WIRE
    for wrong in (data_key, data_key.derive(enc("object", "share", 4)), data_key.derive(enc("object", "other", 3))):
        with pytest.raises(ValueError, match="belong together"):
            Shares.unsealed(wrong, aad, content)


def test_a_boot_asks_for_one_data_key_and_a_fresh_document_each_time(
    world: World, key: str, terms: Terms, tmp_path: Path
) -> None:
    before = len(world.audit())
    first = world.sealer(key, terms, DirectoryBlobs(tmp_path))
    for name in ("a", "b", "c"):
        first.seal_shares(name, 0, shares())
    second = world.sealer(key, terms, DirectoryBlobs(tmp_path))
    for name in ("a", "b", "c"):
        second.unseal_shares(name, 0)
    second.seal_shares("d", 0, shares())
    names = [json.loads(line)["eventName"] for line in world.audit()[before:]]
    assert names == ["GenerateDataKey", "Decrypt", "GenerateDataKey"]


@pytest.mark.parametrize("pcr0", ["0d" * 48, "00" * 48], ids=["changed code", "debug"])
def test_changed_code_seals_nothing_and_opens_nothing(
    world: World, key: str, terms: Terms, sealer: KmsSealer, pcr0: str
) -> None:
    sealer.seal_shares("share", 0, shares())
    changed = world.sealer(key, terms, sealer.store, pcr0=pcr0)
    assert refusal(changed.unseal_shares, "share", 0) is Reason.DENIED
    assert refusal(changed.seal_shares, "other", 0, shares()) is Reason.DENIED


def test_under_other_terms_nothing_opens(
    world: World, key: str, make_terms: MakeTerms, sealer: KmsSealer
) -> None:  # fmt: skip
    """The genuine image, started by its own host under terms of the host's making."""
    sealer.seal_shares("share", 0, shares())
    sham = world.sealer(key, make_terms(ceremony="01" * 16), sealer.store)
    assert refusal(sham.unseal_shares, "share", 0) is Reason.DENIED


def test_another_partys_blob_stays_shut(world: World, terms: Terms, key: str, sealer: KmsSealer) -> None:
    """Under a key of its own, and also where one key served both."""
    second = world.sealer(world.make_key(terms, 2), terms, sealer.store, party=2)
    second.seal_shares("share", 0, shares())
    assert refusal(sealer.unseal_shares, "share", 0) is Reason.OTHER_KEY
    posing = world.sealer(key, terms, sealer.store, party=2)
    assert refusal(posing.seal_shares, "share", 0, shares()) is Reason.DENIED


def test_another_attempts_blob_stays_shut(sealer: KmsSealer, other: Other) -> None:
    sealer.seal_shares("share", 0, shares())
    blob = sealer.store.get("share")
    assert blob is not None
    sealer.store.put("share.a2", blob)
    assert refusal(other(sealer, attempt=2).unseal_shares, "share", 0) is Reason.CONTEXT


def test_a_blob_of_another_name_epoch_or_kind_stays_shut(sealer: KmsSealer) -> None:
    sealer.seal_shares("checkpoint", 3, shares())
    blob = sealer.store.get("checkpoint")
    assert blob is not None
    sealer.store.put("share", blob)
    assert refusal(sealer.unseal_shares, "share", 3) is Reason.DAMAGED
    assert refusal(sealer.unseal_shares, "checkpoint", 2) is Reason.DAMAGED
    assert refusal(sealer.unseal_secret, "checkpoint", 3) is Reason.DAMAGED
    assert sealer.unseal_shares("checkpoint", 3).to_wire() == WIRE


def test_any_changed_byte_of_a_blob_keeps_it_shut(world: World, key: str, terms: Terms, sealer: KmsSealer) -> None:
    sealer.seal_secret("draws", 0, Secret.from_bytes(bytes(32)))
    blob = sealer.store.get("draws")
    assert blob is not None
    reasons = set()
    for place in range(0, len(blob), 7):
        changed = bytearray(blob)
        changed[place] ^= 1
        sealer.store.put("draws", bytes(changed))
        fresh = world.sealer(key, terms, sealer.store)
        reasons.add(refusal(fresh.unseal_secret, "draws", 0))
    assert reasons <= {Reason.DAMAGED, Reason.CONTEXT, Reason.OTHER_KEY, Reason.NO_KEY, Reason.UNREACHABLE}


@pytest.mark.parametrize("blob", [b"", b"x", b"DKG SEALED BY KMS 1\n", b"DKG SEALED BY KMS 1\n\0\0", b"\0" * 5000])
def test_what_is_no_sealed_object_stays_shut(sealer: KmsSealer, blob: bytes) -> None:
    sealer.store.put("share", blob)
    assert refusal(sealer.unseal_shares, "share", 0) is Reason.DAMAGED


def test_a_missing_object_is_named(sealer: KmsSealer) -> None:
    assert refusal(sealer.unseal_shares, "share", 0) is Reason.MISSING


def test_erasing_leaves_no_version(sealer: KmsSealer, store: BlobStore) -> None:
    mine = KmsSealer(store, sealer.service, sealer.context)
    for epoch in range(3):
        mine.seal_shares("checkpoint-1", epoch, shares())
    mine.seal_shares("checkpoint-2", 0, shares())
    mine.seal_shares("share", 0, shares())
    mine.erase("checkpoint-1")
    mine.erase("checkpoint-1")
    assert not [name for name in store.left() if "checkpoint-1" in name]
    mine.erase_all("checkpoint")
    assert store.names() == ("share",)
    mine.set_aside("share", 3)
    mine.set_aside("share", 4)
    assert not mine.has("share")
    assert store.names() == ("share.set-aside-3",)


# --- what the enclave reads about its key -----------------------------------------------------------------------------


def test_the_key_of_the_terms_is_taken_and_named_in_evidence(world: World, key: str, terms: Terms) -> None:
    assert read_back(world.api("kms"), key, terms, 1) == sealing_digest(key, kms_policy(terms, 1))


def loosened(terms: Terms, change: Callable[[list[dict[str, Any]]], object]) -> str:
    policy = json.loads(kms_policy(terms, 1))
    change(policy["Statement"])
    return json.dumps(policy)


LOOSE: Mapping[str, Callable[[list[dict[str, Any]]], object]] = {
    "the account decides": lambda s: s.append({
        "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}),
    "another role may use it": lambda s: s[0]["Principal"].update(AWS=f"arn:aws:iam::{ACCOUNT}:role/operator"),
    "a register less": lambda s: s[0]["Condition"]["StringEquals"].pop("kms:RecipientAttestation:PCR2"),
    "the terms are not demanded": lambda s: s[0]["Condition"]["StringEquals"].pop("kms:EncryptionContext:party"),
    "unattested use is not denied": lambda s: s.remove(next(x for x in s if x["Sid"] == "OnlyAttested")),
    "grants are not denied": lambda s: next(x for x in s if x["Sid"] == "Never")["Action"].remove("kms:CreateGrant"),
    "the policy can be changed": lambda s: s[1]["Action"].append("kms:PutKeyPolicy"),
}  # fmt: skip


@pytest.mark.parametrize("what", LOOSE)
def test_a_key_with_a_loosened_policy_is_refused(world: World, terms: Terms, what: str) -> None:
    key = world.make_key(terms, policy=loosened(terms, LOOSE[what]))
    assert refusal(read_back, world.api("kms"), key, terms, 1) is Reason.KEY_POLICY


def test_a_key_of_other_terms_or_another_party_is_refused(world: World, terms: Terms, make_terms: MakeTerms) -> None:
    elsewhere = world.make_key(make_terms(ceremony="01" * 16))
    assert refusal(read_back, world.api("kms"), elsewhere, terms, 1) is Reason.TERMS
    seconds = world.make_key(terms, 2)
    assert refusal(read_back, world.api("kms"), seconds, terms, 1) is Reason.KEY_POLICY


def test_a_multi_region_key_is_refused(world: World, terms: Terms) -> None:
    key = world.make_key(terms, MultiRegion=True)
    assert refusal(read_back, world.api("kms"), key, terms, 1) is Reason.NO_KEY


@pytest.mark.parametrize("arn", ["", "alias/x", "arn:aws:kms:us-east-1:000000000000:key/" + "0" * 36])
def test_a_name_that_is_not_the_partys_key_is_refused(world: World, terms: Terms, arn: str) -> None:
    assert refusal(read_back, world.api("kms"), arn, terms, 1) is Reason.NO_KEY


class FakeKms:
    """A KMS that answers for the good key, changed by a test."""

    def __init__(self, key: str, terms: Terms) -> None:
        self.metadata: dict[str, Any] = {
            "Arn": key, "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "KeyManager": "CUSTOMER",
            "Origin": "AWS_KMS", "MultiRegion": False, "KeyState": "Enabled",
        }  # fmt: skip
        self.policy: object = kms_policy(terms, 1)
        self.grants: dict[str, Any] = {"Grants": [], "Truncated": False}

    def describe_key(self, **_request: object) -> dict[str, Any]:
        return {"KeyMetadata": self.metadata}

    def get_key_policy(self, **_request: object) -> dict[str, Any]:
        return {"Policy": self.policy}

    def list_grants(self, **_request: object) -> dict[str, Any]:
        return self.grants

    def generate_data_key(self, **_request: object) -> dict[str, Any]:
        return {}

    def decrypt(self, **_request: object) -> dict[str, Any]:
        return {}


KINDS = {
    "KeySpec": ("RSA_2048", Reason.KEY_KIND), "KeyUsage": ("SIGN_VERIFY", Reason.KEY_KIND),
    "KeyManager": ("AWS", Reason.KEY_KIND), "Origin": ("EXTERNAL", Reason.KEY_KIND),
    "MultiRegion": (True, Reason.KEY_KIND), "CustomKeyStoreId": ("cks-1", Reason.KEY_KIND),
    "XksKeyConfiguration": ({"Id": "1"}, Reason.KEY_KIND), "KeyState": ("Disabled", Reason.DISABLED),
    "Arn": ("arn:aws:kms:eu-central-1:000000000000:key/other", Reason.NO_KEY),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_key_of_another_kind_is_refused(key: str, terms: Terms, name: str) -> None:
    kms = FakeKms(key, terms)
    kms.metadata[name], reason = KINDS[name]
    assert refusal(read_back, kms, key, terms, 1) is reason


@pytest.mark.parametrize("grants", [{"Grants": [{}]}, {"Grants": [], "Truncated": True}, {}])
def test_a_key_with_grants_or_an_unfinished_list_is_refused(key: str, terms: Terms, grants: dict[str, Any]) -> None:
    kms = FakeKms(key, terms)
    kms.grants = grants
    assert refusal(read_back, kms, key, terms, 1) is Reason.GRANTS


@pytest.mark.parametrize("policy", [None, 1, "", "{}"])
def test_a_policy_that_is_none_is_refused(key: str, terms: Terms, policy: object) -> None:
    kms = FakeKms(key, terms)
    kms.policy = policy
    assert refusal(read_back, kms, key, terms, 1) in {Reason.KEY_POLICY, Reason.TERMS}


# --- what a forged KMS could answer -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.update(Plaintext=bytes(32)), lambda a: a.update(KeyId="arn:aws:kms:x:y:key/z"),
        lambda a: a.pop("CiphertextForRecipient"), lambda a: a.update(CiphertextForRecipient=b"x"),
        lambda a: a.update(CiphertextForRecipient=None), lambda a: a.pop("KeyId"),
        lambda a: a.update(CiphertextBlob=b""), lambda a: a.update(CiphertextBlob=bytes(10_000)),
    ],
    ids=["plaintext", "another key", "no envelope", "a broken one", "none", "no key", "nothing to keep", "too much"],
)  # fmt: skip
def test_an_answer_that_is_not_for_this_enclave_alone_is_refused(
    sealer: KmsSealer, terms: Terms, change: Callable[[dict[str, Any]], object]
) -> None:
    class Forged(FakeKms):
        def generate_data_key(self, **request: object) -> dict[str, Any]:
            answer = dict(service_of(sealer).api.generate_data_key(**request))
            change(answer)
            return answer

    forged = replace(service_of(sealer), api=Forged(service_of(sealer).key_arn, terms))
    assert refusal(forged.new_key, sealer.context) is Reason.ANSWER


# --- unseal-check ----------------------------------------------------------------------------------------------------


def check(sealer: KmsSealer, terms: Terms, name: str, epoch: int, newest: str | None) -> None:
    unseal_check(sealer, service_of(sealer), terms, name, epoch, newest)


def test_the_check_succeeds_for_the_right_code_and_terms(sealer: KmsSealer, terms: Terms) -> None:
    newest = sealer.seal_shares("share", 0, shares())
    check(sealer, terms, "share", 0, newest)


def test_each_thing_that_may_be_wrong_has_its_reason(
    world: World, key: str, terms: Terms, make_terms: MakeTerms, sealer: KmsSealer
) -> None:
    older = sealer.seal_shares("share", 0, shares())
    old_blob = sealer.store.get("share")
    newest = sealer.seal_shares("share", 0, shares())
    assert newest != older
    changed_code = world.sealer(key, terms, sealer.store, pcr0="0d" * 48)
    assert refusal(check, changed_code, terms, "share", 0, newest) is Reason.DENIED
    other_terms = make_terms(ceremony="01" * 16)
    under_others = world.sealer(key, other_terms, sealer.store)
    assert refusal(check, under_others, other_terms, "share", 0, newest) is Reason.TERMS
    loose = world.make_key(terms, policy=loosened(terms, LOOSE["a register less"]))
    assert refusal(check, world.sealer(loose, terms, sealer.store), terms, "share", 0, newest) is (Reason.KEY_POLICY)
    assert old_blob is not None
    sealer.store.put("share", old_blob)
    assert refusal(check, world.sealer(key, terms, sealer.store), terms, "share", 0, newest) is Reason.OLDER
    world.sealer(world.make_key(terms, 2), terms, sealer.store, party=2).seal_shares("share", 0, shares())
    assert refusal(check, world.sealer(key, terms, sealer.store), terms, "share", 0, None) is Reason.OTHER_KEY
    assert refusal(check, sealer, terms, "nothing", 0, None) is Reason.MISSING


def test_a_disabled_key_has_its_reason(world: World, terms: Terms, tmp_path: Path) -> None:
    key = world.make_key(terms)
    sealer = world.sealer(key, terms, DirectoryBlobs(tmp_path))
    newest = sealer.seal_shares("share", 0, shares())
    world.double.client("kms", "break-glass").disable_key(KeyId=key)
    fresh = world.sealer(key, terms, sealer.store)
    assert refusal(check, fresh, terms, "share", 0, newest) is Reason.DISABLED
    assert refusal(fresh.unseal_shares, "share", 0) is Reason.DISABLED
