"""The wire between two parties: greetings and frames, as bytes (03 "Channel"). Pure; a peer's bytes never raise.

A stream begins with one greeting from each side. Then each gRPC message holds frames, one after another, with at most
1 MiB of payload in all. Numbered frames of one direction count from 0 within a pair of boots.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dkg_node.protocols.session import Role

VERSION: Final = 1
MAX_PAYLOAD: Final = 1 << 20
"""Payload bytes of one frame, and of all frames in one gRPC message."""
MAX_CONTENT: Final = 2 * MAX_PAYLOAD
"""No gRPC message is longer: payload, headers of small frames, the envelope."""
NO_SLOT: Final = 0xFFFF
"""Slot of what belongs to no slot."""

_HEADER: Final = struct.Struct("<BBHIiIQQQQI")
_GREETING: Final = struct.Struct("<4s32sBBQ16s16sQ")
_REFUSAL: Final = struct.Struct("<4s32sBBQ16s")
_MAGIC: Final = b"dkg1"
_REFUSAL_MAGIC: Final = b"dkg-"
HEADER_SIZE: Final = _HEADER.size
GREETING_SIZE: Final = _GREETING.size
_ENVELOPE_TAG: Final = 0x0A
"""Field 1, length-delimited: Frames.content in peer.proto."""


class Kind(IntEnum):
    """What a frame carries."""

    SLOT = 1
    """A message of a slot."""
    POST = 2
    """A message outside of slots."""
    WANT = 3
    """A digest whose body is wanted."""
    BODY = 4
    """Digest and body, or the digest alone: not held."""
    ACK = 5
    """Only the acknowledgement in its header; not numbered."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """Bytes that no honest peer sends; ``reason`` is for the log."""

    reason: str


@dataclass(frozen=True, slots=True)
class Boot:
    """One start of one party's process: numbers grow, the id tells two copies apart."""

    number: int
    """Greater than that of every earlier start, below 2^64."""
    id: bytes
    """16 random bytes."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """First message of a stream in each direction."""

    sid: bytes
    sender: Role
    receiver: Role
    boot: Boot
    known_boot: bytes
    """Id of the receiver's boot the sender has frames of; 16 zero bytes: none."""
    received: int
    """Frames of that boot the sender has."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message belongs: what stands in the header of each of its frames."""

    kind: Kind
    era: int
    segment: int
    slot: int
    part: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A piece of a message."""

    address: Address
    number: int
    ack: int
    """How many numbered frames the sender has received."""
    length: int
    """Bytes of the whole message."""
    offset: int
    """Where in it the payload begins."""
    payload: bytes


def encode_greeting(greeting: Greeting) -> bytes:
    """Fixed 86 bytes: magic, sid, from, to, boot number and id, known boot, received."""
    return _GREETING.pack(
        _MAGIC, greeting.sid, greeting.sender, greeting.receiver,
        greeting.boot.number, greeting.boot.id, greeting.known_boot, greeting.received,
    )  # fmt: skip


def decode_greeting(data: bytes) -> Greeting | Damaged:
    """Inverse of ``encode_greeting``."""
    if len(data) != GREETING_SIZE or data[:4] != _MAGIC:
        return Damaged("no greeting of this protocol version")
    _, sid, sender, receiver, number, boot, known, received = _GREETING.unpack(data)
    return Greeting(sid, sender, receiver, Boot(number, boot), known, received)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is written instead of a greeting or a frame to a start of a party that another one has taken over from."""

    sid: bytes
    sender: Role
    receiver: Role
    boot: Boot
    """The start that the sender holds."""


def encode_refusal(refusal: Refusal) -> bytes:
    """Fixed 62 bytes: magic, sid, from, to, boot number and id. It is no greeting by its length, no frames by magic."""
    boot = refusal.boot
    return _REFUSAL.pack(_REFUSAL_MAGIC, refusal.sid, refusal.sender, refusal.receiver, boot.number, boot.id)


def decode_refusal(data: bytes) -> Refusal | None:
    """Inverse of ``encode_refusal``; None for anything else."""
    if len(data) != _REFUSAL.size or data[:4] != _REFUSAL_MAGIC:
        return None
    _, sid, sender, receiver, number, boot = _REFUSAL.unpack(data)
    return Refusal(sid, sender, receiver, Boot(number, boot))


def encode_header(frame: Frame) -> bytes:
    """Header of a frame; its payload follows."""
    a = frame.address
    return _HEADER.pack(
        VERSION, a.kind, a.slot, a.era, a.segment, a.part,
        frame.number, frame.ack, frame.length, frame.offset, len(frame.payload),
    )  # fmt: skip


def decode_frames(content: memoryview) -> list[Frame] | Damaged:
    """All frames of one gRPC message; Damaged unless every byte is accounted for."""
    frames: list[Frame] = []
    position = 0
    while position < len(content):
        if position + HEADER_SIZE > len(content):
            return Damaged("a frame header is cut off")
        version, kind, slot, era, segment, part, number, ack, length, offset, size = _HEADER.unpack_from(
            content, position
        )
        if version != VERSION or not Kind.SLOT <= kind <= Kind.ACK:
            return Damaged(f"unknown frame version {version} or kind {kind}")
        position += HEADER_SIZE
        if size > MAX_PAYLOAD or position + size > len(content):
            return Damaged(f"a payload of {size} bytes is too long or cut off")
        if offset + size > length:
            return Damaged(f"a payload goes beyond its message of {length} bytes")
        address = Address(Kind(kind), era, segment, slot, part)
        frames.append(Frame(address, number, ack, length, offset, bytes(content[position : position + size])))
        position += size
    return frames or Damaged("a message without frames")


def wrap(pieces: list[bytes | memoryview]) -> bytes:
    """The protobuf message Frames {content}, written by hand so that payloads are copied once."""
    size = sum(map(len, pieces))
    prefix = bytearray([_ENVELOPE_TAG])
    while size > 0x7F:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    prefix.append(size)
    return b"".join([prefix, *pieces])


def unwrap(message: bytes) -> memoryview | Damaged:
    """Content of a protobuf message Frames in the one form ``wrap`` writes."""
    if len(message) < 2 or message[0] != _ENVELOPE_TAG:
        return Damaged("no envelope")
    size = shift = 0
    position = 1
    while position < len(message) and position <= 5:
        byte = message[position]
        size |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            if byte == 0 and position > 2:
                return Damaged("an envelope whose length is not written in the shortest form")
            content = memoryview(message)[position:]
            return content if len(content) == size else Damaged("an envelope of another length than it says")
    return Damaged("an envelope without length")
