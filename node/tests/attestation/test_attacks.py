"""One attack, or more, on each check of the verifier; and proof that no check can be left out unnoticed."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from dkg_api.cbor import encoded
from dkg_node.attestation import chain, document, policy, verifier
from dkg_node.attestation.policy import Policy
from dkg_node.attestation.reasons import Reason, Refusal
from dkg_node.attestation.verifier import appraise
from dkg_node.testing.forge import (
    AT,
    DROP,
    IDENTITY,
    MEASURED,
    MODULE,
    NONCE,
    NOW,
    Case,
    Spec,
    case,
    changed,
    cose,
    issue,
    usual_chain,
)

ES384_WITH_KID = encoded({1: -35, 4: b"kid"})
OTHER_KEY = ec.generate_private_key(ec.SECP384R1())
Parts = list[Any]
Fields = dict[Any, Any]


def parts(change: Callable[[Parts], bytes]) -> Case:
    return case(parts=change)


def part(place: int, value: object) -> Case:
    return case(parts=lambda four: encoded([*four[:place], value, *four[place + 1 :]]))


def payload(change: Callable[[Fields], bytes]) -> Case:
    return case(payload=change)


def field(**changes: object) -> Case:
    return case(fields=changes)


def pcr(changes: Fields, drop: int | None = None) -> Case:
    pcrs = {**dict.fromkeys(range(16), bytes(48)), **dict(enumerate(MEASURED)), **changes}
    return case(fields={"pcrs": {index: value for index, value in pcrs.items() if index is not drop}})


def certificate(place: int, **changes: object) -> Case:
    return case(specs=changed(usual_chain(), place, **changes))


def chain_of(count: int) -> Case:
    return case(specs=usual_chain(count))


def foreign(place: int) -> Case:
    """The certificate of another chain with the same names."""
    other = issue(usual_chain())
    return case(ders=lambda ders: (*ders[:place], other[place], *ders[place + 1 :]))


def damaged(place: int, change: Callable[[bytes], bytes]) -> Case:
    return case(ders=lambda ders: (*ders[:place], change(ders[place]), *ders[place + 1 :]))


def off_the_curve(der: bytes) -> bytes:
    """The key's point moved off P-384."""
    found = x509.load_der_x509_certificate(der).public_key()
    assert isinstance(found, ec.EllipticCurvePublicKey)
    y = found.public_numbers().y.to_bytes(48, "big")
    return der.replace(y, bytes(48))


def doubled_extension(der: bytes) -> bytes:
    """Another extension renamed, so that basic constraints stand twice."""
    return der.replace(bytes.fromhex("0603551d0f"), bytes.fromhex("0603551d13"))


def ruled(**changes: object) -> Case:
    return case(policy=changes)


def said(**changes: object) -> Case:
    return case(said=changes)


def signature(change: Callable[[bytes], bytes]) -> Case:
    return case(parts=lambda four: encoded([*four[:3], change(four[3])]))


def resigned(context: list[object]) -> Case:
    """Signed over another structure, as other uses of COSE would."""
    specs = usual_chain()

    def sign(four: Parts) -> bytes:
        structure = encoded([*context, four[2]])
        der = specs[-1].key.sign(structure, ec.ECDSA(hashes.SHA384()))
        r, s = decode_dss_signature(der)
        return encoded([*four[:3], r.to_bytes(48, "big") + s.to_bytes(48, "big")])

    return case(specs=specs, parts=sign)


def under_the_true_root() -> Case:
    """All right but for one thing: the root never signed the authority below it."""
    true = issue(usual_chain())[0]
    return case(ders=lambda ders: (true, *ders[1:]), policy={"root": hashlib.sha256(true).digest()})


def without(name: str) -> Case:
    return case(fields={name: DROP})


def life(place: int, **changes: object) -> Case:
    return certificate(place, **changes)


