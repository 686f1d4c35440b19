"""Every decoder of bytes from outside answers to anything: the same targets as `make fuzz`, with drawn mutations.

The guarantee of each stands in its target (dkg_node_software.fuzz): nothing but its documented error, what decodes
encodes to the same bytes, memory in proportion to the input. Inputs that once broke one lie in ``regressions``.
"""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dkg_node_software.fuzz.registry import MARGIN, Target
from dkg_node_software.fuzz.targets import TARGETS

NAMES = sorted(TARGETS)
REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*/*"))
EXTREMES = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff" * 8, b"\x00", b"\x80", b'"', b"[")
LARGE = 16_000

mutations = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "overwrite", "double", "truncate"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(1, 255),
        st.sampled_from(EXTREMES) | st.binary(min_size=1, max_size=9),
    ),
    max_size=4,
)


def mutated(seed: bytes, changes: list[tuple[str, float, int, bytes]]) -> bytes:
    """The seed with changes in order."""
    data = bytearray(seed)
    for kind, where, number, piece in changes:
        at = int(where * len(data))
        if kind == "flip" and data:
            data[at] ^= number
        elif kind == "cut":
            del data[at : at + number % 40]
        elif kind == "insert":
            data[at:at] = piece
        elif kind == "overwrite":
            data[at : at + len(piece)] = piece
        elif kind == "double":
            data[at:at] = data[at : at + number]
        elif kind == "truncate":
            del data[at:]
    return bytes(data)


@pytest.mark.parametrize("name", NAMES)
def test_good_input_is_taken(name: str) -> None:
    for seed in TARGETS[name].seeds():
        TARGETS[name].run(seed)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example])
@given(data=st.data())
def test_mutated_and_random_input_is_answered(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    seeds = list(target.seeds()) if data.draw(st.integers(0, 4)) else [b""]
    seed = data.draw(st.sampled_from(seeds)) or data.draw(st.binary(max_size=200))
    target.run(mutated(seed, data.draw(mutations)))


@pytest.mark.parametrize("name", NAMES)
def test_every_byte_matters_or_is_answered(name: str) -> None:
    """Each of some 16 places of each seed, with the values at which lengths, signs and types turn."""
    target = TARGETS[name]
    for seed in target.seeds():
        step = max(1, len(seed) // 16)
        for at in range(0, len(seed), step):
            for value in (0, 0x7F, 0xFF):
                target.run(seed[:at] + bytes([value]) + seed[at + 1 :])


def taken(target: Target, data: bytes) -> int:
    """Most bytes Python took at once while the target ran."""
    gc.collect()
    tracemalloc.start()
    try:
        target.run(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def hungry(seed: bytes) -> list[bytes]:
    """Inputs that promise much, and long ones."""
    promises = [
        seed[:at] + extreme + seed[at + 4 :] for at in range(0, min(len(seed), 24), 3) for extreme in EXTREMES[:1]
    ]
    return [*promises, seed * (LARGE // max(1, len(seed))), b"\x00" * LARGE, b"\xff" * LARGE, b"[" * LARGE]


@pytest.mark.parametrize("name", NAMES)
def test_memory_follows_the_input_not_what_it_promises(name: str) -> None:
    target = TARGETS[name]
    seed = max(target.seeds(), key=len)
    target.run(seed)
    over = [
        (data[:40], used) for data in hungry(seed) if (used := taken(target, data)) > MARGIN + target.memory * len(data)
    ]
    assert not over


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_broke_a_decoder_is_answered(path: Path) -> None:
    TARGETS[path.parent.name].run(path.read_bytes())


def test_the_table_of_decoders_names_every_target() -> None:
    table = (Path(__file__).parents[3] / "docs" / "decoders.md").read_text()
    cells = [row.split("|")[4] for row in table.split("## Limits")[0].splitlines() if row.count("|") == 6]
    assert {name.strip(" `") for cell in cells for name in cell.split(",")} - {"Target", "---"} == set(TARGETS)
