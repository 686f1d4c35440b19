"""Fault records as bytes, for transcripts: strict, one encoding a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

from dkg_node.algebra.encoding import Item, Mask, enc
from dkg_node.offline.evidence import Charge, Conviction, Fault, Kind, StampParts
from dkg_node.offline.king import SIGNATURE, Post, YPlace
from dkg_node.protocols.broadcast import Signed
from dkg_node.protocols.decoding import decoded, is_integer
from dkg_node.protocols.state import mask_of, roles_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node.protocols.session import Role

VERSION = "dkg fault 1"
HASH = 32
NUMBERS = 1 << 32
"""All numbers of a record are below: slots and generations are counted on from them."""


def encode_fault(fault: Fault) -> bytes:
    """The record: charge, revealed keys, showing, convictions, who may not be king, hashes of wrong V."""
    charge = fault.charge
    return enc(
        VERSION,
        [charge.sid, charge.era, charge.segment, charge.generation, charge.listing, charge.coin],
        [[p.chunk, p.attempt, p.king, mask_of(p.senders), digest] for p, digest in charge.opened],
        [charge.y.where, charge.y.state, charge.w_slot],
        [charge.stamp.before, charge.stamp.state, mask_of(charge.stamp.absent), charge.stamp.history],
        _said(charge.w),
        _said(fault.keys),
        _said(fault.showing),
        [[one.party, one.kind] for one in fault.convictions],
        mask_of(fault.never_king),
        list(fault.openings),
    )


def decode_fault(data: bytes) -> Fault | None:
    """Inverse of ``encode_fault``; None unless ``encode_fault`` of the result is ``data``."""
    items = decoded(data)
    try:
        fault = _fault(items) if items is not None else None
        return fault if fault is not None and encode_fault(fault) == data else None
    except (TypeError, ValueError, OverflowError):  # a field of another type, length or number
        return None


def _said(said: Mapping[Role, Signed]) -> list[Item]:
    return [[role, one.body, one.signature] for role, one in sorted(said.items())]


def _fault(items: tuple[Item, ...]) -> Fault:
    """ValueError or TypeError for a field of another type or length: what passes can be judged without a surprise."""
    version, head, opened, y, stamp, w, keys, showing, convictions, never_king, openings = items
    sid, era, segment, generation, listing, coin = _list(head)
    where, state, w_slot = _list(y)
    before, bound, absent, history = _list(stamp)
    if version != VERSION:
        raise ValueError("read records of this version only")
    charge = Charge(
        sid=_bytes(sid, HASH),
        era=_number(era),
        segment=_number(segment),
        generation=_number(generation),
        opened=tuple(_post(entry) for entry in _list(opened)),
        listing=_bytes(listing, HASH),
        coin=_bytes(coin),
        y=YPlace(_bytes(where), _bytes(state, HASH)),
        w_slot=_number(w_slot),
        stamp=StampParts(_bytes(before, HASH), _bytes(bound, HASH), _roles(absent), _bytes(history, HASH)),
        w=_heard(w),
    )
    named = tuple(_conviction(entry) for entry in _list(convictions))
    kept = tuple(_bytes(entry, HASH) for entry in _list(openings))
    return Fault(charge, _heard(keys), _heard(showing), named, _roles(never_king), kept)


def _list(item: Item) -> tuple[Item, ...]:
    if not isinstance(item, tuple):
        raise TypeError("a list is due here")
    return item


def _bytes(item: Item, size: int | None = None) -> bytes:
    if not isinstance(item, bytes) or size not in {None, len(item)}:
        raise TypeError("bytes are due here, of their length")
    return item


def _number(item: Item) -> int:
    if not isinstance(item, int) or not is_integer(item) or item >= NUMBERS:
        raise TypeError("a number is due here, one that can be added to")
    return item


def _roles(item: Item) -> frozenset[Role]:
    if not isinstance(item, Mask):
        raise TypeError("a set of parties is due here")
    return frozenset(roles_of(item))


def _post(entry: Item) -> tuple[Post, bytes]:
    chunk, attempt, king, senders, digest = _list(entry)
    post = Post(_number(chunk), _number(attempt), _number(king), tuple(sorted(_roles(senders))))
    return post, _bytes(digest, HASH)


def _heard(said: Item) -> dict[Role, Signed]:
    rows = [_list(row) for row in _list(said)]
    return {_number(role): Signed(_bytes(body), _bytes(signature, SIGNATURE)) for role, body, signature in rows}


def _conviction(entry: Item) -> Conviction:
    party, kind = _list(entry)
    if kind not in get_args(Kind):
        raise ValueError("name a kind of conviction")
    return Conviction(_number(party), cast("Kind", kind))
