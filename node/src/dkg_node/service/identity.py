"""The party's identity key: made once under these terms, sealed, the same for every attempt (03, "Keys")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.signatures import public_bytes, sign

if TYPE_CHECKING:
    from dkg_api.enrolment import Keyring
    from dkg_node.protocols.session import Role

NAME = "identity"
EPOCH = 0


class KeySealer(Protocol):
    """Seals 32 bytes that come back as bytes."""

    def has(self, name: str) -> bool:
        """Whether the object exists."""
        ...

    def seal_bytes(self, name: str, epoch: int, data: bytes) -> str:
        """Write durably."""
        ...

    def unseal_bytes(self, name: str, epoch: int) -> bytes:
        """Open; SealingError when it does not belong here or is damaged."""
        ...


def identity_key(sealer: KeySealer) -> Ed25519PrivateKey:
    """The sealed key, or a new one, sealed before it is used."""
    if sealer.has(NAME):
        return Ed25519PrivateKey.from_private_bytes(sealer.unseal_bytes(NAME, EPOCH))
    key = Ed25519PrivateKey.generate()
    sealer.seal_bytes(NAME, EPOCH, key.private_bytes_raw())
    return key


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Signatures of this party and of its peers (see ``session.Identity``)."""

    key: Ed25519PrivateKey
    keyring: Keyring

    def sign(self, purpose: str, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes."""
        return sign(self.key, purpose, message)

    def verify(self, role: Role, purpose: str, message: bytes, signature: bytes) -> bool:
        """Whether it is a signature of that party's enrolled key."""
        return self.keyring.verify(role, purpose, message, signature)

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return public_bytes(self.key)
