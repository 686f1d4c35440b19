"""Certificates, their chain, and the proof of an era (01 section 2). Pure; peers' bytes never raise.

A certificate is n-t signatures over (sid, era, segment, digest of the certificate before it, digest of the contents,
public state after the segment). Its validity depends on the enrolled keys only. Digests cover contents, not signatures:
two sets of signatures make no two certificates. Contents (hash table, digest list) travel by hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from dkg_node.algebra.encoding import Item, digest, enc
from dkg_node.protocols.decoding import decoded, is_integer
from dkg_node.protocols.state import PublicState
from dkg_node.protocols.state_codec import decode_state, encode_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node.protocols.session import Group, Identity, Role

RESUME = -1
"""Segment of the resume that every era after 0 begins with."""
GENESIS = bytes(32)
"""What stands for the certificate before the first."""
HASH, SIGNATURE = 32, 64
CORE_ITEMS = 5
STATE_LIMIT = 1 << 14
"""Longest encoded public state."""
ERA_LIMIT = 1 << 31
SEGMENT_PURPOSE, GO_PURPOSE = "segment", "go"


class Position(NamedTuple):
    """A segment in an era; ordered as time is."""

    era: int
    segment: int


START = Position(0, RESUME)
"""Before everything."""


@dataclass(frozen=True, slots=True)
class Core:
    """What a certificate says."""

    position: Position
    before: bytes
    """Digest of the certificate before it, 32 bytes."""
    contents: bytes
    """SHA-256 of the contents, 32 bytes."""
    state: PublicState
    """Public state after the segment."""

    def encode(self) -> bytes:
        """The bytes that are signed (with sid in front) and hashed."""
        era, segment = self.position
        return enc(era, segment + 1, self.before, self.contents, encode_state(self.state))

    def digest(self) -> bytes:
        """Names the certificate, whoever signed it."""
        return digest("certificate", self.encode())

    def signed(self, sid: bytes) -> bytes:
        """What a signature covers."""
        return enc(sid) + self.encode()


@dataclass(frozen=True, slots=True)
class Certificate:
    """A core and n-t signatures."""

    core: Core
    signatures: Mapping[Role, bytes]

    @property
    def position(self) -> Position:
        """Era and segment."""
        return self.core.position


Chain = tuple[Certificate, ...]
"""From the first on, each naming the one before it."""


@dataclass(frozen=True, slots=True)
class EraProof:
    """N-t signed ``go`` of an era's resume. Era 0 needs none."""

    era: int
    signatures: Mapping[Role, bytes]


NO_PROOF = EraProof(0, {})


def head(chain: Chain) -> bytes:
    """Digest of the last certificate, or GENESIS."""
    return chain[-1].core.digest() if chain else GENESIS


def last(chain: Chain) -> Position:
    """Position of the last certificate, or START: the newer of two chains is the one with the greater."""
    return chain[-1].position if chain else START


def results(chain: Chain) -> Chain:
    """The certificates of segments, without those of resumes."""
    return tuple(certificate for certificate in chain if certificate.position.segment != RESUME)


def next_position(era: int, chain: Chain) -> Position:
    """What comes after the chain in an era: its resume, unless era 0 or resumed already; else the next segment."""
    if era > last(chain).era:
        return Position(era, RESUME)
    return Position(era, len(results(chain)))


def linked(chain: Chain) -> bool:
    """Whether each names the one before it, positions grow, and segments come in the order of the plan."""
    before, done, position = GENESIS, 0, START
    for certificate in chain:
        core = certificate.core
        if core.before != before or core.position != _follows(position, core.position, done):
            return False
        done += core.position.segment != RESUME
        before, position = core.digest(), core.position
    return True


def _follows(position: Position, given: Position, done: int) -> Position:
    """The only positions that may follow: the next segment of the same era, the resume of a later one."""
    if given.era > position.era:
        return Position(given.era, RESUME)
    return Position(position.era, done)


def extended(chain: Chain, suffix: Chain) -> Chain | None:
    """``suffix`` on top of the certificate of ``chain`` (or the beginning) that it names; None if it names none.

    Of what both have, the certificates of ``chain`` stay: those of ``suffix`` may carry other signatures.
    """
    if not suffix:
        return None
    before = suffix[0].core.before
    if before == GENESIS:
        both = zip(chain, suffix, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0].core == pair[1].core, both))
        return chain[:same] + suffix[same:]
    for index in range(len(chain), 0, -1):
        if chain[index - 1].core.digest() == before:
            return chain[:index] + suffix
    return None


