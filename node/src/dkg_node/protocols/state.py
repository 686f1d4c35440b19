"""Public state: who counts, who may be king or sender, which batch is in which generation (01 section 2).

It changes only by Broadcast outputs or by signed evidence that was broadcast, so it is identical at all honest parties.
Every Broadcast body and king message carries its digest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dkg_node.algebra.encoding import Mask, digest
from dkg_node.sharing import sets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg_node.protocols.session import Group, Role, Session

Pair = tuple[int, int]


def mask_of(roles: Iterable[Role]) -> Mask:
    """A set of parties as a 16-bit mask: bit i-1 stands for party i."""
    return Mask(sets.mask_of(frozenset(roles)))


def roles_of(mask: int) -> tuple[Role, ...]:
    """The parties of a mask, increasing."""
    return tuple(i + 1 for i in range(mask.bit_length()) if mask >> i & 1)


def pair(a: Role, b: Role) -> Pair:
    """Two parties, the smaller first."""
    return (a, b) if a < b else (b, a)


@dataclass(frozen=True, slots=True)
class PublicState:
    """What all honest parties know alike about each other at the start of a segment."""

    corrupt: frozenset[Role] = frozenset()
    """Proven wrong: nothing of theirs counts any more."""
    absent: frozenset[Role] = frozenset()
    """Their Broadcast was None: not waited for, not counted, until readmitted."""
    benched: frozenset[Role] = frozenset()
    """Neither sender nor king for now; still votes and holds shares."""
    never_king: frozenset[Role] = frozenset()
    disputes: frozenset[Pair] = frozenset()
    """King and sender who contradict each other, the smaller role first: one of them is corrupt or was away."""
    generations: frozenset[Pair] = frozenset()
    """(batch, generation) of batches redone after a fault; all others are in generation 0."""

    def digest(self) -> bytes:
        """H(public state): 32 bytes."""
        return digest(
            "public state",
            mask_of(self.corrupt),
            mask_of(self.absent),
            mask_of(self.benched),
            mask_of(self.never_king),
            [list(entry) for entry in sorted(self.disputes)],
            [list(entry) for entry in sorted(self.generations)],
        )

    def active(self, group: Group) -> frozenset[Role]:
        """Parties neither Corrupt nor Absent: waited for and counted."""
        return frozenset(group.roles) - self.corrupt - self.absent

    def eligible(self, group: Group) -> tuple[Role, ...]:
        """Parties neither Corrupt nor Absent nor Benched, in order of index: they may be senders."""
        return tuple(sorted(self.active(group) - self.benched))

    def kings(self, group: Group) -> tuple[Role, ...]:
        """Eligible parties that may be king, in order of index."""
        return tuple(role for role in self.eligible(group) if role not in self.never_king)

    def in_dispute(self, a: Role, b: Role) -> bool:
        """Whether the two contradict each other."""
        return pair(a, b) in self.disputes

    def generation(self, batch: int) -> int:
        """How often the batch was redone with fresh keys."""
        return dict(self.generations).get(batch, 0)

    def bench(self, role: Role) -> PublicState:
        """The state with one more party benched."""
        return replace(self, benched=self.benched | {role})

    def lifted(self, group: Group) -> PublicState:
        """All benches and disputes lifted; never-king too if no king is left otherwise (01 section 4, step 2)."""
        free = replace(self, benched=frozenset(), disputes=frozenset())
        return free if free.kings(group) else replace(free, never_king=frozenset())

    def bind(self, session: Session) -> Session:
        """The session under this state: it waits for and counts the active parties, its Broadcasts carry the digest."""
        return replace(session, state=self.digest(), active=self.active(session.group))
