"""A fault record convinces a stranger of exactly what the parties found, and can't be bent against anybody else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.offline.evidence import Conviction, Fault
from dkg_node.offline.record import decode_fault, encode_fault
from dkg_node.offline.verify import convictions_of, verify_evidence
from dkg_node.protocols.broadcast import Signed
from dkg_node.protocols.session import Group
from dkg_node.protocols.store import MemoryStore
from dkg_node.testing.batches import simulate_batch
from dkg_node.testing.liars import Liars, flipped
from dkg_node.testing.lockstep import SimulatedIdentities

if TYPE_CHECKING:
    from dkg_node.protocols.session import Role

GROUP = Group(7, 2)
BATCH = Batch(5, "noise", 64, tuple(Chunk(i, "noise", 64, 3, 2) for i in range(2)))
VERIFY = SimulatedIdentities(GROUP, 0).of(1).verify


def fault_of(liars: Liars) -> tuple[Fault, MemoryStore]:
    """The record of an honest party, and its store of public bodies."""
    stores = {role: MemoryStore() for role in GROUP.roles}
    run = simulate_batch(GROUP, BATCH, liars, stores=stores)
    honest = max(set(GROUP.roles) - liars.corrupt)
    return run.results[honest].faults[0], stores[honest]


CASES: dict[str, tuple[Liars, set[tuple[int, str]]]] = {
    "king": (Liars(1).add_to_v(1), {(1, "king")}),
    "sender": (Liars(4).add_to_y(4, 2), {(4, "sender")}),
    "check share": (Liars(3).say(3, "W", lambda w, _: flipped(w)), {(3, "check share")}),
    "key": (Liars(1, 2).add_to_v(1).say(2, "keys", lambda k, _: flipped(k)), {(1, "king"), (2, "key")}),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Fault, MemoryStore, set[Conviction]]:
    liars, named = CASES[request.param]
    fault, store = fault_of(liars)
    return fault, store, {Conviction(role, kind) for role, kind in named}  # type: ignore[arg-type]


def judged_by_stranger(fault: Fault, store: MemoryStore) -> set[Conviction]:
    return set(convictions_of(fault, (GROUP, BATCH), VERIFY, store.get))


def test_a_stranger_finds_what_the_parties_found(case: tuple[Fault, MemoryStore, set[Conviction]]) -> None:
    fault, store, named = case
    assert set(fault.convictions) == named
    read = decode_fault(encode_fault(fault))
    assert read == fault
    assert judged_by_stranger(read, store) == named
    assert all(verify_evidence(read, one, (GROUP, BATCH), VERIFY, store.get) for one in named)


def test_nobody_else_and_nothing_else_is_proven(case: tuple[Fault, MemoryStore, set[Conviction]]) -> None:
    fault, store, named = case
    for role in GROUP.roles:
        for kind in ("key", "check share", "sender", "king"):
            one = Conviction(role, kind)
            assert verify_evidence(fault, one, (GROUP, BATCH), VERIFY, store.get) is (one in named)


def test_what_the_record_claims_itself_counts_for_nothing(case: tuple[Fault, MemoryStore, set[Conviction]]) -> None:
    fault, store, named = case
    slander = replace(fault, convictions=(Conviction(7, "king"),), never_king=frozenset({6}))
    assert judged_by_stranger(slander, store) == named


def test_a_lost_wrong_opening_proves_nothing() -> None:
    fault, _ = fault_of(Liars(1).add_to_v(1))
    assert judged_by_stranger(fault, MemoryStore()) == set()


def test_fewer_than_n_minus_t_check_shares_vouch_for_no_list() -> None:
    fault, store = fault_of(Liars(1).add_to_v(1))
    few = {role: said for role, said in fault.charge.w.items() if role < GROUP.quorum}
    assert judged_by_stranger(replace(fault, charge=replace(fault.charge, w=few)), store) == set()
    enough = {role: said for role, said in fault.charge.w.items() if role <= GROUP.quorum}
    assert judged_by_stranger(replace(fault, charge=replace(fault.charge, w=enough)), store)


def test_t_reports_of_a_key_are_too_few_and_one_more_is_enough() -> None:
    """2t parties leave a set with t of its members, 2t+1 leave every set with t+1."""
    fault, store = fault_of(Liars(1).add_to_v(1))
    few = {role: said for role, said in fault.keys.items() if role <= 2 * GROUP.t}
    assert judged_by_stranger(replace(fault, keys=few), store) == set()
    enough = {role: said for role, said in fault.keys.items() if role <= 2 * GROUP.t + 1}
    assert judged_by_stranger(replace(fault, keys=enough), store) == {Conviction(1, "king")}


def test_other_signed_words_of_an_honest_party_do_not_convict_it() -> None:
    """Its keys shown as its check share, its check share of another event, its share of another place."""
    fault, store = fault_of(Liars(1).add_to_v(1))
    other, _ = fault_of(Liars(3).say(3, "W", lambda w, _: flipped(w)))
    charge = fault.charge
    for said in (fault.keys[7], other.charge.w[7]):
        bent = replace(fault, charge=replace(charge, w={**charge.w, 7: said}))
        assert {one.party for one in judged_by_stranger(bent, store)} <= {1}
    shifted = replace(fault, charge=replace(charge, w_slot=charge.w_slot + 1))
    assert judged_by_stranger(shifted, store) == set()
    for field in ("coin", "listing", "sid"):
        bent_field: dict[str, Any] = {field: flipped(getattr(charge, field))}
        changed = replace(charge, **bent_field)
        assert judged_by_stranger(replace(fault, charge=changed), store) == set()
    for field in ("era", "segment", "generation"):
        changed = replace(charge, **{field: getattr(charge, field) + 1})
        assert judged_by_stranger(replace(fault, charge=changed), store) == set()


RECORDS = {name: fault_of(liars) for name, (liars, _) in CASES.items()}


@settings(max_examples=120, deadline=None)
@given(name=st.sampled_from(sorted(CASES)), data=st.data())
def test_a_bent_record_never_convicts_anybody_honest(name: str, data: st.DataObject) -> None:
    """Whoever keeps the record may change it: wherever a bit flips, it is refused, or names liars only, or nobody."""
    whole, store = RECORDS[name]
    record = encode_fault(whole)
    at = data.draw(st.integers(0, len(record) - 1))
    fault = decode_fault(flipped(record, at))
    if fault is not None:
        named = {one.party for one in judged_by_stranger(fault, store)}
        assert named <= CASES[name][0].corrupt


@settings(deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_record_in_one_way_or_none(data: bytes) -> None:
    fault = decode_fault(data)
    assert fault is None or encode_fault(fault) == data


def without(said: dict[Role, Signed], *roles: Role) -> dict[Role, Signed]:
    return {role: one for role, one in said.items() if role not in roles}


def test_signatures_of_corrupt_parties_alone_convict_nobody() -> None:
    """t colluders can sign what they like: reveals of theirs alone fix no key."""
    fault, store = fault_of(Liars(1, 2).add_to_v(1))
    forged = replace(fault, keys=without(dict(fault.keys), 3, 4, 5, 6, 7))
    assert judged_by_stranger(forged, store) == set()
