"""Era proof, certificate chain and peers' epochs, sealed; contents of certificates in a directory (01 section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dkg_node.algebra.encoding import enc
from dkg_node.ceremony.chain import decode_chain, decode_proof, encode_chain, encode_proof
from dkg_node.ceremony.statements import Kept, Place, Stamp, decode_statement
from dkg_node.errors import SealingError
from dkg_node.protocols.decoding import decoded
from dkg_node.sealing.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node.algebra.encoding import Item
    from dkg_node.ceremony.chain import Chain, EraProof
    from dkg_node.ceremony.statements import EpochStatement
    from dkg_node.protocols.session import Group, Role

STATE, PEERS, EPOCH = "control", "peer-epochs", 0
"""Names of the two objects. The epoch of the state stands inside: outside, nobody could know it at a boot."""
NAMES = ("setup-draws",)
"""Sealed objects that the state names by their hash: a host must not swap in draws of another boot."""
BLOCK = 32
"""What is sealed has whole blocks: an element of R at K=64."""


class BytesSealer(Protocol):
    """Seals blocks of 32 bytes that come back as bytes."""

    def has(self, name: str) -> bool:
        """Whether the object exists."""
        ...

    def seal_bytes(self, name: str, epoch: int, data: bytes) -> str:
        """Write durably; SHA-256 of the file in hex."""
        ...

    def unseal_bytes(self, name: str, epoch: int) -> bytes:
        """Open; SealingError when it does not belong here or is damaged."""
        ...

    def fingerprint(self, name: str) -> bytes:
        """SHA-256 of the file of an object; empty where there is none."""
        ...

    def set_aside(self, name: str, mark: int) -> None:
        """Move an object, if there is one, out of the way."""
        ...


@dataclass(frozen=True, slots=True)
class SealedVault:
    """See ceremony.epochs.Safe."""

    group: Group
    sealer: BytesSealer

    def keep(self, place: Place, proof: EraProof, chain: Chain, *, blind: bool) -> bytes:
        """Replace what was kept."""
        named = [self.sealer.fingerprint(name) for name in NAMES]
        parts = (place.boot, place.epoch, int(blind), named, encode_proof(proof), encode_chain(chain))
        return bytes.fromhex(self._seal(STATE, enc(*parts)))

    def read(self) -> Kept | None:
        """What an earlier boot kept. SealingError when it is damaged."""
        match self._open(STATE):
            case None:
                return None
            case (
                int() as boot,
                int() as epoch,
                (0 | 1) as blind,
                tuple() as named,
                bytes() as proof_bytes,
                bytes() as chain_bytes,
            ):
                proof, chain = decode_proof(self.group, proof_bytes), decode_chain(self.group, chain_bytes)
                if proof is not None and chain is not None:
                    stamp = Stamp(Place(boot, epoch), self.sealer.fingerprint(STATE))
                    whole = named == tuple(self.sealer.fingerprint(name) for name in NAMES)
                    return Kept(stamp, proof, chain, bool(blind), whole)
        raise SealingError("the sealed certificates can't be read by this build: run the one that wrote them")

    def set_aside(self, mark: int) -> None:
        """Move state and draws to names that nothing reads."""
        for name in (STATE, *NAMES):
            self.sealer.set_aside(name, mark)

    def keep_statements(self, statements: Mapping[Role, EpochStatement]) -> None:
        """Replace what is remembered of the peers."""
        self._seal(PEERS, enc([[role, statement.encode()] for role, statement in sorted(statements.items())]))

    def statements(self) -> Mapping[Role, EpochStatement]:
        """What is remembered of the peers. SealingError when it is damaged."""
        items = self._open(PEERS)
        if items is None:
            return {}
        found: dict[Role, EpochStatement] = {}
        entries = items[0] if len(items) == 1 and isinstance(items[0], tuple) else (None,)
        for entry in entries:
            match entry:
                case (int() as role, bytes() as data) if (statement := decode_statement(data)) is not None:
                    found[role] = statement
                case _:
                    raise SealingError(
                        "the sealed peers' epochs can't be read by this build: run the one that wrote it"
                    )
        return found

    def _seal(self, name: str, data: bytes) -> str:
        framed = len(data).to_bytes(8, "little") + data
        return self.sealer.seal_bytes(name, EPOCH, framed + bytes(-len(framed) % BLOCK))

    def _open(self, name: str) -> tuple[Item, ...] | None:
        """The items of an object; none where it does not lie there."""
        if not self.sealer.has(name):
            return None
        framed = self.sealer.unseal_bytes(name, EPOCH)
        return decoded(framed[8 : 8 + int.from_bytes(framed[:8], "little")]) or ()


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
