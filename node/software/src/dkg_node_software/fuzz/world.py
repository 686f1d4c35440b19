"""What the decoders need around them: a party of four, its documents, and a network on which peers say anything."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.certificate import Certificate, CertificateSignature
from dkg_api.enrolment import Enrolment, Keyring, enrol
from dkg_api.session import session_id
from dkg_api.signatures import public_bytes, sign, sign_terms
from dkg_api.terms import Terms, parse_terms
from dkg_node.protocols.session import Exchange, Group, Role, Session, Slot
from dkg_node.transport.tls import TlsIdentity

T = TypeVar("T")
KEY_ARN = "arn:aws:kms:r:000000000000:key/00000000-0000-0000-0000-000000000001"
GROUP = Group(4, 1)
ME: Role = 1
SID = bytes(range(32))
ABSENT = 0xFFFF
"""Length of a piece that stands for silence."""
MIRROR = 0xFFFE
"""Length of a piece that stands for what was sent to that peer: so a fuzzer gets past the first slots of a protocol."""
MIRRORED = bytes(1)
"""What ``Pieces`` gives for such a piece: this very object."""
BODY = bytes(80)


class Pieces:
    """Bytes cut in pieces: two bytes of length, then the piece. What is missing at the end is missing in the piece."""

    def __init__(self, data: bytes) -> None:
        """Start at the beginning."""
        self._data, self._at = data, 0

    def next(self) -> bytes | None:
        """The next piece; None at the end, or for silence."""
        head = self._data[self._at : self._at + 2]
        if len(head) < 2:
            return None
        size = int.from_bytes(head, "little")
        begin = self._at + 2
        self._at = begin if size >= MIRROR else min(begin + size, len(self._data))
        if size >= MIRROR:
            return MIRRORED if size == MIRROR else None
        return self._data[begin : self._at]

    def all(self) -> list[bytes]:
        """The pieces up to the end or to the first silence."""
        found = []
        while (piece := self.next()) is not None:
            found.append(piece)
        return found


def cut(*pieces: bytes | None) -> bytes:
    """What ``Pieces`` reads back: for seeds."""
    return b"".join(
        ABSENT.to_bytes(2, "little") if piece is None else len(piece).to_bytes(2, "little") + piece for piece in pieces
    )


class EasyIdentity:
    """Signatures that a fuzzer can hit: 64 bytes, the first one even. Nothing below may rest on more than None."""

    def sign(self, purpose: str, message: bytes) -> bytes:
        """64 bytes that ``verify`` takes."""
        return b"\x00" * 32 + sha256(purpose.encode() + message).digest()

    def verify(self, role: Role, purpose: str, message: bytes, signature: bytes) -> bool:
        """Whether the first byte is even."""
        del purpose, message
        return role in GROUP.roles and len(signature) == 64 and signature[0] % 2 == 0


@dataclass(slots=True)
class RudeLink:
    """A network that is over at once, and on which each peer said the next piece."""

    pieces: Pieces
    bodies: dict[bytes, bytes] = field(default_factory=dict)

    async def exchange(self, request: Exchange) -> Mapping[Role, bytes | None]:
        """One piece a peer; what is over the limit is None, as the contract of ``Session.exchange`` says."""
        got: dict[Role, bytes | None] = {}
        for role in sorted(request.expect):
            said = request.outgoing.get(ME) if role == ME else self.pieces.next()
            said = request.outgoing.get(role) if said is MIRRORED else said
            got[role] = said if said is None or len(said) <= request.limit else None
        heard = {role: said for role, said in got.items() if said is not None}
        if request.names is not None:
            for role, said in heard.items():
                for digest in request.names(role, said):
                    self._pull(digest, request.body_limit)
        if request.enough is not None:
            request.enough(heard)
        return got

    def _pull(self, digest: bytes, limit: int) -> None:
        """Every second digest has a body."""
        if digest not in self.bodies and digest[0] % 2 == 0:
            self.bodies[digest] = BODY[:limit]

    async def parallel(self, bodies: Sequence[Callable[[], Awaitable[T]]], window: int) -> list[T]:
        """One after another."""
        del window
        return [await body() for body in bodies]

    def offer(self, digest: bytes, body: bytes) -> None:
        """Hold a body."""
        self.bodies[digest] = body

    def held(self, digest: bytes) -> bytes | None:
        """A body offered or pulled."""
        return self.bodies.get(digest)

    def skip(self, segment: int, slots: Collection[int]) -> None:
        """No slot takes time here."""
        del segment, slots


def mirrors(count: int) -> bytes:
    """So many pieces that are what was sent to that peer."""
    return MIRROR.to_bytes(2, "little") * count


def session(data: bytes, schedule: Sequence[Slot]) -> Session:
    """Party 1 in a segment with these slots, on a ``RudeLink`` over ``data``."""
    return Session.of(GROUP, ME, SID, RudeLink(Pieces(data)), EasyIdentity()).enter(1, schedule)


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, though it may let others go first (``sleep(0)``)."""
    try:
        while coroutine.send(None) is None:
            pass
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("the coroutine waits for something that a RudeLink does not give")


