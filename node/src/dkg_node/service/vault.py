"""Era proof and certificate chain, sealed; contents of certificates in a directory (01 section 2, "Certificates")."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dkg_node.algebra.encoding import enc
from dkg_node.ceremony.chain import Chain, EraProof, decode_chain, decode_proof, encode_chain, encode_proof
from dkg_node.ceremony.program import Sealed
from dkg_node.errors import SealingError
from dkg_node.protocols.decoding import decoded
from dkg_node.sealing.files import write_atomic

if TYPE_CHECKING:
    from dkg_node.protocols.session import Group

NAME, EPOCH = "control", 0
BLOCK = 32
"""What is sealed has whole blocks: an element of R at K=64."""


class BytesSealer(Protocol):
    """Seals blocks of 32 bytes that come back as bytes."""

    def has(self, name: str) -> bool:
        """Whether the object exists."""
        ...

    def seal_bytes(self, name: str, epoch: int, data: bytes) -> str:
        """Write durably."""
        ...

    def unseal_bytes(self, name: str, epoch: int) -> bytes:
        """Open; SealingError when it does not belong here or is damaged."""
        ...


@dataclass(frozen=True, slots=True)
class SealedVault:
    """See ceremony.program.Vault."""

    group: Group
    sealer: BytesSealer

    def keep(self, proof: EraProof, chain: Chain) -> None:
        """Replace what was kept."""
        data = enc(encode_proof(proof), encode_chain(chain))
        framed = len(data).to_bytes(8, "little") + data
        self.sealer.seal_bytes(NAME, EPOCH, framed + bytes(-len(framed) % BLOCK))

    def read(self) -> Sealed:
        """What an earlier boot kept: a restart; nothing: a fresh start. SealingError when it is damaged."""
        if not self.sealer.has(NAME):
            return Sealed()
        framed = self.sealer.unseal_bytes(NAME, EPOCH)
        items = decoded(framed[8 : 8 + int.from_bytes(framed[:8], "little")])
        match items:
            case (bytes() as proof_bytes, bytes() as chain_bytes):
                proof, chain = decode_proof(self.group, proof_bytes), decode_chain(self.group, chain_bytes)
                if proof is not None and chain is not None:
                    return Sealed(proof, chain, "restart")
        raise SealingError("the sealed certificates can't be read by this build: run the one that wrote them")


@dataclass(frozen=True, slots=True)
class DirectoryArchive:
    """See ceremony.ports.Archive."""

    directory: Path

    def keep(self, digest: bytes, body: bytes) -> None:
        """One file a digest."""
        write_atomic(self.directory / digest.hex(), body)

    def get(self, digest: bytes) -> bytes | None:
        """Read and check."""
        try:
            body = (self.directory / digest.hex()).read_bytes()
        except OSError:
            return None
        return body if sha256(body).digest() == digest else None
