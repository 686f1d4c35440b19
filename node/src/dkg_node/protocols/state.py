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
Bench = tuple[int, int, int]


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
    benches: frozenset[Bench] = frozenset()
    """Everybody who was ever benched: (party, how often, first batch after the last bench)."""

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
            [list(entry) for entry in sorted(self.benches)],
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

    def redone(self, batch: int) -> PublicState:
        """The state with the batch in its next generation: its keys were revealed."""
        others = frozenset(entry for entry in self.generations if entry[0] != batch)
        return replace(self, generations=others | {(batch, self.generation(batch) + 1)})

    def bench(self, role: Role, batch: int = 0) -> PublicState:
        """The state with one more party benched from ``batch`` on: the k-th time for 2^(k-1) batches.

        Its disputes are settled by that. A party that is benched already stays so as it is.
        """
        if role in self.benched:
            return self
        times = 1 + sum(count for who, count, _ in self.benches if who == role)
        others = frozenset(entry for entry in self.benches if entry[0] != role)
        return replace(
            self,
            benched=self.benched | {role},
            benches=others | {(role, times, batch + (1 << (times - 1)))},
            disputes=frozenset(entry for entry in self.disputes if role not in entry),
        )

    def disputed(self, group: Group, pairs: Iterable[Pair], batch: int) -> PublicState:
        """The state with more disputes; who has more than t of them is benched.

        An honest party has t at most while t parties at most are corrupt or away: it contradicts nobody else.
        """
        state = replace(self, disputes=self.disputes | frozenset(pairs))
        for role in group.roles:
            if sum(role in entry for entry in state.disputes) > group.t:
                state = state.bench(role, batch)
        return state

    def starting(self, batch: int) -> PublicState:
        """The state at the start of a batch: whose bench has ended is back."""
        over = frozenset(role for role, _, end in self.benches if end <= batch)
        return replace(self, benched=self.benched - over)

    def without(self, silent: Iterable[Role]) -> PublicState:
        """The state with more Absent parties."""
        return replace(self, absent=self.absent | (frozenset(silent) - self.corrupt))

    def convicted(self, corrupt: Iterable[Role], never_king: Iterable[Role]) -> PublicState:
        """The state with more Corrupt parties (nothing else is said of these any more) and parties never king again."""
        gone = self.corrupt | frozenset(corrupt)
        return replace(
            self,
            corrupt=gone,
            absent=self.absent - gone,
            benched=self.benched - gone,
            never_king=(self.never_king | frozenset(never_king)) - gone,
            disputes=frozenset(entry for entry in self.disputes if not gone & set(entry)),
            benches=frozenset(entry for entry in self.benches if entry[0] not in gone),
        )

    def lifted(self, group: Group) -> PublicState:
        """All benches and disputes lifted; never-king too if no king is left otherwise (01 section 4, step 2)."""
        free = replace(self, benched=frozenset(), disputes=frozenset())
        return free if free.kings(group) else replace(free, never_king=frozenset())

    def bind(self, session: Session) -> Session:
        """The session under this state: it waits for and counts the active parties, its Broadcasts carry the digest."""
        return replace(session, state=self.digest(), active=self.active(session.group))
