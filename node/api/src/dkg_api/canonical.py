"""Canonical JSON (RFC 8785) of what is signed and hashed: one text for one value, everywhere (design 03, "Terms")."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NoReturn

import rfc8785

from dkg_api.errors import ApiError

LARGEST = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""
DEEPEST = 64
"""Lists and objects in one another; no document of ours comes near, and no text shall exhaust the stack."""
SHOWN = 40
"""Characters of a name that an error shows."""


class CanonicalError(ApiError):
    """A value has no canonical text, or a text is not JSON."""


def canonical(value: object) -> bytes:
    """UTF-8 canonical text of a value of dicts, lists, text, integers below 2^53, booleans and None.

    Floats are refused: two writers may round them differently. Raises CanonicalError.
    """
    _check(value, [])
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
        _check(value, [])
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise CanonicalError(f"{what}: write valid JSON: {reason}") from error
    return value


def _object_of(what: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a hook as json wants it
    def build(pairs: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(pairs)
        if len(result) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            twice = next(key for key in counts if counts[key] > 1)
            raise CanonicalError(f"{what}: remove one of the two entries {twice[:SHOWN]!r}")
        return result

    return build


def _refuse_float(what: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a hook as json wants it
    def refuse(text: str) -> NoReturn:
        raise CanonicalError(f"{what}: write whole numbers, not {text[:SHOWN]}")

    return refuse


def _check(value: object, path: list[str]) -> None:
    """Raise CanonicalError unless every part can be written; ``path`` leads to the value, for the message.

    It is one list for all parts: a text made for each would cost a long name's length for each part under it.
    """
    if value is None or isinstance(value, (bool, str)):
        return
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise CanonicalError(f"keep the number at {_place(path)} below 2^53")
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if not isinstance(key, str):
                raise CanonicalError(f"use text for the name {key!r} at {_place(path)}")
            _check_part(part, f".{key[:SHOWN]}", path)
    elif isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        for index, part in enumerate(value):
            _check_part(part, f"[{index}]", path)
    else:
        raise CanonicalError(f"use text, whole numbers, lists, objects: {_place(path)} is a {type(value).__name__}")


def _check_part(part: object, name: str, path: list[str]) -> None:
    if len(path) >= DEEPEST:
        raise CanonicalError(f"put at most {DEEPEST} lists and objects in one another")
    path.append(name)
    _check(part, path)
    path.pop()


def _place(path: list[str]) -> str:
    return "".join(path).lstrip(".") or "the top"
