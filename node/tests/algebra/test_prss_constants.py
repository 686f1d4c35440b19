"""The PRSS constants: what the formula gives, and small enough for 16-bit limbs in 32-bit accumulators."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest

from dkg_node.algebra.ring import Ring, alpha
from dkg_node.algebra.twin.sets import all_sets, constants, members

VECTORS = Path(__file__).parents[1] / "vectors" / "prss_constants.json"


def table(impl: ModuleType, n: int, t: int) -> bytes:
    """Party by party, set by set: mask (2 bytes) and four 16-bit coordinates, little endian."""
    return b"".join(
        mask.to_bytes(2, "little") + b"".join(c.to_bytes(2, "little", signed=True) for c in g)
        for party in range(1, n + 1)
        for mask, g in impl.prss_constants(n, t, party)
    )


def test_tables_are_the_committed_ones(impl: ModuleType, group: tuple[int, int]) -> None:
    n, t = group
    wanted = json.loads(VECTORS.read_text())[f"{n}/{t}"]
    assert sha256(table(impl, n, t)).hexdigest() == wanted


def test_coordinates_and_their_sums_fit_the_limbs(impl: ModuleType, group: tuple[int, int]) -> None:
    n, t = group
    by_party = [[g for _, g in impl.prss_constants(n, t, party)] for party in range(1, n + 1)]
    largest = max(abs(c) for rows in by_party for g in rows for c in g)
    sums = max(sum(abs(g[c]) for g in rows) for rows in by_party for c in range(4))
    assert largest <= 3555
    assert sums < 1 << 16
    # 2^15 is the largest limb in absolute value: no sum over all sets leaves an int32.
    assert sums << 15 < 1 << 31
    if group == (13, 4):
        assert (largest, sums) == (3555, 49034)


def test_every_set_of_the_party_has_its_row_in_order(impl: ModuleType, group: tuple[int, int]) -> None:
    n, t = group
    for party in range(1, n + 1):
        masks = [mask for mask, _ in impl.prss_constants(n, t, party)]
        assert masks == sorted(masks)
        assert masks == [mask for mask in all_sets(n, t) if mask >> (party - 1) & 1]


def test_the_rows_of_a_set_are_f_a_times_an_odd_integer(impl: ModuleType, group: tuple[int, int]) -> None:
    """f_A(X) = prod_{j not in A} (alpha_j - X) / alpha_j; here without the division."""
    n, t = group
    ring = Ring(128)
    for party in range(1, n + 1):
        for mask, g in impl.prss_constants(n, t, party):
            unit, gamma, _ = constants(n, mask)
            assert unit % 2 == gamma % 2 == 1
            left, right = ring.reduce(g), ring.reduce((unit, 0, 0, 0))
            for j in set(range(1, n + 1)).difference(members(mask)):
                left = ring.mul(left, alpha(j))
                right = ring.mul(right, ring.sub(alpha(j), alpha(party)))
            assert left == right


@pytest.mark.parametrize(("n", "t", "party"), [(5, 1, 1), (4, 2, 1), (16, 5, 1), (1, 0, 1), (4, 1, 0), (4, 1, 5)])
def test_another_group_or_party_is_refused(impl: ModuleType, n: int, t: int, party: int) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        impl.prss_constants(n, t, party)
