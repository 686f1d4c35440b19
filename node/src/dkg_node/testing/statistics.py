"""Is it what stock key generation draws? Tests of noise and key bits (02, "Tests every key set must pass", 3).

Every test gives a p-value; a family is judged together by Bonferroni, so that the chance to refuse a right family stays
below its level however many keys it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from dkg_node.keygen.parameters import KeySpec, ParameterSet

LEVEL = 1e-3
"""Chance to refuse a right family."""
CELLS = 64
LAGS = (1, 2, 3, 4, 5, 8)
LEAST = 30
"""Fewer samples say nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One test's name and p-value; 0 for a bound that is broken."""

    name: str
    p: float


def suspicious(findings: Sequence[Finding], level: float = LEVEL) -> list[Finding]:
    """The findings that a right family would give with probability below ``level`` altogether (Bonferroni)."""
    return [finding for finding in findings if finding.p < level / len(findings)]


def noise_findings(name: str, e: NDArray[np.int64], width: int, seed: int = 0) -> Iterator[Finding]:
    """|e| <= 2^w, chi-square, KS, end points, variance, serial correlation of one key's noise."""
    bound = 1 << width
    within = bool(np.abs(e).max() <= bound)
    yield Finding(f"{name}: |e| <= 2^{width}", float(within))
    if len(e) < LEAST or not within:
        return
    yield Finding(f"{name}: chi-square", _chi_square(e, width))
    # TUniform is a uniform real number of [-2^w, 2^w] rounded: a dither undoes the rounding, and KS is exact.
    dither = np.random.default_rng(seed).random(len(e)) - 0.5
    real = np.where(np.abs(e) == bound, e - np.sign(e) * np.abs(dither), e + dither) / bound
    yield Finding(f"{name}: ks", float(stats.kstest(real, "uniform", args=(-1, 2)).pvalue))
    ends = int(np.count_nonzero(np.abs(e) == bound))
    yield Finding(f"{name}: end points", float(stats.binomtest(ends, len(e), 2.0 ** -(width + 1)).pvalue))
    yield Finding(f"{name}: variance", _variance(e, width))
    for lag in LAGS:
        yield Finding(f"{name}: lag {lag}", correlation(e[:-lag], e[lag:], width, width))


def _chi_square(e: NDArray[np.int64], width: int) -> float:
    """Cells of one value each where there are few, else CELLS equal ones; expected counts are exact."""
    bound = 1 << width
    cells = min(2 << width, CELLS)
    step = (2 << width) // cells
    # The last value has no cell of its own but where every value has one.
    single = step == 1
    index = (e + bound) // step
    if not single:
        index = np.minimum(index, cells - 1)
    count = cells + 1 if single else cells
    expected = np.full(count, len(e) / cells)
    half_an_end = len(e) / (4 << width)
    if single:
        expected[[0, -1]] = half_an_end
    else:
        expected[0] -= half_an_end
        expected[-1] += half_an_end
    return float(stats.chisquare(np.bincount(index, minlength=count), expected).pvalue)


def moments(width: int) -> tuple[float, float]:
    """Variance (2^(2w+1)+1)/6 of TUniform(w), and its kurtosis."""
    variance = ((1 << (2 * width + 1)) + 1) / 6
    if width > 20:
        return variance, 1.8
    values = np.arange(-(1 << width), (1 << width) + 1, dtype=np.float64)
    weight = np.full(len(values), 2.0 ** -(width + 1))
    weight[[0, -1]] /= 2
    return variance, float((weight * values**4).sum() / variance**2)


def _variance(e: NDArray[np.int64], width: int) -> float:
    """Relative deviation of the mean square is normal with variance (kurtosis - 1)/N: 0.8/N for a wide one."""
    variance, kurtosis = moments(width)
    deviation = float(np.mean(e.astype(np.float64) ** 2)) / variance - 1
    return two_sided(deviation / ((kurtosis - 1) / len(e)) ** 0.5)


def two_sided(z: float) -> float:
    """P-value of a standard normal value."""
    return float(2 * stats.norm.sf(abs(z)))


def correlation(a: NDArray[np.int64], b: NDArray[np.int64], a_width: int | None, b_width: int | None) -> float:
    """P-value of sum a b for independent centred samples of known variance (width None: values +-1)."""
    scale = 1.0
    for width in (a_width, b_width):
        scale *= 1.0 if width is None else moments(width)[0]
    total = float(np.dot(a.astype(np.float64), b.astype(np.float64)))
    return two_sided(total / (scale * len(a)) ** 0.5)


def bit_findings(name: str, bits: NDArray[np.uint8]) -> Iterator[Finding]:
    """Monobit and runs of one secret key."""
    if len(bits) < LEAST:
        return
    ones = int(bits.sum())
    yield Finding(f"{name}: monobit", float(stats.binomtest(ones, len(bits)).pvalue))
    runs = 1 + int(np.count_nonzero(bits[1:] != bits[:-1]))
    yield Finding(f"{name}: runs", float(stats.binomtest(runs - 1, len(bits) - 1).pvalue))


def key_findings(
    params: ParameterSet, bits: NDArray[np.uint8], noise: Mapping[str, NDArray[np.int64]]
) -> list[Finding]:
    """The whole family of a key set: every secret key, every public key's noise, and what ties them."""
    found: list[Finding] = []
    for segment in params.segments:
        where = params.segment(segment)
        found += bit_findings(segment, bits[where.start : where.stop])
    for spec in params.keys:
        found += noise_findings(spec.name, noise[spec.name], spec.width, spec.number)
        found += _against_bits(params, spec, bits, noise[spec.name])
    for i, one in enumerate(params.keys):
        for other in params.keys[i + 1 :]:
            count = min(one.samples, other.samples)
            if count >= LEAST:
                p = correlation(noise[one.name][:count], noise[other.name][:count], one.width, other.width)
                found.append(Finding(f"{one.name}, {other.name}: correlation", p))
    return found


def _against_bits(
    params: ParameterSet, spec: KeySpec, bits: NDArray[np.uint8], e: NDArray[np.int64]
) -> Iterator[Finding]:
    """No correlation of the noise with the key that encrypts it, nor with the encrypted bits."""
    signs = 2 * bits.astype(np.int64) - 1
    if len(e) < LEAST:
        return
    target = signs[params.segment(spec.target).start : params.segment(spec.target).stop]
    size = spec.row_bodies
    for r in range(len(target) // size if size > 1 else 0):
        repeated = np.tile(target[r * size : (r + 1) * size], spec.rows)
        yield Finding(f"{spec.name}: noise and key polynomial {r}", correlation(e, repeated, spec.width, None))
    if spec.source:
        source = signs[params.segment(spec.source).start : params.segment(spec.source).stop]
        repeated = np.repeat(source, len(e) // len(source))
        yield Finding(f"{spec.name}: noise and encrypted bits", correlation(e, repeated, spec.width, None))
