"""Canonical JSON (RFC 8785) of what is signed and hashed: one text for one value, everywhere (design 03, "Terms")."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import NoReturn

import rfc8785

from dkg_api.errors import ApiError

LARGEST = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""


class CanonicalError(ApiError):
    """A value has no canonical text, or a text is not JSON."""


def canonical(value: object) -> bytes:
    """UTF-8 canonical text of a value of dicts, lists, text, integers below 2^53, booleans and None.

    Floats are refused: two writers may round them differently. Raises CanonicalError.
    """
    _check(value, "")
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]  # _check has seen every part of it
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise CanonicalError(f"write text as valid Unicode: {error}") from error


def digest(value: object) -> bytes:
    """SHA-256 of the canonical text, 32 bytes."""
    return hashlib.sha256(canonical(value)).digest()


def parse(text: bytes | str, what: str) -> object:
    """Value of a JSON text that has no double key, no float and no integer of 2^53 or more.

    ``what`` names the text in errors. Raises CanonicalError.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object_of(what),
            parse_float=_refuse_float(what),
            parse_constant=_refuse_float(what),
        )
        _check(value, "")
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise CanonicalError(f"{what}: write valid JSON: {reason}") from error
    return value


def _object_of(what: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a hook as json wants it
    def build(pairs: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(pairs)
        if len(result) != len(pairs):
            twice = next(key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1)
            raise CanonicalError(f"{what}: remove one of the two entries {twice!r}")
        return result

    return build


def _refuse_float(what: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a hook as json wants it
    def refuse(text: str) -> NoReturn:
        raise CanonicalError(f"{what}: write whole numbers, not {text[:40]}")

    return refuse


def _check(value: object, where: str) -> None:
    if value is None or isinstance(value, (bool, str)):
        return
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise CanonicalError(f"keep the number at {where or 'the top'} below 2^53")
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if not isinstance(key, str):
                raise CanonicalError(f"use text for the name {key!r} at {where or 'the top'}")
            _check(part, f"{where}.{key}" if where else key)
    elif isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        for index, part in enumerate(value):
            _check(part, f"{where}[{index}]")
    else:
        raise CanonicalError(
            f"use text, whole numbers, lists, objects: {where or 'the top'} is a {type(value).__name__}"
        )
