"""The control layer as a whole under virtual time: thousands of seeded runs by hand, some hundred of them here.

Every run has up to t faulty parties and crashes at any time; it must end at all honest parties with one state, one
certificate a position, no word spoken twice, nobody honest named, and online on one input.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256

import pytest

from dkg_node.algebra.encoding import enc
from dkg_node.ceremony.book import Statement
from dkg_node.ceremony.chain import GO_PURPOSE, Position, go_bytes
from dkg_node.ceremony.letters import Say, encode
from dkg_node.protocols.broadcast import HEAD, SIGNATURE
from dkg_node.protocols.session import Exchange, Group, Role
from dkg_node.testing.control_faults import Aim
from dkg_node.testing.control_mutants import first_failure
from dkg_node.testing.control_party import Crash
from dkg_node.testing.control_runs import FAMILIES, draw_plan
from dkg_node.testing.control_world import Plan, World
from dkg_node.testing.simnet import Faults, SimNetwork, Weather
from dkg_node.testing.toy_segments import LIE, WORD, Shape

SMALL = Group(4, 1)
LARGE = Group(7, 2)


def run(plan: Plan) -> World:
    world = World(plan)
    assert world.run() == []
    return world


@pytest.mark.parametrize("block", range(4))
def test_four_parties_end_alike_whatever_one_of_them_does_and_whoever_crashes(block: int) -> None:
    for seed in range(30 * block, 30 * block + 30):
        assert World(draw_plan(SMALL, seed)).run() == [], f"seed {seed}"


@pytest.mark.parametrize("block", range(3))
def test_seven_parties_end_alike_whatever_two_of_them_do_and_whoever_crashes(block: int) -> None:
    for seed in range(5 * block, 5 * block + 5):
        assert World(draw_plan(LARGE, seed)).run() == [], f"seed {seed}"


@pytest.mark.parametrize("family", ["twisted", "restarts", "disks", "aimed", "far"])
def test_four_parties_end_alike_in_every_family_of_runs(family: str) -> None:
    for seed in range(15):
        assert World(FAMILIES[family](SMALL, seed)).run() == [], f"seed {seed}"


@pytest.mark.parametrize("family", ["disks", "aimed", "far"])
def test_seven_parties_end_alike_in_every_family_of_runs(family: str) -> None:
    for seed in range(2):
        assert World(FAMILIES[family](LARGE, seed)).run() == [], f"seed {seed}"


def test_a_run_is_the_same_for_the_same_seed() -> None:
    logs = []
    for _ in range(2):
        world = World(draw_plan(SMALL, 11))
        world.run()
        logs.append(world.log)
    assert logs[0] == logs[1]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("relative deadlines", 3),
        ("resume takes the oldest chain", 13),
        ("speaks right after a restart", 7),
        ("certificate of n-t-1 signatures", 1),
        ("nothing sealed", 10),
        ("no go on t+1 go", 13),
        ("start on t+1 go", 1),
        ("no ready(E+1) without certificate", 4),
        ("round r accepts r-1 signatures", 7),
        ("no relays", 0),
        ("certificates are not shown", 2),
        ("nobody answers about setup", 2),
        ("listens to far positions", 0),
        ("starts without results", 13),
        ("nobody waits for who comes back", 0),
        ("an empty disk is fresh", 2),
        ("an old copy is good", 5),
        ("letters are read before the start", 38),
    ],
)
def test_a_broken_rule_is_noticed(name: str, first: int) -> None:
    assert first_failure(name, range(first, first + 25), SMALL) is not None


def test_nobody_waits_twice_for_a_silent_party() -> None:
    world = run(Plan(SMALL, 1, frozenset({2}), "silent"))
    assert world.eras == 0
    away = {role: world.ends[role][0].core.state.absent for role in world.honest}
    assert set(away.values()) == {frozenset({2})}
    certified = [when for when, role, event, _ in world.log if event == "certificate" and role != 2]
    assert certified[-1] - certified[0] < 44.0, "virtual seconds: after setup no slot's end is waited for"


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


class Liar(Faults):
    """In the first Broadcast of a segment a faulty party signs a provable lie, the same to all."""

    def __init__(self, world: World, liar: Role, segment: int) -> None:
        self._world, self._liar, self._segment = world, liar, segment

    def twist(self, network: SimNetwork, request: Exchange) -> list[Mapping[Role, bytes]]:
        if network.me != self._liar or request.tag.segment != self._segment or request.slot != "b0.1":
            return [request.outgoing]
        body = next(iter(request.outgoing.values()))[SIGNATURE : SIGNATURE + HEAD] + LIE.ljust(WORD)
        digest = sha256(body).digest()
        network.offer(digest, body)
        where = enc(bytes(32), network.era, request.tag.segment, request.tag.slot, network.me, digest)
        return [dict.fromkeys(request.outgoing, self._world.signer(network.me, "broadcast", where) + body)]


@pytest.mark.parametrize("segment", [1, 2])
def test_a_provable_lie_makes_its_sender_corrupt_for_good_and_nobody_else(segment: int) -> None:
    world = World(Plan(SMALL, 11, frozenset({3}), "honest"))
    world.wires.faults = Liar(world, 3, segment)
    assert world.run() == []
    corrupt = [certificate.core.state.corrupt for certificate in world.ends[1]]
    assert set(corrupt[:segment]) == {frozenset()}
    assert set(corrupt[segment:]) == {frozenset({3})}


def aimed(plan: Plan, segment: int, *, first: int = -1, last: int = -1) -> World:
    """Colluders withhold their messages of these slots of a segment (-1: its last) from party 1, and answer it not."""
    world = World(plan)
    ends = {number: plan.shape.last_slot(number, plan.group.t) for number in range(len(plan.shape.stages))}
    world.faults.aim = Aim(frozenset({1}), frozenset({segment}), first, last, ends, unhelpful=True, until=99)
    return world


def test_a_party_without_one_last_message_of_setup_has_the_same_keys_as_all() -> None:
    world = aimed(Plan(SMALL, 3, frozenset({4}), "mute"), 0)
    assert world.run() == []
    assert world.judge.missing() == 0
    assert world.eras == 0


@pytest.mark.parametrize("first", range(3))
def test_colluders_that_leave_one_party_behind_take_it_out_of_no_check(first: int) -> None:
    world = aimed(Plan(LARGE, 3, frozenset({2, 3}), "mute", shape=Shape(batches=3)), 3, first=first, last=99)
    assert world.run() == []
    assert world.judge.missing() == 0


@pytest.mark.parametrize("seed", range(3))
def test_a_far_party_that_restarted_is_soon_back(seed: int) -> None:
    weather = Weather(frozenset({1}), overtaking=seed > 0)
    world = run(Plan(SMALL, seed, crashes=[Crash(22.0, 1, 2.0)], shape=Shape(batches=10), weather=weather))
    away = [1 in certificate.core.state.absent for certificate in world.ends[2]]
    assert any(away)
    assert not away[-1]


def test_letters_about_far_positions_cost_the_same_however_many_there_are() -> None:
    world = World(Plan(SMALL, 1, frozenset({4}), "honest"))
    steps: list[int] = []

    def feed() -> None:
        for number in range(2000):
            position = Position(1000 + number, 0)
            signature = world.signer(4, GO_PURPOSE, go_bytes(bytes(32), "ready", position))
            letter = encode(Say(Statement("ready", position, signature)))
            steps.append(calls(partial(world.controls[1].take, 4, letter)))

    world.later.append((4.0, feed))
    assert world.run() == []
    assert max(steps[-100:]) <= max(steps[100:200])
    assert len(steps) == 2000


def calls(work: Callable[[], None]) -> int:
    """How many functions a piece of work calls: a measure of its cost that is the same on every machine."""
    count = 0

    def heard(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(heard)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("when", [1.5, 4.0, 9.0, 14.0])
@pytest.mark.parametrize("back", [0, 1, 2])
def test_a_party_with_an_old_copy_or_no_disk_speaks_nowhere_twice_though_a_liar_denies_it(
    when: float, back: int
) -> None:
    crash = Crash(when, 3, 1.0, wiped=back == 0, rolled_back=back)
    run(Plan(SMALL, 5, frozenset({4}), "wrong", crashes=[crash]))
