"""Public state as bytes, for certificates (01 section 2). Follows the fields of ``PublicState``, whatever they are."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from dkg_node.algebra.encoding import Item, Mask, enc
from dkg_node.protocols.decoding import decoded, is_integer
from dkg_node.protocols.state import PublicState, mask_of, roles_of

if TYPE_CHECKING:
    from dkg_node.protocols.session import Group

ROLES = "frozenset[Role]"
"""Fields of this type are masks; all others are sets of tuples of integers."""
WIDTHS = {"frozenset[Pair]": 2, "frozenset[Bench]": 3}
"""Integers in the tuples of a field, by its type."""


def encode_state(state: PublicState) -> bytes:
    """``enc`` of the fields in their order: sets of parties as masks, sets of tuples sorted."""
    items: list[Item] = []
    for field in fields(state):
        value = getattr(state, field.name)
        items.append(mask_of(value) if field.type == ROLES else [list(entry) for entry in sorted(value)])
    return enc(*items)


def decode_state(group: Group, data: bytes) -> PublicState | None:
    """Inverse of ``encode_state``; None for bytes that encode no state of this group's parties."""
    items = decoded(data)
    declared = fields(PublicState)
    if items is None or len(items) != len(declared):
        return None
    values: dict[str, object] = {}
    for field, item in zip(declared, items, strict=True):
        value = _roles(group, item) if field.type == ROLES else _tuples(item, WIDTHS[str(field.type)])
        if value is None:
            return None
        values[field.name] = value
    state = PublicState(**values)  # type: ignore[arg-type]  # built from the fields' own types
    return state if encode_state(state) == data else None


def _roles(group: Group, item: Item) -> frozenset[int] | None:
    if not isinstance(item, Mask) or item >> group.n:
        return None
    return frozenset(roles_of(item))


def _tuples(item: Item, width: int) -> frozenset[tuple[int, ...]] | None:
    if not isinstance(item, tuple):
        return None
    found = set()
    for entry in item:
        if not isinstance(entry, tuple) or len(entry) != width or not all(map(is_integer, entry)):
            return None
        found.add(entry)
    return frozenset(found)
