"""Every body of a key set once more, slowly, from the sentences of 02 "Layouts" alone: the bit-exact oracle.

Shares nothing with the keygen layer but the numbers of the parameter set: other mask stream (AES block by block), other
products (shift and add), other loops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dkg_node.keygen.parameters import KeySpec, ParameterSet

Array = "NDArray[Any]"
AES_BLOCK = 16
SEPARATOR = b"TFHE_GEN"
STRIPE = 32
"""Rows multiplied at a time, so that they stay in the cache."""


def stream_start(seed: bytes) -> tuple[bytes, int]:
    """AES key and first counter of the mask stream: CBC-MAC form of "TFHE_GEN" || seed with the length appended."""
    data = SEPARATOR + seed
    padded = data + bytes(-len(data) % AES_BLOCK) + (8 * len(data)).to_bytes(AES_BLOCK, "little")
    cipher = Cipher(algorithms.AES(bytes(16)), modes.CBC(bytes(AES_BLOCK))).encryptor()
    blocks = cipher.update(padded)
    return blocks[-AES_BLOCK:], int.from_bytes(blocks[-2 * AES_BLOCK : -AES_BLOCK], "little")


def stream(seed: bytes, offset: int, length: int) -> bytes:
    """Bytes of the mask stream; the counter is little endian."""
    key, first = stream_start(seed)
    start, skip = divmod(offset, AES_BLOCK)
    count = -(-(skip + length) // AES_BLOCK)
    counters = b"".join(((first + start + i) % (1 << 128)).to_bytes(AES_BLOCK, "little") for i in range(count))
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - the blocks are counters
    return cipher.update(counters)[skip : skip + length]


def words(data: bytes, word_bits: int) -> NDArray[Any]:
    """Little-endian words as unsigned integers (Python's own at 128 bits)."""
    halves = np.frombuffer(data, dtype="<u8")
    if word_bits == 64:
        return halves
    pairs = halves.reshape(-1, 2).astype(object)
    wide: NDArray[Any] = pairs[:, 0] + (pairs[:, 1] << 64)
    return wide


def wrapped(values: NDArray[Any], word_bits: int) -> NDArray[Any]:
    """Reduced mod 2^128; 64-bit words wrap by themselves."""
    if word_bits == 64:
        return values
    reduced: NDArray[Any] = values & ((1 << word_bits) - 1)
    return reduced


def signed(values: NDArray[Any], word_bits: int) -> NDArray[np.int64]:
    """Words as small signed integers; OverflowError when one does not fit 64 bits."""
    if word_bits == 64:
        return values.astype(np.uint64).view(np.int64)
    centred = [int(v) - (1 << 128) if int(v) >> 127 else int(v) for v in values.reshape(-1)]
    return np.array(centred, dtype=np.int64).reshape(values.shape)


def secret(params: ParameterSet, bits: NDArray[np.uint8], segment: str) -> NDArray[np.uint8]:
    """The bits of one secret key."""
    where = params.segment(segment)
    return bits[where.start : where.stop]


def noiseless(params: ParameterSet, spec: KeySpec, bits: NDArray[np.uint8], seed: bytes) -> NDArray[Any]:
    """All bodies of a key without their noise: (rows, bodies a row)."""
    masks = words(stream(seed, spec.mask_offset, spec.mask_bytes), spec.word_bits)
    k, n = spec.noise.shape.dimension, spec.noise.shape.size
    key = secret(params, bits, spec.target)
    source = secret(params, bits, spec.source) if spec.source else np.zeros(0, dtype=np.uint8)
    name = spec.family.value
    if name == "compact":
        return wrapped(negacyclic(masks.reshape(1, 1, n), key[::-1].reshape(1, n)), spec.word_bits)
    if name in {"switch", "zeros"}:
        body: NDArray[Any] = masks.reshape(spec.rows, k)[:, key == 1].sum(axis=1, dtype=np.uint64)
        if name == "switch":
            body = body + np.array([int(s) * f for s in source for f in spec.factors], dtype=np.uint64)
        return body.reshape(spec.rows, 1)
    rows = negacyclic(masks.reshape(spec.rows, k, n), key.reshape(k, n))
    message = packing if name == "packing" else ggsw
    message(rows, source, key.reshape(k, n), spec.factors)
    return wrapped(rows, spec.word_bits)


def packing(body: NDArray[Any], source: NDArray[np.uint8], _: NDArray[np.uint8], factors: Sequence[int]) -> None:
    """Row (bit, level) gets +s_i factor in X^0."""
    for row in range(len(body)):
        bit, level = divmod(row, len(factors))
        if source[bit]:
            body[row, :1] += np.array([factors[level]], dtype=body.dtype)


def ggsw(body: NDArray[Any], source: NDArray[np.uint8], key: NDArray[np.uint8], factors: Sequence[int]) -> None:
    """Row (bit, level, r): -s S_r factor for r < k, +s factor in X^0 for r = k."""
    k = len(key)
    for row in range(len(body)):
        bit, rest = divmod(row, len(factors) * (k + 1))
        level, r = divmod(rest, k + 1)
        if not source[bit]:
            continue
        factor = np.array([factors[level]], dtype=body.dtype)
        if r == k:
            body[row, :1] += factor
        else:
            body[row, key[r] == 1] -= factor


def negacyclic(masks: NDArray[Any], key: NDArray[np.uint8]) -> NDArray[Any]:
    """sum_p A_p S_p mod X^N + 1 for masks (rows, k, N) and a binary key (k, N), by shifting and adding."""
    if masks.dtype == object:  # limbs of 32 bits in machine words: their sums do not wrap
        limbs = [((masks >> shift) & 0xFFFF_FFFF).astype(np.int64) for shift in range(0, 128, 32)]
        total = sum(negacyclic(limb, key).astype(object) << 32 * i for i, limb in enumerate(limbs))
        return wrapped(np.asarray(total), 128)
    rows, k, n = masks.shape
    total = np.zeros((rows, n), dtype=masks.dtype)
    for top in range(0, rows, STRIPE):
        part = total[top : top + STRIPE]
        for p in range(k):
            mask = masks[top : top + STRIPE, p]
            for j in np.flatnonzero(key[p]):
                part[:, j:] += mask[:, : n - j]
                part[:, :j] -= mask[:, n - j :]
    return total


def noise_of(
    params: ParameterSet, bits: NDArray[np.uint8], seed: bytes, bodies: Mapping[str, bytes]
) -> dict[str, NDArray[np.int64]]:
    """What stands in the bodies beside mask product and message: the noise, if they are right."""
    found = {}
    for spec in params.keys:
        opened = words(bodies[spec.name], spec.word_bits).reshape(spec.rows, spec.row_bodies)
        rest = wrapped(opened - noiseless(params, spec, bits, seed), spec.word_bits)
        found[spec.name] = signed(rest, spec.word_bits).reshape(-1)
    return found
