from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_node.ceremony.phases import Timing, check_fits, last_batch, longest, segments_of
from dkg_node.errors import UsageError
from dkg_node.keygen.parameters import PARAMETER_SETS
from dkg_node.keygen.plan import plan_of
from dkg_node.protocols.session import Group, Slot

TIMING = Timing(20.0, 1e6, 0.1, 20.0)
SLOTS = st.lists(
    st.builds(Slot, name=st.just("slot"), size=st.integers(0, 10**9), work=st.floats(0, 1000)), min_size=1, max_size=20
)


@given(SLOTS)
def test_slots_end_at_sums_of_delta_however_early_earlier_ones_end(slots: list[Slot]) -> None:
    ends = TIMING.ends(slots)
    lengths = [end - start for start, end in zip((0.0, *ends), ends, strict=False)]
    for slot, length in zip(slots, lengths, strict=True):
        assert length == pytest.approx(20.0 + 2 * slot.size / 1e6 + slot.work / 0.1, rel=1e-6)


@pytest.mark.parametrize(("name", "t"), [("test", 1), ("test", 4), ("core", 4), ("production", 1)])
def test_segments_are_setup_then_the_batches_in_plan_order_then_a_key_each_then_assembly(name: str, t: int) -> None:
    params = PARAMETER_SETS[name]
    plan = plan_of(params)
    segments = segments_of(Group(3 * t + 1, t), params, plan)
    batches, keys = len(plan.batches), len(params.keys)
    assert [segment.index for segment in segments] == list(range(batches + keys + 2))
    kinds = ["setup", *["batch"] * batches, *["online"] * keys, "assembly"]
    assert [segment.kind for segment in segments] == kinds
    assert tuple(segment.batch for segment in segments[1 : 1 + batches]) == plan.batches
    assert tuple(segment.key for segment in segments[1 + batches : -1]) == params.keys
    assert last_batch(segments) == batches
    opening_seed = [segment.index for segment in segments if "seed" in {slot.name for slot in segment.schedule}]
    assert opening_seed == [1 + batches]
    for segment in segments:
        names = [slot.name for slot in segment.schedule]
        assert len(set(names)) == len(names)


def test_terms_whose_plan_outlasts_the_deadline_are_refused_with_the_numbers() -> None:
    params = PARAMETER_SETS["test"]
    segments = segments_of(Group(4, 1), params, plan_of(params))
    needed = longest(segments, TIMING)
    check_fits(segments, TIMING, needed)
    with pytest.raises(UsageError, match=rf"{needed:.0f} s.*{needed - 1:.0f} s"):
        check_fits(segments, TIMING, needed - 1)
