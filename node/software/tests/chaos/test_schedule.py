"""What the schedules of chaos promise."""

import asyncio
from signal import SIGCONT
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_node.ceremony.phases import segments_of
from dkg_node.errors import UsageError
from dkg_node.keygen.parameters import parameter_set
from dkg_node.keygen.plan import plan_of
from dkg_node.protocols.session import Group
from dkg_node_software.adversaries import KINDS as LIARS
from dkg_node_software.adversaries import base_name
from dkg_node_software.chaos.faults import Injector, trap_of
from dkg_node_software.chaos.schedule import CONVICTED, FOUND, HARMLESS, KINDS, Fault, Schedule, Step, draw, steps_of
from dkg_node_software.chaos.trap import Trap, parse_trap

GROUPS = {t: Group(3 * t + 1, t) for t in (1, 2, 3, 4)}
PARAMS = parameter_set("test")
STEPS = {t: steps_of(segments_of(group, PARAMS, plan_of(PARAMS))) for t, group in GROUPS.items()}

sizes = st.sampled_from(sorted(GROUPS))
seeds = st.text(max_size=8)
runs = st.integers(0, 10_000)


def schedule(t: int, seed: str, run: int, kinds: tuple[str, ...] = KINDS) -> Schedule:
    return draw(seed, run, GROUPS[t], STEPS[t], kinds)


@given(sizes, seeds, runs)
def test_more_than_t_parties_are_faulty_only_in_marked_runs(t: int, seed: str, run: int) -> None:
    drawn = schedule(t, seed, run)
    fits = len(drawn.faulty) == t + 1 if drawn.lost else 0 < len(drawn.faulty) <= t
    assert fits


@given(sizes, seeds, runs)
def test_in_a_marked_run_all_fall_silent_at_one_step_and_enough_come_back(t: int, seed: str, run: int) -> None:
    drawn = schedule(t, seed, run)
    if drawn.lost:
        deadly = [fault for fault in drawn.faults if fault.kind not in HARMLESS]
        assert {fault.kind for fault in deadly} <= {"kill", "restart"}
        assert len({(fault.step, fault.moment) for fault in deadly}) == 1
    assert len(drawn.gone) <= t


@given(sizes, seeds, runs)
def test_the_same_seed_gives_the_same_schedule(t: int, seed: str, run: int) -> None:
    assert schedule(t, seed, run) == schedule(t, seed, run)


def test_another_run_number_gives_another_schedule() -> None:
    assert len({schedule(4, "s", run) for run in range(50)}) > 45


@given(sizes, seeds, runs, st.sets(st.sampled_from(KINDS), min_size=1))
def test_only_wanted_kinds_are_drawn(t: int, seed: str, run: int, kinds: set[str]) -> None:
    drawn = schedule(t, seed, run, tuple(sorted(kinds)))
    used = {fault.kind for fault in drawn.faults}
    assert used <= kinds | ({"kill"} if drawn.lost else set())


@given(sizes, seeds, runs)
def test_every_fault_stands_at_a_step_that_an_honest_run_comes_to(t: int, seed: str, run: int) -> None:
    for fault in schedule(t, seed, run).faults:
        assert fault.step in (*STEPS[t], None)
        assert (fault.step is None) == (fault.kind == "byzantine")


@given(sizes, seeds, runs)
def test_what_is_cut_is_never_cut_between_two_parties_without_a_fault(t: int, seed: str, run: int) -> None:
    drawn = schedule(t, seed, run)
    assert all(fault.party in drawn.faulty for fault in drawn.faults if fault.kind not in HARMLESS)
    assert all(fault.party not in fault.peers for fault in drawn.faults)


@given(sizes, seeds, runs)
def test_faults_stand_in_the_order_in_which_a_run_comes_to_them(t: int, seed: str, run: int) -> None:
    """Else a party is stopped at a step for ever, while the one that would let it go on waits for a later step."""
    places = [STEPS[t].index(fault.step) for fault in schedule(t, seed, run).faults if fault.step is not None]
    assert places == sorted(places)


def test_two_hundred_runs_reach_every_kind_and_every_phase() -> None:
    drawn = [fault for run in range(200) for fault in schedule(1, "1", run).faults]
    assert {fault.kind for fault in drawn} == set(KINDS)
    phases = {fault.step.phase for fault in drawn if fault.step is not None}
    assert phases == {step.phase for step in STEPS[1]}
    lies = {fault.detail for fault in drawn if fault.kind == "byzantine"}
    assert len(lies & CONVICTED) >= 4


def test_a_liar_that_changes_a_value_is_one_that_can_be_started() -> None:
    assert set(LIARS) >= CONVICTED | FOUND


@pytest.mark.parametrize("t", GROUPS)
def test_steps_are_distinct_and_lie_in_the_first_round(t: int) -> None:
    assert len(set(STEPS[t])) == len(STEPS[t])
    assert not [
        step for step in STEPS[t] if base_name(step.slot) != step.slot or step.slot in {"fault", "keys.1", "show.1"}
    ]


def test_steps_have_one_name_for_all_batches_of_a_kind() -> None:
    assert Step(3, "votes.1.r2", "batch noise").name == Step(7, "votes.1", "batch noise").name


@given(st.integers(-1, 500), st.sampled_from(["y", "votes.2", "bodies.bsk", "open"]), st.sampled_from(["kill", "stop"]))
def test_a_trap_on_the_command_line_is_the_trap_that_was_meant(segment: int, slot: str, action: str) -> None:
    trap = Trap(segment, slot, "after", action)
    assert parse_trap(str(trap)) == trap


@pytest.mark.parametrize("text", ["", "1/y=kill", "1/y/before=explode", "x/y/before=kill", "1/y/during=stop", "1/y/z"])
def test_a_trap_that_nobody_could_set_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_trap(text)


def test_a_place_that_a_party_passed_in_silence_holds_no_later_fault_back() -> None:
    """Else the party stays stopped at the later place for ever."""
    missed, reached = (Fault("pause", 3, one, "before", 0.0) for one in (STEPS[1][8], STEPS[1][-1]))
    signals: list[int] = []

    class Stopped:
        """A party that was silent in the first place and stopped at the second."""

        def fired(self, _party: int) -> list[tuple[str, float]]:
            return [(trap_of(reached) or "", 1.0)]

        def stopped(self, _party: int) -> bool:
            return True

        def signal(self, _party: int, number: int) -> None:
            signals.append(number)

    schedule: Any = Schedule((missed, reached), lost=False)
    nodes: Any = Stopped()
    injector = Injector(schedule, nodes, nodes)
    asyncio.run(asyncio.wait_for(injector.run(), 60))
    assert signals == [SIGCONT]
    assert set(injector.injected) == set(injector.over) == {reached}
