from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_api.transcript import verify_lines
from dkg_node.ceremony.phases import segments_of
from dkg_node.ceremony.progress import Load, Meter, Progress, loads_of
from dkg_node.ceremony.transcript import Transcript
from dkg_node.keygen.parameters import PARAMETER_SETS
from dkg_node.keygen.plan import plan_of
from dkg_node.protocols.session import Group

LOADS = [Load("setup", 0, 0), Load("batch", 1000, 500), Load("online", 3000, 0)]


class Clock:
    def utc(self) -> str:
        return "2030-01-31T12:00:00.000Z"


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2000)), max_size=30))
def test_progress_never_goes_back_and_never_passes_the_end(steps: list[tuple[int, int]]) -> None:
    seen: list[Progress] = []
    time = iter(range(10_000))
    meter = Meter(LOADS, lambda: float(next(time)), seen.append)
    entered = -1
    for segment, size in sorted(steps):
        if segment > entered:
            entered = segment
            meter.enter(segment)
        meter.sent(size)
    meter.finish()
    percents = [progress.percent for progress in seen]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert all(0 <= progress.bits <= 500 for progress in seen)
    assert seen[-1].bits == 500


@pytest.mark.parametrize("name", ["test", "core"])
def test_the_loads_count_every_bit_of_the_set_once(name: str) -> None:
    params = PARAMETER_SETS[name]
    group = Group(13, 4)
    loads = loads_of(group, segments_of(group, params, plan_of(params)))
    surplus = sum(load.bits for load in loads) - params.bits
    assert 0 <= surplus < 4 * 128 * len(params.keys)


def test_a_transcript_is_a_chain_and_never_overwrites_one(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    transcript = Transcript(path, Clock())
    for segment in range(4):
        transcript.add("segment", segment=segment, parties=[1, 2])
    transcript.close()
    lines = path.read_bytes().splitlines(keepends=True)
    assert verify_lines(lines) is None
    assert verify_lines([lines[0], *lines[2:]]) is not None
    with pytest.raises(FileExistsError):
        Transcript(path, Clock())
