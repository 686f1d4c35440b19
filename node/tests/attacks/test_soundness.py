"""Soundness measured in whole runs: with one digit a forged opening passes one time in 16, with all digits never.

The number of digits is a constant of the product; these tests break it open from outside, in the lock-step run.
"""

from __future__ import annotations

from math import sqrt

import pytest

from dkg_node.offline import check, judge
from dkg_node.offline import round as one_round
from dkg_node.offline.batch import batch_slots
from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.protocols.session import Group, Role, Tag
from dkg_node.testing.batches import simulate_batch
from dkg_node.testing.liars import Liars, plus

GROUP = Group(4, 1)
RUNS = 320
WORD = 32
"""Bytes of an element of bits at K=64 on the wire."""
FORGERIES = {"one element": ((0, 1),), "a cancelling pair": ((0, 5), (WORD, -5)), "its highest bit": ((0, 1 << 62),)}


def bits(index: int) -> Batch:
    """The index is in every label: another coin in every run."""
    return Batch(index, "bits", 64, (Chunk(0, "bits", 64, groups=2),))


def forged(v: bytes, changes: tuple[tuple[int, int], ...]) -> bytes:
    for at, delta in changes:
        v = plus(v, delta, at)
    return v


def passes(index: int, changes: tuple[tuple[int, int], ...]) -> bool:
    """Whether king 1's forged V is accepted; a failed check ends the run, its verdict is another test's."""
    liars = Liars(1).plan(1, "V", lambda move: {peer: v and forged(v, changes) for peer, v in move.honest.items()})
    schedule = batch_slots(GROUP, bits(index))
    fault = next(at for at, slot in enumerate(schedule) if slot.name == "fault")

    def stop_at(_: Role, tag: Tag) -> bool:
        return tag.slot >= fault

    run = simulate_batch(GROUP, bits(index), liars, stop_at=stop_at)
    accepted = {role: role in run.results for role in (2, 3, 4)}
    assert len(set(accepted.values())) == 1, run.errors
    return accepted[2]


@pytest.mark.parametrize("name", ["one element", "a cancelling pair"])
def test_with_one_digit_a_forged_opening_is_accepted_about_one_time_in_sixteen(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (check, judge, one_round):
        monkeypatch.setattr(module, "DIGITS", 1)
    accepted = sum(passes(index, FORGERIES[name]) for index in range(RUNS))
    assert abs(accepted - RUNS / 16) < 4 * sqrt(RUNS * 15) / 16


@pytest.mark.parametrize("changes", FORGERIES.values(), ids=list(FORGERIES))
def test_with_all_digits_a_forged_opening_is_never_accepted(changes: tuple[tuple[int, int], ...]) -> None:
    assert check.DIGITS == 32
    assert not any(passes(index, changes) for index in range(RUNS // 8))
