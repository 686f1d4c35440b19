"""Statements about sealed states, and what a boot makes of its own state and of the answers. Pure (03 "Epoch")."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from dkg_node.algebra.encoding import enc
from dkg_node.ceremony.chain import HASH, NO_PROOF, SIGNATURE, Chain, EraProof
from dkg_node.ceremony.program import Sealed
from dkg_node.errors import SealedStateRolledBack
from dkg_node.protocols.decoding import decoded, is_integer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg_node.protocols.session import Group, Identity, Role

PURPOSE = "checkpoint"


class Place(NamedTuple):
    """Where a sealed state stands among all of one party; ordered as they were made."""

    boot: int
    """Number of the boot that sealed it."""
    epoch: int
    """Counts on through all boots that knew the one before."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Names one sealed state."""

    place: Place
    digest: bytes
    """SHA-256 of the sealed file."""

    def signed(self, sid: bytes, role: Role) -> bytes:
        """What the party signs."""
        return enc(sid, role, self.place.boot, self.place.epoch, self.digest)


@dataclass(frozen=True, slots=True)
class EpochStatement:
    """A party's signed word about its newest sealed state."""

    stamp: Stamp
    signature: bytes

    def encode(self) -> bytes:
        """As bytes: boot, epoch, digest, signature."""
        place = self.stamp.place
        return enc(place.boot, place.epoch, self.stamp.digest, self.signature)

    def holds(self, identity: Identity, sid: bytes, role: Role) -> bool:
        """Whether the party signed it."""
        return identity.verify(role, PURPOSE, self.stamp.signed(sid, role), self.signature)


def decode_statement(data: bytes) -> EpochStatement | None:
    """Inverse of ``EpochStatement.encode``; None for anything else."""
    match decoded(data):
        case (int() as boot, int() as epoch, bytes() as digest, bytes() as signature) if (
            is_integer(boot) and is_integer(epoch) and len(digest) == HASH and len(signature) == SIGNATURE
        ):
            return EpochStatement(Stamp(Place(boot, epoch), digest), signature)
    return None


@dataclass(frozen=True, slots=True)
class Kept:
    """What an earlier boot sealed."""

    stamp: Stamp
    proof: EraProof
    chain: Chain
    blind: bool
    """Whether that boot had lost its disk and was not a full party again."""
    whole: bool
    """Whether the setup draws that it names are those that lie there."""


def judged(kept: Kept | None, heard: Iterable[EpochStatement]) -> Sealed:
    """What kind of start it is, of the sealed state and the statements that peers hold, all signed by this party.

    Nothing sealed and nothing heard of: fresh. Nothing sealed, but there was something: lost disk.
    SealedStateRolledBack if what is sealed is older than a statement, is another one of the same place, or names other
    setup draws.
    """
    newest = max((statement.stamp for statement in heard), key=lambda stamp: stamp.place, default=None)
    if kept is None:
        return Sealed() if newest is None else Sealed(NO_PROOF, (), "lost disk")
    place = kept.stamp.place
    if newest is not None and (newest.place > place or (newest.place == place and newest.digest != kept.stamp.digest)):
        msg = f"the sealed state is of epoch {place.epoch}, but peers hold this party's statement of epoch"
        raise SealedStateRolledBack(f"{msg} {newest.place.epoch}: it is an old copy; never put one back")
    if not kept.whole and not kept.chain:
        msg = f"the setup draws are not those of the sealed state of epoch {place.epoch}: an old copy was put back"
        raise SealedStateRolledBack(f"{msg}; never do that")
    return Sealed(kept.proof, kept.chain, "lost disk" if kept.blind else "restart")


@dataclass(slots=True)
class Asking:
    """The answers to a boot's question for the newest statement of itself."""

    group: Group
    me: Role
    grace: float
    """startGrace, seconds."""
    quiet: float
    """How long nothing must change, seconds, before parties that are not connected are taken to be away."""
    answers: dict[Role, EpochStatement | None] = field(default_factory=dict)
    _quorum_at: float | None = None
    _seen: tuple[int, int] = (0, 0)
    _changed_at: float = 0.0

    def hear(self, role: Role, statement: EpochStatement | None) -> None:
        """Take an answer; of several of one peer the newest."""
        known = self.answers.get(role)
        if known is None or (statement is not None and statement.stamp.place > known.stamp.place):
            self.answers[role] = statement

    def enough(self, connected: frozenset[Role], now: float, *, sealed: bool) -> bool:
        """Whether the party can go on: n-t answered, itself included, AND everybody who can be expected to.

        n-t alone are one too few. A statement that counts is held by 2t others; the first 2t others to answer share
        with them at least t, and these may be just the t liars, who deny it. With every answer of a connected party
        there is an honest holder among them, unless the network keeps all t honest holders away for startGrace: then
        this boot waits no longer, for t parties may really be gone. Who has something ``sealed`` waits for connected
        parties only; an empty disk waits the full startGrace for all, since "fresh" must not be a liar's word.
        """
        answered = self.answers.keys() | {self.me}
        if len(answered) < self.group.quorum:
            return False
        if self._quorum_at is None:
            self._quorum_at = now
        if self._seen != (len(connected), len(answered)):
            self._seen, self._changed_at = (len(connected), len(answered)), now
        if len(answered) == self.group.n or now >= self._quorum_at + self.grace:
            return True
        return sealed and answered >= connected and now >= self._changed_at + self.quiet

    def heard(self) -> list[EpochStatement]:
        """All statements of this party that peers hold."""
        return [statement for statement in self.answers.values() if statement is not None]
