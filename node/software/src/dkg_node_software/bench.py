"""`dkg-software bench`: what the kernel, the wire and a whole small ceremony cost, each beside a plain baseline.

Kernel figures are one core, the minimum of several runs. The baselines run in the same process: the readable twin, and
PRSS as it would be with unscaled, full-width constants, vectorised by numpy.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from dkg_node.algebra import kernel, twin
from dkg_node.algebra.encoding import enc
from dkg_node.sharing.sets import Group, contains, mask_of, sets_of
from dkg_node_software.bench_attest import AttestRow, attest_row
from dkg_node_software.bench_channel import ChannelRow, channel_row

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 5
WIDTH = 17
GROUPS = 256
SIZES = ((4, 1), (7, 2), (10, 3), (13, 4))
WORDS = (64, 128)
POLY = 2048
CHANNEL_MEBIBYTES = 256


@dataclass(frozen=True, slots=True)
class KernelRow:
    """Cost of one party for one random bit; ``path`` names the code that ran, ``stage`` what of the pipeline."""

    n: int
    t: int
    k: int
    path: str
    stage: str
    us_per_bit: float
    baseline: str
    baseline_us_per_bit: float


@dataclass(frozen=True, slots=True)
class UnitRow:
    """Cost of one party for one unit of work (a product, a body coefficient, an opened coefficient)."""

    n: int
    t: int
    k: int
    stage: str
    us: float
    baseline: str
    baseline_us: float


@dataclass(slots=True)
class Figures:
    """out/bench.json; grown by later versions, never renamed."""

    kernel: list[KernelRow] = field(default_factory=list)
    products: list[UnitRow] = field(default_factory=list)
    online: list[UnitRow] = field(default_factory=list)
    attest: list[AttestRow] = field(default_factory=list)
    channel: list[ChannelRow] = field(default_factory=list)
    wire: dict[str, Any] = field(default_factory=dict)
    ceremony_test: dict[str, Any] = field(default_factory=dict)


def bench(out: Path, run_ceremony: Callable[[Path], Path]) -> Figures:
    """Measure, print tables, write ``out``. ``run_ceremony(dir)`` runs the test set at 13/4 and returns its report."""
    figures = Figures()
    with _one_core():
        for n, t in SIZES:
            for k in WORDS:
                figures.kernel += [prss_row(Group(n, t), k), pipeline_row(Group(n, t), k)]
                _print(figures.kernel[-2:])
        for k in WORDS:
            figures.products.append(product_row(Group(13, 4), k))
            figures.online += [polynomial_row(Group(13, 4), k), opening_row(Group(13, 4), k)]
            _print([figures.products[-1], *figures.online[-2:]])
        figures.attest.append(attest_row(Group(13, 4)))
        _print(figures.attest)
    figures.channel.append(channel_row(CHANNEL_MEBIBYTES))
    _print(figures.channel)
    with tempfile.TemporaryDirectory(prefix="dkg-bench-") as directory:
        report = json.loads(run_ceremony(Path(directory) / "out").read_text())
    figures.wire, figures.ceremony_test = wire_of(report), ceremony_of(report)
    _print([figures.wire, figures.ceremony_test])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(asdict(figures), indent=2) + "\n")
    return figures


def prss_row(group: Group, k: int) -> KernelRow:
    """PRSS alone, against numpy with the unscaled constants of f_A."""
    count = 4096
    keys = _keys(group, 1, kernel.Keys)
    took = _fastest(lambda: kernel.prss(keys, enc("psi"), k, 0, count))
    plain = _fastest(lambda: full_width_prss(group, k, count))
    return _row(group, k, "prss", took / count, "numpy, full-width constants", plain / count)


def pipeline_row(group: Group, k: int) -> KernelRow:
    """Everything a party computes for a bit of TUniform(17) noise, as sender, king (its turn in n) and checker."""
    fast = _pipeline(kernel, group, k, GROUPS)
    slow = _pipeline(twin, group, k, 1)
    return _row(group, k, "pipeline", fast, "Python twin", slow)


def _pipeline(module: Any, group: Group, k: int, groups: int) -> float:  # noqa: ANN401 - kernel or twin, one shape
    """Seconds a bit: values, share to the king, sum, noise, check."""
    weights = (*range(WIDTH + 1), 0)
    bits = 4 * groups * len(weights)
    senders = mask_of(tuple(range(1, group.degree2_quorum + 1)))
    parties = [_keys(group, i, module.Keys) for i in range(1, group.degree2_quorum + 1)]
    values = [module.prss(keys, enc("psi"), k, 0, bits) for keys in parties]
    squares = [module.square_plus(a) for a in values]

    def share(i: int) -> bytes:
        y: bytes = module.king_share(squares[i], parties[i], senders, 1, 0, weights)
        return y

    ys = [share(i) for i in range(len(parties))]
    v = module.king_sum(ys, k, bits // 4, weights, bits=True)
    as_king = _fastest(lambda: module.king_sum(ys, k, bits // 4, weights, bits=True)) / group.n

    def as_party() -> None:
        a = module.prss(parties[0], enc("psi"), k, 0, bits)
        s = module.square_plus(a)
        module.king_share(s, parties[0], senders, 1, 0, weights)
        module.noise_from_openings(a, v, weights, WIDTH)
        module.check_shares(s, v, bytes(16), 32, weights, bits=True)

    return (_fastest(as_party) + as_king) / bits


def product_row(group: Group, k: int) -> UnitRow:
    """One product of two random values, as party: values, D, product out of the opening, Beaver."""

    def cost(module: Any, rows: int, cols: int) -> float:  # noqa: ANN401 - kernel or twin
        keys = _keys(group, 1, module.Keys)
        public = bytes(rows * cols * k // 8)

        def work() -> None:
            x = module.prss(keys, enc("x"), k, 0, rows)
            y = module.prss(keys, enc("y"), k, 0, cols)
            v = module.prss(keys, enc("v"), k, 0, rows * cols).pack()
            module.products(x, y, v)
            p = module.products_from_openings(public, v)
            module.beaver(p, x, y, bytes(rows * k // 8), bytes(cols * k // 8))

        return _fastest(work) / (rows * cols)

    return UnitRow(group.n, group.t, k, "product", _us(cost(kernel, 32, 256)), "Python twin", _us(cost(twin, 1, 4)))


def polynomial_row(group: Group, k: int) -> UnitRow:
    """One body coefficient: a public polynomial times a secret one mod X^2048+1, against the schoolbook at 64."""

    def cost(module: Any, size: int) -> float:  # noqa: ANN401 - kernel or twin
        keys = _keys(group, 1, module.Keys)
        spectrum = module.Spectrum(module.prss(keys, enc("s"), k, 0, size))
        masks = bytes(range(256)) * (size * k // 8 // 256)
        return _fastest(lambda: module.negacyclic(masks, [spectrum])) / size

    return UnitRow(
        group.n, group.t, k, "body coefficient (N=2048)", _us(cost(kernel, POLY)), "twin, schoolbook at N=64",
        _us(cost(twin, 64)),
    )  # fmt: skip


def opening_row(group: Group, k: int) -> UnitRow:
    """One opened coefficient: n shares checked against one polynomial."""

    def cost(module: Any, count: int) -> float:  # noqa: ANN401 - kernel or twin
        shares = {i: module.prss(_keys(group, i, module.Keys), enc("o"), k, 0, count).to_wire() for i in group.roles}
        return _fastest(lambda: module.robust_open(group.n, group.t, k, shares)) / (4 * count)

    return UnitRow(
        group.n, group.t, k, "opened coefficient", _us(cost(kernel, 4096)), "Python twin", _us(cost(twin, 4))
    )


def full_width_prss(group: Group, k: int, count: int) -> np.ndarray:
    """PRSS of party 1 with constants as wide as a word: for every set an AES stream times four constants mod 2^k."""
    total = np.zeros((4, count, k // 64), dtype=np.uint64)
    constants = np.random.default_rng(1).integers(0, 2**64, size=(4, k // 64), dtype=np.uint64)
    for mask in sets_of(group):
        if not contains(mask, 1):
            continue
        cipher = Cipher(algorithms.AES128(mask.to_bytes(16, "little")), modes.CTR(bytes(16))).encryptor()
        psi = np.frombuffer(cipher.update(bytes(count * k // 8)), dtype="<u8").reshape(count, k // 64)
        for coordinate in range(4):
            _add_product(total[coordinate], psi, constants[coordinate])
    return total


def _add_product(total: np.ndarray, psi: np.ndarray, constant: np.ndarray) -> None:
    """Total += psi * constant mod 2^64 or 2^128 (two little-endian words a value)."""
    low = psi[:, 0] * constant[0]
    if psi.shape[1] == 1:
        total[:, 0] += low
        return
    high = _high_word(psi[:, 0], constant[0]) + psi[:, 0] * constant[1] + psi[:, 1] * constant[0]
    total[:, 0] += low
    total[:, 1] += high + (total[:, 0] < low)


def _high_word(a: np.ndarray, b: np.uint64) -> np.ndarray:
    """Upper 64 bits of a 64 x 64 product, by 32-bit halves."""
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    a0, a1, b0, b1 = a & low, a >> half, b & low, b >> half
    middle = a1 * b0 + (a0 * b0 >> half)
    high: np.ndarray = a1 * b1 + (middle >> half) + (a0 * b1 + (middle & low) >> half)
    return high


def wire_of(report: dict[str, Any]) -> dict[str, Any]:
    """Bytes sent a bit in the offline phase, averaged over the parties, and what is fixed, from a ceremony's report."""
    parties = report["per_party"]

    def mean(kind: str) -> float:
        return float(sum(row["sent_bytes"][kind] for row in parties) / len(parties))

    bits = report["bits"]
    return {
        "parties": len(parties),
        "parameter_set": report["parameter_set"],
        "bytes_per_bit": {k: mean(k) / bits[k] for k in ("k64", "k128")},
        "fixed_bytes": mean("fixed"),
        "setup_bytes": mean("setup"),
    }


