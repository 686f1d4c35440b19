"""The desired-state file: the node's only input, read again whenever it changes (04, "Node and operator")."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dkg_api.desired_state import DesiredState, DesiredStateError, parse_desired_state
from dkg_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

POLL = 0.1


def read_state(path: Path) -> DesiredState:
    """The file's contents; UsageError in one line when it can't be used."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"can't read the desired state {path}: {error.strerror}; give the path of a readable file"
        ) from None
    try:
        return parse_desired_state(text)
    except DesiredStateError as error:
        raise UsageError(f"{path}: {error}") from None


async def states(path: Path, first: DesiredState) -> AsyncIterator[DesiredState]:
    """``first``, then every later usable version of the same terms, party and attempt; others are passed over."""
    yield first
    seen = None  # the file may have changed between the reading of ``first`` and now: read it once more in any case
    while True:
        await asyncio.sleep(POLL)
        stamp = _stamp(path)
        if stamp == seen:
            continue
        seen = stamp
        try:
            state = read_state(path)
        except UsageError:
            continue
        if _subject(state) == _subject(first):
            yield state


async def settled(path: Path, first: DesiredState, own_key: bytes) -> DesiredState:
    """The first version in which every party has an address and an enrolled key, and this party this very one."""
    async for state in states(path, first):
        if not state.missing() and any(enrolment.identity_key == own_key.hex() for enrolment in state.enrolments):
            return state
    raise AssertionError("states never end")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _subject(state: DesiredState) -> tuple[bytes, int, int]:
    return state.terms.digest, state.party, state.attempt
