"""Documents that real enclaves made: each is genuine at its own time, and only then."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from dkg_node.attestation.document import Document, read_document
from dkg_node.attestation.policy import Expected, Policy
from dkg_node.attestation.reasons import Reason, Refusal
from dkg_node.attestation.root import NITRO_ROOT
from dkg_node.attestation.verifier import appraise, authenticate
from dkg_node.testing import forge

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "nitro"
MANIFEST: list[dict[str, Any]] = json.loads((VECTORS / "manifest.json").read_text())
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
each_vector = pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["file"])


def data_of(entry: dict[str, Any]) -> bytes:
    return VECTORS.joinpath(entry["file"]).read_bytes()


def milliseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def reason_of(document: bytes, root: bytes, at: int) -> Reason | None:
    try:
        authenticate(document, root, at)
    except Refusal as refusal:
        return refusal.reason
    return None


def policy_of(document: Document, releases: frozenset[tuple[bytes, ...]]) -> Policy:
    """The best that a host can get for a foreign document: all that can be fitted to it is."""
    expected = Expected(purpose="channel", terms_digest=bytes(32), attempt=1, party=1, identity_keys=None, sealing=None)
    return Policy(root=NITRO_ROOT, releases=releases, expected=expected, public_key=document.public_key)


def test_the_vectors_are_those_of_the_manifest_and_the_pinned_root_is_the_published_one() -> None:
    assert {path.name for path in VECTORS.glob("*.cbor")} == {entry["file"] for entry in MANIFEST}
    assert all(sha256(data_of(entry)).hexdigest() == entry["sha256"] for entry in MANIFEST)
    root = x509.load_pem_x509_certificate((VECTORS / "aws_nitro_root_g1.pem").read_bytes())
    assert sha256(root.public_bytes(Encoding.DER)).digest() == NITRO_ROOT


@each_vector
def test_a_real_document_is_genuine_at_its_own_time_and_says_what_the_manifest_says(entry: dict[str, Any]) -> None:
    genuine = authenticate(data_of(entry), NITRO_ROOT, entry["timestamp_ms"])
    document = genuine.document
    assert (document.module_id, document.timestamp) == (entry["module_id"], entry["timestamp_ms"])
    assert document.debug is entry["debug"]
    assert all(document.pcrs[index].hex() == entry[f"pcr{index}"] for index in (0, 1, 2, 8))
    lengths = [len(value or b"") for value in (document.public_key, document.user_data, document.nonce)]
    assert lengths == [entry["public_key_len"], entry["user_data_len"], entry["nonce_len"]]
    assert genuine.name == entry["leaf_cn"]


@each_vector
def test_a_real_document_is_refused_today_and_outside_its_window(entry: dict[str, Any]) -> None:
    data = data_of(entry)
    begin, end = milliseconds(entry["valid_from"]), milliseconds(entry["valid_to"])
    assert reason_of(data, NITRO_ROOT, begin) is None
    assert reason_of(data, NITRO_ROOT, begin - 1) is Reason.NOT_YET_VALID
    assert reason_of(data, NITRO_ROOT, end) is None
    assert reason_of(data, NITRO_ROOT, end + 1) is Reason.EXPIRED
    assert reason_of(data, NITRO_ROOT, time.time_ns() // 1_000_000) is Reason.EXPIRED


@each_vector
def test_a_real_document_is_refused_under_any_other_root(entry: dict[str, Any]) -> None:
    assert reason_of(data_of(entry), sha256(b"another").digest(), entry["timestamp_ms"]) is Reason.ROOT


@each_vector
def test_no_policy_can_be_made_to_accept_a_debug_enclave(entry: dict[str, Any]) -> None:
    document = read_document(data_of(entry))
    policy = policy_of(document, frozenset({document.release}))
    with pytest.raises(Refusal) as refusal:
        appraise(data_of(entry), policy, document.nonce, entry["timestamp_ms"])
    # Those of production are foreign to this project: they get as far as the statement that they do not make.
    assert refusal.value.reason is (Reason.DEBUG if entry["debug"] else Reason.USER_DATA)


@each_vector
def test_foreign_code_is_refused(entry: dict[str, Any]) -> None:
    document = read_document(data_of(entry))
    with pytest.raises(Refusal) as refusal:
        appraise(data_of(entry), policy_of(document, frozenset({forge.MEASURED})), document.nonce, document.timestamp)
    assert refusal.value.reason is (Reason.DEBUG if entry["debug"] else Reason.RELEASE)


def independent(ders: tuple[bytes, ...], at: datetime, ca_policy: ExtensionPolicy, ee_policy: ExtensionPolicy) -> bool:
    """The path by cryptography's own verifier, which shares no code with ours above the parsing."""
    root, *middle, leaf = (x509.load_der_x509_certificate(der) for der in ders)
    builder = PolicyBuilder().store(Store([root])).time(at).max_chain_depth(8)
    verifier = builder.extension_policies(ca_policy=ca_policy, ee_policy=ee_policy).build_client_verifier()
    try:
        verifier.verify(leaf, middle)
    except VerificationError:
        return False
    return True


@each_vector
def test_an_independent_path_agrees_about_the_chain(entry: dict[str, Any]) -> None:
    document = read_document(data_of(entry))
    ders = (*document.cabundle, document.certificate)
    policies = ExtensionPolicy.webpki_defaults_ca(), ExtensionPolicy.permit_all()
    when = datetime.fromisoformat(entry["valid_from"])
    assert independent(ders, when, *policies)
    assert not independent(ders, when - timedelta(seconds=1), *policies)
    assert independent(ders, datetime.fromisoformat(entry["valid_to"]), *policies)
    assert not independent(ders, datetime.now(UTC), *policies)
    assert not independent((*ders[:2], *ders[3:]), when, *policies)
    # Why the chain is walked here and not there: the web's rules for leaves refuse every real document.
    web = ExtensionPolicy.webpki_defaults_ca(), ExtensionPolicy.webpki_defaults_ee()
    assert not independent(ders, when, *web)


@pytest.mark.parametrize("place", [1, 2, 3, 4])
def test_a_certificate_by_another_key_is_refused_on_both_paths(place: int) -> None:
    entries = [read_document(data_of(entry)) for entry in MANIFEST]
    first, other = ((*document.cabundle, document.certificate) for document in (entries[0], entries[-1]))
    ders = (*first[:place], other[place], *first[place + 1 :])
    policies = ExtensionPolicy.webpki_defaults_ca(), ExtensionPolicy.permit_all()
    assert not independent(ders, EPOCH + timedelta(milliseconds=entries[0].timestamp), *policies)
    mixed = forge.case(ders=lambda _: ders, policy={"root": NITRO_ROOT})
    assert reason_of(mixed.document, NITRO_ROOT, entries[0].timestamp) is Reason.CHAIN
