"""Fuzz targets of sealing: what AWS answers, what a store gives back, orders and terms about keys, handing over."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from dkg_api.canonical import CanonicalError, canonical, parse
from dkg_api.enrolment import Keyring
from dkg_api.errors import ApiError
from dkg_api.kms_policy import kms_policy, same_policy
from dkg_api.leave import LeaveError, order_erasure, parse_erase_order, parse_receipt, sign_receipt
from dkg_api.signatures import TermsSignature, missing_organizations, public_bytes, sign_terms
from dkg_api.successor import SuccessorError, parse_successor, sign_successor, succeed
from dkg_api.user_data import UserData
from dkg_node.algebra.kernel import Secret, Shares
from dkg_node.errors import AttestationError, SealingError
from dkg_node.sealing.aws import AwsCredentials, Surroundings, client
from dkg_node.sealing.cms import Enveloped, Recipient, read_envelope
from dkg_node.sealing.kms import MAX_WRAPPED, Context, KeyService
from dkg_node.sealing.readback import KIND, read_back
from dkg_node.sealing.reasons import SealingRefusal
from dkg_node.sealing.reseal import Exchange, Giver, Taker
from dkg_node.sealing.sealer import MAGIC, KmsSealer
from dkg_node.sealing.stores import S3Blobs
from dkg_node_software.double.cms import envelope
from dkg_node_software.fuzz import world
from dkg_node_software.fuzz.attested import RELEASE, sham_document
from dkg_node_software.fuzz.documents import DEEP, MEMORY
from dkg_node_software.fuzz.registry import target
from dkg_node_software.fuzz.world import GROUP, ME, Pieces, cut
from dkg_node_software.root import SOFTWARE_ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dkg_api.successor import SuccessorTerms

REGION = "eu-central-1"
KEY_BYTES = 32
ARN = f"arn:aws:kms:r:{'0' * 12}:key/01234567-89ab-cdef-0123-456789abcdef"
"""Of a key where the terms of ``world`` have it."""
WRAPPED = b"wrapped"
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["a","b"]}]}'
LISTED = """<?xml version="1.0"?><ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>1/share</Key>
<VersionId>v</VersionId><IsLatest>true</IsLatest></Version><DeleteMarker><Key>1/k</Key><VersionId>w</VersionId>
<IsLatest>true</IsLatest></DeleteMarker></ListVersionsResult>"""
REFUSED = b"<Error><Code>NoSuchBucket</Code><Message>m</Message></Error>"


class _Body:
    """What botocore reads a body from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, *_: object, **__: object) -> bytes:
        data, self._data = self._data, b""
        return data


@dataclass(frozen=True, slots=True)
class _Answer:
    """Of a service, as botocore's parsers ask for it."""

    url: str
    status_code: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> _Body:
        return _Body(self.content)


@dataclass(slots=True)
class _Service:
    """In place of the network under botocore: everything above it, its parsers too, is what production runs."""

    pieces: Pieces = field(default_factory=lambda: Pieces(b""))

    def __call__(self, request: Any, **_: object) -> _Answer:  # noqa: ANN401 - botocore has no types
        """A piece is one answer; its first byte says whether it is one of success."""
        piece = self.pieces.next()
        if piece is None:
            raise OSError("the service is silent")
        status = 400 if piece[:1] == b"!" else 200
        return _Answer(request.url, status, piece[1:])


@cache
def _clients() -> tuple[_Service, dict[str, Any]]:
    service, made = _Service(), {}
    roots = Path(str(files("dkg_node.sealing") / "amazon_roots.pem"))
    urls = {name: f"https://{name}.invalid" for name in ("kms", "s3")}
    around = Surroundings(REGION, urls, roots, path_style=True)
    for name in urls:
        api = client(name, around, lambda: AwsCredentials("AKIA", "none"))
        api.meta.events.unregister(f"needs-retry.{name}", unique_id=f"retry-config-{name}")  # it would wait
        api.meta.events.register(f"before-send.{name}", service)
        made[name] = api
    return service, made


def _api(name: str, data: bytes) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
    service, made = _clients()
    service.pieces = Pieces(data)
    return made[name]


