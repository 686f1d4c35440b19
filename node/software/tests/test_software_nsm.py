"""The software module makes documents that differ from real ones in one thing: they prove nothing."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store

import dkg_api
from dkg_api.cbor import encoded
from dkg_api.user_data import UserData
from dkg_node.attestation.document import read_document
from dkg_node.attestation.nsm import NsmAttester
from dkg_node.attestation.policy import Expected, Policy
from dkg_node.attestation.reasons import Reason, Refusal
from dkg_node.attestation.root import NITRO_ROOT
from dkg_node.attestation.verifier import appraise, authenticate
from dkg_node.ceremony.ports import Attester
from dkg_node.service import dkgctl, measure
from dkg_node_software import main as software
from dkg_node_software.nsm import SoftwareNsm, software_attester
from dkg_node_software.pki import utc
from dkg_node_software.root import CERTIFICATE, SOFTWARE_ROOT, WORTHLESS_KEY

VECTORS = Path(__file__).resolve().parents[2] / "tests" / "vectors" / "nitro"
CODE = {f"pcr{i}": bytes([i + 1] * 48).hex() for i in range(3)}
RELEASE = tuple(bytes.fromhex(CODE[f"pcr{i}"]) for i in range(3))
AT = 1_893_456_000_000
SAID = UserData(
    purpose="channel", terms_digest=bytes(32), attempt=1, party=2, boot_id=bytes(16), boot_number=3,
    root=SOFTWARE_ROOT, identity_key=bytes(32), channel_key=bytes(32),
)  # fmt: skip
EXPECTED = Expected(
    purpose="channel", terms_digest=bytes(32), attempt=1, party=2, identity_keys=frozenset({bytes(32)}), sealing=None
)
POLICY = Policy(root=SOFTWARE_ROOT, releases=frozenset({RELEASE}), expected=EXPECTED, public_key=b"key")
Capture = pytest.CaptureFixture[str]


def module(**changes: Any) -> SoftwareNsm:  # noqa: ANN401 - any field of it
    return SoftwareNsm(**{"measurements": CODE, "clock": lambda: AT, **changes})


def document(nsm: SoftwareNsm, nonce: bytes | None = b"nonce") -> bytes:
    attester: Attester = NsmAttester(nsm)
    return attester.attest(SAID.encode(), nonce, b"key")


def refused(data: bytes, policy: Policy) -> Reason:
    with pytest.raises(Refusal) as refusal:
        appraise(data, policy, b"nonce", AT)
    return refusal.value.reason


def test_the_same_verifier_accepts_it_under_the_software_root_only() -> None:
    data = document(module())
    accepted = appraise(data, POLICY, b"nonce", AT)
    assert accepted.statement == SAID
    assert accepted.genuine.document.release == RELEASE
    assert not accepted.genuine.document.debug
    with pytest.raises(Refusal) as refusal:
        authenticate(data, NITRO_ROOT, AT)
    assert refusal.value.reason is Reason.ROOT


def test_the_root_says_what_it_is_worth_and_its_key_is_published() -> None:
    root = x509.load_pem_x509_certificate(CERTIFICATE)
    assert sha256(root.public_bytes(Encoding.DER)).digest() == SOFTWARE_ROOT
    assert "PROVES NOTHING" in root.subject.rfc4514_string()
    assert load_pem_private_key(WORTHLESS_KEY, None).public_key() == root.public_key()
    assert SOFTWARE_ROOT != NITRO_ROOT


def profile(ders: tuple[bytes, ...]) -> list[set[tuple[str, bool, str]]]:
    """Of each certificate the extensions but identifiers of keys and addresses of revocation lists."""
    own = (x509.BasicConstraints, x509.KeyUsage)
    return [
        {
            (e.oid.dotted_string, e.critical, str(e.value) if isinstance(e.value, own) else "")
            for e in x509.load_der_x509_certificate(der).extensions
            if not isinstance(e.value, x509.CRLDistributionPoints)
        }
        for der in ders
    ]


def test_its_chain_has_the_profile_of_a_real_one() -> None:
    real = read_document((VECTORS / "2025-production-indefinite-map.cbor").read_bytes())
    own = read_document(document(module()))
    assert profile((*own.cabundle, own.certificate)) == profile((*real.cabundle, real.certificate))
    assert set(own.pcrs) <= set(real.pcrs)
    assert set(cbor2.loads(cbor2.loads(document(module()))[2])) == set(
        cbor2.loads(cbor2.loads((VECTORS / "2022-debug.cbor").read_bytes())[2])
    )


def test_an_independent_path_accepts_its_chain() -> None:
    own = read_document(document(module()))
    root, *middle, leaf = (x509.load_der_x509_certificate(der) for der in (*own.cabundle, own.certificate))
    builder = PolicyBuilder().store(Store([root])).time(utc(AT)).max_chain_depth(8)
    builder = builder.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all()
    )
    assert len(builder.build_client_verifier().verify(leaf, middle).chain) == 5


def test_leaves_are_kept_and_renewed_in_time() -> None:
    now = [AT]
    nsm = module(clock=lambda: now[0], leaf_life=timedelta(minutes=6))
    leaves = []
    for minute in (0, 4, 6, 11, 12):
        now[0] = AT + minute * 60_000
        data = document(nsm)
        assert authenticate(data, SOFTWARE_ROOT, now[0]).document.timestamp == now[0]
        leaves.append(read_document(data).certificate)
    assert [leaves.index(leaf) for leaf in leaves] == [0, 0, 2, 2, 4]


def test_every_module_is_another_one() -> None:
    assert module().module_id != module().module_id


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (b"", "InvalidOperation"),
        (b"\xff", "InvalidOperation"),
        (encoded("DescribeNSM"), "InvalidOperation"),
        (encoded({"Attestation": None}), "InvalidOperation"),
        (encoded({"Attestation": {}, "More": {}}), "InvalidOperation"),
        (encoded({"Attestation": {"nonce": bytes(5000)}}), "InvalidOperation"),
        (encoded({"Attestation": {"nonce": bytes(513)}}), "InvalidArgument"),
        (encoded({"Attestation": {"user_data": "text"}}), "InvalidArgument"),
        (encoded({"Attestation": {"pcrs": {}}}), "InvalidArgument"),
    ],
)
def test_what_the_real_module_refuses_is_refused(request_: bytes, error: str) -> None:
    assert cbor2.loads(module()(request_)) == {"Error": error}


def test_changed_code_has_other_pcrs_and_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = measure.measure()
    policy = Policy(
        root=SOFTWARE_ROOT, releases=frozenset({tuple(bytes.fromhex(own[f"pcr{i}"]) for i in range(3))}),
        expected=EXPECTED, public_key=b"key",
    )  # fmt: skip
    assert appraise(document(module(measurements=own)), policy, b"nonce", AT).statement == SAID
    copy = tmp_path / "dkg_api"
    shutil.copytree(Path(str(dkg_api.__file__)).parent, copy)
    (copy / "terms.py").write_text((copy / "terms.py").read_text() + "\n# changed\n")
    installed: Callable[[str], list[tuple[str, Path]]] = measure._package
    changed = [(f"dkg_api/{path.relative_to(copy).as_posix()}", path) for path in copy.rglob("*.py")]
    monkeypatch.setattr(measure, "_package", lambda name: changed if name == "dkg_api" else installed(name))
    other = measure.measure()
    assert {name for name in own if own[name] != other[name]} == {"pcr0"}
    assert refused(document(module(measurements=other)), policy) is Reason.RELEASE


def test_a_fresh_document_is_shown_by_its_own_tool_and_refused_by_the_other(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "document"
    path.write_bytes(software_attester(CODE).attest(SAID.encode(), None, None))
    assert software.main(["evidence", "show", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["notices"] == ["SOFTWARE ATTESTATION: PROVES NOTHING"]
    assert (said["genuine"], said["reason"], said["debug"]) == (True, None, False)
    assert all(said["pcrs"][name] == value for name, value in CODE.items())
    assert software.main(["evidence", "show", str(path)]) == 0
    assert "SOFTWARE ATTESTATION: PROVES NOTHING\ngenuine      yes" in capsys.readouterr().out
    assert dkgctl.main(["evidence", "show", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["reason"] == "root"


def test_a_real_document_is_nothing_to_the_software_build(capsys: Capture) -> None:
    entry = json.loads((VECTORS / "manifest.json").read_text())[0]
    at = utc(entry["timestamp_ms"]).isoformat()
    assert software.main(["evidence", "show", str(VECTORS / entry["file"]), "--at", at, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["reason"] == "root"


def test_the_default_clock_is_now() -> None:
    before = time.time_ns() // 1_000_000
    found = read_document(document(SoftwareNsm(CODE)))
    assert before <= found.timestamp <= time.time_ns() // 1_000_000
