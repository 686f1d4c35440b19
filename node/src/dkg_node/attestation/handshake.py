"""The handshake of two parties before they speak TLS (design 03, "Channel"). Pure state machines: bytes in, bytes out.

T = H("channel", version, terms digest, attempt, from, to, nonce of the dialer, nonce of the listener).
1 dialer: who wants what of whom, with a nonce. 2 listener: nonce, certificate, enrolment, a document made for this T,
this certificate and the role "resp", and its identity key's signature of T and the document. 3 dialer: the same with
"init" and the hash of the listener's document in the nonce. 4 listener: accepted.
Each side ends with the one certificate to pin, or with a refusal that has a code. What the other side says never
raises here: it ends in a Step. What one's own attester raises goes on to the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from dkg_api.party_certificate import certificate_problem, public_key_of
from dkg_api.signatures import verify
from dkg_node.algebra.encoding import digest
from dkg_node.attestation.messages import (
    Evidence,
    Hello,
    Newer,
    Outlived,
    accepted,
    read_accepted,
    read_finish,
    read_hello,
    read_response,
    refused,
)
from dkg_node.attestation.obstacles import ChannelRefused, Obstacle, require

if TYPE_CHECKING:
    from dkg_api.enrolment import Enrolment
    from dkg_api.user_data import UserData
    from dkg_node.ceremony.ports import Appraiser, Attester
    from dkg_node.protocols.session import Role

VERSION: Final = 1
RESPONDER, INITIATOR = "resp", "init"
"""Roles in the documents' nonces: no message of one serves as one of the other."""
PURPOSE: Final = "channel"


@dataclass(frozen=True, slots=True)
class Speaker:
    """One party in one boot, and how it judges others."""

    statement: UserData
    """Of purpose ``channel``: what every document of this boot says. Holds terms, attempt and party."""
    enrolment: Enrolment
    """Its own."""
    attester: Attester
    sign: Callable[[str, bytes], bytes]
    """By the enrolled identity key: purpose and message."""
    appraiser: Appraiser
    parties: int
    """n"""
    newer: Callable[[UserData], tuple[int, bytes] | None]
    """Number and id of a newer boot of that party, if one is known: one live boot a party."""

    def evidence(self, certificate: bytes, transcript: bytes, nonce: bytes) -> Evidence:
        """A fresh document for this handshake, signed for."""
        document = self.attester.attest(self.statement.encode(), nonce, public_key_of(certificate))
        signature = self.sign(PURPOSE, transcript + sha256(document).digest())
        return Evidence(certificate, self.enrolment, document, signature)

    def appraise(self, peer: Role, evidence: Evidence, transcript: bytes, nonce: bytes, at: int) -> UserData:
        """The peer's statement. Raises ChannelRefused; what costs least is looked at first."""
        problem = certificate_problem(evidence.certificate, peer)
        require(problem is None, Obstacle.CERTIFICATE, problem or "")
        enrolment = evidence.enrolment
        require(enrolment.party == peer, Obstacle.ENROLMENT, f"it is that of party {enrolment.party}")
        self.appraiser.enrolment(enrolment, at)
        said = transcript + sha256(evidence.document).digest()
        signed = verify(bytes.fromhex(enrolment.identity_key), PURPOSE, said, evidence.signature)
        require(signed, Obstacle.SIGNATURE, "of this handshake")
        shown = public_key_of(evidence.certificate)
        statement = self.appraiser.channel(evidence.document, enrolment, nonce, shown, at)
        newer = self.newer(statement)
        if newer is not None:
            signature = self.sign(PURPOSE, outlived_digest(transcript, *newer))
            raise Outlived(Newer(*newer, self.enrolment, signature), f"boot number {statement.boot_number}")
        return statement

    def outlived(self, peer: Role, newer: Newer, transcript: bytes, at: int) -> bool:
        """Whether it is the peer, by its enrolled key, who says that it knows a boot of this party that is no older."""
        enrolment, own = newer.enrolment, self.statement
        if enrolment.party != peer or newer.number < own.boot_number or newer.boot == own.boot_id:
            return False
        try:
            self.appraiser.enrolment(enrolment, at)
        except ChannelRefused:
            return False
        said = outlived_digest(transcript, newer.number, newer.boot)
        return verify(bytes.fromhex(enrolment.identity_key), PURPOSE, said, newer.signature)


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both sides know when all is proven."""

    peer: Role
    transcript: bytes
    """T, 32 bytes: different for any two handshakes."""
    own_certificate: bytes
    certificate: bytes
    """DER: the exact one to pin."""
    statement: UserData
    """The peer's: X25519 key, boot."""
    enrolment: Enrolment
    """The peer's."""
    at: int
    """When its document was appraised, ms since 1970: the pin's life begins."""


@dataclass(frozen=True, slots=True)
class Step:
    """What became of a message of the peer."""

    message: bytes | None = None
    """To be sent, also after a refusal."""
    agreed: Agreed | None = None
    refusal: ChannelRefused | None = None
    """It is over."""
    outlived: Role | None = None
    """Who has proven to know a newer boot of this party."""