class _Attester:
    def attest(self, user_data: bytes, nonce: bytes | None, public_key: bytes | None) -> bytes:
        return sham_document(user_data, nonce, public_key)


@cache
def _recipient() -> Recipient:
    return Recipient.fresh()


def _statement(purpose: str) -> UserData:
    return UserData(
        purpose=purpose, terms_digest=world.terms().digest, attempt=1, party=ME, boot_id=bytes(16), boot_number=1,
        root=SOFTWARE_ROOT,
    )  # fmt: skip


def _context() -> Context:
    return Context(world.terms().ceremony, world.terms().digest, ME, 1)


def _json(**fields: object) -> bytes:
    return b"+" + json.dumps(fields).encode()


def _envelope() -> bytes:
    return envelope(bytes(range(KEY_BYTES)), _recipient().key.public_key())


@target(lambda: [_envelope(), envelope(b"short", _recipient().key.public_key()), b"0\x80\0\0"])
def kms_envelope(data: bytes) -> None:
    """CiphertextForRecipient: SealingError, or parts of the one shape; a data key only for this enclave."""
    try:
        parts = read_envelope(data)
    except SealingError:
        return
    assert isinstance(parts, Enveloped)
    assert (len(parts.encrypted_key), len(parts.iv), len(parts.ciphertext) % 16) == (256, 16, 0)
    with suppress(SealingError):
        _recipient().open(data)


def _kms_answers() -> list[bytes]:
    wrapped, sealed = b64encode(WRAPPED).decode(), b64encode(_envelope()).decode()
    made = _json(KeyId=ARN, CiphertextBlob=wrapped, CiphertextForRecipient=sealed)
    plain = _json(KeyId=ARN, CiphertextBlob=wrapped, Plaintext=wrapped, CiphertextForRecipient=sealed)
    denied = b"!" + json.dumps({"__type": "AccessDeniedException", "message": "m"}).encode()
    return [
        cut(made, made), cut(denied, denied), cut(plain, plain), cut(_json(), b"+[1]"), cut(b'!"x"', b"!"),
        cut(_json(KeyId=1, CiphertextBlob=2), _json(KeyId=[], CiphertextForRecipient={})), cut(b"+\xff", b"+" + DEEP),
    ]  # fmt: skip


@target(_kms_answers, memory=MEMORY)
def kms_answer(data: bytes) -> None:
    """What KMS answers to a request for a data key: SealingRefusal, or a key and what opens it again."""
    service = KeyService(_api("kms", data), ARN, _Attester(), _recipient(), _statement("kms"))
    with suppress(SealingRefusal):
        made = service.new_key(_context())
        assert 0 < len(made.wrapped) <= MAX_WRAPPED
    with suppress(SealingRefusal):
        service.open_key(WRAPPED, _context())


def _descriptions() -> list[bytes]:
    policy = kms_policy(world.terms(), ME)
    described = _json(KeyMetadata={"KeyId": "k", "Arn": ARN, "KeyState": "Enabled", **KIND})
    found, none = _json(Policy=policy), _json(Grants=[], Truncated=False)
    return [
        cut(described, found, none), cut(described, found, _json(Grants=[{"GrantId": "g"}])),
        cut(described, _json(Policy="{}"), none), cut(_json(KeyMetadata=[]), found, none), cut(b"+5", b"+{}", b"+null"),
    ]  # fmt: skip


@target(_descriptions, memory=MEMORY)
def key_description(data: bytes) -> None:
    """What KMS says about the enrolled key: SealingRefusal, unless policy and kind are just those of the terms."""
    with suppress(SealingRefusal):
        read_back(_api("kms", data), ARN, world.terms(), ME)
        heard = Pieces(data)
        _, policy, grants = (heard.next() or b"" for _ in range(3))
        assert same_policy(kms_policy(world.terms(), ME), json.loads(policy[1:])["Policy"])
        assert not json.loads(grants[1:])["Grants"]


def _policies() -> list[bytes]:
    policy = kms_policy(world.terms(), ME)
    return [policy.encode(), json.dumps(json.loads(policy), indent=1).encode(), POLICY.encode(), DEEP]


