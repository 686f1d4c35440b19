"""Texts made to cost a reader time, memory or stack cost no more than their length."""

from __future__ import annotations

import pytest

from dkg_api.canonical import DEEPEST, CanonicalError, canonical, parse
from dkg_api.status import read_status

MANY = 100_000


def nested(levels: int, inner: str = "1") -> str:
    return '{"a":[' * (levels // 2) + inner + "]}" * (levels // 2)


@pytest.mark.timeout(120)  # comparing every name with every other would take minutes
def test_a_double_name_behind_many_is_found() -> None:
    names = ",".join(f'"{i}":0' for i in range(MANY))
    with pytest.raises(CanonicalError, match="one of the two entries"):
        parse(f'{{{names},"{MANY - 1}":1}}', "text")


@pytest.mark.timeout(120)  # a text with the name for every part would be some 200 GB of copies
def test_a_long_name_over_many_parts_is_read() -> None:
    name = "n" * (2 << 20)
    value = parse(f'{{"{name}":[{"0," * MANY}0]}}', "text")
    assert value == {name: [0] * (MANY + 1)}


def test_nothing_nests_deeper_than_the_limit() -> None:
    assert canonical(parse(nested(DEEPEST), "text")) == nested(DEEPEST).encode()
    for levels in (DEEPEST + 2, 400, 900, 100_000):
        with pytest.raises(CanonicalError):
            parse(nested(levels), "text")
    value: object = 1
    for _ in range(DEEPEST + 1):
        value = [value]
    with pytest.raises(CanonicalError, match="in one another"):
        canonical(value)


def test_an_error_shows_no_more_than_the_beginning_of_a_name() -> None:
    name = "n" * 9999
    for text in (f'{{"{name}":0,"{name}":1}}', f'{{"{name}":9007199254740992}}'):
        with pytest.raises(CanonicalError) as caught:
            parse(text, "text")
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"party":"1"}', b'{"party":1}', b"null"])
def test_a_status_that_is_none_is_none(content: bytes) -> None:
    assert read_status(content) is None
