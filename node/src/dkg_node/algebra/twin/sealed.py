"""Sealing to bytes: AES-256-GCM in frames of 16 MiB (STREAM of Hoang-Reyhanitabar-Rogaway-Vizár 2015).

A sealed blob is a salt of 32 bytes and the frames. Its frame key is KDF(key, enc("seal", kind, salt, aad)), fresh for
every blob: frame numbers serve as nonces and frames of two blobs never mix. The last frame is marked: none can be cut.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dkg_node.algebra.encoding import enc, kdf
from dkg_node.algebra.twin.words import Buffer

FRAME = 16 << 20
SALT = 32
TAG = 16
REFUSED = "give the blob, the associated data and the key that belong together"


def seal(key: bytes, kind: bytes, aad: bytes, content: bytes) -> bytes:
    """Blob of any content, also of an empty one. ``kind`` is the encoding of what is sealed."""
    salt = random32()
    cipher = _cipher(key, kind, salt, aad)
    starts = range(0, max(len(content), 1), FRAME)
    frames = [
        cipher.encrypt(_nonce(i, at == starts[-1]), content[at : at + FRAME], _frame_aad(aad, i, at == starts[-1]))
        for i, at in enumerate(starts)
    ]
    return salt + b"".join(frames)


def unseal(key: bytes, kind: bytes, aad: bytes, blob: Buffer) -> bytes:
    """Content of a blob; ValueError when blob, kind, aad and key do not belong together."""
    data = bytes(blob)
    cipher = _cipher(key, kind, data[:SALT], aad)
    starts = range(SALT, max(len(data), SALT + 1), FRAME + TAG)
    try:
        return b"".join(
            cipher.decrypt(
                _nonce(i, at == starts[-1]), data[at : at + FRAME + TAG], _frame_aad(aad, i, at == starts[-1])
            )
            for i, at in enumerate(starts)
        )
    except (InvalidTag, ValueError):
        raise ValueError(REFUSED) from None


def random32() -> bytes:
    """32 bytes of the operating system's randomness."""
    return AESGCM.generate_key(256)


def _cipher(key: bytes, kind: bytes, salt: bytes, aad: bytes) -> AESGCM:
    return AESGCM(kdf(key, enc("seal", kind, salt, aad)))


def _nonce(frame: int, last: bool) -> bytes:  # noqa: FBT001 - a field of the nonce, not a switch
    return frame.to_bytes(8, "little") + bytes([0, 0, 0, last])


def _frame_aad(aad: bytes, frame: int, last: bool) -> bytes:  # noqa: FBT001 - the same
    return enc(aad, frame, int(last))
