"""What up to t nodes say of themselves and of others enters the report as their word, never as more."""

from __future__ import annotations

import pytest

from dkg_node.errors import ProtocolError
from dkg_node_software.fuzz.targets import TARGETS
from dkg_node_software.measurements import read_measurements
from dkg_node_software.report import Left, faults

GOOD = TARGETS["measurements"].seeds()[0]


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff", b"[" * 10_000, b"NaN", GOOD[:-1]])
def test_measurements_that_are_none_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_measurements(text, 2)


def test_nobody_speaks_for_another() -> None:
    assert read_measurements(GOOD, 2).party.index == 2
    with pytest.raises(ProtocolError, match="of another"):
        read_measurements(GOOD, 3)


def test_one_reporter_that_names_a_party_often_is_one_reporter() -> None:
    quiet = read_measurements(GOOD, 2).model_copy(update={"wrong_shares": (), "missing": ()})
    lying = quiet.model_copy(update={"wrong_shares": (1, 1, 1, 1), "missing": (1, 1, 1)})
    assert faults(1, {2: lying, 3: quiet, 4: quiet}, Left({}, {})) == ()
    assert {fault.kind for fault in faults(1, {2: lying, 3: lying, 4: quiet}, Left({}, {}))} == {
        "wrong-share",
        "missing",
    }