@target(_policies, memory=MEMORY)
def key_policy(data: bytes) -> None:
    """The policy text that KMS holds: another one, or one that says the same."""
    text = data.decode("utf-8", "surrogateescape")
    if same_policy(kms_policy(world.terms(), ME), text):
        with suppress(CanonicalError):
            assert same_policy(text, canonical(parse(text, "policy")).decode())
            assert world.terms().digest.hex() in text


def _s3_answers() -> list[bytes]:
    listed = b"+" + LISTED.encode()
    more = listed.replace(b"false", b"true")
    return [
        cut(listed, b"+", b"+", listed), cut(b"+a blob"), cut(b"!" + REFUSED), cut(more, listed), cut(b"+<a/>", b"+<a"),
        cut(b"+<ListVersionsResult><Version/></ListVersionsResult>"), cut(b"+" + b"<a>" * 60),
    ]  # fmt: skip


@target(_s3_answers, memory=MEMORY)
def s3_answer(data: bytes) -> None:
    """What S3 answers: SealingRefusal, or names and objects."""
    acts: tuple[Callable[[S3Blobs], object], ...] = (
        S3Blobs.names, S3Blobs.left, lambda store: store.clear("identity"), lambda store: store.get("share"),
        lambda store: store.put("share", b"x"),
    )  # fmt: skip
    for act in acts:
        with suppress(SealingRefusal):
            act(S3Blobs(_api("s3", data), "bucket", "1/", "0" * 12))


class _Keys:
    """In place of a key service: every second ciphertext is one of ours."""

    def open_key(self, wrapped: bytes, context: Context) -> Secret:
        del context
        if wrapped[0] % 2:
            raise SealingError("not ours")
        return Secret.from_bytes(bytes(KEY_BYTES))


@dataclass(frozen=True, slots=True)
class _Store:
    """What the host gives back, whatever was asked for."""

    blob: bytes = b""

    def get(self, name: str) -> bytes:
        del name
        return self.blob

    def put(self, name: str, blob: bytes) -> None:
        del name, blob

    def names(self) -> tuple[str, ...]:
        return ()


def _sealer(blob: bytes = b"") -> KmsSealer:
    store: Any = _Store(blob)
    keys: Any = _Keys()
    return KmsSealer(store, keys, _context())


def _blobs() -> list[bytes]:
    key = Secret.from_bytes(bytes(KEY_BYTES)).derive(b"")
    content = Shares.from_wire(64, bytes(KEY_BYTES)).sealed(key, b"")
    wrapped = bytes(2)
    return [MAGIC + b"\x02\0" + wrapped + content, MAGIC + b"\xff\xff" + wrapped, MAGIC, MAGIC + b"\0\0" + content]


@target(_blobs, memory=128)
def kms_sealed_file(data: bytes) -> None:
    """A sealed object that the host put there: SealingError; nobody but the enclave seals."""
    sealer = _sealer(data)
    for open_it in (sealer.unseal_shares, sealer.unseal_secret, sealer.unseal_bytes):
        opened = False
        with suppress(SealingError):
            open_it("share", 0)
            opened = True
        assert not opened


def _order() -> bytes:
    return canonical(order_erasure(world.terms(), ME, 1, world.organization_key(ME)).model_dump(mode="json"))


@target(lambda: [_order(), DEEP], memory=MEMORY)
def erase_order(data: bytes) -> None:
    """An order to erase: LeaveError, or one that binds nobody but whom its organisation meant."""
    with suppress(LeaveError):
        found = parse_erase_order(data)
        assert parse_erase_order(canonical(found.model_dump(mode="json"))) == found
        for party in (0, ME, GROUP.n, GROUP.n + 1):
            if found.problem(world.terms(), party) is None:
                assert found == parse_erase_order(_order())


def _receipt() -> bytes:
    order = parse_erase_order(_order())
    return canonical(sign_receipt(order, 7, "AAAA", world.identity_key(ME)).model_dump(mode="json"))


