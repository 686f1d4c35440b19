"""CBOR and the statement inside an attestation document: one encoding, or nothing."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_api.cbor import CborError, encoded, plain_value
from dkg_api.user_data import ATTESTATION_PURPOSES, LIMIT, UserData, decode_user_data

digests = st.binary(min_size=32, max_size=32)
statements = st.builds(
    UserData,
    purpose=st.sampled_from(sorted(ATTESTATION_PURPOSES)),
    terms_digest=digests,
    attempt=st.integers(0, 1024),
    party=st.integers(1, 13),
    boot_id=st.binary(min_size=16, max_size=16),
    boot_number=st.integers(0, 2**63 - 1),
    root=digests,
    identity_key=digests,
    channel_key=digests,
    sealing=st.none() | digests,
)
USUAL = UserData(
    purpose="channel", terms_digest=bytes(32), attempt=1, party=2, boot_id=bytes(16), boot_number=3, root=bytes(32),
    identity_key=bytes(32), channel_key=bytes(32),
)  # fmt: skip


def fields() -> dict[int, Any]:
    result: dict[int, Any] = cbor2.loads(USUAL.encode())
    return result


@given(statements)
def test_a_statement_comes_back_and_fits_into_a_document(said: UserData) -> None:
    data = said.encode()
    assert decode_user_data(data) == said
    assert len(data) <= LIMIT


def test_the_keys_of_the_map_never_change() -> None:
    whole = UserData(
        purpose="kms", terms_digest=b"t" * 32, attempt=4, party=5, identity_key=b"i" * 32, channel_key=b"x" * 32,
        boot_id=b"b" * 16, boot_number=9, sealing=b"s" * 32, root=b"r" * 32,
    )  # fmt: skip
    assert cbor2.loads(whole.encode()) == {
        1: 1, 2: "kms", 3: b"t" * 32, 4: 4, 5: 5, 6: b"i" * 32, 7: b"x" * 32, 8: b"b" * 16, 9: 9, 10: b"s" * 32,
        11: b"r" * 32,
    }  # fmt: skip
    assert whole.encode().startswith(bytes.fromhex("ab0101 02636b6d73 035820"))


@given(st.binary(max_size=600))
def test_other_bytes_are_no_statement(data: bytes) -> None:
    assert decode_user_data(data) is None


@given(statements, st.data())
def test_a_changed_statement_is_another_one_or_none(said: UserData, draw: st.DataObject) -> None:
    data = bytearray(said.encode())
    data[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))
    assert decode_user_data(bytes(data)) != said


@pytest.mark.parametrize(
    "change",
    [
        {1: 2}, {1: True}, {1: None}, {2: "terms"}, {2: 1}, {3: bytes(31)}, {3: "0" * 32}, {4: -1}, {4: 1025},
        {4: True}, {5: 0}, {5: 14}, {6: None}, {6: bytes(33)}, {7: None}, {8: bytes(15)}, {9: -1}, {9: 2**63},
        {9: 1.5}, {10: b""}, {11: bytes(31)}, {12: 1}, {"2": "kms"},
    ],
    ids=str,
)  # fmt: skip
def test_a_field_of_another_kind_makes_it_no_statement(change: dict[Any, Any]) -> None:
    assert decode_user_data(encoded(fields())) == USUAL
    assert decode_user_data(encoded({**fields(), **change})) is None


@pytest.mark.parametrize("key", [1, 2, 3, 4, 5, 6, 7, 8, 9, 11])
def test_a_missing_field_makes_it_no_statement(key: int) -> None:
    assert decode_user_data(encoded({k: value for k, value in fields().items() if k != key})) is None


def test_another_encoding_of_the_same_fields_is_no_statement() -> None:
    data = USUAL.encode()
    assert decode_user_data(cbor2.dumps(dict(reversed(fields().items())))) is None
    assert decode_user_data(b"\xbf" + data[1:] + b"\xff") is None
    assert decode_user_data(data + b"\x00") is None
    assert decode_user_data(data.replace(b"\x01\x01", b"\x01\x18\x01", 1)) is None
    assert decode_user_data(None) is None
    assert decode_user_data(b"") is None


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": "terms"},
        {"party": 0},
        {"attempt": 1025},
        {"root": b""},
        {"channel_key": None},
        {"boot_number": True},
    ],
    ids=str,
)
def test_a_wrong_statement_can_not_be_made(change: dict[str, Any]) -> None:
    given_fields = {name: getattr(USUAL, name) for name in USUAL.__slots__}
    with pytest.raises(ValueError, match=r"^(use|give) "):
        UserData(**{**given_fields, **change})


@pytest.mark.parametrize(
    "data",
    [
        "", "ff", "81", "818181818101", "0000", "1c", "61ff",
        "c001", "c24101", "c4820a0b", "d8236128", "d81c8100", "d90102a0", "d9d9f700",
        "a200010002", "a1d82361280100", "9bffffffffffffffff", "5bffffffffffffffff",
    ],
)  # fmt: skip
def test_what_is_not_one_plain_value_is_refused(data: str) -> None:
    with pytest.raises(CborError):
        plain_value(bytes.fromhex(data))


@given(st.binary(max_size=64))
def test_no_bytes_make_the_reader_raise_anything_else(data: bytes) -> None:
    try:
        plain_value(data)
    except CborError as error:
        assert "\n" not in str(error)  # noqa: PT017 - it may also be a value
