"""Fuzz targets of the control layer: letters, certificates and chains of the segments, proofs of eras."""

from __future__ import annotations

from dkg_node.ceremony import letters
from dkg_node.ceremony.book import Book, Statement
from dkg_node.ceremony.chain import (
    GENESIS,
    NO_PROOF,
    Certificate,
    Core,
    EraProof,
    Position,
    decode_certificate,
    decode_chain,
    decode_core,
    decode_proof,
    encode_certificate,
    encode_chain,
    encode_proof,
    extended,
    head,
    last,
    next_position,
    proves,
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
from dkg_node.ceremony.evidence import Evidence
from dkg_node.offline.king import Post
from dkg_node.offline.votes import Canonical
from dkg_node.protocols.state import PublicState
from dkg_node.sharing.sets import members_of, sets_of
from dkg_node_software.fuzz.registry import target
from dkg_node_software.fuzz.world import GROUP, ME, SID, EasyIdentity

MEMORY = 512
SIGNED = {1: bytes(64), 2: bytes(64), 4: bytes(64)}


def _core(position: Position, before: bytes) -> Core:
    state = PublicState(absent=frozenset({3}), disputes=frozenset({(1, 2)}), benches=frozenset({(4, 1, 2)}))
    return Core(position, before, bytes(32), state)


def _chain() -> tuple[Certificate, ...]:
    first = _core(Position(0, 0), GENESIS)
    second = _core(Position(0, 1), first.digest())
    return Certificate(first, SIGNED), Certificate(second, SIGNED)


def _letters() -> list[bytes]:
    proof = EraProof(1, SIGNED)
    said = Statement("go", Position(1, -1), bytes(64))
    kinds = (
        letters.Show(proof, _chain()), letters.Say(said), letters.Sign(_chain()[0].core, bytes(64)), letters.Ask(),
        letters.Want(bytes(32)), letters.Contents(b"body"),
        letters.Inquire(bytes(35)), letters.Reply(bytes(35)),
    )  # fmt: skip
    return [letters.encode(letter) for letter in kinds]


@target(_letters, memory=MEMORY)
def letter(data: bytes) -> None:
    """A letter of the control layer: None, or one that encodes to the same bytes and can be taken note of."""
    found = letters.decode(GROUP, data)
    if found is None:
        return
    assert letters.encode(found) == data
    if isinstance(found, letters.Say):
        book = Book(GROUP, ME)
        book.note(2, found.statement, 0.0)
        assert book.started(found.statement.position) is False
    elif isinstance(found, letters.Sign):
        evidence = Evidence(GROUP, SID, EasyIdentity())
        evidence.note(2, found.core, found.signature)
        assert evidence.certified(found.core.position, [()]) is None
    elif isinstance(found, letters.Show):
        assert proves(found.proof, GROUP, SID, EasyIdentity()) in {True, False}


@target(lambda: [encode_chain(_chain()), encode_chain(_chain()[1:]), encode_chain(())], memory=MEMORY)
def chain(data: bytes) -> None:
    """A chain, or the end of one: None, or what encodes to the same bytes and proves itself or not."""
    found = decode_chain(GROUP, data)
    if found is None:
        return
    assert encode_chain(found) == data
    whole = extended(_chain(), found)
    evidence = Evidence(GROUP, SID, EasyIdentity())
    if whole is not None and evidence.proves(whole):
        assert len(head(whole)) == 32
        assert next_position(last(whole).era, whole) > last(whole)


@target(lambda: [encode_certificate(_chain()[0]), _chain()[0].core.encode(), encode_proof(NO_PROOF)], memory=MEMORY)
def segment_certificate(data: bytes) -> None:
    """A segment's certificate, its core, and the proof of an era: None, or what encodes to the same bytes."""
    certificate = decode_certificate(GROUP, data)
    assert certificate is None or encode_certificate(certificate) == data
    core = decode_core(GROUP, data)
    assert core is None or core.encode() == data
    proof = decode_proof(GROUP, data)
    assert proof is None or encode_proof(proof) == data


def _contents() -> list[bytes]:
    certified = {mask: dict.fromkeys(members_of(mask, GROUP), bytes(32)) for mask in sets_of(GROUP)}
    opened = Canonical(Post(0, 0, 2, (1, 2, 3)), bytes(32), frozenset({1, 2, 3}))
    return [
        encode_setup(GROUP, certified),
        encode_batch(1, [opened]),
        encode_key(OpenedKey("bsk64", bytes(16), (bytes(32),))),
        encode_files(dict.fromkeys(("keyset", "public_key", "server_key"), "ab" * 32)),
    ]


@target(_contents, memory=MEMORY)
def contents(data: bytes) -> None:
    """What a certificate names by hash - setup, batch, public key, files -: None, or what encodes to the same bytes."""
    certified = decode_setup(GROUP, data)
    assert certified is None or encode_setup(GROUP, certified) == data
    batch = decode_batch(data)
    assert batch is None or encode_batch(*batch) == data
    key = decode_key(data)
    assert key is None or encode_key(key) == data
    digests = decode_files(data)
    assert digests is None or encode_files(digests) == data