def ceremony_of(report: dict[str, Any]) -> dict[str, Any]:
    """The whole small ceremony."""
    parties = report["per_party"]
    starts = [phase["start"] for phase in report["phases"]]
    ends = [phase["end"] for phase in report["phases"]]
    return {
        "n": report["parties"],
        "t": report["threshold"],
        "wall_seconds": _seconds_between(min(starts), max(ends)),
        "cpu_seconds_per_party": sum(sum(row["cpu_seconds"].values()) for row in parties) / len(parties),
        "sent_bytes_per_party": sum(row["sent_bytes"]["offline"] + row["sent_bytes"]["online"] for row in parties)
        / len(parties),
    }


def _seconds_between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _keys(group: Group, party: int, cls: Any) -> Any:  # noqa: ANN401 - kernel or twin
    """Keys of a party in an ideal setup: the key of a set is its mask."""
    own = [mask for mask in sets_of(group) if contains(mask, party)]
    return cls.from_bytes(group.n, group.t, party, b"".join(mask.to_bytes(32, "little") for mask in own))


def _fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of several runs."""
    best = float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def _row(group: Group, k: int, stage: str, seconds: float, baseline: str, plain: float) -> KernelRow:
    return KernelRow(group.n, group.t, k, "portable", stage, _us(seconds), baseline, _us(plain))


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 4)


class _one_core:  # noqa: N801 - reads as a statement
    """Stay on one core for a while."""

    def __enter__(self) -> None:
        self.before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(self.before)})

    def __exit__(self, *_: object) -> None:
        os.sched_setaffinity(0, self.before)


def _print(rows: list[Any]) -> None:
    for row in rows:
        cells = row if isinstance(row, dict) else asdict(row)
        print("  ".join(f"{name}={value}" for name, value in cells.items()), flush=True)  # noqa: T201 - its output
