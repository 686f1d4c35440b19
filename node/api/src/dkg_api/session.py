"""The session id: terms and attempt in one digest that stands in every hash and signature of a run (design 01)."""

from __future__ import annotations

import hashlib

LAST_ATTEMPT = 1024
"""Attempts are 1 to this; a verifier that is not told the attempt tries all."""


def session_id(terms_digest: bytes, attempt: int) -> bytes:
    """The sid: H("sid", terms digest, attempt), 32 bytes, in the encoding of the protocol (tag, LE length, content)."""
    if len(terms_digest) != 32 or not 1 <= attempt <= LAST_ATTEMPT:
        raise ValueError(f"give a digest of 32 bytes and an attempt of 1 to {LAST_ATTEMPT}")
    items = ((2, b"sid"), (1, terms_digest), (3, attempt.to_bytes(8, "little")))
    return hashlib.sha256(b"".join(bytes([tag]) + len(c).to_bytes(4, "little") + c for tag, c in items)).digest()
