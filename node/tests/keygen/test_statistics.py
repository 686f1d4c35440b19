"""The distribution tests accept what is right and refuse what is wrong; else they would show nothing."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from dkg_node.testing.ideal import tuniform
from dkg_node.testing.statistics import Finding, bit_findings, correlation, noise_findings, suspicious

COUNT = 20_000
Samples = NDArray[np.int64]


@pytest.mark.parametrize("width", [0, 3, 17, 30, 43, 45])
def test_right_noise_is_accepted(width: int) -> None:
    e = tuniform(np.random.default_rng(5), width, COUNT)
    assert suspicious(list(noise_findings("noise", e, width))) == []


def test_right_noise_is_refused_no_more_often_than_said() -> None:
    refused = 0
    for seed in range(200):
        e = tuniform(np.random.default_rng(seed), 3, 500)
        refused += bool(suspicious(list(noise_findings("noise", e, 3)), level=0.05))
    assert refused <= 20  # 200 * 0.05 = 10 expected at most, 3 sigma above


WRONG: dict[str, Callable[[np.random.Generator, int], Samples]] = {
    "uniform without half weight at the ends": lambda r, w: r.integers(-(1 << w), (1 << w) + 1, COUNT),
    "one end missing": lambda r, w: r.integers(-(1 << w), 1 << w, COUNT),
    "too wide by one bit": lambda r, w: tuniform(r, w + 1, COUNT),
    "too narrow by one bit": lambda r, w: tuniform(r, w - 1, COUNT),
    "a bit stuck": lambda r, w: tuniform(r, w, COUNT) | 2,
    "all the same": lambda _r, _w: np.full(COUNT, 1),
    "repeated in pairs": lambda r, w: np.repeat(tuniform(r, w, COUNT // 2), 2),
    "groups of four repeated": lambda r, w: np.repeat(tuniform(r, w, COUNT // 2).reshape(-1, 4), 2, axis=0).reshape(-1),
    "normal": lambda r, w: np.clip(np.rint(r.normal(0, 0.577 * (1 << w), COUNT)), -(1 << w), 1 << w).astype(np.int64),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_noise_is_refused(name: str) -> None:
    e = WRONG[name](np.random.default_rng(6), 3)
    assert suspicious(list(noise_findings("noise", e, 3))) != []


def test_biased_and_alternating_bits_are_refused() -> None:
    random = np.random.default_rng(7)
    right = random.integers(0, 2, 4096, dtype=np.uint8)
    biased = (random.random(4096) < 0.55).astype(np.uint8)
    alternating = np.resize(np.array([0, 1], dtype=np.uint8), 4096)
    assert suspicious(list(bit_findings("bits", right))) == []
    assert suspicious(list(bit_findings("bits", biased))) != []
    assert suspicious(list(bit_findings("bits", alternating))) != []


def test_noise_that_leans_on_the_key_is_found() -> None:
    random = np.random.default_rng(8)
    signs = 2 * random.integers(0, 2, COUNT) - 1
    e = tuniform(random, 17, COUNT)
    assert correlation(e, signs, 17, None) > 1e-4
    leaning = e + signs * (1 << 12)
    assert correlation(leaning, signs, 17, None) < 1e-4


def test_bonferroni_divides_the_level_by_the_family() -> None:
    findings = [Finding(str(i), 0.0005) for i in range(10)]
    assert suspicious(findings) == []
    assert suspicious(findings[:1]) == findings[:1]
