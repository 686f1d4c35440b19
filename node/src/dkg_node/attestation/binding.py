"""Binding a TLS connection to the handshake before it: MACs under the two boots' X25519 keys (design 03, "Channel").

gRPC gives no exporter of a TLS session. Instead each side says which certificate it shows and which one it sees,
under a key that only the two enclaves of the handshake have: who shows one of its own to each side is found out.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dkg_node.algebra.encoding import enc
from dkg_node.attestation.obstacles import ChannelRefused, Obstacle

if TYPE_CHECKING:
    from dkg_node.attestation.handshake import Agreed

MAC_BYTES: Final = 32
DIALS, LISTENS = "dials", "listens"
"""Who speaks: no MAC of one side serves as the other's."""


@dataclass(frozen=True, slots=True)
class ChannelKey:
    """The X25519 key of a boot: made when it starts, never stored, never shown."""

    private: X25519PrivateKey = field(repr=False)

    @classmethod
    def fresh(cls) -> ChannelKey:
        """A new one."""
        return cls(X25519PrivateKey.generate())

    @property
    def public(self) -> bytes:
        """32 bytes, for the statement in the documents."""
        return self.private.public_key().public_bytes_raw()

    def bond(self, agreed: Agreed) -> Bond:
        """The key of this handshake. ChannelRefused for a peer's key that gives the same secret to everybody."""
        try:
            public = X25519PublicKey.from_public_bytes(agreed.statement.channel_key or b"")
            shared = self.private.exchange(public)
        except ValueError:
            raise ChannelRefused.by(Obstacle.BINDING, "a weak X25519 key") from None
        key = HKDF(algorithm=SHA256(), length=32, salt=agreed.transcript, info=b"dkg/v1/bind").derive(shared)
        return Bond(agreed.transcript, key)


@dataclass(frozen=True, slots=True)
class Bond:
    """The secret of one handshake between its two boots."""

    transcript: bytes
    key: bytes = field(repr=False)

    def mac(self, side: str, shown: bytes, seen: bytes) -> bytes:
        """32 bytes by which ``side`` says: I show this certificate on this connection, and see that one (both DER)."""
        certificates = (sha256(der).digest() for der in (shown, seen))
        return hmac.digest(self.key, enc("bind", side, self.transcript, *certificates), "sha256")

    def check(self, mac: bytes, side: str, shown: bytes, seen: bytes) -> None:
        """ChannelRefused unless ``side`` said just that."""
        if not hmac.compare_digest(mac, self.mac(side, shown, seen)):
            raise ChannelRefused.by(Obstacle.BINDING, "the MAC of the other side does not fit")