# --- documents


def organization_key(party: Role) -> Ed25519PrivateKey:
    """A fixed key: nothing here is secret."""
    return Ed25519PrivateKey.from_private_bytes(bytes([party]) * 32)


def identity_key(party: Role) -> Ed25519PrivateKey:
    """Another one."""
    return Ed25519PrivateKey.from_private_bytes(bytes([100 + party]) * 32)


@cache
def terms() -> Terms:
    """Good terms of four parties."""
    sealing = {"partition": "aws", "region": "xx-local-1", "account": "0" * 12, "enclaveRole": "e", "operatorRole": "o"}
    parties = [
        {
            "index": i,
            "organization": f"O {i}",
            "organizationKey": public_bytes(organization_key(i)).hex(),
            "sealing": {**sealing, "breakGlassRole": "b"},
        }
        for i in GROUP.roles
    ]
    numbers = {"startGrace": 5000, "roundTimeout": 20000, "minRate": 1000000, "minSpeed": 100}
    times = {"notBefore": "2026-01-01T00:00:00Z", "deadline": "2036-01-01T00:00:00Z"}
    release = {"pcr0": "01" * 48, "pcr1": "02" * 48, "pcr2": "03" * 48}
    versions = {"schemaVersion": 1, "protocolVersion": 1, "ceremony": "00" * 16, "parameterSet": "test"}
    kind = {"threshold": 1, "attestation": "software", "parties": parties, "releases": [release]}
    return parse_terms({**versions, **kind, **numbers, **times})


@cache
def enrolments() -> tuple[Enrolment, ...]:
    """One a party."""
    return tuple(enrol(terms().digest, i, public_bytes(identity_key(i)), organization_key(i)) for i in GROUP.roles)


@cache
def keyring() -> Keyring:
    """The enrolled keys."""
    return Keyring.of(terms(), enrolments())


@cache
def tls() -> TlsIdentity:
    """Key and certificate of party 2."""
    return TlsIdentity.fresh(2, datetime(2030, 1, 1, tzinfo=UTC))


@cache
def signatures_text() -> bytes:
    """The file of signed terms."""
    signed = [sign_terms(terms(), i, organization_key(i)).model_dump() for i in GROUP.roles]
    return json.dumps({"terms": terms().as_json(), "signatures": signed}).encode()


@cache
def desired_state_text() -> bytes:
    """A good desired state of party 1."""
    peers = [{"index": i, "host": "127.0.0.1", "peerPort": 17001 + i, "attestPort": 17100 + i} for i in GROUP.roles]
    known = [enrolment.model_dump() for enrolment in enrolments()]
    first = {"party": 1, "attempt": 1, "keyArn": KEY_ARN, "peers": peers, "enrolments": known}
    return json.dumps({**json.loads(signatures_text()), **first}).encode()


@cache
def certificate() -> Certificate:
    """A good certificate."""
    contents = Certificate(
        notices=terms().notices,
        terms_digest=terms().digest.hex(),
        sid=session_id(terms().digest, 1).hex(),
        era=0,
        digests={"keyset": "ab" * 32},
        enrolments=enrolments(),
    )
    signed = tuple(
        CertificateSignature(
            party=i,
            key=public_bytes(identity_key(i)).hex(),
            signature=sign(identity_key(i), "certificate", contents.content()).hex(),
        )
        for i in GROUP.roles
    )
    return contents.model_copy(update={"signatures": signed})
