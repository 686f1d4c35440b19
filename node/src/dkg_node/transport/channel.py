"""What one party keeps for one peer across broken connections (03 "Channel"). Pure: bytes in, bytes out, no clock.

Frames of one direction are numbered within a pair of boots and kept until acknowledged; a new stream goes on behind
the last frame the other side has. A newer boot of the peer starts at frame 0 and finds nothing of the old one's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg_node.transport.frames import (
    HEADER_SIZE,
    MAX_CONTENT,
    MAX_PAYLOAD,
    Address,
    Boot,
    Damaged,
    Frame,
    Greeting,
    Kind,
    Refusal,
    decode_frames,
    encode_header,
    unwrap,
    wrap,
)

if TYPE_CHECKING:
    from dkg_node.protocols.session import Role

NO_BOOT = bytes(16)


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message, to or from a peer."""

    address: Address
    body: bytes

    @property
    def frames(self) -> int:
        """Frames it takes; an empty one takes one."""
        return max(1, -(-len(self.body) // MAX_PAYLOAD))


@dataclass(frozen=True, slots=True)
class Written:
    """One gRPC message to be sent."""

    data: bytes
    frames: tuple[Frame, ...]
    again: int
    """How many of the frames were sent before."""


@dataclass(frozen=True, slots=True)
class Received:
    """What one gRPC message brought: whole messages, and why the stream must end, if it must."""

    messages: tuple[Message, ...]
    frames: tuple[Frame, ...]
    damaged: Damaged | None = None


@dataclass(slots=True)
class _Outbox:
    """Messages to the peer: waiting ones by urgency, then numbered ones until acknowledged."""

    urgent: deque[Message] = field(default_factory=deque)
    waiting: deque[Message] = field(default_factory=deque)
    numbered: deque[tuple[int, Message]] = field(default_factory=deque)
    """(number of its first frame, message), in order."""
    assigned: int = 0
    """Frames numbered so far."""
    acknowledged: int = 0
    cursor: int = 0
    """Number of the frame to be written next."""
    ever: int = 0
    """Frames written at least once."""
    at: int = 0
    """Index in ``numbered`` of the message that holds the cursor."""

    def next_frame(self, ack: int) -> Frame | None:
        """The frame under the cursor, moving it; numbers a waiting message when all numbered ones are written."""
        if self.cursor == self.assigned:
            queue = self.urgent or self.waiting
            if not queue:
                return None
            message = queue.popleft()
            self.numbered.append((self.assigned, message))
            self.at = len(self.numbered) - 1
            self.assigned += message.frames
        while self.cursor >= self.numbered[self.at][0] + self.numbered[self.at][1].frames:
            self.at += 1
        first, message = self.numbered[self.at]
        offset = (self.cursor - first) * MAX_PAYLOAD
        payload = message.body if message.frames == 1 else message.body[offset : offset + MAX_PAYLOAD]
        frame = Frame(message.address, self.cursor, ack, len(message.body), offset, payload)
        self.cursor += 1
        self.ever = max(self.ever, self.cursor)
        return frame

    def acknowledge(self, count: int) -> int | None:
        """Drop messages whose frames the peer has; bytes set free, or None for a count that can't be."""
        if not self.acknowledged <= count <= self.ever:
            return None
        self.acknowledged = count
        freed = 0
        while self.numbered and self.numbered[0][0] + self.numbered[0][1].frames <= count:
            freed += len(self.numbered.popleft()[1].body)
            self.at = max(0, self.at - 1)
        if self.cursor < count:  # only a liar has frames that a resend has not reached
            self.rewind(count)
        return freed

    def rewind(self, count: int) -> None:
        """Write again from frame ``count`` on."""
        self.cursor = count
        self.at = 0


@dataclass(slots=True)
class Channel:
    """State towards one peer. ``limit`` is the longest message taken from it, in bytes."""

    me: Role
    peer: Role
    sid: bytes
    boot: Boot
    limit: int
    peer_boot: Boot | None = None
    backlog: int = 0
    """Bytes of messages not yet acknowledged."""
    freed: int = 0
    """Bytes acknowledged since the beginning: how the peer gets on."""
    received: int = 0
    """Frames of the peer's boot that are here."""
    owed: int = 0
    """Payload bytes received since the last frame that told the peer so."""
    owes: bool = False
    _out: _Outbox = field(default_factory=_Outbox)
    _partial: bytearray = field(default_factory=bytearray)
    """One block of memory: a list of the tiny pieces that a liar may send would take many times their bytes."""
    _partial_of: tuple[Address, int] | None = None

    # --- greetings

    def greeting(self) -> Greeting:
        """What to say first on a new stream."""
        known = self.peer_boot.id if self.peer_boot else NO_BOOT
        return Greeting(self.sid, self.me, self.peer, self.boot, known, self.received)

    def greeted(self, greeting: Greeting) -> Damaged | bool:
        """Take the peer's greeting: why it is refused, or whether a newer boot has taken the place of a known one."""
        if greeting.sid != self.sid:
            return Damaged("it belongs to another ceremony or attempt: give both parties the same terms and attempt")
        if (greeting.sender, greeting.receiver) != (self.peer, self.me):
            return Damaged(f"it speaks as party {greeting.sender} to party {greeting.receiver}")
        if self.older(greeting):
            return Damaged("an older start of it, or a second copy: run each party once")
        known = self.peer_boot
        replaced = known is not None and greeting.boot != known
        if replaced:
            self._forget()
        self.peer_boot = greeting.boot
        count = greeting.received if greeting.known_boot == self.boot.id else 0
        freed = self._out.acknowledge(count)
        if freed is None:
            return Damaged("it asks for frames that it has acknowledged, or has some that were never sent")
        self._free(freed)
        self._out.rewind(count)
        return replaced

    def older(self, greeting: Greeting) -> bool:
        """Whether it is the greeting of a start of the peer that another one has taken over from."""
        known, boot = self.peer_boot, greeting.boot
        ours = (greeting.sid, greeting.sender, greeting.receiver) == (self.sid, self.peer, self.me)
        return ours and known is not None and boot != known and boot.number <= known.number

    def refusal(self) -> Refusal:
        """What an older start is told: which one is held here."""
        return Refusal(self.sid, self.me, self.peer, self.peer_boot or Boot(0, NO_BOOT))

    def superseded(self, refusal: Refusal) -> bool:
        """Whether the peer says in earnest that it holds another start of this party, no older than this one."""
        ours = (refusal.sid, refusal.sender, refusal.receiver) == (self.sid, self.peer, self.me)
        return ours and refusal.boot.id not in (NO_BOOT, self.boot.id) and refusal.boot.number >= self.boot.number

    def _forget(self) -> None:
        self._out = _Outbox()
        self.backlog = self.received = self.owed = 0
        self.owes = False
        self._partial = bytearray()
        self._partial_of = None

    # --- sending

    def send(self, message: Message) -> None:
        """Queue a message; what is outside of slots goes first."""
        queue = self._out.waiting if message.address.kind is Kind.SLOT else self._out.urgent
        queue.append(message)
        self.backlog += len(message.body)

    def purge(self, era: int, segment: int) -> int:
        """Drop what no frame was written of and belongs to an earlier segment; how many messages that were."""
        kept = deque(m for m in self._out.waiting if (m.address.era, m.address.segment) >= (era, segment))
        dropped = len(self._out.waiting) - len(kept)
        if dropped:
            self.backlog -= sum(len(m.body) for m in self._out.waiting) - sum(len(m.body) for m in kept)
            self._out.waiting = kept
        return dropped

    @property
    def idle(self) -> bool:
        """Whether there is no frame to write."""
        out = self._out
        return out.cursor == out.assigned and not out.waiting and not out.urgent

    def write(self) -> Written | None:
        """The next gRPC message: as many frames as fit; None if there are none."""
        frames: list[Frame] = []
        pieces: list[bytes | memoryview] = []
        room, before = MAX_PAYLOAD, self._out.ever
        while room > 0 and len(frames) < (MAX_CONTENT - MAX_PAYLOAD) // HEADER_SIZE - 1:
            if frames and self._next_size() > room:
                break
            frame = self._out.next_frame(self.received)
            if frame is None:
                break
            frames.append(frame)
            pieces += (encode_header(frame), frame.payload)
            room -= len(frame.payload)
        if not frames:
            return None
        self.owed, self.owes = 0, False
        return Written(wrap(pieces), tuple(frames), max(0, min(len(frames), before - frames[0].number)))

    def acknowledgement(self) -> Written:
        """A gRPC message that only says what was received."""
        self.owed, self.owes = 0, False
        frame = Frame(Address(Kind.ACK, 0, 0, 0, 0), 0, self.received, 0, 0, b"")
        return Written(wrap([encode_header(frame)]), (frame,), 0)

    def _next_size(self) -> int:
        out = self._out
        if out.cursor < out.assigned:
            index = out.at
            while out.cursor >= out.numbered[index][0] + out.numbered[index][1].frames:
                index += 1
            first, message = out.numbered[index]
            return min(MAX_PAYLOAD, len(message.body) - (out.cursor - first) * MAX_PAYLOAD)
        queue = out.urgent or out.waiting
        return min(MAX_PAYLOAD, len(queue[0].body)) if queue else 0

    # --- receiving

    def read(self, data: bytes) -> Received:
        """Take one gRPC message. What came before a damaged frame counts."""
        content = unwrap(data)
        frames = content if isinstance(content, Damaged) else decode_frames(content)
        if isinstance(frames, Damaged):
            return Received((), (), frames)
        messages: list[Message] = []
        taken: list[Frame] = []
        for frame in frames:
            found = self._take(frame)
            if isinstance(found, Damaged):
                return Received(tuple(messages), tuple(taken), found)
            taken.append(frame)
            if found is not None:
                messages.append(found)
        return Received(tuple(messages), tuple(taken))

    def _take(self, frame: Frame) -> Message | Damaged | None:
        freed = self._out.acknowledge(frame.ack)
        if freed is None:
            return Damaged(f"it acknowledges {frame.ack} frames, which can't be")
        self._free(freed)
        if frame.address.kind is Kind.ACK:
            return None if frame.length == 0 else Damaged("an acknowledgement with a payload")
        problem = self._problem(frame)
        if problem is not None:
            return Damaged(problem)
        self.received += 1
        self.owes = True
        self.owed += len(frame.payload)
        return self._add(frame)

    def _problem(self, frame: Frame) -> str | None:
        """Why no honest peer sends this frame now."""
        if frame.number != self.received:
            return f"frame {frame.number} where {self.received} was due"
        if frame.length > self.limit:
            return f"a message of {frame.length} bytes, more than the {self.limit} of any slot"
        if frame.offset != len(self._partial) or self._partial_of not in (None, (frame.address, frame.length)):
            return "a piece of another message than the one begun"
        if not frame.payload and frame.length:
            return "an empty piece of a message"
        return None

    def _add(self, frame: Frame) -> Message | None:
        if not self._partial and len(frame.payload) == frame.length:
            return Message(frame.address, frame.payload)
        self._partial += frame.payload
        self._partial_of = (frame.address, frame.length)
        if len(self._partial) < frame.length:
            return None
        body = bytes(self._partial)
        self._partial, self._partial_of = bytearray(), None
        return Message(frame.address, body)

    def _free(self, size: int) -> None:
        self.backlog -= size
        self.freed += size
