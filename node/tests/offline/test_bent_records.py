"""Whoever keeps a fault record may change it: every field, one after another and two at once, by its structure.

A bent record never convicts anybody honest, and it is refused, or proves what the true one proves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.offline.evidence import Conviction, Fault, Kind
from dkg_node.offline.record import decode_fault, encode_fault
from dkg_node.offline.verify import convictions_of
from dkg_node.protocols.session import Group
from dkg_node.protocols.store import MemoryStore
from dkg_node.testing.batches import simulate_batch
from dkg_node.testing.liars import Liars, flipped
from dkg_node.testing.lockstep import SimulatedIdentities

if TYPE_CHECKING:
    from dkg_node.protocols.session import Role

Bent = Iterator[tuple[str, Any]]
"""Where something was changed, and the whole with it."""
GROUP = Group(4, 1)
BATCH = Batch(5, "noise", 64, tuple(Chunk(i, "noise", 64, 3, 1) for i in range(2)))
VERIFY = SimulatedIdentities(GROUP, 0).of(1).verify
STRANGER = GROUP.n + 1
CASES = {
    "king": Liars(1).add_to_v(1),
    "sender": Liars(3).add_to_y(3, 2),
    "check share": Liars(3).say(3, "W", lambda w, _: flipped(w)),
    "key": Liars(1).add_to_v(1).say(1, "keys", lambda k, _: flipped(k)),
}


def fault_of(liars: Liars) -> tuple[Fault, MemoryStore]:
    """The record of an honest party, and its store of public bodies."""
    stores = {role: MemoryStore() for role in GROUP.roles}
    run = simulate_batch(GROUP, BATCH, liars, stores=stores)
    honest = max(set(GROUP.roles) - liars.corrupt)
    return run.results[honest].faults[0], stores[honest]


RECORDS = {name: fault_of(liars) for name, liars in CASES.items()}


def bends(value: object) -> Bent:
    """Every way to change a value by its type: each part of it, and its make-up."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            for name, bent in bends(getattr(value, field.name)):
                changed: dict[str, Any] = {field.name: bent}
                yield f"{field.name}.{name}", replace(value, **changed)
        return
    ways: dict[type, Any] = {Mapping: _mappings, tuple: _tuples, frozenset: _sets, bytes: _bytes, int: _numbers}
    ways[str] = _kinds
    yield from next(way for kind, way in ways.items() if isinstance(value, kind))(value)


def _mappings(said: Mapping[Role, Any]) -> Bent:
    yield "empty", {}
    for role, one in said.items():
        rest = {other: it for other, it in said.items() if other != role}
        yield f"{role}.dropped", rest
        for other in (role % GROUP.n + 1, STRANGER):
            yield f"{role}.as {other}'s", {**rest, other: one}
            yield f"{role}.also {other}'s", {**said, other: one}
        for name, bent in bends(one):
            yield f"{role}.{name}", {**said, role: bent}


def _tuples(row: tuple[Any, ...]) -> Bent:
    for at, one in enumerate(row):
        for name, bent in bends(one):
            yield f"{at}.{name}", (*row[:at], bent, *row[at + 1 :])
    if len({type(one) for one in row}) > 1:  # a pair, not a list
        return
    yield "empty", ()
    for at, one in enumerate(row):
        yield f"{at}.dropped", row[:at] + row[at + 1 :]
        yield f"{at}.twice", (*row, one)
    for (at, one), (_, other) in pairwise(enumerate(row)):
        yield f"{at}.swapped", (*row[:at], other, one, *row[at + 2 :])


def _sets(roles: frozenset[Role]) -> Bent:
    yield "empty", frozenset[int]()
    for role in range(1, STRANGER + 1):
        yield f"toggled {role}", roles ^ {role}


def _bytes(data: bytes) -> Bent:
    yield "zero", bytes(len(data))
    yield "other", (sha256(data).digest() * (len(data) // 32 + 1))[: len(data)]
    yield "shorter", data[:-1]
    yield "longer", data + b"\0"
    for at in sorted({0, 34, len(data) - 1} & set(range(len(data)))):
        yield f"bit of byte {at}", flipped(data, at)


def _numbers(number: int) -> Bent:
    yield from ((f"{other}", other) for other in (number + 1, number - 1, 0, number + 7, 1 << 31) if other != number)


def _kinds(kind: str) -> Bent:
    yield from ((other, other) for other in get_args(Kind) if other != kind)


def judged(fault: Fault, store: MemoryStore) -> set[Conviction] | None:
    """What a stranger finds in the record as bytes; None when it is none."""
    try:
        record = encode_fault(fault)
    except (OverflowError, ValueError):  # no record has such a number
        return None
    read = decode_fault(record)
    return None if read is None else set(convictions_of(read, (GROUP, BATCH), VERIFY, store.get))


@pytest.mark.parametrize("name", CASES)
def test_a_record_bent_in_any_field_convicts_nobody_honest_and_is_refused_or_proves_the_same(name: str) -> None:
    fault, store = RECORDS[name]
    truth = set(fault.convictions)
    assert judged(fault, store) == truth
    wrong = []
    for where, bent in bends(fault):
        found = judged(bent, store)
        if found is None:
            continue
        honest = {one.party for one in found} <= CASES[name].corrupt
        if not honest or (found != truth and set(bent.convictions) == found):
            wrong.append((where, found))
    assert wrong == []


def test_every_field_of_a_record_is_bent() -> None:
    """The walk reaches what it must reach: a new field of a record can't be forgotten."""
    fault, _ = RECORDS["sender"]
    seen = {where.split(".")[0] for where, _ in bends(fault)}
    inside = {where.split(".")[1] for where, _ in bends(fault) if where.startswith("charge.")}
    assert seen == {field.name for field in fields(fault)}
    assert inside == {field.name for field in fields(fault.charge)}


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(CASES)), data=st.data())
def test_a_record_bent_in_two_fields_convicts_nobody_honest(name: str, data: st.DataObject) -> None:
    fault, store = RECORDS[name]
    for _ in range(2):
        ways = list(bends(fault))
        fault = ways[data.draw(st.integers(0, len(ways) - 1))][1]
    found = judged(fault, store)
    assert found is None or {one.party for one in found} <= CASES[name].corrupt


def test_another_state_of_the_shares_blames_no_king() -> None:
    """All true signatures of the senders look forged under it: who keeps the record could choose it."""
    fault, store = RECORDS["sender"]
    y = replace(fault.charge.y, state=bytes(32))
    assert judged(replace(fault, charge=replace(fault.charge, y=y)), store) == set()
    bound = replace(fault.charge.stamp, state=bytes(32))
    assert judged(replace(fault, charge=replace(fault.charge, y=y, stamp=bound)), store) == set()
