"""Small adapters between the ceremony's ports and this machine."""

from __future__ import annotations

import os
import resource
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, BinaryIO

from dkg_node.algebra.kernel import Secret
from dkg_node.errors import OpeningLost, SealingError
from dkg_node.sealing.files import sync_directory, sync_file

if TYPE_CHECKING:
    from collections.abc import Iterable

SYNCS = 4
"""Files synced at once."""


SYNC_EVERY = 8 << 20
"""Bytes of bodies between two syncs."""


class SystemClock:
    """The machine's wall clock."""

    def utc(self) -> str:
        """RFC 3339 UTC with milliseconds."""
        return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class SystemEntropy:
    """The operating system's randomness."""

    def draw(self) -> Secret:
        """32 fresh secret bytes."""
        return Secret.random()


class ProcessUsage:
    """Resource usage as the kernel counts it, of this process and of children that have ended."""

    def cpu_seconds(self) -> float:
        """User and system time."""
        own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime

    def peak_rss_bytes(self) -> int:
        """Of this process alone: the bridge's is another's."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@dataclass(frozen=True, slots=True)
class DirectoryStore:
    """Public bodies by SHA-256 in a directory that others may share and nobody trusts: readers check the hash."""

    directory: Path

    def put(self, body: bytes) -> bytes:
        """Keep a body; returns its SHA-256. One that is there already is not written again.

        A loss of power can leave an empty or cut file under the right name: its length tells. Other damage shows when
        it is read; ``replace_damaged`` is for whoever gets it from a peer then.
        """
        digest = sha256(body).digest()
        path = self.path(digest)
        if self._size(path) != len(body):
            with NamedTemporaryFile(dir=self.directory, prefix=".new-", delete=False) as file:
                file.write(body)
            Path(file.name).replace(path)
        return digest

    def get(self, digest: bytes) -> bytes | None:
        """What lies under that name, or None."""
        try:
            return self.path(digest).read_bytes()
        except OSError:
            return None

    def drop(self, digest: bytes) -> None:
        """Remove a body, if it is there."""
        self.path(digest).unlink(missing_ok=True)

    def durable(self, digests: Iterable[bytes]) -> None:
        """Sync the files and the directory. OpeningLost if one is missing, SealingError if the disk refuses.

        Many files at once: file systems commit them together (256 files of 0.7 MB: 0.15 s, one by one 1.0 s).
        """
        paths = [self.path(digest) for digest in digests]
        try:
            with ThreadPoolExecutor(min(SYNCS, max(1, len(paths)))) as pool:
                list(pool.map(sync_file, paths))
            sync_directory(self.directory)
        except FileNotFoundError:
            raise OpeningLost(f"a V that this party held is gone from {self.directory}: check the disk") from None
        except OSError as error:
            msg = f"can't make public values durable in {self.directory}: {error.strerror}; make room and start again"
            raise SealingError(msg) from None

    def path(self, digest: bytes) -> Path:
        """Where a body lies."""
        return self.directory / digest.hex()

    def _size(self, path: Path) -> int | None:
        try:
            return path.stat().st_size
        except OSError:
            return None


@dataclass(slots=True)
class BodyFiles:
    """``<key>.bodies`` files that grow block by block."""

    directory: Path
    _open: dict[str, BinaryIO] = field(default_factory=dict)
    _unsynced: int = 0

    def write(self, key: str, data: bytes) -> None:
        """Append to the bodies of a key, and bring them to the disk now and then: ``close`` must not take long."""
        if key not in self._open:
            self._open[key] = self._path(key).open("wb")
        self._open[key].write(data)
        self._unsynced += len(data)
        if self._unsynced >= SYNC_EVERY:
            _sync(self._open[key])
            self._unsynced = 0

    def close(self, key: str) -> None:
        """See the port."""
        file = self._open.pop(key, None)
        if file is not None:
            _sync(file)
            file.close()
            sync_directory(self.directory)

    def resize(self, key: str, size: int) -> None:
        """See the port."""
        with self._path(key).open("ab") as file:
            file.truncate(size)

    def patch(self, key: str, start: int, data: bytes) -> None:
        """See the port."""
        if key not in self._open:
            self._open[key] = self._path(key).open("r+b")
        self._open[key].seek(start)
        self._open[key].write(data)

    def read(self, key: str, start: int, size: int) -> bytes:
        """See the port."""
        try:
            with self._path(key).open("rb") as file:
                file.seek(start)
                return file.read(size)
        except OSError:
            return b""

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}.bodies"


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
