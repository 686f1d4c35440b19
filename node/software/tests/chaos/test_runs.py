"""Real processes, real faults: small runs of what `make chaos` does by the hundred."""

import asyncio
from pathlib import Path

import pytest

from dkg_node.ceremony.phases import segments_of
from dkg_node.keygen.parameters import parameter_set
from dkg_node.keygen.plan import plan_of
from dkg_node.protocols.session import Group
from dkg_node_software.chaos.harness import Setting, close, make_stage, play
from dkg_node_software.chaos.judge import Reference, judge
from dkg_node_software.chaos.record import Record, append, read, table
from dkg_node_software.chaos.schedule import Fault, Schedule, Step, steps_of
from dkg_node_software.measure import measure

GROUP = Group(4, 1)
LIMIT = 240.0


def step(phase: str, slot: str) -> Step:
    params = parameter_set("test")
    steps = steps_of(segments_of(GROUP, params, plan_of(params)))
    return next(one for one in steps if (one.phase, one.slot) == (phase, slot))


def chaos(work: Path, *faults: Fault, lost: bool = False) -> Record:
    async def main() -> Record:
        stage = make_stage(Setting(GROUP, "test", measure(), work, LIMIT), Schedule(faults, lost), "run")
        try:
            await play(stage)
            return await judge(stage, "test", ("test", 0), check=True, reference=Reference())
        finally:
            await close(stage, keep=False)

    return asyncio.run(main())


@pytest.mark.parametrize("lie", ["wrong-y", "wrong-V"])
def test_a_liar_is_convicted_by_all_and_nobody_else_is_named(tmp_path: Path, lie: str) -> None:
    record = chaos(tmp_path, Fault("byzantine", 2, detail=lie))
    assert record.problems == ()
    assert record.named == (2,)
    assert record.accused == ()
    assert record.self_check is True


def test_a_party_killed_in_the_middle_of_a_slot_comes_back_and_finishes(tmp_path: Path) -> None:
    record = chaos(tmp_path, Fault("restart", 3, step("batch bits", "V"), "during", 0.1))
    assert record.problems == ()
    assert [fault.kind for fault in record.faults] == ["restart"]
    assert record.finished == (1, 2, 3, 4)
    assert record.named == record.accused == ()
    assert record.self_check is True


def test_a_party_that_is_back_when_all_is_over_gets_every_public_key_from_the_others(tmp_path: Path) -> None:
    """Its peers open all keys without it; the judge asks every finisher for all key files."""
    record = chaos(tmp_path, Fault("restart", 2, step("online", "open"), "before", 10.0))
    assert record.problems == ()
    assert record.finished == (1, 2, 3, 4)


def test_a_party_that_missed_the_setup_regains_its_keys_when_the_others_have_the_key_already(tmp_path: Path) -> None:
    record = chaos(tmp_path, Fault("restart", 4, step("setup", "open"), "before", 10.0))
    assert record.problems == ()
    assert record.finished == (1, 2, 3, 4)
    assert record.self_check is True


@pytest.mark.long
def test_with_two_parties_away_the_others_wait_naming_them_and_finish_when_one_is_back(tmp_path: Path) -> None:
    place = step("batch noise", "votes.1")
    record = chaos(tmp_path, Fault("restart", 1, place, "before", 10.0), Fault("kill", 4, place, "before"), lost=True)
    assert record.problems == ()
    assert record.missing_named is True
    assert record.finished == (1, 2, 3)


@pytest.mark.long
def test_who_is_missed_is_named_also_if_it_had_signed_all_that_was_due(tmp_path: Path) -> None:
    """The others can't get their checkpoints acknowledged, and have everybody's word for the next segment."""
    place = step("batch product", "close")
    faults = [Fault("restart", party, place, "before", 8.0) for party in (1, 3)]
    record = chaos(tmp_path, *faults, lost=True)
    assert record.problems == ()
    assert record.missing_named is True
    assert record.finished == (1, 2, 3, 4)


def test_results_of_several_invocations_add_up_and_a_repeated_run_counts_once(tmp_path: Path) -> None:
    def record(run: int, *problems: str) -> Record:
        lists: dict[str, tuple[()]] = dict.fromkeys(("faults", "returning", "named", "accused", "must_name"), ())
        facts = {"commit": "c", "seed": "s", "run": run, "n": 4, "t": 1, "lost": False, "planned": 0}
        ends = {"honest": (1, 2, 3, 4), "finished": (1, 2, 3, 4), "missing_named": None, "self_check": None}
        costs = {"seconds": 1.0, "lost_seconds": 0.0, "lost_bytes": 0, "problems": problems}
        return Record(**lists, **facts, **ends, **costs)  # type: ignore[arg-type]  # each field is given once

    results = tmp_path / "out" / "chaos.json"
    for one in (record(0), record(1, "it hung"), record(1)):
        append(results, one)
    results.write_text(results.read_text() + "not a line of results\n")
    assert read(results) == [record(0), record(1)]
    assert any("2 runs" in line and "2 good" in line for line in table(read(results)))
