"""Small adapters between the ceremony's ports and this machine."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

from dkg_node.algebra.kernel import Secret


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
        """Keep a body; returns its SHA-256. One that is there already is not written again."""
        digest = sha256(body).digest()
        path = self.path(digest)
        if not path.exists():
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

    def path(self, digest: bytes) -> Path:
        """Where a body lies."""
        return self.directory / digest.hex()


@dataclass(slots=True)
class BodyFiles:
    """``<key>.bodies`` files that grow block by block."""

    directory: Path
    _open: dict[str, BinaryIO] = field(default_factory=dict)

    def write(self, key: str, data: bytes) -> None:
        """Append to the bodies of a key."""
        if key not in self._open:
            self._open[key] = (self.directory / f"{key}.bodies").open("wb")
        self._open[key].write(data)

    def close(self) -> None:
        """Flush and close all files."""
        for file in self._open.values():
            file.close()
        self._open.clear()