def valid(certificate: Certificate, group: Group, sid: bytes, identity: Identity) -> bool:
    """Whether n-t different parties signed it."""
    return _enough(certificate.signatures, group, identity, SEGMENT_PURPOSE, certificate.core.signed(sid))


def _enough(signatures: Mapping[Role, bytes], group: Group, identity: Identity, purpose: str, message: bytes) -> bool:
    """Whether n-t of them hold; looks no further once too many do not."""
    spare = len(signatures) - group.quorum
    for role, signature in signatures.items():
        if spare < 0:
            break
        spare -= not identity.verify(role, purpose, message, signature)
    return spare >= 0


def go_bytes(sid: bytes, kind: str, position: Position) -> bytes:
    """What the signature of a ``ready`` or ``go`` covers."""
    return enc(sid, position.era, position.segment + 1, kind)


def proves(proof: EraProof, group: Group, sid: bytes, identity: Identity) -> bool:
    """Whether n-t parties said ``go`` to the era's resume; era 0 is always proven."""
    if proof.era == 0:
        return True
    signed = go_bytes(sid, "go", Position(proof.era, RESUME))
    return _enough(proof.signatures, group, identity, GO_PURPOSE, signed)


# --- bytes


def encode_certificate(certificate: Certificate) -> bytes:
    """Core, then signatures in order of signer."""
    return enc(certificate.core.encode(), _signatures(certificate.signatures))


def decode_certificate(group: Group, data: bytes) -> Certificate | None:
    """Inverse of ``encode_certificate``; None for anything else."""
    match decoded(data, most=group.n):
        case (bytes() as core_bytes, tuple() as entries):
            core, signatures = decode_core(group, core_bytes), _read_signatures(group, entries)
            return None if core is None or signatures is None else Certificate(core, signatures)
    return None


def decode_core(group: Group, data: bytes) -> Core | None:
    """Inverse of ``Core.encode``; None for anything else."""
    match decoded(data, most=CORE_ITEMS):
        case (int() as era, int() as place, bytes() as before, bytes() as contents, bytes() as state_bytes):
            fits = is_integer(era) and is_integer(place) and era < ERA_LIMIT and place < ERA_LIMIT
            state = decode_state(group, state_bytes) if len(state_bytes) <= STATE_LIMIT else None
            if fits and state is not None and len(before) == HASH and len(contents) == HASH:
                return Core(Position(era, place - 1), before, contents, state)
    return None


def encode_chain(chain: Chain) -> bytes:
    """The certificates in order."""
    return enc([encode_certificate(certificate) for certificate in chain])


def decode_chain(group: Group, data: bytes, most: int = ERA_LIMIT) -> Chain | None:
    """Inverse of ``encode_chain``, of a whole chain or of the end of one; None for more than ``most`` certificates."""
    items = decoded(data, most=most)
    if items is None or len(items) != 1 or not isinstance(items[0], tuple):
        return None
    found = [decode_certificate(group, item) if isinstance(item, bytes) else None for item in items[0]]
    chain = tuple(certificate for certificate in found if certificate is not None)
    return chain if len(chain) == len(found) else None


def encode_proof(proof: EraProof) -> bytes:
    """Era, then signatures in order of signer."""
    return enc(proof.era, _signatures(proof.signatures))


def decode_proof(group: Group, data: bytes) -> EraProof | None:
    """Inverse of ``encode_proof``; None for anything else."""
    match decoded(data, most=group.n):
        case (int() as era, tuple() as entries) if is_integer(era) and era < ERA_LIMIT:
            signatures = _read_signatures(group, entries)
            return None if signatures is None else EraProof(era, signatures)
    return None


def _signatures(signatures: Mapping[Role, bytes]) -> list[Item]:
    return [[role, signature] for role, signature in sorted(signatures.items())]


def _read_signatures(group: Group, entries: tuple[Item, ...]) -> dict[Role, bytes] | None:
    """Signers strictly increasing, so that every set of signatures has one encoding."""
    found: dict[Role, bytes] = {}
    for entry in entries:
        match entry:
            case (int() as role, bytes() as signature) if (
                is_integer(role)
                and role in group.roles
                and len(signature) == SIGNATURE
                and role > max(found, default=0)
            ):
                found[role] = signature
            case _:
                return None
    return found
