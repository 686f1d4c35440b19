"""CiphertextForRecipient as KMS writes it: EnvelopedData in BER with indefinite lengths, byte for byte its shape."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

BLOCK: Final = 16
SHORT: Final = 128
SEQUENCE, SET, OCTETS, CONTEXT_0 = 0x30, 0x31, 0x04, 0xA0
VERSION_2: Final = bytes.fromhex("020102")
ENVELOPED_DATA: Final = bytes.fromhex("06092a864886f70d010703")
DATA: Final = bytes.fromhex("06092a864886f70d010701")
AES256_CBC: Final = bytes.fromhex("060960864801650304012a")
OAEP_SHA256: Final = bytes.fromhex(
    "303c06092a864886f70d010107302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d"
    "06096086480165030402010500"
)


def envelope(content: bytes, recipient: RSAPublicKey) -> bytes:
    """``content`` for the holder of the recipient's RSA key."""
    key, iv = os.urandom(32), os.urandom(BLOCK)
    wrapped = recipient.encrypt(key, OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=None))
    spki = recipient.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    identifier = definite(0x80, sha256(spki).digest())
    to = definite(SEQUENCE, VERSION_2, identifier, OAEP_SHA256, definite(OCTETS, wrapped))
    pad = BLOCK - len(content) % BLOCK
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    ciphertext = encryptor.update(content + bytes([pad]) * pad) + encryptor.finalize()
    algorithm = definite(SEQUENCE, AES256_CBC, definite(OCTETS, iv))
    inner = indefinite(SEQUENCE, DATA, algorithm, indefinite(CONTEXT_0, definite(OCTETS, ciphertext)))
    data = indefinite(SEQUENCE, VERSION_2, definite(SET, to), inner)
    return indefinite(SEQUENCE, ENVELOPED_DATA, indefinite(CONTEXT_0, data))


def definite(tag: int, *parts: bytes) -> bytes:
    """A value with its length in front, of up to 65535 bytes."""
    body = b"".join(parts)
    size = bytes([len(body)]) if len(body) < SHORT else bytes([0x82]) + len(body).to_bytes(2, "big")
    return bytes([tag]) + size + body


def indefinite(tag: int, *parts: bytes) -> bytes:
    """A value that ends where two zero bytes stand."""
    return bytes([tag, 0x80]) + b"".join(parts) + b"\0\0"
