"""Where public bodies are parked by digest, so that they need no place in secret memory (01 section 4, step 8)."""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol


class ObjectStore(Protocol):
    """Public bodies by SHA-256. Synchronous; what it returns is checked by digest, so it need not be trusted."""

    def put(self, body: bytes) -> bytes:
        """Keep a body; returns its SHA-256."""
        ...

    def get(self, digest: bytes) -> bytes | None:
        """A body kept before, or None."""
        ...

    def drop(self, digest: bytes) -> None:
        """Forget a body that is not needed any more, if it is there."""
        ...


class MemoryStore:
    """An ObjectStore in memory, for simulations and small runs."""

    def __init__(self) -> None:
        """Empty."""
        self._bodies: dict[bytes, bytes] = {}

    def put(self, body: bytes) -> bytes:
        """Keep a body; returns its SHA-256."""
        digest = sha256(body).digest()
        self._bodies[digest] = body
        return digest

    def get(self, digest: bytes) -> bytes | None:
        """A body kept before, or None."""
        return self._bodies.get(digest)

    def drop(self, digest: bytes) -> None:
        """Forget a body, if it is there."""
        self._bodies.pop(digest, None)


def fetched(store: ObjectStore, digest: bytes) -> bytes | None:
    """A body of the store if it is really the one of that digest: a store may lie outside the enclave."""
    body = store.get(digest)
    return body if body is not None and sha256(body).digest() == digest else None
