"""The control layer as a whole under virtual time: thousands of seeded runs by hand, some hundred of them here.

Every run has up to t faulty parties and crashes at any time; it must end at all honest parties with one state, one
certificate a position, no word spoken twice, nobody honest named, and online on one input.
"""

from __future__ import annotations

import pytest

from dkg_node.protocols.session import Group
from dkg_node.testing.control_mutants import first_failure
from dkg_node.testing.control_runs import draw_plan
from dkg_node.testing.control_world import Crash, Plan, World

SMALL = Group(4, 1)
LARGE = Group(7, 2)


def run(plan: Plan) -> World:
    world = World(plan)
    assert world.run() == []
    return world


@pytest.mark.parametrize("block", range(10))
def test_four_parties_end_alike_whatever_one_of_them_does_and_whoever_crashes(block: int) -> None:
    for seed in range(30 * block, 30 * block + 30):
        assert World(draw_plan(SMALL, seed)).run() == [], f"seed {seed}"


@pytest.mark.parametrize("block", range(5))
def test_seven_parties_end_alike_whatever_two_of_them_do_and_whoever_crashes(block: int) -> None:
    for seed in range(6 * block, 6 * block + 6):
        assert World(draw_plan(LARGE, seed)).run() == [], f"seed {seed}"


def test_a_run_is_the_same_for_the_same_seed() -> None:
    logs = []
    for _ in range(2):
        world = World(draw_plan(SMALL, 11))
        world.run()
        logs.append(world.log)
    assert logs[0] == logs[1]


@pytest.mark.parametrize(
    ("name", "seeds"),
    [
        ("relative deadlines", range(9, 10)),
        ("resume takes the oldest chain", range(4, 5)),
        ("speaks right after a restart", range(4, 5)),
        ("certificate of n-t-1 signatures", range(1)),
        ("nothing sealed", range(4, 5)),
        ("start on t+1 go", range(1)),
        ("no ready(E+1) without certificate", range(4, 5)),
        ("round r accepts r-1 signatures", range(4, 5)),
        ("no relays", range(1)),
        ("certificates are not shown", range(9, 10)),
    ],
)
def test_a_broken_rule_is_noticed(name: str, seeds: range) -> None:
    assert first_failure(name, seeds, SMALL) is not None


def test_nobody_waits_twice_for_a_silent_party() -> None:
    world = run(Plan(SMALL, 1, frozenset({2}), "silent"))
    assert world.eras == 0
    certified = {role: world.ends[role][0].core.state.absent for role in world.honest}
    assert set(certified.values()) == {frozenset({2})}
    ends = [entry[0] for entry in world.log if entry[2] == "done" and entry[1] != 2]
    assert max(ends) < 60.0, "virtual time: one startGrace and one segment's slots are waited for, not all five's"


def test_a_party_that_crashed_is_absent_and_then_readmitted() -> None:
    world = run(Plan(SMALL, 3, crashes=[Crash(12.0, 2, 8.0)]))
    chain = world.ends[1]
    absent = [2 in certificate.core.state.absent for certificate in chain]
    assert any(absent)
    assert not absent[-1]
    assert world.eras == 0


def test_all_parties_that_crash_together_go_on_in_the_next_era() -> None:
    world = run(Plan(SMALL, 5, crashes=[Crash(12.0, role, 2.0) for role in SMALL.roles]))
    assert world.eras >= 1


def test_more_than_t_missing_only_wait_and_finish_when_they_are_back() -> None:
    world = run(Plan(SMALL, 7, crashes=[Crash(8.0, 1, 400.0), Crash(8.0, 2, 400.0)]))
    ended = [entry[0] for entry in world.log if entry[2] == "done"]
    assert min(ended) > 400.0


def test_a_party_with_an_empty_disk_ends_with_the_others() -> None:
    run(Plan(SMALL, 9, crashes=[Crash(9.0, 3, 5.0, wiped=True)]))


def test_a_provable_lie_makes_its_sender_corrupt_for_good_and_nobody_else() -> None:
    for seed in range(400):
        plan = draw_plan(SMALL, seed)
        if plan.behaviour in {"select", "late", "hide"} and plan.faulty:
            world = run(plan)
            named = {role for chain in world.ends.values() for c in chain for role in c.core.state.corrupt}
            assert named <= plan.faulty
            if named:
                return
    pytest.fail("no seed has a provable lie")
