"""Who takes part: n parties, the threshold, and the sets of n-t parties that PRSS keys belong to (01 section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations

Role = int
"""A party's number, from 1."""


@dataclass(frozen=True, slots=True)
class Group:
    """n parties of which at most t are corrupt, n = 3t + 1."""

    n: int
    t: int

    @property
    def roles(self) -> range:
        """All parties, 1-based."""
        return range(1, self.n + 1)

    @property
    def quorum(self) -> int:
        """N - t: what the honest parties can always reach."""
        return self.n - self.t

    @property
    def degree2_quorum(self) -> int:
        """2t + 1: points that fix a polynomial of degree 2t."""
        return 2 * self.t + 1


@cache
def sets_of(group: Group) -> tuple[int, ...]:
    """All sets of n-t parties as masks (bit i-1 stands for party i), increasing."""
    return tuple(sorted(mask_of(members) for members in combinations(group.roles, group.quorum)))


def mask_of(members: tuple[Role, ...] | frozenset[Role]) -> int:
    """The set as a mask."""
    return sum(1 << (role - 1) for role in members)


def members_of(mask: int, group: Group) -> tuple[Role, ...]:
    """Parties of a set, increasing."""
    return tuple(role for role in group.roles if contains(mask, role))


def contains(mask: int, role: Role) -> bool:
    """Whether the party is in the set."""
    return bool(mask >> (role - 1) & 1)
