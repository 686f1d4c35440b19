"""How much is on its way between the two threads, by peer; and counters of bytes. Shared, so behind a lock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock

from dkg_node.protocols.session import Role
from dkg_node.transport.frames import HEADER_SIZE, NO_SLOT, Frame, Kind

MOST_ROWS = 1 << 12
"""Rows a peer's headers can make here: it may write any segment and slot into them."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes exchanged with one peer in one slot. Bodies pulled in a slot belong to it."""

    role: Role
    segment: int
    slot: int
    """-1: greetings, acknowledgements, messages outside of slots."""
    sent_payload: int
    """Content of messages, each counted once."""
    sent_total: int
    """All that was handed to gRPC: with headers and what was sent again."""
    received_payload: int
    received_total: int


@dataclass(slots=True)
class Meter:
    """Traffic of all peers."""

    _lock: Lock = field(default_factory=Lock)
    _counts: dict[tuple[Role, int, int], list[int]] = field(default_factory=dict)
    _heard: Counter[Role] = field(default_factory=Counter)
    """Rows made by what a peer sent."""

    def sent(self, role: Role, frames: Iterable[Frame], size: int, again: int) -> None:
        """Count one gRPC message of ``size`` bytes, the first ``again`` frames of which were sent before."""
        with self._lock:
            self._count(role, frames, size, again, 0)

    def received(self, role: Role, frames: Iterable[Frame], size: int) -> None:
        """Count one gRPC message."""
        with self._lock:
            self._count(role, frames, size, 0, 2)

    def _count(self, role: Role, frames: Iterable[Frame], size: int, again: int, column: int) -> None:
        key = (role, 0, -1)
        for index, frame in enumerate(frames):
            slot = frame.address.slot
            key = (
                (role, frame.address.segment, slot)
                if slot != NO_SLOT and frame.address.kind is not Kind.ACK
                else (role, 0, -1)
            )
            if column and key not in self._counts:
                key = key if self._heard[role] < MOST_ROWS else (role, 0, -1)
                self._heard[role] += 1
            row = self._counts.setdefault(key, [0, 0, 0, 0])
            row[column] += len(frame.payload) if index >= again else 0
            row[column + 1] += HEADER_SIZE + len(frame.payload)
            size -= HEADER_SIZE + len(frame.payload)
        self._counts.setdefault(key, [0, 0, 0, 0])[column + 1] += size

    def rows(self) -> tuple[Traffic, ...]:
        """The counters now."""
        with self._lock:
            return tuple(Traffic(*key, *row) for key, row in sorted(self._counts.items()))


@dataclass(slots=True)
class Flow:
    """Bytes of one direction each that one thread has handed in and the other has not finished with."""

    _lock: Lock = field(default_factory=Lock)
    _out: Counter[Role] = field(default_factory=Counter)
    _done: Counter[Role] = field(default_factory=Counter)
    _in: Counter[Role] = field(default_factory=Counter)

    def handed_out(self, role: Role, size: int) -> None:
        """A message was queued for a peer."""
        with self._lock:
            self._out[role] += size

    def finished_out(self, role: Role, size: int) -> None:
        """The peer has it, or it was dropped."""
        with self._lock:
            self._out[role] -= size
            self._done[role] += size

    def backlog(self, role: Role) -> int:
        """Bytes queued or sent that the peer has not acknowledged."""
        with self._lock:
            return self._out[role]

    def done(self, role: Role) -> int:
        """Bytes finished since the beginning: how the peer gets on."""
        with self._lock:
            return self._done[role]

    def handed_in(self, role: Role, size: int) -> None:
        """A message of a peer was given to the protocol's thread."""
        with self._lock:
            self._in[role] += size

    def finished_in(self, role: Role, size: int) -> int:
        """Its exchange has it, or it was dropped; what is left."""
        with self._lock:
            self._in[role] -= size
            return self._in[role]

    def waiting_in(self, role: Role) -> int:
        """Bytes of a peer's messages that no exchange has taken."""
        with self._lock:
            return self._in[role]
