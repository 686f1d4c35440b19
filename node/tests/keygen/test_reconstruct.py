"""The key out of shares: t+1 are enough, t wrong ones among n are corrected, what is no key is refused."""

from itertools import combinations

import numpy as np
import pytest

from dkg_node.errors import ProtocolError
from dkg_node.keygen.parameters import ParameterSet
from dkg_node.keygen.reconstruct import ELEMENT, reconstruct
from dkg_node.protocols.session import Group, Role
from dkg_node.testing.ideal import Dealer
from dkg_node.testing.small_sets import TOY

GROUPS = [Group(4, 1), Group(7, 2), Group(13, 4)]
BITS = np.random.default_rng(61).integers(0, 2, TOY.key_bits)
PARAMS: ParameterSet = TOY


def shares(group: Group, values: np.ndarray = BITS) -> dict[Role, bytes]:
    return {role: share.to_wire() for role, share in Dealer(group, 62).base(values, 128).items()}


def some(group: Group, count: int) -> dict[Role, bytes]:
    every = shares(group)
    return {role: every[role] for role in list(group.roles)[-count:]}


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_any_number_from_t_plus_1_on_gives_the_key(group: Group) -> None:
    for count in range(group.t + 1, group.n + 1):
        assert reconstruct(group, PARAMS, some(group, count)) == bytes(BITS.tolist())


def test_every_pair_gives_the_key_at_4_1() -> None:
    every = shares(GROUPS[0])
    for pair in combinations(every, 2):
        assert reconstruct(GROUPS[0], PARAMS, {role: every[role] for role in pair}) == bytes(BITS.tolist())


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_t_shares_are_too_few(group: Group) -> None:
    with pytest.raises(ProtocolError, match="too few"):
        reconstruct(group, PARAMS, some(group, group.t))


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_t_wrong_shares_of_all_are_corrected(group: Group) -> None:
    every = shares(group)
    random = np.random.default_rng(63)
    for role in range(1, group.t + 1):
        every[role] = random.bytes(len(every[role]))
    assert reconstruct(group, PARAMS, every) == bytes(BITS.tolist())


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_more_than_t_wrong_shares_are_refused(group: Group) -> None:
    every = shares(group)
    random = np.random.default_rng(64)
    for role in range(1, group.t + 2):
        every[role] = random.bytes(len(every[role]))
    with pytest.raises(ProtocolError, match="contradict"):
        reconstruct(group, PARAMS, every)


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_wrong_share_among_t_plus_1_is_no_key(group: Group) -> None:
    few = some(group, group.t + 1)
    first = next(iter(few))
    few[first] = few[first][ELEMENT:] + few[first][:ELEMENT]
    with pytest.raises(ProtocolError, match="no bit"):
        reconstruct(group, PARAMS, few)


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("which", [0, -1])
def test_wrong_share_among_t_plus_2_to_2t_plus_1_is_refused(group: Group, which: int) -> None:
    for count in range(group.t + 2, 2 * group.t + 2):
        few = some(group, count)
        wrong = list(few)[which]
        few[wrong] = few[wrong][:-1] + bytes([few[wrong][-1] ^ 1])
        with pytest.raises(ProtocolError, match="contradict"):
            reconstruct(group, PARAMS, few)


def test_share_of_another_length_is_left_out_and_named() -> None:
    group = Group(4, 1)
    every = shares(group)
    every[2] = every[2][:-1]
    assert reconstruct(group, PARAMS, every) == bytes(BITS.tolist())
    with pytest.raises(ProtocolError) as caught:
        reconstruct(group, PARAMS, {2: every[2], 3: every[3]})
    assert caught.value.culprits == {2}


def test_values_that_are_no_bits_are_refused() -> None:
    group = Group(4, 1)
    wrong = BITS.copy()
    wrong[3] = 2
    with pytest.raises(ProtocolError, match="no bit"):
        reconstruct(group, PARAMS, shares(group, wrong))
