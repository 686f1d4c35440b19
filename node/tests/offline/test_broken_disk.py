"""A disk that loses a V costs its party the segment, never the others anything, and never the party's ceremony."""

from __future__ import annotations

import pytest

from dkg_node.errors import OpeningLost, QuorumLost
from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.protocols.session import Group, Role
from dkg_node.protocols.store import MemoryStore
from dkg_node.testing.batches import judged, simulate_batch
from dkg_node.testing.liars import Liars

GROUPS = [Group(4, 1), Group(7, 2)]


class Forgetful(MemoryStore):
    """Loses or damages every body."""

    def __init__(self, *, damage: bool) -> None:
        super().__init__()
        self._damage = damage

    def get(self, digest: bytes) -> bytes | None:
        body = super().get(digest)
        return body[:-1] + b"?" if body is not None and self._damage else None


class FailsLater(MemoryStore):
    """Gives a body back a few times only."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def get(self, digest: bytes) -> bytes | None:
        self.left -= 1
        return super().get(digest) if self.left >= 0 else None


def bits(chunks: int) -> Batch:
    return Batch(5, "bits", 64, tuple(Chunk(i, "bits", 64, groups=1) for i in range(chunks)))


def stores(group: Group, broken: Role, store: MemoryStore) -> dict[Role, MemoryStore]:
    return {role: store if role == broken else MemoryStore() for role in group.roles}


@pytest.mark.parametrize("harm", ["lost", "damaged"])
@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_a_party_whose_openings_are_lost_sits_the_batch_out_and_the_others_end_it(group: Group, harm: str) -> None:
    broken = group.n
    run = simulate_batch(group, bits(2), stores=stores(group, broken, Forgetful(damage=harm == "damaged")))
    error = run.errors[broken]
    assert isinstance(error, OpeningLost)
    assert isinstance(error, QuorumLost)  # the control layer ends the era for it, and nothing else
    assert "batch 5 chunk 0: the stored V is lost or damaged" in str(error)
    result = judged(group, run, frozenset({broken}))
    assert result.state.corrupt == set()
    assert result.state.absent == {broken}


def test_a_disk_that_fails_between_check_and_verdict_stops_no_verdict() -> None:
    """The king's wrong V is read once more to judge it: who can't is silent, and the rest convict."""
    group = GROUPS[1]  # liar and broken disk are t parties here
    liars, broken = Liars(1).add_to_v(1), group.n
    liars.corrupt |= {broken}
    run = simulate_batch(group, bits(1), liars, stores=stores(group, broken, FailsLater(1)))
    assert isinstance(run.errors[broken], OpeningLost)
    result = judged(group, run, liars.corrupt)
    assert result.state.corrupt == {1}
    assert result.state.absent == {broken}
