"""The four messages of the handshake, as bytes: each has one encoding, and anything else is refused.

hello {version, terms digest, attempt, from, to, nonce}; response {nonce, certificate, enrolment, document, signature};
finish, the same without nonce; accepted {}. In place of any of the last three: refused {code}, and with the code
`boot` {number and id of the newer boot, enrolment, signature}, so that the older one knows it for sure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dkg_api.cbor import CborError, encoded, plain_value
from dkg_api.enrolment import Enrolment, decode_enrolment
from dkg_api.party_certificate import MAX_CERTIFICATE
from dkg_node.attestation.document import MAX_BYTES
from dkg_node.attestation.obstacles import CODES, ChannelRefused, Obstacle, require

MAX_MESSAGE: Final = 32 * 1024
"""Bytes of any message: one document, one enrolment with another in base64, one certificate."""
NONCE_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
BOOT_BYTES: Final = 16
HELLO, RESPONSE, FINISH, ACCEPTED, REFUSED = range(1, 6)
"""Kinds, under key 0."""


@dataclass(frozen=True, slots=True)
class Hello:
    """Message 1. Nothing in it is proven; all of it goes into the transcript hash."""

    version: int
    terms_digest: bytes
    attempt: int
    sender: int
    receiver: int
    nonce: bytes

    def encode(self) -> bytes:
        """Its bytes."""
        values = (self.version, self.terms_digest, self.attempt, self.sender, self.receiver, self.nonce)
        return encoded({0: HELLO, **dict(enumerate(values, 1))})


@dataclass(frozen=True, slots=True)
class Evidence:
    """What each side shows: message 3, and message 2 but for its nonce."""

    certificate: bytes
    """DER, to be pinned."""
    enrolment: Enrolment
    document: bytes
    signature: bytes

    def encode(self, nonce: bytes | None) -> bytes:
        """Bytes of message 2 (with the nonce of its sender) or of message 3."""
        values = (self.certificate, self.enrolment.encode(), self.document, self.signature)
        fields = dict(enumerate(values, 1))
        return encoded({0: FINISH, **fields} if nonce is None else {0: RESPONSE, **fields, 5: nonce})


@dataclass(frozen=True, slots=True)
class Newer:
    """What a party that knows a newer boot of the other one says in its refusal."""

    number: int
    boot: bytes
    """Its id, 16 bytes."""
    enrolment: Enrolment
    """Of who says it."""
    signature: bytes

    def encode(self) -> bytes:
        """The refusal with all of it."""
        values = (Obstacle.BOOT.code, self.number, self.boot, self.enrolment.encode(), self.signature)
        return encoded({0: REFUSED, **dict(enumerate(values, 1))})


class Outlived(ChannelRefused):
    """One side knows a newer boot of the other one and says so."""

    def __init__(self, newer: Newer, detail: str) -> None:
        """``newer``: to be sent, or as it came and not checked yet."""
        self.newer = newer
        super().__init__(Obstacle.BOOT.code, detail)


def read_hello(data: bytes) -> Hello:
    """Message 1. Raises ChannelRefused."""
    fields = _fields(data, HELLO, 6)
    numbers = [fields[key] for key in (1, 3, 4, 5)]
    _require(all(type(number) is int and number >= 0 for number in numbers), "hello: numbers")
    _require(_is_bytes(fields[2], 32, 32) and _is_bytes(fields[6], NONCE_BYTES, NONCE_BYTES), "hello: lengths")
    return Hello(*(fields[key] for key in range(1, 7)))  # type: ignore[arg-type]  # checked above


def read_response(data: bytes) -> tuple[Evidence, bytes]:
    """Message 2: evidence and nonce of the listener. Raises ChannelRefused."""
    fields = _fields(data, RESPONSE, 5)
    nonce = fields[5]
    if not isinstance(nonce, bytes) or len(nonce) != NONCE_BYTES:
        raise ChannelRefused.by(Obstacle.MALFORMED, "response: nonce")
    return _evidence(fields), nonce


def read_finish(data: bytes) -> Evidence:
    """Message 3. Raises ChannelRefused."""
    return _evidence(_fields(data, FINISH, 4))


def read_accepted(data: bytes) -> None:
    """Message 4. Raises ChannelRefused."""
    _fields(data, ACCEPTED, 0)


def accepted() -> bytes:
    """Message 4."""
    return encoded({0: ACCEPTED})


def refused(refusal: ChannelRefused) -> bytes:
    """What the other side is told: the code alone, but for what it has to be sure of."""
    if isinstance(refusal, Outlived):
        return refusal.newer.encode()
    return encoded({0: REFUSED, 1: refusal.code})


def _evidence(fields: dict[int, object]) -> Evidence:
    certificate, text, document, signature = (fields[key] for key in (1, 2, 3, 4))
    if not (isinstance(certificate, bytes) and isinstance(text, bytes)):
        raise ChannelRefused.by(Obstacle.MALFORMED, "evidence: types")
    if not (isinstance(document, bytes) and isinstance(signature, bytes)):
        raise ChannelRefused.by(Obstacle.MALFORMED, "evidence: types")
    lengths = len(certificate) <= MAX_CERTIFICATE and len(document) <= MAX_BYTES and len(signature) == SIGNATURE_BYTES
    _require(lengths, "evidence: lengths")
    enrolment = decode_enrolment(text)
    if enrolment is None:
        raise ChannelRefused.by(Obstacle.MALFORMED, "evidence: enrolment")
    return Evidence(certificate, enrolment, document, signature)


def _fields(data: bytes, kind: int, count: int) -> dict[int, object]:
    """The fields 1 to ``count`` of a message of that kind. Raises ChannelRefused, also for the peer's own refusal."""
    _require(len(data) <= MAX_MESSAGE, "too long")
    try:
        value = plain_value(data)
    except CborError:
        raise ChannelRefused.by(Obstacle.MALFORMED, "no CBOR value") from None
    if not isinstance(value, dict) or type(value.get(0)) is not int or encoded(value) != data:
        raise ChannelRefused.by(Obstacle.MALFORMED, "no message in its one encoding")
    found: int = value[0]
    code = value.get(1)
    if found == REFUSED and isinstance(code, str) and code in CODES and len(value) == 2:
        raise ChannelRefused(code, "says the other side")
    if found == REFUSED and code == Obstacle.BOOT.code:
        raise Outlived(_newer(value), "says the other side")
    require(found == kind, Obstacle.ORDER, f"kind {found if 0 < found <= REFUSED else 'unknown'} where {kind} was due")
    _require(set(value) == set(range(count + 1)), "fields")
    return value


def _newer(value: dict[int, object]) -> Newer:
    _require(set(value) == set(range(6)), "refusal: fields")
    number, boot, text, signature = (value[key] for key in range(2, 6))
    enrolment = decode_enrolment(text) if isinstance(text, bytes) else None
    if type(number) is not int or not isinstance(boot, bytes) or not isinstance(signature, bytes) or enrolment is None:
        raise ChannelRefused.by(Obstacle.MALFORMED, "refusal: types")
    _require(number >= 0 and len(boot) == BOOT_BYTES and len(signature) == SIGNATURE_BYTES, "refusal: lengths")
    return Newer(number, boot, enrolment, signature)


def _is_bytes(value: object, least: int, most: int) -> bool:
    return isinstance(value, bytes) and least <= len(value) <= most


def _require(holds: bool, detail: str) -> None:  # noqa: FBT001 - reads as require(this holds, ...)
    require(holds, Obstacle.MALFORMED, detail)
