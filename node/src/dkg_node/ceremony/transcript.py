"""What a party saw, line by line; each line holds the hash of the one before it (07). Public facts only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dkg_api.transcript import append

if TYPE_CHECKING:
    from pathlib import Path

    from dkg_node.ceremony.ports import Clock

Fact = str | int | list[int] | list[str] | dict[str, str] | dict[str, int] | None


class Transcript:
    """An append-only file of entries; a new one replaces nothing: without ``resume`` the file must not exist."""

    def __init__(self, path: Path, clock: Clock, *, resume: bool = False) -> None:
        """Begin, or go on with that of an earlier boot. FileExistsError when it may not be there.

        A line that a crash cut short is dropped.
        """
        self._clock = clock
        self._last: bytes | None = None
        if not resume or not path.exists():
            self._file = path.open("xb", buffering=0)
            return
        lines, _, torn = path.read_bytes().rpartition(b"\n")
        self._file = path.open("r+b", buffering=0)
        self._file.truncate(path.stat().st_size - len(torn))
        self._file.seek(0, os.SEEK_END)
        if lines:
            self._last = lines.rpartition(b"\n")[2] + b"\n"

    def add(self, event: str, **facts: Fact) -> None:
        """One entry; bytes are given as hex."""
        line = append(self._last, {"event": event, "time": self._clock.utc(), **facts})
        self._file.write(line)
        self._last = line

    def close(self) -> None:
        """Make everything durable; nothing more comes."""
        self.sync()
        self._file.close()

    def sync(self) -> None:
        """Make everything so far durable."""
        os.fsync(self._file.fileno())
