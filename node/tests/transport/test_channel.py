"""The stream machine without any stream: cuts anywhere, reboots, damage, liars. Nothing raises, nothing is lost."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg_api.v1.peer_pb2 import Frames
from dkg_node.transport.channel import Channel, Message, Received, Written
from dkg_node.transport.frames import (
    MAX_CONTENT,
    MAX_PAYLOAD,
    Address,
    Boot,
    Damaged,
    Frame,
    Greeting,
    Kind,
    decode_frames,
    decode_greeting,
    encode_greeting,
    encode_header,
    unwrap,
    wrap,
)

SID = bytes(32)
LIMIT = 5 * MAX_PAYLOAD


def channel(me: int, boot: int = 1) -> Channel:
    return Channel(me, 3 - me, SID, Boot(boot, bytes([me, boot] * 8)), LIMIT)


def address(number: int = 0, kind: Kind = Kind.SLOT) -> Address:
    return Address(kind, 0, 1, 2, number)


def greet(a: Channel, b: Channel) -> tuple[Damaged | bool, Damaged | bool]:
    hello_a = a.greeting()
    answer_b = b.greeted(hello_a)
    return a.greeted(b.greeting()), answer_b


def body(number: int, size: int) -> bytes:
    return number.to_bytes(4, "big") + bytes(size) if size else b""


class Wire:
    """Two channels and what is on its way between them; bytes on their way die with the connection."""

    def __init__(self) -> None:
        self.ends = {1: channel(1), 2: channel(2)}
        self.flying: dict[int, deque[bytes]] = {1: deque(), 2: deque()}
        self.got: dict[int, list[Message]] = {1: [], 2: []}
        self.up = False

    def connect(self) -> None:
        self.cut()
        assert greet(self.ends[1], self.ends[2]) == (False, False)
        self.up = True

    def cut(self) -> None:
        self.flying[1].clear()
        self.flying[2].clear()
        self.up = False

    def write(self, me: int) -> bool:
        written = self.ends[me].write() if self.up else None
        if written is None and self.up and self.ends[me].owes:
            written = self.ends[me].acknowledgement()
        if written is not None:
            self.flying[3 - me].append(written.data)
        return written is not None

    def read(self, me: int) -> bool:
        if not self.flying[me]:
            return False
        received = self.ends[me].read(self.flying[me].popleft())
        assert received.damaged is None
        self.got[me] += received.messages
        return True

    def run_dry(self) -> None:
        if not self.up:
            self.connect()
        while any([self.write(1), self.write(2), self.read(1), self.read(2)]):
            pass


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("send"), st.sampled_from((1, 2)), st.sampled_from((0, 1, 500, MAX_PAYLOAD, 3 * MAX_PAYLOAD + 7))
        ),
        st.tuples(st.sampled_from(("write", "read", "write", "read", "post")), st.sampled_from((1, 2)), st.just(3)),
        st.tuples(st.sampled_from(("cut", "connect")), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_every_message_comes_exactly_once_and_in_order_however_the_link_is_cut(
    script: list[tuple[str, int, int]],
) -> None:
    wire, sent = Wire(), {1: [], 2: []}  # type: tuple[Wire, dict[int, list[Message]]]
    for number, (step, end, size) in enumerate(script):
        if step in {"send", "post"}:
            kind = Kind.SLOT if step == "send" else Kind.POST
            message = Message(address(number, kind), body(number, size))
            wire.ends[end].send(message)
            sent[end].append(message)
        elif step == "write":
            wire.write(end)
        elif step == "read":
            wire.read(end)
        elif step == "connect":
            wire.connect()
        else:
            wire.cut()
    wire.run_dry()
    for end in (1, 2):
        for kind in (Kind.SLOT, Kind.POST):
            came = [message for message in wire.got[3 - end] if message.address.kind is kind]
            assert came == [message for message in sent[end] if message.address.kind is kind]
        assert wire.ends[end].backlog == 0
        assert wire.ends[end].idle


def connected(boot_a: int = 1, boot_b: int = 1) -> tuple[Channel, Channel]:
    a, b = channel(1, boot_a), channel(2, boot_b)
    assert greet(a, b) == (False, False)
    return a, b


def written(end: Channel) -> Written:
    found = end.write()
    assert found is not None
    return found


def test_small_messages_share_one_grpc_message_and_large_ones_are_cut_in_frames() -> None:
    a, b = connected()
    for number in range(100):
        a.send(Message(address(number), bytes(1000)))
    assert len(written(a).frames) == 100
    a.send(Message(address(7), bytes(3 * MAX_PAYLOAD)))
    pieces = [written(a) for _ in range(3)]
    assert all(len(piece.data) <= MAX_PAYLOAD + 100 for piece in pieces)
    assert a.write() is None
    assert b.received == 0


def test_no_grpc_message_is_longer_than_its_limit() -> None:
    a, _ = connected()
    for number in range(60_000):
        a.send(Message(address(number), b""))
    while (found := a.write()) is not None:
        assert len(found.data) <= MAX_CONTENT


def test_what_lies_outside_of_slots_overtakes_what_waits() -> None:
    a, b = connected()
    a.send(Message(address(0), bytes(2 * MAX_PAYLOAD)))
    first = written(a)
    a.send(Message(address(1), b"slot"))
    a.send(Message(address(2, Kind.POST), b"post"))
    messages = [*b.read(first.data).messages]
    while (found := a.write()) is not None:
        messages += b.read(found.data).messages
    assert [message.address.part for message in messages] == [0, 2, 1]


def test_a_newer_boot_begins_at_frame_0_and_finds_nothing_kept_for_the_old_one() -> None:
    a, b = connected()
    a.send(Message(address(0), b"taken"))
    b.read(written(a).data)
    a.send(Message(address(1), b"for the old boot"))
    newer = channel(2, boot=2)
    assert greet(a, newer) == (True, False)
    assert a.backlog == 0
    assert a.write() is None
    a.send(Message(address(2), b"for the new boot"))
    assert [m.body for m in newer.read(written(a).data).messages] == [b"for the new boot"]


def test_what_was_begun_is_sent_to_its_end_and_only_older_segments_are_dropped() -> None:
    a, b = connected()
    old, new = Address(Kind.SLOT, 0, 1, 0, 0), Address(Kind.SLOT, 0, 2, 0, 0)
    a.send(Message(old, bytes(2 * MAX_PAYLOAD)))
    begun = written(a)
    a.send(Message(old, b"dropped"))
    a.send(Message(new, b"kept"))
    assert a.purge(0, 2) == 1
    assert a.backlog == 2 * MAX_PAYLOAD + len(b"kept")
    messages = [*b.read(begun.data).messages]
    while (found := a.write()) is not None:
        messages += b.read(found.data).messages
    assert [len(message.body) for message in messages] == [2 * MAX_PAYLOAD, 4]


def test_what_was_queued_before_the_first_greeting_is_kept() -> None:
    a, b = channel(1), channel(2)
    a.send(Message(address(0), b"early"))
    assert greet(a, b) == (False, False)
    assert [m.body for m in b.read(written(a).data).messages] == [b"early"]


def refusal(greeting: Greeting) -> str:
    a, _ = connected(boot_b=5)
    answer = a.greeted(greeting)
    assert isinstance(answer, Damaged)
    return answer.reason


def good_greeting() -> Greeting:
    return channel(2, boot=5).greeting()


def test_greetings_of_another_ceremony_party_or_older_boot_are_refused() -> None:
    assert "another ceremony" in refusal(replace(good_greeting(), sid=bytes([1]) * 32))
    assert "speaks as party 3" in refusal(replace(good_greeting(), sender=3))
    assert "to party 4" in refusal(replace(good_greeting(), receiver=4))
    assert "older start" in refusal(replace(good_greeting(), boot=Boot(4, bytes(16))))
    assert "second copy" in refusal(replace(good_greeting(), boot=Boot(5, bytes(16))))
    assert "never sent" in refusal(replace(good_greeting(), known_boot=channel(1).boot.id, received=1))


def test_a_peer_that_asks_for_acknowledged_frames_again_is_refused() -> None:
    a, b = connected()
    a.send(Message(address(0), b"x"))
    b.read(written(a).data)
    a.read(b.acknowledgement().data)
    answer = a.greeted(replace(b.greeting(), received=0))
    assert isinstance(answer, Damaged)


def damage(frame: Frame, first: Frame | None = None) -> str:
    """What the receiver says to a frame (after a good first one)."""
    _, b = connected()
    if first is not None:
        assert b.read(wrap([encode_header(first), first.payload])).damaged is None
    received = b.read(wrap([encode_header(frame), frame.payload]))
    assert received.messages == ()
    assert received.damaged is not None
    return received.damaged.reason


def test_frames_no_honest_peer_sends_end_the_stream_with_the_reason() -> None:
    good = Frame(address(), 0, 0, 3, 0, b"abc")
    assert "frame 1 where 0 was due" in damage(replace(good, number=1))
    assert "which can't be" in damage(replace(good, ack=1))
    assert "more than" in damage(replace(good, length=LIMIT + 1))
    assert "beyond its message" in damage(replace(good, length=2))
    assert "another message" in damage(replace(good, offset=1, length=4))
    assert "an empty piece" in damage(replace(good, payload=b""))
    begun = replace(good, length=6)
    assert "another message" in damage(replace(good, number=1, address=address(1), length=6, offset=3), begun)
    assert "another message" in damage(replace(good, number=1, length=7, offset=3), begun)
    assert "another message" in damage(replace(good, number=1, length=6, offset=2), begun)
    assert "frame 0 where 1 was due" in damage(begun, begun)
    assert "with a payload" in damage(replace(good, address=address(0, Kind.ACK)))


def test_what_came_before_a_damaged_frame_counts_and_the_rest_comes_after_reconnection() -> None:
    a, b = connected()
    for number in range(3):
        a.send(Message(address(number), bytes([number])))
    data = bytearray(written(a).data)
    data[-2] ^= 0xFF  # the last frame's payload length
    received = b.read(bytes(data))
    assert received.damaged is not None
    assert greet(a, b) == (False, False)
    again = written(a)
    assert again.again == 3 - b.received
    messages = [*received.messages, *b.read(again.data).messages]
    assert [message.address.part for message in messages] == [0, 1, 2]


@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_damage(data: bytes) -> None:
    _, b = connected()
    for text in (data, wrap([data])):
        assert isinstance(b.read(text), Received)
    assert isinstance(decode_greeting(data), (Greeting, Damaged))


@given(st.data())
def test_any_changed_byte_of_good_frames_never_raises(data: st.DataObject) -> None:
    a, b = connected()
    a.send(Message(address(), b"some body"))
    raw = bytearray(written(a).data)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    b.read(bytes(raw))


@given(st.integers(0, 2**64 - 1), st.binary(min_size=16, max_size=16), st.integers(0, 2**64 - 1))
def test_greetings_read_back(number: int, boot: bytes, received: int) -> None:
    greeting = Greeting(SID, 1, 2, Boot(number, boot), bytes(16), received)
    assert decode_greeting(encode_greeting(greeting)) == greeting


@pytest.mark.parametrize("size", [0, 1, 0x7F, 0x80, 0x3FFF, 0x4000, 1 << 20])
def test_the_envelope_is_what_the_generated_code_writes(size: int) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    if size:  # proto3 leaves an empty field out; we never write one
        assert wrap([content]) == Frames(content=content).SerializeToString()
    assert Frames.FromString(wrap([content])).content == content
    found = unwrap(wrap([content]))
    assert not isinstance(found, Damaged)
    assert bytes(found) == content


def test_a_liar_that_acknowledges_frames_of_a_resend_it_has_not_got_loses_only_its_own() -> None:
    a, b = connected()
    a.send(Message(address(0), bytes(2 * MAX_PAYLOAD)))
    for _ in range(2):
        written(a)
    a.send(Message(address(1), b"next"))
    assert greet(a, b) == (False, False)
    ack = Frame(Address(Kind.ACK, 0, 0, 0, 0), 0, 2, 0, 0, b"")
    assert a.read(wrap([encode_header(ack)])).damaged is None
    assert [frame.number for frame in written(a).frames] == [2]
    assert decode_frames(memoryview(b"")) == Damaged("a message without frames")
