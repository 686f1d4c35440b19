"""From setup to a key that stock tfhe-rs computes with, by the real protocols, in lock-step at 4/1.

The five steps of 02, "Tests every key set must pass": bit-exact, against stock, distribution, use, stock load.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dkg_node.algebra import kernel
from dkg_node.keygen.parameters import ParameterSet, parameter_set
from dkg_node.keygen.plan import plan_of
from dkg_node.keygen.reconstruct import reconstruct
from dkg_node.protocols.session import Group
from dkg_node.testing import slow_keys
from dkg_node.testing.online_runs import OnlineRun, keygen_in_lockstep
from dkg_node.testing.statistics import key_findings, suspicious

GROUP = Group(4, 1)
SEEDS = {"test": 6, "core": 0}
"""Of ``test`` a run whose one LWE bit and one OPRF bit are 1: with 0 even a wrong sign would compute."""


@dataclass(frozen=True, slots=True)
class Made:
    params: ParameterSet
    done: OnlineRun
    bits: NDArray[np.uint8]
    noise: dict[str, NDArray[np.int64]]

    @property
    def seed(self) -> bytes:
        return self.done.run.results[1].seed

    @property
    def bodies(self) -> dict[str, bytes]:
        return self.done.sinks[1].bodies


@pytest.fixture(scope="module", params=["test", "core"])
def made(request: pytest.FixtureRequest) -> Made:
    params = parameter_set(request.param)
    done = keygen_in_lockstep(GROUP, params, SEEDS[params.name])
    assert done.run.errors == {}
    shares = {role: result.share.all.to_wire() for role, result in done.run.results.items()}
    bits = np.frombuffer(reconstruct(GROUP, params, shares), dtype=np.uint8)
    noise = slow_keys.noise_of(params, bits, done.run.results[1].seed, done.sinks[1].bodies)
    return Made(params, done, bits, noise)


@pytest.fixture(scope="module")
def files(made: Made, bridge: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bodies, key bits, the assembled key set and the stock client key of the same bits."""
    at = tmp_path_factory.mktemp(made.params.name)
    for name, data in made.bodies.items():
        (at / f"{name}.bodies").write_bytes(data)
    (at / "bits").write_bytes(made.bits.tobytes())
    of_set = ("--parameter-set", made.params.name)
    bridge("assemble", *of_set, "--seed", made.seed.hex(), "--bodies", at, "--out", at)
    bridge("client-key", *of_set, "--key-bits", at / "bits", "--out", at / "client.key")
    return at


def test_all_parties_have_one_key_set_and_nobody_is_named(made: Made) -> None:
    results = made.done.run.results
    assert set(results) == set(GROUP.roles)
    assert len({result.digest for result in results.values()}) == 1
    assert all(result.liars == frozenset() for result in results.values())
    assert all(sink.bodies == made.bodies for sink in made.done.sinks.values())


def test_small_set_has_bits_that_tell_signs_apart(made: Made) -> None:
    if made.params.insecure:
        assert made.bits[made.params.segment("lwe").start] == 1
        assert made.bits[made.params.segment("oprf").start] == 1
    assert 0 < made.bits.mean() < 1


def test_bodies_are_bit_exact(made: Made) -> None:
    """The noise left in every body is the noise that was made for it, opened here from its shares."""
    for spec in made.params.keys:
        opened = []
        for place in plan_of(made.params).noise[spec.name]:
            shares = {
                role: held.noise(place.batch, place.chunk).to_wire() for role, held in made.done.preprocessing.items()
            }
            opening = kernel.robust_open(GROUP.n, GROUP.t, spec.word_bits, shares)
            assert opening is not None
            assert opening[1] == 0
            opened.append(opening[0])
        expected = slow_keys.signed(slow_keys.words(b"".join(opened), spec.word_bits), spec.word_bits)
        np.testing.assert_array_equal(made.noise[spec.name], expected[: spec.samples], spec.name)


def test_stock_makes_the_same_key_but_for_noise(made: Made, bridge: Callable[..., dict[str, Any]], files: Path) -> None:
    out = files / "stock"
    arguments = ("--parameter-set", made.params.name, "--key-bits", files / "bits", "--seed", made.seed.hex())
    bridge("stock-reference", *arguments, "--out", out)
    for spec in made.params.keys:
        ours = slow_keys.words(made.bodies[spec.name], spec.word_bits)
        stock = slow_keys.words((out / f"{spec.name}.bodies").read_bytes(), spec.word_bits)
        difference = slow_keys.signed(slow_keys.wrapped(ours - stock, spec.word_bits), spec.word_bits)
        assert np.abs(difference).max() <= 2 << spec.width, spec.name


def test_key_bits_and_noise_are_distributed_as_those_of_stock(made: Made) -> None:
    findings = key_findings(made.params, made.bits, made.noise)
    assert len(findings) > 10 * len(made.params.keys)
    assert suspicious(findings) == []


def test_key_computes(made: Made, bridge: Callable[..., dict[str, Any]], files: Path) -> None:
    keys = ("--keyset", files / "keyset.bin", "--client-key", files / "client.key")
    answer = bridge("self-test", *keys, "--cases", 100)
    assert answer["passed"]
    assert answer["parameter_set"] == made.params.name
    assert all(check["wrong"] == 0 and check["cases"] > 0 for check in answer["checks"])


def test_crate_that_knows_tfhe_only_loads_the_key(made: Made, stock_load: Callable[..., str], files: Path) -> None:
    names = ("keyset.bin", "public_key.bin", "server_key.bin", "client.key")
    summary = stock_load(*(files / name for name in names), made.params.name, 10 if made.params.insecure else 3)
    assert summary.strip()
