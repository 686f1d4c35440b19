"""CBOR (RFC 8949) as attestation has it: plain values only, to the last byte, nothing decoded twice."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import cbor2

from dkg_api.errors import ApiError

MAX_DEPTH = 4
"""A map in an array in a map is all that any document of ours holds."""


class CborError(ApiError):
    """The bytes are not one plain CBOR value."""


class _NoTags(Mapping[int, Callable[[Any, bool], Any]]):
    """Answers to every tag with a refusal: else the library makes numbers, dates, patterns of a peer's bytes."""

    def __getitem__(self, tag: int) -> Callable[[Any, bool], NoReturn]:
        return _refuse

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 1


def _refuse(_value: object, _immutable: bool) -> NoReturn:  # noqa: FBT001 - called by the library
    raise CborError("write plain values, without tags")


def plain_value(data: bytes) -> object:
    """The one value the bytes hold: no tags, no double keys, at most four levels, nothing after it.

    Lengths may be indefinite and longer than needed; who wants one encoding only compares with ``encoded``.
    Raises CborError, whatever the bytes.
    """
    stream = io.BytesIO(data)
    decoder = cbor2.CBORDecoder(
        stream, semantic_decoders=_NoTags(), max_depth=MAX_DEPTH, allow_duplicate_keys=False, read_size=1
    )
    try:
        value: object = decoder.decode()
    except (cbor2.CBORError, ApiError) as error:
        raise CborError("write one CBOR value: " + " ".join(str(error).split())) from error
    if stream.read(1):
        raise CborError("remove what follows the CBOR value")
    return value


def encoded(value: object) -> bytes:
    """The deterministic encoding of RFC 8949 section 4.2.1 for small integers, bytes, text, None, lists and maps."""
    return cbor2.dumps(value, canonical=True)
