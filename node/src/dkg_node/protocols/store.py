"""Where public bodies are parked by digest, so that they need no place in secret memory (01 section 4, step 8)."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from dkg_node.errors import OpeningLost

if TYPE_CHECKING:
    from collections.abc import Iterable


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

    def durable(self, digests: Iterable[bytes]) -> None:
        """Let these bodies outlive a loss of power: a signature is about to name them.

        OpeningLost if one is not there any more, SealingError if the disk refuses.
        """
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

    def durable(self, digests: Iterable[bytes]) -> None:
        """Nothing outlives the process here; only what is missing is told."""
        if not all(digest in self._bodies for digest in digests):
            raise OpeningLost("a V that this party held is gone from its store")


def fetched(store: ObjectStore, digest: bytes) -> bytes | None:
    """A body of the store if it is really the one of that digest: a store may lie outside the enclave."""
    body = store.get(digest)
    return body if body is not None and sha256(body).digest() == digest else None


def replace_damaged(store: ObjectStore, digest: bytes, body: bytes) -> None:
    """Keep a body that a peer served: ``put`` alone would leave a damaged one of the same length where it is."""
    if fetched(store, digest) is None:
        store.drop(digest)
        store.put(body)
