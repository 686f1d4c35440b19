"""Certificates, era proofs and letters: strict bytes, signatures that count once, chains that can't be mixed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_node.ceremony import letters
from dkg_node.ceremony.book import Book, Statement
from dkg_node.ceremony.chain import (
    GENESIS,
    RESUME,
    SEGMENT_PURPOSE,
    Certificate,
    Chain,
    Core,
    EraProof,
    Position,
    decode_chain,
    encode_chain,
    extended,
    go_bytes,
    head,
    last,
    linked,
    next_position,
    proves,
    valid,
)
from dkg_node.ceremony.contents import (
    OpenedKey,
    decode_batch,
    decode_files,
    decode_key,
    decode_setup,
    encode_batch,
    encode_files,
    encode_key,
    encode_setup,
)
from dkg_node.ceremony.segment import resume, resume_slots
from dkg_node.offline.king import Post
from dkg_node.offline.votes import Canonical
from dkg_node.protocols.session import Group, Session
from dkg_node.protocols.state import PublicState
from dkg_node.sharing.sets import members_of, sets_of
from dkg_node.testing.lockstep import Lockstep, SimulatedIdentities

GROUP = Group(4, 1)
SID = bytes(32)
KEYS = SimulatedIdentities(GROUP, 0)


def certificate(chain: Chain, position: Position, signers: tuple[int, ...] = (1, 2, 3)) -> Certificate:
    core = Core(position, head(chain), bytes([position.segment + 1]) * 32, PublicState())
    return Certificate(core, {role: KEYS.of(role).sign(SEGMENT_PURPOSE, core.signed(SID)) for role in signers})


def chain_of(*positions: tuple[int, int]) -> Chain:
    chain: Chain = ()
    for position in positions:
        chain = (*chain, certificate(chain, Position(*position)))
    return chain


WHOLE = chain_of((0, 0), (0, 1), (2, RESUME), (2, 2))


def test_a_chain_survives_the_wire_and_is_linked_and_valid() -> None:
    assert decode_chain(GROUP, encode_chain(WHOLE)) == WHOLE
    assert linked(WHOLE)
    assert all(valid(one, GROUP, SID, KEYS.of(1)) for one in WHOLE)
    assert last(WHOLE) == (2, 2)
    assert next_position(2, WHOLE) == (2, 3)
    assert next_position(3, WHOLE) == (3, RESUME)


@given(place=st.integers(0, 10**6), change=st.integers(1, 255))
def test_a_changed_byte_makes_a_chain_unreadable_unlinked_or_unsigned(place: int, change: int) -> None:
    data = bytearray(encode_chain(WHOLE))
    data[place % len(data)] ^= change
    chain = decode_chain(GROUP, bytes(data))
    assert chain is None or not linked(chain) or not all(valid(one, GROUP, SID, KEYS.of(1)) for one in chain)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_letter_or_nothing(data: bytes) -> None:
    letter = letters.decode(GROUP, data)
    assert letter is None or letters.encode(letter) == data


def test_every_letter_survives_the_wire() -> None:
    statement = Statement.sign(KEYS.of(2), SID, "go", Position(3, RESUME))
    proof = EraProof(3, {2: statement.signature})
    given_letters = (
        letters.Show(proof, WHOLE),
        letters.Say(statement),
        letters.Sign(WHOLE[0].core, bytes(64)),
        letters.Ask(),
        letters.Want(bytes(32)),
        letters.Contents(b"body"),
    )
    for letter in given_letters:
        assert letters.decode(GROUP, letters.encode(letter)) == letter


@pytest.mark.parametrize("signers", [(), (1,), (1, 2)])
def test_fewer_than_n_t_signatures_certify_nothing(signers: tuple[int, ...]) -> None:
    assert not valid(certificate((), Position(0, 0), signers), GROUP, SID, KEYS.of(4))


def test_a_signature_under_another_name_counts_for_nobody() -> None:
    good = certificate((), Position(0, 0), (1, 2))
    forged = replace(good, signatures={**good.signatures, 3: good.signatures[1]})
    assert not valid(forged, GROUP, SID, KEYS.of(4))


def test_certificates_of_two_chains_do_not_mix() -> None:
    other = chain_of((1, RESUME), (1, 0))
    assert not linked((*WHOLE[:1], other[1]))
    assert not linked((WHOLE[1],))
    assert extended(other, WHOLE[2:]) is None
    assert extended(WHOLE[:2], WHOLE[2:]) == WHOLE
    assert extended((), WHOLE) == WHOLE


def test_segments_come_in_the_order_of_the_plan_and_eras_begin_with_resume() -> None:
    for positions in (((0, 1),), ((0, 0), (0, 2)), ((0, 0), (1, 1)), ((0, 0), (0, RESUME)), ((1, RESUME), (0, 0))):
        assert not linked(chain_of(*positions)), positions


def test_digests_cover_contents_and_not_signatures() -> None:
    one, two = certificate((), Position(0, 0), (1, 2, 3)), certificate((), Position(0, 0), (2, 3, 4))
    assert head((one,)) == head((two,)) != GENESIS


def test_an_era_is_proven_by_n_t_parties_that_said_go_to_its_resume() -> None:
    position = Position(5, RESUME)
    signatures = {role: KEYS.of(role).sign("go", go_bytes(SID, "go", position)) for role in GROUP.roles}
    assert proves(EraProof(5, signatures), GROUP, SID, KEYS.of(1))
    assert not proves(EraProof(6, signatures), GROUP, SID, KEYS.of(1))
    assert not proves(EraProof(5, {role: signatures[role] for role in (1, 2)}), GROUP, SID, KEYS.of(1))


# --- the book


def book_with(ready: tuple[int, ...] = (), go: tuple[int, ...] = ()) -> Book:
    book = Book(GROUP, 1)
    for kind, roles in (("ready", ready), ("go", go)):
        for role in roles:
            book.note(role, Statement(kind, Position(0, 0), bytes(64)), 10.0)  # type: ignore[arg-type]
    return book


@pytest.mark.parametrize(
    ("ready", "go", "now", "says"),
    [
        ((1, 2, 3), (), 10.0, False),
        ((1, 2, 3), (), 15.9, False),
        ((1, 2, 3), (), 16.0, True),
        ((1, 2, 3, 4), (), 10.0, True),
        ((2, 3, 4), (), 99.0, False),
        ((1, 2), (), 99.0, False),
        ((), (2,), 99.0, False),
        ((), (2, 3), 10.0, True),
    ],
)
def test_go_is_said_on_all_ready_on_grace_or_on_t_plus_1_go(
    *, ready: tuple[int, ...], go: tuple[int, ...], now: float, says: bool
) -> None:
    assert book_with(ready, go).should_go(Position(0, 0), GROUP.roles, now, 6.0) is says


def test_nobody_waits_for_the_absent() -> None:
    assert book_with((1, 2, 3)).should_go(Position(0, 0), (1, 2, 3), 10.0, 6.0)


def test_n_t_go_start_and_fewer_do_not() -> None:
    assert not book_with((1, 2, 3, 4), (1, 2)).started(Position(0, 0))
    assert book_with((), (2, 3, 4)).started(Position(0, 0))


def test_positions_that_are_over_are_forgotten() -> None:
    book = book_with((2, 3))
    book.note(4, Statement("ready", Position(0, 1), bytes(64)), 0.0)
    book.keep([Position(0, 1)])
    assert set(book.entries) == {Position(0, 1)}
    assert book.entry(Position(0, 0)).ready == set()


# --- contents


def test_contents_survive_the_wire() -> None:
    table = {
        mask: {role: bytes([role]) * 32 for role in members_of(mask, GROUP)[:count]}
        for count, mask in enumerate(sets_of(GROUP), start=1)
        if count
    }
    table = {mask: row or {members_of(mask, GROUP)[0]: bytes(32)} for mask, row in table.items()}
    assert decode_setup(GROUP, encode_setup(GROUP, table)) == table
    opened = (Canonical(Post(0, 1, 2, (1, 2, 3)), bytes(32), frozenset({1, 2, 4})),)
    assert decode_batch(encode_batch(3, opened)) == (3, opened)
    digests = {name: (name.encode() * 32)[:32].hex() for name in ("keyset", "public_key", "server_key")}
    assert decode_files(encode_files(digests)) == digests
    key = OpenedKey("bsk64", bytes(range(16)), (b"a" * 32, b"b" * 32))
    assert decode_key(encode_key(key)) == key


@given(st.binary(max_size=300))
def test_any_bytes_are_contents_or_nothing(data: bytes) -> None:
    assert decode_setup(GROUP, data) is None or len(data) > 100
    found = decode_batch(data)
    assert found is None or encode_batch(*found) == data
    key = decode_key(data)
    assert key is None or encode_key(key) == data
    digests = decode_files(data)
    assert digests is None or encode_files(digests) == data


# --- resume


def in_era(session: Session, era: int) -> Session:
    return replace(session.enter(RESUME, resume_slots(GROUP, 4, era)), era=era)


def test_a_resume_takes_the_chain_of_the_newest_era_however_long_an_older_one_is() -> None:
    lockstep: Lockstep[tuple[Chain, frozenset[int]]] = Lockstep(GROUP)

    def chain_of(*positions: tuple[int, int]) -> Chain:
        chain: Chain = ()
        for position in positions:
            core = Core(Position(*position), head(chain), bytes(32), PublicState())
            signed = {
                role: session.identity.sign(SEGMENT_PURPOSE, core.signed(session.sid))
                for role, session in lockstep.sessions.items()
            }
            chain = (*chain, Certificate(core, signed))
        return chain

    long, new = chain_of((0, 0), (0, 1), (0, 2)), chain_of((0, 0), (1, RESUME), (1, 1))
    held = {1: long, 2: long[:2], 3: new, 4: ()}
    ran = lockstep.run(lambda session: resume(in_era(session, 2), held[session.me], 1 << 20))
    assert ran.errors == {}
    assert list(ran.results.values()) == [(new, frozenset())] * 4


def test_a_resume_takes_no_chain_of_its_own_era_or_later() -> None:
    """Who shows one has it from nowhere: its Broadcast counts as None, and it is Absent."""
    lockstep: Lockstep[tuple[Chain, frozenset[int]]] = Lockstep(GROUP)
    core = Core(Position(1, RESUME), head(()), bytes(32), PublicState())
    signed = {
        role: session.identity.sign(SEGMENT_PURPOSE, core.signed(session.sid))
        for role, session in lockstep.sessions.items()
    }
    held: dict[int, Chain] = {1: (), 2: (), 3: (Certificate(core, signed),), 4: ()}
    ran = lockstep.run(lambda session: resume(in_era(session, 1), held[session.me], 1 << 20))
    assert list(ran.results.values()) == [((), frozenset({3}))] * 4