UNKNOWN_CRITICAL = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
NAME_CONSTRAINTS = x509.NameConstraints([x509.DNSName("example")], None)
ZERO = bytes(48)
ORDER = int("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16)
LINES: dict[str, tuple[Reason, Callable[[], Case]]] = {
    # 1: the envelope
    "longer than an NSM answers": (Reason.SIZE, lambda: parts(lambda four: encoded(four) + bytes(12 * 1024))),
    "nothing": (Reason.ENVELOPE, lambda: parts(lambda _: b"")),
    "no CBOR": (Reason.ENVELOPE, lambda: parts(lambda _: b"\xff\x00")),
    "cut off": (Reason.ENVELOPE, lambda: parts(lambda four: encoded(four)[:-1])),
    "a byte more": (Reason.ENVELOPE, lambda: parts(lambda four: encoded(four) + b"\x00")),
    "tag 17": (Reason.ENVELOPE, lambda: parts(lambda four: b"\xd1" + encoded(four))),
    "tag 18 twice": (Reason.ENVELOPE, lambda: parts(lambda four: b"\xd2\xd2" + encoded(four))),
    "COSE_Sign": (Reason.ENVELOPE, lambda: parts(lambda four: b"\xd8\x62" + encoded(four))),
    "a map": (Reason.ENVELOPE, lambda: parts(lambda four: encoded(dict(enumerate(four))))),
    "three parts": (Reason.ENVELOPE, lambda: parts(lambda four: encoded(four[:3]))),
    "five parts": (Reason.ENVELOPE, lambda: parts(lambda four: encoded([*four, b""]))),
    "ES256": (Reason.ALGORITHM, lambda: part(0, encoded({1: -7}))),
    "no algorithm": (Reason.ALGORITHM, lambda: part(0, b"")),
    "a key id beside the algorithm": (Reason.ALGORITHM, lambda: part(0, ES384_WITH_KID)),
    "the header as a map": (Reason.ALGORITHM, lambda: part(0, {1: -35})),
    "an unprotected header": (Reason.ENVELOPE, lambda: part(1, {4: b"kid"})),
    "an algorithm in the unprotected header": (Reason.ENVELOPE, lambda: part(1, {1: -7})),
    "null instead of the unprotected header": (Reason.ENVELOPE, lambda: part(1, None)),
    "a list instead of the unprotected header": (Reason.ENVELOPE, lambda: part(1, [])),
    "a detached payload": (Reason.ENVELOPE, lambda: part(2, None)),
    "a payload that is text": (Reason.ENVELOPE, lambda: part(2, "payload")),
    "a short signature": (Reason.ENVELOPE, lambda: signature(lambda value: value[:-1])),
    "a long signature": (Reason.ENVELOPE, lambda: signature(lambda value: value + b"\x00")),
    "no signature": (Reason.ENVELOPE, lambda: part(3, b"")),
    "a signature that is text": (Reason.ENVELOPE, lambda: part(3, "s" * 96)),
    "an array of no fixed length": (
        Reason.ENVELOPE, lambda: parts(lambda four: b"\x9f" + encoded(four)[1:] + b"\xff"),
    ),
    "a longer way to say four": (Reason.ENVELOPE, lambda: parts(lambda four: b"\x98\x04" + encoded(four)[1:])),
    # 2: the payload
    "a payload that is no CBOR": (Reason.PAYLOAD, lambda: payload(lambda _: b"\xff")),
    "a payload with more behind it": (Reason.PAYLOAD, lambda: payload(lambda fields: encoded(fields) + b"\x00")),
    "a payload that is a list": (Reason.PAYLOAD, lambda: payload(lambda fields: encoded(list(fields)))),
    "a name twice": (
        Reason.PAYLOAD,
        lambda: payload(lambda fields: b"\xaa" + encoded(fields)[1:] + encoded("nonce") + encoded(None)),
    ),
    "a tagged value": (Reason.PAYLOAD, lambda: field(timestamp=cbor2.CBORTag(2, b"\x01\x00"))),
    "a name that is a number": (Reason.PAYLOAD, lambda: case(fields={1: 2})),
    **{
        f"no {name}": (Reason.PAYLOAD, partial(without, name))
        for name in ("module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle")
    },
    "an unknown name": (Reason.UNKNOWN_FIELD, lambda: field(extra=1)),
    "a NitroTPM's document": (
        Reason.UNKNOWN_FIELD,
        lambda: case(fields={"nitrotpm_pcrs": {}}, policy={"names": frozenset({"nitrotpm_pcrs"})}),
    ),
    "SHA256": (Reason.PAYLOAD, lambda: field(digest="SHA256")),
    "digest as bytes": (Reason.PAYLOAD, lambda: field(digest=b"SHA384")),
    "module_id as bytes": (Reason.PAYLOAD, lambda: field(module_id=b"i-1")),
    "module_id empty": (Reason.PAYLOAD, lambda: field(module_id="")),
    "module_id endless": (Reason.PAYLOAD, lambda: field(module_id="i" * 129)),
    "module_id that moves the cursor": (Reason.PAYLOAD, lambda: field(module_id="i-\x1b[2J")),
    "timestamp true": (Reason.PAYLOAD, lambda: field(timestamp=True)),
    "timestamp 0": (Reason.PAYLOAD, lambda: field(timestamp=0)),
    "timestamp negative": (Reason.PAYLOAD, lambda: field(timestamp=-1)),
    "timestamp with a fraction": (Reason.PAYLOAD, lambda: field(timestamp=AT + 0.5)),
    "timestamp after the year 9999": (Reason.PAYLOAD, lambda: field(timestamp=2**63)),
    "certificate as text": (Reason.PAYLOAD, lambda: field(certificate="certificate")),
    "certificate empty": (Reason.PAYLOAD, lambda: field(certificate=b"")),
    "certificate too long": (Reason.PAYLOAD, lambda: field(certificate=bytes(1025))),
    "cabundle as a map": (Reason.PAYLOAD, lambda: field(cabundle={b"a": b"b"})),
    "cabundle with text": (Reason.PAYLOAD, lambda: field(cabundle=["root"] * 4)),
    "cabundle with a long certificate": (Reason.PAYLOAD, lambda: field(cabundle=[bytes(1025)] * 4)),
    "public_key as text": (Reason.PAYLOAD, lambda: field(public_key="key")),
    "public_key too long": (Reason.PAYLOAD, lambda: field(public_key=bytes(1025))),
    "user_data too long": (Reason.PAYLOAD, lambda: field(user_data=bytes(513))),
    "nonce too long": (Reason.PAYLOAD, lambda: field(nonce=bytes(513))),
    "nonce as a number": (Reason.PAYLOAD, lambda: field(nonce=0)),
    "PCRs as a list": (Reason.PAYLOAD, lambda: field(pcrs=list(MEASURED))),
    "PCR 32": (Reason.PAYLOAD, lambda: pcr({32: ZERO})),
    "PCR -1": (Reason.PAYLOAD, lambda: pcr({-1: ZERO})),
    "PCR true": (Reason.PAYLOAD, lambda: case(fields={"pcrs": {0: MEASURED[0], True: MEASURED[1], 2: MEASURED[2]}})),
    "PCR of 47 bytes": (Reason.PAYLOAD, lambda: pcr({5: bytes(47)})),
    "PCR as text": (Reason.PAYLOAD, lambda: pcr({5: "0" * 48})),
    **{
        f"no PCR{index}": (Reason.PAYLOAD, partial(pcr, {}, drop=index))
        for index in (0, 1, 2)
    },
    # 3: the chain
    "two certificates": (Reason.CHAIN, lambda: chain_of(2)),
    "nine certificates": (Reason.CHAIN, lambda: chain_of(9)),
    "no authorities at all": (Reason.CHAIN, lambda: field(cabundle=[])),
    "another root with the same name": (Reason.ROOT, lambda: foreign(0)),
    "without the root": (Reason.ROOT, lambda: case(ders=lambda ders: ders[1:])),
    "the root last": (Reason.ROOT, lambda: case(ders=lambda ders: (*ders[3::-1], ders[4]))),
    "authorities in another order": (
        Reason.CERTIFICATE, lambda: case(ders=lambda ders: (ders[0], ders[2], ders[1], *ders[3:])),
    ),
    "an authority left out": (Reason.CHAIN, lambda: case(ders=lambda ders: (*ders[:2], *ders[3:]))),
    "an authority twice": (
        Reason.CERTIFICATE, lambda: case(ders=lambda ders: (*ders[:2], ders[1], *ders[2:])),
    ),
    "a leaf of another enclave": (Reason.CHAIN_SIGNATURE, lambda: foreign(4)),
    "an authority of another chain": (Reason.CHAIN_SIGNATURE, lambda: foreign(2)),
    **{
        f"certificate {place} by another key": (Reason.CHAIN_SIGNATURE, partial(certificate, place, signer=OTHER_KEY))
        for place in (1, 2, 3, 4)
    },
    "the true root above a chain of somebody's own": (Reason.CHAIN_SIGNATURE, under_the_true_root),
    "a damaged signature": (
        Reason.CHAIN_SIGNATURE, lambda: damaged(2, lambda der: der[:-1] + bytes([der[-1] ^ 1])),
    ),
    "another issuer's name": (Reason.CHAIN, lambda: certificate(2, issuer=Spec(names=("other",)).name)),
    "a leaf above a leaf": (Reason.CERTIFICATE, lambda: certificate(3, ca=False, path=None, usages=("key_cert_sign",))),
    "an authority without that right": (Reason.CERTIFICATE, lambda: certificate(3, usages=("digital_signature",))),
    "a path longer than allowed": (Reason.CERTIFICATE, lambda: certificate(1, path=1)),
    "an authority without key usage": (Reason.CERTIFICATE, lambda: certificate(2, usages=None)),
    "an authority without constraints": (Reason.CERTIFICATE, lambda: certificate(2, constraints=False)),
    "constraints that may be overlooked": (Reason.CERTIFICATE, lambda: certificate(2, constraints_critical=False)),
    "a leaf that is an authority": (Reason.CERTIFICATE, lambda: certificate(-1, ca=True)),
    "a leaf that may not sign": (Reason.CERTIFICATE, lambda: certificate(-1, usages=("key_agreement",))),
    "a leaf without key usage": (Reason.CERTIFICATE, lambda: certificate(-1, usages=None)),
    "an unknown critical extension": (Reason.CERTIFICATE, lambda: certificate(2, extra=((UNKNOWN_CRITICAL, True),))),
    "name constraints": (Reason.CERTIFICATE, lambda: certificate(1, extra=((NAME_CONSTRAINTS, True),))),
    "P-256": (Reason.CERTIFICATE, lambda: certificate(2, key=ec.generate_private_key(ec.SECP256R1()))),
    "P-256 in the leaf": (Reason.CERTIFICATE, lambda: certificate(-1, key=ec.generate_private_key(ec.SECP256R1()))),
    "Ed25519": (Reason.CERTIFICATE, lambda: odd_authority(ed25519.Ed25519PrivateKey.generate())),
    "RSA": (Reason.CERTIFICATE, lambda: odd_authority(rsa.generate_private_key(65537, 2048))),
    "SHA-256 in a certificate": (Reason.CERTIFICATE, lambda: certificate(3, hash=hashes.SHA256())),
    "SHA-512 in the leaf": (Reason.CERTIFICATE, lambda: certificate(-1, hash=hashes.SHA512())),
    "no certificate": (Reason.CERTIFICATE, lambda: damaged(2, lambda _: b"\x30\x00")),
    "a certificate with more behind it": (Reason.CERTIFICATE, lambda: damaged(2, lambda der: der + b"\x00")),
    "an extension twice": (Reason.CERTIFICATE, lambda: damaged(2, doubled_extension)),
    "a key off the curve": (Reason.CERTIFICATE, lambda: damaged(2, off_the_curve)),
    # 4: its validity
    "before the leaf": (Reason.NOT_YET_VALID, lambda: life(-1, start=NOW + timedelta(seconds=1))),
    "after the leaf": (Reason.EXPIRED, lambda: life(-1, end=NOW - timedelta(seconds=1))),
    "before an authority": (Reason.NOT_YET_VALID, lambda: life(2, start=NOW + timedelta(seconds=1))),
    "after an authority": (Reason.EXPIRED, lambda: life(2, end=NOW - timedelta(seconds=1))),
    "after the root": (Reason.EXPIRED, lambda: life(0, end=NOW - timedelta(seconds=1))),
    # 5: the signature
    "signed by another key": (Reason.SIGNATURE, lambda: parts(lambda four: encoded(cose(four[2], OTHER_KEY)))),
    "a changed payload": (
        Reason.SIGNATURE, lambda: parts(lambda four: encoded([*four[:2], four[2].replace(NONCE, bytes(32)), four[3]])),
    ),
    "r is 0": (Reason.SIGNATURE, lambda: signature(lambda value: ZERO + value[48:])),
    "s is 0": (Reason.SIGNATURE, lambda: signature(lambda value: value[:48] + ZERO)),
    "r and s are 0": (Reason.SIGNATURE, lambda: signature(lambda _: bytes(96))),
    "s is the order": (Reason.SIGNATURE, lambda: signature(lambda value: value[:48] + ORDER.to_bytes(48, "big"))),
    "s and r": (Reason.SIGNATURE, lambda: signature(lambda value: value[48:] + value[:48])),
    "signed as COSE_Sign": (Reason.SIGNATURE, lambda: resigned(["Signature", encoded({1: -35}), b""])),
    "signed with outside data": (Reason.SIGNATURE, lambda: resigned(["Signature1", encoded({1: -35}), b"x"])),
    "signed under another header": (Reason.SIGNATURE, lambda: resigned(["Signature1", ES384_WITH_KID, b""])),
    # 6: the policy
    "the empty policy": (Reason.ROOT, lambda: replace(case(), policy=Policy())),
    "a policy with a root only": (Reason.EMPTY_POLICY, lambda: ruled(releases=frozenset(), expected=None)),
    "a policy without releases": (Reason.EMPTY_POLICY, lambda: ruled(releases=frozenset())),
    "a policy that expects nothing": (Reason.EMPTY_POLICY, lambda: ruled(expected=None)),
    "older than five minutes": (Reason.STALE, lambda: field(timestamp=AT - 300_001)),
    "from the future": (Reason.FUTURE, lambda: field(timestamp=AT + 60_001)),
    "replayed from another challenge": (Reason.NONCE, lambda: case(nonce=bytes(32))),
    "no nonce where one was given": (Reason.NONCE, lambda: field(nonce=None)),
    "a nonce where none was given": (Reason.NONCE, lambda: case(nonce=None)),
    "a document for another key": (Reason.PUBLIC_KEY, lambda: field(public_key=b"other")),
    "a document for no key": (Reason.PUBLIC_KEY, lambda: field(public_key=None)),
    "a key where none is expected": (Reason.PUBLIC_KEY, lambda: ruled(public_key=None)),
    "debug mode": (Reason.DEBUG, lambda: pcr({0: ZERO, 1: ZERO, 2: ZERO})),
    "debug mode with PCR3 and PCR4 set": (
        Reason.DEBUG, lambda: pcr({0: ZERO, 1: ZERO, 2: ZERO, 3: MEASURED[0], 4: MEASURED[1]}),
    ),
    "one measurement of debug mode": (
        Reason.DEBUG,
        lambda: case(
            fields={"pcrs": {0: MEASURED[0], 1: ZERO, 2: MEASURED[2]}},
            policy={"releases": frozenset({(MEASURED[0], ZERO, MEASURED[2])})},
        ),
    ),
    "debug mode under a policy of zeros": (
        Reason.DEBUG,
        lambda: case(
            fields={"pcrs": dict.fromkeys(range(16), ZERO)}, policy={"releases": frozenset({(ZERO, ZERO, ZERO)})}
        ),
    ),
    **{
        f"PCR{index} of other code": (Reason.RELEASE, partial(pcr, {index: bytes([9] * 48)}))
        for index in (0, 1, 2)
    },
    "PCRs of two releases mixed": (
        Reason.RELEASE,
        lambda: ruled(releases=frozenset({(*MEASURED[:2], bytes([9] * 48)), (*[bytes([9] * 48)] * 2, MEASURED[2])})),
    ),
    "the leaf of another module": (Reason.MODULE, lambda: certificate(-1, names=("i-1-enc2.eu-central-1.aws",))),
    "a leaf that begins like the module": (
        Reason.MODULE, lambda: certificate(-1, names=(f"{MODULE}0.eu-central-1.aws",)),
    ),
    "a leaf of no region": (Reason.MODULE, lambda: certificate(-1, names=(f"{MODULE}..aws",))),
    "a leaf of two regions": (Reason.MODULE, lambda: certificate(-1, names=(f"{MODULE}.eu.us.aws",))),
    "a leaf of another cloud": (Reason.MODULE, lambda: certificate(-1, names=(f"{MODULE}.eu-central-1.example",))),
    "a leaf named after a region only": (Reason.MODULE, lambda: certificate(-1, names=("eu-central-1",))),
    "a leaf with two names": (
        Reason.MODULE, lambda: certificate(-1, names=(f"{MODULE}.eu-central-1.aws", "other")),
    ),
    "no user data": (Reason.USER_DATA, lambda: field(user_data=None)),
    "foreign user data": (Reason.USER_DATA, lambda: field(user_data=b"hello")),
    "a document made for KMS in a handshake": (Reason.PURPOSE, lambda: said(purpose="kms")),
    "a document made for enrolment in a handshake": (Reason.PURPOSE, lambda: said(purpose="enrol")),
    "other terms": (Reason.TERMS, lambda: said(terms_digest=bytes(32))),
    "another attempt": (Reason.ATTEMPT, lambda: said(attempt=2)),
    "another party": (Reason.PARTY, lambda: said(party=3)),
    "a key that is not enrolled": (Reason.IDENTITY_KEY, lambda: said(identity_key=bytes(32))),
    "no key is enrolled": (
        Reason.IDENTITY_KEY, lambda: ruled(expected=replace(known(), identity_keys=frozenset())),
    ),
    "no identity key at all": (
        Reason.IDENTITY_KEY,
        lambda: case(
            said={"purpose": "kms", "identity_key": None}, policy={"expected": replace(known(), purpose="kms")}
        ),
    ),
    "another KMS key or policy": (Reason.SEALING, lambda: said(sealing=bytes(32))),
    "no KMS key": (Reason.SEALING, lambda: said(sealing=None)),
    "a build that accepts another root": (Reason.OTHER_BUILD, lambda: said(root=bytes(32))),
}  # fmt: skip
"""Name: why it is refused, the attack."""


def known() -> policy.Expected:
    expected = case().policy.expected
    assert expected is not None
    return expected


def odd_authority(key: object) -> Case:
    """Its own key is of another kind; what it has to sign is signed by somebody else."""
    return case(specs=changed(changed(usual_chain(), 2, key=key), 3, signer=OTHER_KEY))


def outcome(given: Case) -> Reason | str | None:
    """Why it is refused; None: it is accepted; the name of an error that nobody should ever see."""
    try:
        appraise(*given.arguments)
    except Refusal as refusal:
        return refusal.reason
    except Exception as error:  # noqa: BLE001 - with a check left out anything may happen
        return type(error).__name__
    return None


@pytest.fixture(scope="module")
def attacks() -> dict[str, tuple[Reason, Case]]:
    return {name: (reason, make()) for name, (reason, make) in LINES.items()}


@pytest.mark.parametrize("name", LINES)
def test_the_attack_is_refused_with_its_own_reason(name: str, attacks: dict[str, tuple[Reason, Case]]) -> None:
    reason, given = attacks[name]
    assert outcome(given) is reason


def test_without_an_attack_the_document_is_accepted() -> None:
    for given in (
        case(),
        case(parts=lambda four: b"\xd2" + encoded(four)),
        case(payload=lambda fields: b"\xbf" + encoded(fields)[1:] + b"\xff"),
        case(specs=usual_chain(3)),
        case(specs=usual_chain(8)),
        case(fields={"timestamp": AT - 300_000}),
        case(fields={"timestamp": AT + 60_000}),
        case(fields={"nonce": DROP}, nonce=None),
        case(fields={"more": 1}, policy={"names": frozenset({"more"})}),
        case(policy={"expected": replace(known(), identity_keys=frozenset({bytes(32), IDENTITY}))}),
        case(policy={"expected": replace(known(), identity_keys=None)}),
        certificate(2, extra=((UNKNOWN_CRITICAL, False),)),
    ):
        assert outcome(given) is None
    accepted = appraise(*case().arguments)
    assert accepted.statement.party == 2
    assert accepted.genuine.name.startswith(MODULE)


@pytest.mark.parametrize("name", ["root", "releases", "expected"])
def test_a_policy_with_one_part_empty_refuses_a_genuine_document(name: str) -> None:
    given = case()
    genuine = verifier.authenticate(given.document, given.policy.root, AT)
    less = replace(given.policy, **{name: getattr(Policy(), name)})
    with pytest.raises(Refusal) as refusal:
        policy.check_policy(less, genuine.document, genuine.name, NONCE, AT)
    assert refusal.value.reason is Reason.EMPTY_POLICY


def test_every_reason_is_met_and_each_says_what_to_do() -> None:
    assert {reason for reason, _ in LINES.values()} == set(Reason)
    assert len({reason.code for reason in Reason}) == len(Reason)
    for reason in Reason:
        assert reason.advice[0].islower(), reason
        assert "\n" not in reason.advice


MODULES: tuple[ModuleType, ...] = (document, chain, policy, verifier)


def sites() -> Iterator[tuple[str, int, str]]:
    """(file, line, kind) of every check: `demand(...)`, or `raise Refusal(...)` behind an `if` or `except`."""
    for module in MODULES:
        path = str(module.__file__)
        for node in ast.walk(ast.parse(Path(path).read_text())):
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if called in {"demand", "Refusal"}:
                yield path, node.lineno, called  # type: ignore[attr-defined]


def stopped_at(given: Case) -> tuple[str, int]:
    """Where the verifier refuses."""
    try:
        appraise(*given.arguments)
    except Refusal as refusal:
        trace = refusal.__traceback__
        places = []
        while trace is not None:
            places.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
            trace = trace.tb_next
        return next(place for place in reversed(places) if not place[0].endswith("reasons.py"))
    return "", 0


@pytest.fixture(scope="module")
def stops(attacks: dict[str, tuple[Reason, Case]]) -> dict[str, tuple[str, int]]:
    return {name: stopped_at(given) for name, (_, given) in attacks.items()}


def test_every_check_is_the_one_that_stops_an_attack(stops: dict[str, tuple[str, int]]) -> None:
    idle = [f"{Path(path).name}:{line}" for path, line, _ in sites() if (path, line) not in stops.values()]
    assert not idle


DEMANDS = [(path, line) for path, line, kind in sites() if kind == "demand"]


@pytest.mark.parametrize("site", DEMANDS, ids=[f"{Path(path).stem}:{line}" for path, line in DEMANDS])
def test_an_attack_gets_further_when_the_check_is_left_out(
    site: tuple[str, int],
    attacks: dict[str, tuple[Reason, Case]],
    stops: dict[str, tuple[str, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    concerned = [attacks[name] for name, place in stops.items() if place == site]

    def all_but_one(holds: bool, reason: Reason, detail: str) -> None:  # noqa: FBT001 - as demand
        caller = sys._getframe(1)
        if not holds and (caller.f_code.co_filename, caller.f_lineno) != site:
            raise Refusal(reason, detail)

    for module in MODULES:
        if hasattr(module, "demand"):
            monkeypatch.setattr(module, "demand", all_but_one)
    assert any(outcome(given) is not reason for reason, given in concerned)


def test_the_leaf_is_not_trusted_to_issue() -> None:
    specs = usual_chain(4)
    extra = Spec(names=(f"{MODULE}.eu-central-1.aws",), ca=False, usages=("digital_signature",))
    assert outcome(case(specs=(*specs, extra))) is Reason.CERTIFICATE
