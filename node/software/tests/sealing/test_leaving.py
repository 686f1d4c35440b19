"""Leaving: the order binds one party, everything goes, and the receipt says so to whoever checks it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.leave import EraseOrder, order_erasure
from dkg_api.signatures import public_bytes
from dkg_api.terms import Terms
from dkg_node.algebra.kernel import Shares
from dkg_node.attestation.policy import Expected, Policy, releases_of
from dkg_node.attestation.verifier import appraise
from dkg_node.sealing.leave import Leaver, receipt_nonce
from dkg_node.sealing.reasons import Reason, SealingRefusal
from dkg_node.sealing.sealer import KmsSealer
from dkg_node.sealing.stores import BlobStore, DirectoryBlobs, S3Blobs
from dkg_node.testing.aws_double import ACCOUNT, RunningDouble, service_of
from dkg_node_software.nsm import milliseconds
from dkg_node_software.root import SOFTWARE_ROOT

IDENTITY = Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32)
OrganizationKey = Callable[[int], Ed25519PrivateKey]


class World(Protocol):
    """See conftest."""

    double: RunningDouble

    def api(self, service: str, who: str = ...) -> Any: ...  # noqa: ANN401 - made by boto3
    def make_key(self, terms: Terms) -> str: ...
    def sealer(self, key: str, terms: Terms, store: BlobStore) -> KmsSealer: ...


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> BlobStore:
    if request.param == "directory":
        return DirectoryBlobs(tmp_path)
    return S3Blobs(world.api("s3"), "shares", f"1/{tmp_path.name}/", ACCOUNT)


@pytest.fixture
def leaver(sealer: KmsSealer, terms: Terms) -> Leaver:
    return Leaver(terms, IDENTITY, service_of(sealer).attester, service_of(sealer).statement)


@pytest.fixture
def order(terms: Terms, organization_key: OrganizationKey) -> EraseOrder:
    return order_erasure(terms, 1, 7, organization_key(1))


def fill(sealer: KmsSealer, store: BlobStore) -> None:
    """Objects, older versions of them, and in S3 an object that only looks deleted."""
    mine = KmsSealer(store, sealer.service, sealer.context)
    for epoch in range(2):
        mine.seal_shares("share", epoch, Shares.from_wire(64, bytes(32)))
    mine.seal_shares("checkpoint", 0, Shares.from_wire(64, bytes(32)))
    if isinstance(store, S3Blobs):
        store.api.delete_object(Bucket=store.bucket, Key=store.prefix + "checkpoint")
        assert store.names() == ("share",)
    elif isinstance(store, DirectoryBlobs):
        (store.directory / ".share.sealed.unfinished").write_bytes(b"x")


def test_every_version_of_every_object_goes_and_the_receipt_says_so(
    sealer: KmsSealer, store: BlobStore, leaver: Leaver, order: EraseOrder, terms: Terms
) -> None:
    fill(sealer, store)
    receipt = leaver.obey(order, store)
    assert store.left() == ()
    assert receipt.erased == (4 if isinstance(store, S3Blobs) else 3)
    assert (receipt.party, receipt.serial) == (1, 7)
    expected = Expected(
        purpose="receipt", terms_digest=terms.digest, attempt=1, party=1,
        identity_keys=frozenset({public_bytes(IDENTITY)}), sealing=None,
    )  # fmt: skip
    policy = Policy(root=SOFTWARE_ROOT, releases=releases_of(terms), expected=expected)
    assert receipt.document is not None
    appraise(base64.b64decode(receipt.document), policy, receipt_nonce(order), milliseconds())


def test_after_leaving_nothing_opens_and_leaving_again_erases_nothing(
    sealer: KmsSealer, store: BlobStore, leaver: Leaver, order: EraseOrder
) -> None:
    fill(sealer, store)
    leaver.obey(order, store)
    with pytest.raises(SealingRefusal) as refusal:
        KmsSealer(store, sealer.service, sealer.context).unseal_shares("share", 1)
    assert refusal.value.reason is Reason.MISSING
    assert leaver.obey(order, store).erased == 0


def test_a_copy_of_the_blob_stays_shut_once_the_key_is_disabled(
    world: World, terms: Terms, tmp_path: Path, order: EraseOrder
) -> None:
    """The receipt proves what the enclave did; the disabled key answers for copies."""
    key = world.make_key(terms)
    sealer = world.sealer(key, terms, DirectoryBlobs(tmp_path))
    sealer.seal_shares("share", 0, Shares.from_wire(64, bytes(32)))
    copy = sealer.store.get("share")
    Leaver(terms, IDENTITY, service_of(sealer).attester, service_of(sealer).statement).obey(order, sealer.store)
    glass = world.double.client("kms", "break-glass")
    glass.disable_key(KeyId=key)
    glass.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert copy is not None
    sealer.store.put("share", copy)
    with pytest.raises(SealingRefusal) as refusal:
        world.sealer(key, terms, sealer.store).unseal_shares("share", 0)
    assert refusal.value.reason is Reason.DISABLED


def test_an_order_for_another_party_other_terms_or_by_another_key_erases_nothing(
    sealer: KmsSealer,
    tmp_path: Path,
    leaver: Leaver,
    order: EraseOrder,
    terms: Terms,
    organization_key: OrganizationKey,
    make_terms: Callable[..., Terms],
) -> None:
    store = DirectoryBlobs(tmp_path)
    fill(sealer, store)
    before = store.left()
    second = order_erasure(terms, 2, 7, organization_key(2))
    wrong = [
        second,
        order_erasure(make_terms(ceremony="01" * 16), 1, 7, organization_key(1)),
        order.model_copy(update={"signature": second.signature}),
        order.model_copy(update={"serial": 8}),
    ]
    for bad in wrong:
        with pytest.raises(SealingRefusal) as refusal:
            leaver.obey(bad, store)
        assert refusal.value.reason is Reason.ORDER
    assert store.left() == before


def test_a_store_that_keeps_something_gets_no_receipt(leaver: Leaver, order: EraseOrder) -> None:
    class Keeping:
        """A host that says yes and deletes nothing."""

        def put(self, name: str, blob: bytes) -> None: ...

        def get(self, name: str) -> bytes | None: ...

        def names(self) -> tuple[str, ...]:
            return ("share",)

        def erase(self, name: str) -> None: ...

        def clear(self, last: str) -> int:
            return 1

        def left(self) -> tuple[str, ...]:
            return ("share",)

    with pytest.raises(SealingRefusal) as refusal:
        leaver.obey(order, Keeping())
    assert refusal.value.reason is Reason.NOT_EMPTY