@dataclass(slots=True)
class Dialer:
    """The side with the higher index. Calls in this order: hello, response, confirmed."""

    own: Speaker
    peer: Role
    certificate: bytes
    """Own, DER."""
    nonce: bytes
    """32 random bytes, never used before."""
    _agreed: Agreed | None = field(default=None, init=False)

    def hello(self) -> bytes:
        """Message 1."""
        return self._hello().encode()

    def response(self, data: bytes, at: int) -> Step:
        """Take message 2, give message 3. ``at``: ms since 1970."""
        try:
            return Step(self._respond(data, at))
        except ChannelRefused as refusal:
            return Step(refused(refusal), refusal=refusal)

    def confirmed(self, data: bytes) -> Step:
        """Take message 4. Only now is there something to pin: before, the other side may have refused."""
        agreed = self._agreed
        try:
            read_accepted(data)
        except Outlived as refusal:
            known = agreed and self.own.outlived(self.peer, refusal.newer, agreed.transcript, agreed.at)
            return Step(refusal=refusal, outlived=self.peer if known else None)
        except ChannelRefused as refusal:
            return Step(refusal=refusal)
        return Step(agreed=agreed)

    def _hello(self) -> Hello:
        said = self.own.statement
        return Hello(VERSION, said.terms_digest, said.attempt, said.party, self.peer, self.nonce)

    def _respond(self, data: bytes, at: int) -> bytes:
        evidence, nonce = read_response(data)
        require(nonce != self.nonce, Obstacle.REFLECTED, "in a response")
        transcript = transcript_of(self._hello(), nonce)
        expected = nonce_of(RESPONDER, transcript, evidence.certificate)
        statement = self.own.appraise(self.peer, evidence, transcript, expected, at)
        mine = nonce_of(INITIATOR, transcript, self.certificate, evidence.document)
        shown = self.own.evidence(self.certificate, transcript, mine)
        self._agreed = Agreed(
            self.peer, transcript, self.certificate, evidence.certificate, statement, evidence.enrolment, at
        )
        return shown.encode(None)


@dataclass(slots=True)
class Listener:
    """The side with the lower index. Calls in this order: hello, finish."""

    own: Speaker
    certificate: bytes
    nonce: bytes
    _hello: Hello | None = field(default=None, init=False)
    _document: bytes = field(default=b"", init=False)

    def hello(self, data: bytes) -> Step:
        """Take message 1, give message 2."""
        try:
            hello = self._admit(data)
        except ChannelRefused as refusal:
            return Step(refused(refusal), refusal=refusal)
        transcript = transcript_of(hello, self.nonce)
        mine = nonce_of(RESPONDER, transcript, self.certificate)
        shown = self.own.evidence(self.certificate, transcript, mine)
        self._hello, self._document = hello, shown.document
        return Step(shown.encode(self.nonce))

    def finish(self, data: bytes, at: int) -> Step:
        """Take message 3, give message 4. ``at``: ms since 1970."""
        hello, self._hello = self._hello, None  # one handshake, one finish
        try:
            if hello is None:
                raise ChannelRefused.by(Obstacle.ORDER, "a finish before its hello")
            return self._finish(data, hello, at)
        except ChannelRefused as refusal:
            return Step(refused(refusal), refusal=refusal)

    @property
    def dialer(self) -> Role | None:
        """Who says to be at the other end; not proven before ``finish``."""
        return None if self._hello is None else self._hello.sender

    def _admit(self, data: bytes) -> Hello:
        hello, said = read_hello(data), self.own.statement
        require(hello.version == VERSION, Obstacle.VERSION, f"version {VERSION} here")
        require(hello.terms_digest == said.terms_digest, Obstacle.TERMS, f"{said.terms_digest.hex()[:16]}... here")
        require(hello.attempt == said.attempt, Obstacle.ATTEMPT, f"attempt {said.attempt} here")
        require(hello.nonce != self.nonce, Obstacle.REFLECTED, "in a hello")
        require(hello.receiver == said.party, Obstacle.ROLES, f"party {said.party} answers here")
        require(said.party < hello.sender <= self.own.parties, Obstacle.ROLES, "the dialer has no higher index")
        return hello

    def _finish(self, data: bytes, hello: Hello, at: int) -> Step:
        transcript = transcript_of(hello, self.nonce)
        try:
            evidence = read_finish(data)
        except Outlived as refusal:
            known = self.own.outlived(hello.sender, refusal.newer, transcript, at)
            return Step(refusal=refusal, outlived=hello.sender if known else None)
        expected = nonce_of(INITIATOR, transcript, evidence.certificate, self._document)
        statement = self.own.appraise(hello.sender, evidence, transcript, expected, at)
        agreed = Agreed(
            hello.sender, transcript, self.certificate, evidence.certificate, statement, evidence.enrolment, at
        )
        return Step(accepted(), agreed=agreed)


def outlived_digest(transcript: bytes, number: int, boot: bytes) -> bytes:
    """What is signed about a newer boot, for this handshake; shorter than what is signed about a document."""
    return digest("outlived", transcript, number, boot)


def transcript_of(hello: Hello, nonce: bytes) -> bytes:
    """T: all of message 1, and the listener's nonce."""
    return digest(
        "channel", hello.version, hello.terms_digest, hello.attempt, hello.sender, hello.receiver, hello.nonce, nonce
    )


def nonce_of(role: str, transcript: bytes, *parts: bytes) -> bytes:
    """Nonce of a document: role, T, and the hash of each part (certificate; for the dialer the listener's document)."""
    return digest(role, transcript, *(sha256(part).digest() for part in parts))
