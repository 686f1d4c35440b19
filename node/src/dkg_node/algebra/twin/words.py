"""Words, elements and key streams as bytes, and what a caller must not get wrong."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import ECB

from dkg_node.algebra.encoding import kdf
from dkg_node.algebra.ring import COORDINATES, Element, Ring

Buffer = bytes | bytearray | memoryview

BLOCK = 16
AES_KEY = 16
LIMB_BITS = 16


def ring_of(k: int) -> Ring:
    """R with K bits a coordinate; ValueError unless K is 64 or 128."""
    if k not in {64, 128}:
        raise ValueError(f"use 64 or 128 bits a coordinate, not {k}")
    return Ring(k)


def check_group(n: int, t: int) -> None:
    """ValueError unless (n, t) is one of 4/1, 7/2, 10/3, 13/4."""
    if not (1 <= t <= 4 and n == 3 * t + 1):
        raise ValueError(f"use n/t of 4/1, 7/2, 10/3 or 13/4, not {n}/{t}")


def check_party(n: int, party: int) -> None:
    """ValueError unless the party is one of 1..n."""
    if not 1 <= party <= n:
        raise ValueError(f"name a party of 1..{n}, not {party}")


def element_bytes(k: int) -> int:
    """Bytes of an element on the wire."""
    return COORDINATES * k // 8


def split(data: Buffer, size: int) -> list[bytes]:
    """Pieces of ``size`` bytes; the caller made sure that they fit."""
    whole = bytes(data)
    return [whole[at : at + size] for at in range(0, len(whole), size)]


def read_words(data: Buffer, k: int) -> list[int]:
    """Unsigned little-endian words of K bits."""
    return [int.from_bytes(word, "little") for word in split(data, k // 8)]


def read_elements(data: Buffer, k: int) -> list[Element] | None:
    """Elements of four words; None for a broken length."""
    if len(data) % element_bytes(k):
        return None
    words = read_words(data, k)
    return [(words[i], words[i + 1], words[i + 2], words[i + 3]) for i in range(0, len(words), COORDINATES)]


def write_elements(elements: Iterable[Element], k: int) -> bytes:
    """Four little-endian words of K bits an element."""
    return b"".join(word.to_bytes(k // 8, "little") for element in elements for word in element)


def signed_limbs(word: bytes) -> int:
    """The sum of int16(limb_q) 2^(16 q) over the 16-bit limbs of a word."""
    limbs = split(word, LIMB_BITS // 8)
    return sum(int.from_bytes(limb, "little", signed=True) << (LIMB_BITS * q) for q, limb in enumerate(limbs))


def stream(key: bytes, offset: int, length: int, first: int = 0) -> bytes:
    """Bytes offset..offset+length of AES-128 in counter mode; 16-byte little-endian counters from ``first``."""
    begin, end = offset // BLOCK, -(-(offset + length) // BLOCK)
    counters = ((first + block) % (1 << 128) for block in range(begin, end))
    # ECB of the counters is counter mode with the counters spelled out: the library's own CTR counts big endian.
    encryptor = Cipher(AES128(key), ECB()).encryptor()  # noqa: S305
    blocks = encryptor.update(b"".join(counter.to_bytes(BLOCK, "little") for counter in counters))
    return blocks[offset % BLOCK :][:length]


def aes_key(key: bytes, label: bytes) -> bytes:
    """The AES-128 key of a label: the first 16 bytes of KDF(key, label)."""
    return kdf(key, label)[:AES_KEY]
