"""Keys of any shape are bit-exact: k > 1, several levels, several product tiles, rows that fill no group of four."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dkg_node.keygen.parameters import Decomposition, Noisy, Packing, ParameterSet, Shape, Squashing
from dkg_node.keygen.plan import plan_of
from dkg_node.keygen.reconstruct import reconstruct
from dkg_node.protocols.session import Group
from dkg_node.testing import slow_keys
from dkg_node.testing.ideal import ideal
from dkg_node.testing.online_runs import online_in_lockstep
from dkg_node.testing.small_sets import SHRUNK, TOY


def assert_bit_exact(group: Group, params: ParameterSet, seed: int) -> None:
    dealt = ideal(group, params, plan_of(params), seed)
    done = online_in_lockstep(group, params, dealt)
    assert done.run.errors == {}
    result = done.run.results[group.n]
    noise = slow_keys.noise_of(params, dealt.secrets.bits, result.seed, done.sinks[group.n].bodies)
    for spec in params.keys:
        np.testing.assert_array_equal(noise[spec.name], dealt.secrets.noise[spec.name][: spec.samples], spec.name)
    shares = {role: out.share.all.to_wire() for role, out in done.run.results.items()}
    assert reconstruct(group, params, shares) == dealt.secrets.bits.tobytes()


@pytest.mark.parametrize("group", [Group(4, 1), Group(7, 2), Group(10, 3), Group(13, 4)], ids=str)
def test_toy_set_is_bit_exact_at_every_group_size(group: Group) -> None:
    assert_bit_exact(group, TOY, seed=21)


def test_shapes_of_production_are_bit_exact() -> None:
    assert_bit_exact(Group(4, 1), SHRUNK, seed=22)


def gadget(word_bits: int) -> st.SearchStrategy[Decomposition]:
    def fits(pair: tuple[int, int]) -> bool:
        return pair[0] * pair[1] <= word_bits

    return st.tuples(st.integers(1, word_bits // 2), st.integers(1, 3)).filter(fits).map(lambda p: Decomposition(*p))


SIZES = st.sampled_from([4, 8, 16])
WIDTHS = st.integers(0, 40)
GLWE = st.builds(Noisy, st.builds(Shape, st.integers(1, 3), SIZES), WIDTHS)


@st.composite
def sets(draw: st.DrawFn) -> ParameterSet:
    # A compact public key takes the GLWE key as one polynomial: k N must be a power of two.
    glwe = Noisy(Shape(draw(st.sampled_from([1, 2])), draw(SIZES)), draw(WIDTHS))
    squashed = draw(st.booleans())
    return ParameterSet(
        name="drawn",
        insecure=False,
        encryption=Noisy(Shape(1, draw(SIZES)), draw(WIDTHS)),
        lwe=Noisy(Shape(draw(st.integers(1, 40)), 1), draw(WIDTHS)),
        glwe=glwe,
        bsk=draw(gadget(64)),
        ksk=draw(gadget(64)),
        pksk=draw(gadget(64)),
        zeros=draw(st.integers(0, 6)),
        compression=draw(st.none() | st.builds(Packing, GLWE, gadget(64), gadget(64))),
        sns=draw(st.builds(Squashing, GLWE, gadget(128), st.integers(0, 3))) if squashed else None,
        sns_compression=draw(st.none() | st.builds(Packing, GLWE, gadget(128))) if squashed else None,
        oprf=draw(st.booleans()),
    )


@given(sets(), st.integers(0, 1 << 32))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_set_is_bit_exact(params: ParameterSet, seed: int) -> None:
    assert_bit_exact(Group(4, 1), params, seed)
