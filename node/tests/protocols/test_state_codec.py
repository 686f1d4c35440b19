"""Public state and items as bytes: what is decoded encodes to the same bytes, anything else is None."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_node.algebra.encoding import Mask, enc
from dkg_node.protocols.decoding import decoded
from dkg_node.protocols.session import Group
from dkg_node.protocols.state import PublicState
from dkg_node.protocols.state_codec import decode_state, encode_state

GROUP = Group(4, 1)
ITEM = st.recursive(
    st.binary(max_size=8) | st.text(max_size=4) | st.integers(0, 2**64 - 1) | st.integers(0, 2**16 - 1).map(Mask),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)
ROLES = st.frozensets(st.integers(1, 4))
STATES = st.builds(
    PublicState,
    corrupt=ROLES,
    absent=ROLES,
    benched=ROLES,
    never_king=ROLES,
    disputes=st.frozensets(st.tuples(st.integers(1, 4), st.integers(1, 4))),
    generations=st.frozensets(st.tuples(st.integers(0, 99), st.integers(0, 9))),
)


@given(st.lists(ITEM, max_size=4).map(tuple))
def test_items_survive_the_wire(items: tuple[object, ...]) -> None:
    assert decoded(enc(*items)) == items  # type: ignore[arg-type]


@given(st.binary(max_size=80) | st.lists(ITEM).map(lambda items: enc(*items)).flatmap(lambda b: st.just(b[:-1])))
def test_items_decode_to_what_encodes_to_the_same_bytes(data: bytes) -> None:
    items = decoded(data)
    assert items is None or enc(*items) == data


@given(STATES)
def test_states_survive_the_wire(state: PublicState) -> None:
    assert decode_state(GROUP, encode_state(state)) == state


@given(STATES, st.data())
def test_a_changed_byte_is_another_state_or_none(state: PublicState, data: st.DataObject) -> None:
    encoded = bytearray(encode_state(state))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    found = decode_state(GROUP, bytes(encoded))
    assert found is None or encode_state(found) == bytes(encoded)


@pytest.mark.parametrize("name", [field.name for field in fields(PublicState)])
def test_every_field_of_the_state_is_carried(name: str) -> None:
    roles = name in {"corrupt", "absent", "benched", "never_king"}
    value = frozenset({2}) if roles else frozenset({(1, 2, 3) if name == "benches" else (1, 2)})
    state = replace(PublicState(), **{name: value})  # type: ignore[arg-type]
    assert decode_state(GROUP, encode_state(state)) == state


def test_parties_outside_the_group_are_refused() -> None:
    assert decode_state(GROUP, encode_state(PublicState(absent=frozenset({5})))) is None


@pytest.mark.parametrize("entry", [(), (1,), (1, 2, 3)])
def test_tuples_of_another_width_than_the_field_has_are_refused(entry: tuple[int, ...]) -> None:
    state = replace(PublicState(), disputes=frozenset({entry}))  # type: ignore[arg-type]
    assert decode_state(GROUP, encode_state(state)) is None
