"""Handing sealed objects over to a new release of the same party (03, "New release after the certificate").

Both sides are pure: bytes in, bytes out, any transport. The old enclave, under the old terms, gives; the new enclave,
under signed successor terms, takes, seals under its own key and answers with a receipt. Each appraises the other's
document (purpose ``reseal``) under the terms that it knows for the other; both documents answer this exchange only:
 1 old -> new  nonce   2 new -> old  nonce, document   3 old -> new  document, sealed object   4 new -> old  receipt
The object's key comes from X25519 keys that the documents vouch for, so the host that carries the bytes opens nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dkg_api.user_data import UserData
from dkg_node.algebra.encoding import enc
from dkg_node.algebra.kernel import Secret
from dkg_node.errors import AttestationError
from dkg_node.sealing.reasons import Reason, SealingRefusal

if TYPE_CHECKING:
    from dkg_node.algebra.kernel import Shares
    from dkg_node.ceremony.ports import Attester
    from dkg_node.sealing.sealer import KmsSealer

NONCE: Final = 32
SIZE: Final = 4
"""Bytes of a document's length in front of it, little endian."""
MAX_DOCUMENT: Final = 12 * 1024

Appraise = Callable[[bytes, bytes, bytes], UserData]
"""(document, nonce, public key DER) -> the statement, of the same party under the other's terms, purpose ``reseal``;
AttestationError otherwise."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What both sides of one handing over know, and what each is told about the other."""

    old_terms: bytes
    """Digest, 32 bytes."""
    new_terms: bytes
    party: int
    name: str
    """Of the object."""
    epoch: int

    def transcript(self, old_nonce: bytes, new_nonce: bytes) -> bytes:
        """T, 32 bytes."""
        text = enc("reseal", self.old_terms, self.new_terms, self.party, self.name, self.epoch, old_nonce, new_nonce)
        return sha256(text).digest()


@dataclass(slots=True)
class _Side:
    exchange: Exchange
    attester: Attester = field(repr=False)
    statement: UserData
    """Of this side; purpose and X25519 key are filled in."""
    appraise: Appraise = field(repr=False)
    _key: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate, init=False, repr=False)
    _nonce: bytes = field(default_factory=lambda: os.urandom(NONCE), init=False)

    def _document(self, nonce: bytes) -> bytes:
        said = replace(self.statement, purpose="reseal", channel_key=self._key.public_key().public_bytes_raw())
        return self.attester.attest(said.encode(), nonce, _spki(self._key.public_key()))

    def _peer(self, document: bytes, nonce: bytes, claimed: bytes) -> X25519PublicKey:
        """The other side's key, once its document is accepted. SealingRefusal when it is not."""
        try:
            key = X25519PublicKey.from_public_bytes(claimed)
            said = self.appraise(document, nonce, _spki(key))
        except (AttestationError, ValueError) as error:
            raise SealingRefusal(Reason.RESEAL, f"its document: {error}") from None
        if said.purpose != "reseal" or said.channel_key != claimed or said.party != self.exchange.party:
            raise SealingRefusal(Reason.RESEAL, "its document says something else")
        return key

    def _object_key(self, peer: X25519PublicKey, transcript: bytes, old_document: bytes, new_document: bytes) -> Secret:
        """KDF(X25519, T | both documents). SealingRefusal for a key of small order."""
        try:
            shared = Secret.from_bytes(self._key.exchange(peer))
        except ValueError:
            raise SealingRefusal(Reason.RESEAL, "its key is no key") from None
        documents = sha256(old_document).digest() + sha256(new_document).digest()
        return shared.derive(enc("reseal object", transcript, documents))

    def _aad(self, transcript: bytes) -> bytes:
        return enc("resealed", transcript)


@dataclass(slots=True)
class Giver(_Side):
    """The old enclave."""

    _transcript: bytes = field(default=b"", init=False)

    def first(self) -> bytes:
        """Message 1."""
        return self._nonce

    def third(self, second: bytes, shares: Shares) -> bytes:
        """Message 3 for message 2: the object for that enclave and no other. SealingRefusal gives nothing."""
        new_nonce, claimed, document, rest = _split(second)
        if rest:
            raise SealingRefusal(Reason.RESEAL, "more than one message")
        transcript = self.exchange.transcript(self._nonce, new_nonce)
        peer = self._peer(document, _bound("new", transcript), claimed)
        own = self._document(_bound("old", transcript, sha256(document).digest()))
        key = self._object_key(peer, transcript, own, document)
        self._transcript = transcript
        return _join(self._nonce, self._key, own) + shares.sealed(key, self._aad(transcript))

    def fourth(self, receipt: bytes) -> str:
        """SHA-256 in hex of the blob that the new enclave keeps now. SealingRefusal when the receipt is none."""
        new_nonce, claimed, document, rest = _split(receipt)
        if (
            not self._transcript
            or self._transcript != self.exchange.transcript(self._nonce, new_nonce)
            or len(rest) != 32
        ):
            raise SealingRefusal(Reason.RESEAL, "a receipt of something else")
        self._peer(document, _bound("kept", self._transcript, rest), claimed)
        return rest.hex()


@dataclass(slots=True)
class Taker(_Side):
    """The new enclave."""

    _old_nonce: bytes = field(default=b"", init=False)
    _sent: bytes = field(default=b"", init=False)

    def second(self, first: bytes) -> bytes:
        """Message 2 for message 1."""
        if len(first) != NONCE:
            raise SealingRefusal(Reason.RESEAL, "no challenge")
        self._old_nonce = first
        self._sent = self._document(_bound("new", self.exchange.transcript(first, self._nonce)))
        return _join(self._nonce, self._key, self._sent)

    def receipt(self, third: bytes, sealer: KmsSealer, open_shares: Callable[[Secret, bytes, bytes], Shares]) -> bytes:
        """Message 4 for message 3, once the object is sealed durably under the new key. SealingRefusal keeps nothing.

        ``open_shares``: the kernel's ``Shares.unsealed``.
        """
        old_nonce, claimed, document, content = _split(third)
        if not self._sent or old_nonce != self._old_nonce:
            raise SealingRefusal(Reason.RESEAL, "an answer to another challenge")
        transcript = self.exchange.transcript(old_nonce, self._nonce)
        peer = self._peer(document, _bound("old", transcript, sha256(self._sent).digest()), claimed)
        key = self._object_key(peer, transcript, document, self._sent)
        try:
            shares = open_shares(key, self._aad(transcript), content)
        except ValueError:
            raise SealingRefusal(Reason.RESEAL, "the object does not open") from None
        kept = bytes.fromhex(sealer.seal_shares(self.exchange.name, self.exchange.epoch, shares))
        return _join(self._nonce, self._key, self._document(_bound("kept", transcript, kept))) + kept


def _bound(what: str, *parts: bytes) -> bytes:
    """The nonce of a document, 32 bytes."""
    return sha256(enc("reseal nonce", what, *parts)).digest()


def _spki(key: X25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _join(nonce: bytes, key: X25519PrivateKey, document: bytes) -> bytes:
    return nonce + key.public_key().public_bytes_raw() + len(document).to_bytes(SIZE, "little") + document


def _split(message: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Nonce, X25519 key, document, rest. SealingRefusal for a message that is too short."""
    start = 2 * NONCE + SIZE
    size = int.from_bytes(message[2 * NONCE : start], "little")
    if len(message) < start + size or not 0 < size <= MAX_DOCUMENT:
        raise SealingRefusal(Reason.RESEAL, "a message that breaks off")
    return message[:NONCE], message[NONCE : 2 * NONCE], message[start : start + size], message[start + size :]
