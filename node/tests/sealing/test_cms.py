"""Answers of KMS for an enclave: real ones are read, and nothing else is."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg_node.algebra.kernel import Secret, Shares
from dkg_node.errors import SealingError
from dkg_node.sealing.cms import MAX_BYTES, Recipient, read_envelope

VECTORS = Path(__file__).parents[1] / "vectors" / "kms-cms"
KEY = bytes(range(32))
RECIPIENT = Recipient.fresh()
OAEP_PARAMETERS = bytes.fromhex(
    "303c06092a864886f70d010107302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d"
    "06096086480165030402010500"
)


def indefinite(tag: int, *parts: bytes) -> bytes:
    return bytes([tag, 0x80]) + b"".join(parts) + b"\0\0"


def definite(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = bytes([len(body)]) if len(body) < 128 else bytes([0x82]) + len(body).to_bytes(2, "big")
    return bytes([tag]) + size + body


def envelope(plaintext: bytes, *, to: Recipient = RECIPIENT, content_key: bytes | None = None) -> bytes:
    """As KMS writes it: by hand, byte for byte the shape of the vectors."""
    content_key = os.urandom(32) if content_key is None else content_key
    iv, pad = os.urandom(16), 16 - len(plaintext) % 16
    encryptor = Cipher(AES(content_key), CBC(iv)).encryptor()
    ciphertext = encryptor.update(plaintext + bytes([pad]) * pad) + encryptor.finalize()
    wrapped = to.key.public_key().encrypt(content_key, OAEP(MGF1(SHA256()), SHA256(), None))
    recipient = definite(
        0x30, b"\x02\x01\x02", definite(0x80, bytes(32)), OAEP_PARAMETERS, definite(0x04, wrapped)
    )  # fmt: skip
    algorithm = definite(0x30, bytes.fromhex("060960864801650304012a"), definite(0x04, iv))
    content = indefinite(
        0x30, bytes.fromhex("06092a864886f70d010701"), algorithm, indefinite(0xA0, definite(0x04, ciphertext))
    )
    data = indefinite(0x30, b"\x02\x01\x02", definite(0x31, recipient), content)
    return indefinite(0x30, bytes.fromhex("06092a864886f70d010703"), indefinite(0xA0, data))


def same(secret: Secret, expected: bytes) -> bool:
    """Whether the handle holds these bytes: what it seals opens under them."""
    blob = Shares.from_wire(64, bytes(32)).sealed(secret, b"x")
    try:
        Shares.unsealed(Secret.from_bytes(expected), b"x", blob)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("suffix", ["", "_w_ctx"])
def test_the_parts_of_real_answers_are_found(suffix: str) -> None:
    parts = read_envelope((VECTORS / f"input_ber{suffix}.bin").read_bytes())
    assert parts.encrypted_key == (VECTORS / f"encrypted_key_out{suffix}.bin").read_bytes()
    assert parts.iv == (VECTORS / f"iv_out{suffix}.bin").read_bytes()
    assert parts.ciphertext == (VECTORS / f"ciphertext_out{suffix}.bin").read_bytes()


def test_our_own_answers_have_the_shape_of_real_ones() -> None:
    real, own = (VECTORS / "input_ber.bin").read_bytes(), envelope(KEY)
    assert len(real) == len(own)
    same_bytes = sum(a == b for a, b in zip(real, own, strict=True))
    assert same_bytes >= len(real) - (32 + 256 + 16 + 48), "identifier, key, iv and content differ, nothing else"


def test_the_data_key_is_found_and_never_shown() -> None:
    secret = RECIPIENT.open(envelope(KEY))
    assert same(secret, KEY)
    assert not same(secret, bytes(32))
    assert KEY.hex() not in repr(secret) + repr(RECIPIENT)


def test_an_answer_for_another_enclave_is_refused() -> None:
    with pytest.raises(SealingError):
        RECIPIENT.open(envelope(KEY, to=Recipient.fresh()))


@pytest.mark.parametrize("plaintext", [b"", KEY[:31], KEY + b"\0", KEY * 2, KEY + b"\x10" * 16])
def test_a_data_key_of_another_length_is_refused(plaintext: bytes) -> None:
    with pytest.raises(SealingError):
        RECIPIENT.open(envelope(plaintext))


def test_a_content_key_of_another_length_is_refused() -> None:
    with pytest.raises(SealingError):
        RECIPIENT.open(envelope(KEY, content_key=bytes(16)))


def test_another_hash_in_oaep_is_refused() -> None:
    good = envelope(KEY)
    sha256, sha384 = bytes.fromhex("0609608648016503040201"), bytes.fromhex("0609608648016503040202")
    for place in (good.index(sha256), good.rindex(sha256)):
        with pytest.raises(SealingError):
            read_envelope(good[:place] + sha384 + good[place + len(sha384) :])
    wrapped = RECIPIENT.key.public_key().encrypt(bytes(32), OAEP(MGF1(SHA1()), SHA1(), None))  # noqa: S303 - the attack
    start = good.index(b"\x04\x82\x01\x00") + 4
    with pytest.raises(SealingError):
        RECIPIENT.open(good[:start] + wrapped + good[start + 256 :])


def test_every_refusal_reads_the_same() -> None:
    """Which check failed says nothing to whoever wrote the bytes."""
    wrong = [
        b"",
        b"x",
        envelope(KEY)[:-1],
        envelope(KEY, to=Recipient.fresh()),
        envelope(KEY[:5]),
        bytes(MAX_BYTES + 1),
    ]
    texts = set()
    for data in wrong:
        with pytest.raises(SealingError) as refusal:
            RECIPIENT.open(data)
        texts.add(str(refusal.value))
    assert len(texts) == 1


def test_changed_bytes_raise_nothing_else_and_give_the_key_only_where_nothing_hangs_on_them() -> None:
    """The recipient's identifier is a hint that nobody checks; every other byte is the key's or the shape's."""
    source, good = random.Random(7), envelope(KEY)
    identifier = range(good.index(b"\x80\x20") + 2, good.index(b"\x80\x20") + 34)
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= source.randrange(1, 256)
        try:
            secret = RECIPIENT.open(bytes(changed))
        except SealingError:
            continue
        assert place in identifier or not same(secret, KEY), place


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=600))
def test_hostile_bytes_raise_nothing_but_a_sealing_error(data: bytes) -> None:
    with pytest.raises(SealingError):
        RECIPIENT.open(data)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 460), st.binary(min_size=1, max_size=20), st.integers(0, 40))
def test_hostile_pieces_in_a_good_answer_raise_nothing_but_a_sealing_error(at: int, piece: bytes, drop: int) -> None:
    good = envelope(KEY)
    try:
        RECIPIENT.open(good[:at] + piece + good[at + drop :])
    except SealingError:
        return


@pytest.mark.parametrize("opening", [b"\x30\x80", b"\x24\x80", b"\xa0\x80"])
def test_deep_nesting_is_refused(opening: bytes) -> None:
    head = envelope(KEY)[: envelope(KEY).index(b"\xa0\x80") + 2]
    for data in (opening * 3000, head + opening * 3000):
        with pytest.raises(SealingError):
            RECIPIENT.open(data[:MAX_BYTES])
