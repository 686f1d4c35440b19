"""The online phase on ideal preprocessing: every body bit-exact, against an oracle and against stock tfhe-rs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dkg_node.keygen.masks import blocks
from dkg_node.keygen.online import key_slots, online_slots
from dkg_node.keygen.parameters import PARAMETER_SETS, ParameterSet, parameter_set
from dkg_node.keygen.plan import plan_of
from dkg_node.keygen.reconstruct import reconstruct
from dkg_node.protocols.session import Group
from dkg_node.testing import slow_keys
from dkg_node.testing.ideal import Ideal, ideal
from dkg_node.testing.online_runs import OnlineRun, online_in_lockstep

GROUP = Group(4, 1)
BOTH = {"lwe": 1, "oprf": 1}
"""The one LWE bit and the one OPRF bit of ``test``: with 0 even a wrong sign would compute."""
Dealt = tuple[str, Ideal, OnlineRun]


@pytest.fixture(scope="module", params=["test", "core"])
def dealt(request: pytest.FixtureRequest) -> Dealt:
    params = parameter_set(request.param)
    given = ideal(GROUP, params, plan_of(params), 11, BOTH if params.insecure else {})
    return params.name, given, online_in_lockstep(GROUP, params, given)


def test_all_parties_agree_and_nobody_is_named(dealt: Dealt) -> None:
    _, _, done = dealt
    assert done.run.errors == {}
    results = list(done.run.results.values())
    assert len(results) == GROUP.n
    assert len({result.digest for result in results}) == 1
    assert len({result.seed for result in results}) == 1
    assert all(result.liars == frozenset() for result in results)
    bodies = [sink.bodies for sink in done.sinks.values()]
    assert all(other == bodies[0] for other in bodies)


def test_bodies_hold_exactly_the_dealt_keys_and_noise(dealt: Dealt) -> None:
    name, given, done = dealt
    params = parameter_set(name)
    bodies, seed = done.sinks[1].bodies, done.run.results[1].seed
    assert list(bodies) == [spec.name for spec in params.keys]
    for spec in params.keys:
        assert len(bodies[spec.name]) == spec.seeded_bytes
    noise = slow_keys.noise_of(params, given.secrets.bits, seed, bodies)
    for spec in params.keys:
        np.testing.assert_array_equal(noise[spec.name], given.secrets.noise[spec.name][: spec.samples], spec.name)


def test_any_quorum_of_final_shares_gives_the_dealt_bits(dealt: Dealt) -> None:
    name, given, done = dealt
    shares = {role: result.share.all.to_wire() for role, result in done.run.results.items()}
    expected = given.secrets.bits.tobytes()
    for absent in GROUP.roles:
        some = {role: wire for role, wire in shares.items() if role != absent}
        assert reconstruct(GROUP, parameter_set(name), some) == expected


def test_stock_tfhe_makes_the_same_key_but_for_noise(
    dealt: Dealt, bridge: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    name, given, done = dealt
    assert_stock_makes_the_same(parameter_set(name), given, done, bridge, tmp_path)


@pytest.mark.parametrize(("lwe", "oprf"), [(0, 1), (1, 0)])
def test_stock_tfhe_tells_the_small_keys_apart(
    lwe: int, oprf: int, bridge: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """With equal bits the one-bit LWE and OPRF keys of ``test`` could stand in for each other unnoticed."""
    params = parameter_set("test")
    given = ideal(GROUP, params, plan_of(params), 12, {"lwe": lwe, "oprf": oprf})
    done = online_in_lockstep(GROUP, params, given)
    assert_stock_makes_the_same(params, given, done, bridge, tmp_path)


def assert_stock_makes_the_same(
    params: ParameterSet, given: Ideal, done: OnlineRun, bridge: Callable[..., dict[str, Any]], at: Path
) -> None:
    seed = done.run.results[1].seed
    (at / "bits").write_bytes(given.secrets.bits.tobytes())
    arguments = ("--parameter-set", params.name, "--key-bits", at / "bits", "--seed", seed.hex())
    bridge("stock-reference", *arguments, "--out", at)
    for spec in params.keys:
        ours = slow_keys.words(done.sinks[1].bodies[spec.name], spec.word_bits)
        stock = slow_keys.words((at / f"{spec.name}.bodies").read_bytes(), spec.word_bits)
        difference = slow_keys.wrapped(ours - stock, spec.word_bits)
        assert np.abs(slow_keys.signed(difference, spec.word_bits)).max() <= 2 << spec.width, spec.name


def test_stock_tfhe_loads_the_key_and_computes(
    dealt: Dealt, bridge: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    name, given, done = dealt
    for key, data in done.sinks[2].bodies.items():
        (tmp_path / f"{key}.bodies").write_bytes(data)
    (tmp_path / "bits").write_bytes(given.secrets.bits.tobytes())
    seed, client = done.run.results[2].seed.hex(), tmp_path / "client.key"
    bridge("assemble", "--parameter-set", name, "--seed", seed, "--bodies", tmp_path, "--out", tmp_path)
    bridge("client-key", "--parameter-set", name, "--key-bits", tmp_path / "bits", "--out", client)
    answer = bridge("self-test", "--keyset", tmp_path / "keyset.bin", "--client-key", client, "--cases", 5)
    assert answer["passed"]
    assert answer["parameter_set"] == name


@pytest.mark.parametrize("name", PARAMETER_SETS)
def test_slots_have_room_for_what_is_sent(name: str) -> None:
    params = parameter_set(name)
    plan = plan_of(params)
    for spec in params.keys:
        bodies = key_slots(GROUP, plan, spec)[-1]
        assert bodies.size == 2 * 3 * sum(len(block.groups) for block in blocks(spec)) * spec.word_bits // 2
        assert bodies.work > 0
    for spec in params.keys:
        first = [slot.name for slot in online_slots(GROUP, plan, spec, first=True)]
        later = [slot.name for slot in online_slots(GROUP, plan, spec, first=False)]
        assert len(set(first)) == len(first)
        assert later == [name for name in first if name != "seed"]
        assert first.index("seed") == first.index(f"bodies.{spec.name}") - 1


def test_sent_bytes_are_those_the_slots_announce(dealt: Dealt) -> None:
    name, _, done = dealt
    params = parameter_set(name)
    sent = done.run.traffic.of("bodies")
    expected = (GROUP.n - 1) * sum(
        len(block.groups) * spec.word_bits // 2 for spec in params.keys for block in blocks(spec)
    )
    assert set(sent.values()) == {expected}
