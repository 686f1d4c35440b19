"""Fuzz targets of the fault path: revealed keys, a king's showing, and records that strangers judge again."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from dkg_node.algebra import merkle
from dkg_node.algebra.encoding import enc
from dkg_node.offline.check import w_bytes
from dkg_node.offline.evidence import Charge, Conviction, Fault, StampParts
from dkg_node.offline.judge import majority_keys
from dkg_node.offline.king import YPlace
from dkg_node.offline.labels import judged_state, list_digest, opened_body, opened_prefix
from dkg_node.offline.record import decode_fault, encode_fault
from dkg_node.offline.showing import make_showing, read_showing
from dkg_node.offline.slots import keys_limit, showing_limit
from dkg_node.offline.verify import convictions_of, verify_evidence
from dkg_node.protocols.broadcast import Signed
from dkg_node.protocols.session import Ledger, stamp_of
from dkg_node_software.fuzz.protocol import BATCH, CHUNK, POST
from dkg_node_software.fuzz.registry import target
from dkg_node_software.fuzz.world import GROUP, SID, EasyIdentity, Pieces, cut

W_SLOT = 8


def _showings() -> list[bytes]:
    message = bytes(64 + CHUNK.y_bytes)
    return [bytes([element]) + make_showing(CHUNK, element, {1: message, 3: message}) for element in (0, 7)]


@target(_showings)
def showing(data: bytes) -> None:
    """What an accused king shows: None, or the parts of which it is made."""
    element = data[0] % CHUNK.elements if data else 0
    shown = read_showing(CHUNK, element, POST, data[1:])
    if shown is not None:
        assert len(data) - 1 <= showing_limit(GROUP)
        parts = [
            part
            for _, one in sorted(shown.items())
            for part in (
                one.signature,
                one.root,
                *(x for pair in zip(one.blocks, one.paths, strict=True) for x in pair),
            )
        ]
        assert b"".join(parts) == data[1:]
        assert all(len(one.root) == merkle.HASH for one in shown.values())


def _keys() -> list[bytes]:
    good = bytes(keys_limit(GROUP))
    return [cut(good, good, good, good), cut(good, None, good, bytes([1]) * len(good)), cut(good[:-1])]


@target(_keys)
def revealed_keys(data: bytes) -> None:
    """Revealed batch keys: the key of every set, or None; who contradicts t+1 equal reports is named."""
    pieces, limit = Pieces(data), keys_limit(GROUP)
    said = {role: piece for role in GROUP.roles if (piece := pieces.next()) is not None and len(piece) == limit}
    found = majority_keys(GROUP, said)
    if found is not None:
        keys, liars = found
        assert all(len(key) == 32 for key in keys.values())
        assert liars <= set(said)


def _charge() -> Charge:
    """A charge that n-t vouch for: the king's V is zeros."""
    coin, before, state, history = bytes(64), bytes(32), bytes(32), bytes(32)
    blank = Charge(
        sid=SID, era=0, segment=1, generation=0, opened=(), listing=b"", coin=coin, y=YPlace(b"", state),
        w_slot=W_SLOT, stamp=StampParts(before, state, frozenset({4}), history), w={},
    )  # fmt: skip
    body = opened_body(opened_prefix(blank, BATCH, 0, POST), bytes(CHUNK.v_bytes))
    opened = ((POST, sha256(body).digest()),)
    listing = list_digest(blank, BATCH, 0, [(POST.chunk, opened[0][1])])
    stamp = stamp_of(before, judged_state(state, listing, coin, state), Ledger(frozenset({4}), {}, history))
    share = Signed(stamp + bytes(2) + bytes(w_bytes(BATCH.k)), bytes(64))
    where = enc(SID, 0, 1, W_SLOT - GROUP.t - 5)
    return replace(blank, opened=opened, listing=listing, y=YPlace(where, state), w=dict.fromkeys((1, 2, 3), share))


def _stored(_: bytes) -> bytes:
    """An untrusted store that has the king's V."""
    return opened_body(opened_prefix(_charge(), BATCH, 0, POST), bytes(CHUNK.v_bytes))


def _fault(element: int) -> Fault:
    keys = Signed(bytes(34) + bytes(keys_limit(GROUP)), bytes(64))
    message = bytes(64 + CHUNK.y_bytes)
    shown = Signed(bytes(34) + make_showing(CHUNK, element, {1: message, 3: message}), bytes(64))
    named = (Conviction(2, "king"), Conviction(3, "sender"))
    return Fault(_charge(), dict.fromkeys((1, 2, 3), keys), {2: shown}, named, frozenset({3}))


@target(lambda: [encode_fault(_fault(0)), encode_fault(_fault(1))], memory=512)
def fault_record(data: bytes) -> None:
    """A record of a transcript: None, or one that encodes to the same bytes and that a stranger can judge."""
    found = decode_fault(data)
    if found is None:
        return
    assert encode_fault(found) == data
    plan, verify = (GROUP, BATCH), EasyIdentity().verify
    named = convictions_of(found, plan, verify, _stored)
    for conviction in found.convictions:
        assert verify_evidence(found, conviction, plan, verify, _stored) is (conviction in named)
