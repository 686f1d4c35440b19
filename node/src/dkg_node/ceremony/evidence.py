"""What makes a chain grow: signatures on cores as they come in, and chains that prove themselves (01 section 2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg_node.ceremony.chain import SEGMENT_PURPOSE, Certificate, Chain, Core, Position, head, linked, proves, valid

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from dkg_node.ceremony.chain import EraProof
    from dkg_node.ceremony.go import Stand
    from dkg_node.protocols.session import Group, Identity, Role


@dataclass(slots=True)
class Evidence:
    """Signatures on certificates to come, and certificates seen to be valid."""

    group: Group
    sid: bytes
    identity: Identity
    _signatures: dict[bytes, tuple[Core, dict[Role, bytes]]] = field(default_factory=dict)
    _signed: set[tuple[Position, Role]] = field(default_factory=set)
    _verified: set[tuple[bytes, frozenset[tuple[Role, bytes]]]] = field(default_factory=set)

    def note(self, role: Role, core: Core, signature: bytes) -> None:
        """Take a party's signature, if it is one. The first for a position counts: honest parties sign one core."""
        place = core.position, role
        if place in self._signed:
            return
        if self.identity.verify(role, SEGMENT_PURPOSE, core.signed(self.sid), signature):
            self._signed.add(place)
            self._signatures.setdefault(core.digest(), (core, {}))[1][role] = signature

    def certified(self, position: Position, bases: Sequence[Chain]) -> Chain | None:
        """The chain with a certificate of n-t signatures for ``position``, on top of the base that it names."""
        for core, signatures in self._signatures.values():
            if core.position == position and len(signatures) >= self.group.quorum:
                for base in bases:
                    if head(base) == core.before:
                        return (*base, Certificate(core, dict(signatures)))
        return None

    def most(self, proof: EraProof, stand: Stand) -> int:
        """Certificates in the longest chain up to a proven era: all segments, a resume an era. None if not proven."""
        proven = proof.era <= stand.era or proves(proof, self.group, self.sid, self.identity)
        return stand.segments + max(stand.era, proof.era) if proven else 0

    def keep(self, positions: Collection[Position]) -> None:
        """Forget signatures for all other positions."""
        self._signatures = {d: entry for d, entry in self._signatures.items() if entry[0].position in positions}
        self._signed = {place for place in self._signed if place[0] in positions}

    def proves(self, chain: Chain) -> bool:
        """Whether a chain is linked and every certificate valid; those seen before need no second look.

        The newest first: it is what a liar would have to make up.
        """
        if not linked(chain):
            return False
        for certificate in reversed(chain):
            name = certificate.core.digest(), frozenset(certificate.signatures.items())
            if name not in self._verified:
                if not valid(certificate, self.group, self.sid, self.identity):
                    return False
                self._verified.add(name)
        return True