@target(lambda: [_receipt(), DEEP], memory=MEMORY)
def erase_receipt(data: bytes) -> None:
    """A receipt: LeaveError, or one that the enrolled key signed for this order."""
    keyring = Keyring({ME: (public_bytes(world.identity_key(ME)),)})
    with suppress(LeaveError):
        found = parse_receipt(data)
        assert parse_receipt(canonical(found.model_dump(mode="json"))) == found
        if found.problem(parse_erase_order(_order()), keyring) is None:
            assert found == parse_receipt(_receipt())


def _consents() -> list[bytes]:
    signed = [sign_terms(world.terms(), i, world.organization_key(i)).model_dump() for i in GROUP.roles]
    return [canonical(signed), canonical(signed[:2]), canonical([signed[0]] * 9), b"[]", b"{}", DEEP]


@target(_consents, memory=MEMORY)
def terms_signatures(data: bytes) -> None:
    """Signatures under terms: ApiError or ValidationError, or a list that counts an organisation by its own only."""
    try:
        value = parse(data, "signatures")
        signatures = [TermsSignature.model_validate(entry) for entry in value] if isinstance(value, list) else []
    except (ApiError, ValidationError):
        return
    missing = missing_organizations(world.terms(), signatures)
    good = {(one["party"], one["signature"]) for one in json.loads(_consents()[0])}
    assert len(missing) == GROUP.n - len({(s.party, s.signature) for s in signatures} & good)


def _successor() -> SuccessorTerms:
    sealing = [party.sealing.model_dump(mode="json") for party in world.terms().parties]
    return parse_successor({
        "schemaVersion": 1, "predecessor": world.terms().digest.hex(), "certificate": "07" * 32, "releases": [RELEASE],
        "sealing": sealing,
    })  # fmt: skip


@target(lambda: [_successor().canonical, DEEP], memory=MEMORY)
def successor_terms(data: bytes) -> None:
    """Successor terms: SuccessorError, or some with one canonical text that all n signed or nobody obeys."""
    with suppress(SuccessorError):
        found = parse_successor(data)
        assert parse_successor(found.canonical).digest == found.digest
        signatures = [sign_successor(_successor(), world.terms(), i, world.organization_key(i)) for i in GROUP.roles]
        with suppress(ApiError):
            custody = succeed(world.terms(), world.terms(), bytes([7] * 32), found, signatures)
            assert found == _successor()
            kms_policy(custody, ME)


def _appraise(document: bytes, nonce: bytes, public_key: bytes) -> UserData:
    """Every document whose last byte is even; what it says is in front of it."""
    del nonce, public_key
    if not document or document[-1] % 2:
        raise AttestationError("odd")
    claimed = (document + bytes(32))[:32]
    return replace(_statement("reseal"), channel_key=claimed)


class _Short:
    """Documents that ``_appraise`` takes: the X25519 key of the statement, and a zero."""

    def attest(self, user_data: bytes, nonce: bytes | None, public_key: bytes | None) -> bytes:
        del user_data, nonce
        return (public_key or b"")[-32:] + b"\0"


def _sides() -> tuple[Giver, Taker]:
    said = Exchange(world.terms().digest, bytes(32), ME, "share", 0)
    return (
        Giver(said, _Short(), _statement("reseal"), _appraise),
        Taker(said, _Short(), _statement("reseal"), _appraise),
    )


def _handed_over() -> list[bytes]:
    giver, taker = _sides()
    second = taker.second(giver.first())
    third = giver.third(second, Shares.from_wire(64, bytes(32)))
    return [cut(second, second + bytes(32), giver.first(), third), cut(second[:68], b"", bytes(31), third[:80]), b""]


@target(_handed_over)
def handing_over(data: bytes) -> None:
    """The four messages between two releases: SealingRefusal, or the next message; a receipt only for this exchange."""
    giver, taker = _sides()
    pieces = Pieces(data)
    second, receipt, first, third = (pieces.next() or b"" for _ in range(4))
    with suppress(SealingRefusal):
        giver.third(second, Shares.from_wire(64, bytes(32)))
    with suppress(SealingRefusal):
        assert bytes.fromhex(giver.fourth(receipt)) == receipt[-32:]
    with suppress(SealingRefusal):
        taker.second(first)
    with suppress(SealingRefusal):
        taker.receipt(third, _sealer(), Shares.unsealed)
        raise AssertionError("it took an object that nobody made for it")
