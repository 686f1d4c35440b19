"""Fuzz targets of the wire: greeting, envelope, frames, a channel, mailboxes of slots and letters, certificates."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ssl import DER_cert_to_PEM_cert, PEM_cert_to_DER_cert
from typing import TYPE_CHECKING

from dkg_node.ceremony.mailbox import Mailbox as Letterbox
from dkg_node.errors import AttestationError
from dkg_node.protocols.broadcast import decode_relays
from dkg_node.protocols.session import Exchange, Group, Role, Tag
from dkg_node.transport.channel import Channel, Message
from dkg_node.transport.frames import (
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
from dkg_node.transport.mailbox import Mailbox, cost
from dkg_node.transport.settings import Letter
from dkg_node.transport.tls import Pin, admit
from dkg_node_software.fuzz.registry import target
from dkg_node_software.fuzz.world import GROUP, ME, SID, Pieces, cut, finished, tls

if TYPE_CHECKING:
    from collections.abc import Sequence

PEER: Role = 2
OLD, BOOT = Boot(1, b"o" * 16), Boot(2, b"b" * 16)
LIMIT = 1 << 12
EARLY = 1 << 12
ACCEPTED = (b"ssl", b"TLSv1.3", b"false")


def _frame(payload: bytes, number: int, *, kind: Kind = Kind.SLOT, length: int | None = None, offset: int = 0) -> Frame:
    whole = len(payload) if length is None else length
    return Frame(Address(kind, 0, 1, 0, 0), number, 0, whole, offset, payload)


def _message(*frames: Frame) -> bytes:
    return wrap([piece for frame in frames for piece in (encode_header(frame), frame.payload)])


def _greeting() -> Greeting:
    return Greeting(SID, PEER, ME, BOOT, OLD.id, 0)


@target(lambda: [encode_greeting(_greeting())])
def greeting(data: bytes) -> None:
    """A stream's first message: Damaged, or what encodes to the same bytes."""
    found = decode_greeting(data)
    assert isinstance(found, Damaged) or encode_greeting(found) == data


@target(lambda: [_message(_frame(b"abc", 0)), _message(_frame(b"", 0), _frame(b"de", 1, length=4))], memory=128)
def frames(data: bytes) -> None:
    """A gRPC message: Damaged, or frames that encode to the same bytes."""
    content = unwrap(data)
    if isinstance(content, Damaged):
        return
    assert wrap([content]) == data
    found = decode_frames(content)
    if not isinstance(found, Damaged):
        assert b"".join(encode_header(frame) + frame.payload for frame in found) == content
        assert all(frame.offset + len(frame.payload) <= frame.length for frame in found)


def _stream_seeds() -> list[bytes]:
    begun = [_message(_frame(b"ab", 0, length=4)), _message(_frame(b"cd", 1, length=4, offset=2))]
    acknowledged = replace(_frame(b"", 0, kind=Kind.ACK), ack=1)
    return [
        cut(encode_greeting(_greeting()), *begun, _message(acknowledged)),
        cut(_message(_frame(b"abc", 0), _frame(b"", 1, kind=Kind.POST)), encode_greeting(_greeting())),
        cut(encode_greeting(replace(_greeting(), boot=Boot(3, b"c" * 16))), *begun),
    ]


@target(_stream_seeds, memory=256)
def stream(data: bytes) -> None:
    """A channel's life: greetings and messages in any order; the counts stay in their bounds."""
    channel = Channel(ME, PEER, SID, OLD, LIMIT)
    for size in (0, 5, 700):
        channel.send(Message(Address(Kind.SLOT, 0, 1, 0, 0), bytes(size)))
    queued = channel.backlog
    channel.write()
    for piece in Pieces(data).all():
        found = decode_greeting(piece)
        if isinstance(found, Greeting):
            channel.greeted(found)
            channel.write()
            continue
        before = channel.received
        received = channel.read(piece)
        assert all(len(message.body) <= LIMIT for message in received.messages)
        assert channel.received >= before
        assert 0 <= channel.backlog <= queued
        assert channel.backlog + channel.freed <= 2 * queued


class _Effects:
    """What a mailbox gives back must be what it was handed."""

    def __init__(self) -> None:
        self.room: Counter[Role] = Counter()

    def pull(self, role: Role, tag: Tag, digest: bytes) -> None:
        del role, tag, digest

    def consumed(self, role: Role, size: int) -> None:
        self.room[role] -= size

    def hurry_at(self, instant: float) -> None:
        del instant


def _places() -> list[bytes]:
    relay = bytes([1]) + bytes(32) + bytes([1]) + bytes([1]) + bytes(64)
    late, foreign = bytes([2, 0, 0, 0, 0]), bytes([2, 9, 9, 9, 9])
    return [
        cut(bytes([2, 0, 1, 0, 0]) + b"hello", bytes([3, 0, 1, 1, 0]) + relay, bytes([4, 0, 2, 0, 0]) + b"later"),
        cut(late + b"x", foreign + b"y", bytes([0x82, 0, 1, 0, 0]) + bytes(32), bytes([0x82, 0, 1, 1, 0]) + bytes(40)),
    ]


@target(_places, memory=256)
def slots(data: bytes) -> None:
    """The mailbox of slots: any message for any place; what waits stays under the limit, room is given back once."""
    effects = _Effects()
    box = Mailbox(ME, effects, 1.0, EARLY)
    roles = frozenset(GROUP.roles)
    box.open((0, 1), (10.0, 10.0))

    def named(_: Role, body: bytes) -> list[bytes]:
        return [relay.digest for relay in decode_relays(body, GROUP.n) or []]

    box.begin(Exchange(Tag(1, 0, 0), {}, roles, 64), 0, 0.0)
    pending = box.begin(Exchange(Tag(1, 1, 0), {}, roles, 400, names=named, body_limit=64), 0, 0.0)
    for piece in Pieces(data).all():
        if len(piece) < 5:
            continue
        role, tag, body = 1 + piece[0] % GROUP.n, Tag(piece[2], piece[3], piece[4]), piece[5:]
        if piece[0] >= 0x80:
            box.body(role, piece[1], tag, body)
            box.serve(piece[1], piece[2], body)
        else:
            effects.room[role] += cost(body)
            box.deliver(role, piece[1], tag, body, 0.0)
        assert all(0 <= room <= EARLY for room in effects.room.values())
    box.settle(pending, 11.0)
    box.close((0, 1))
    box.open((1 << 32, 0), ())
    assert not any(effects.room.values())


class _Inbox:
    """A network on which one letter comes."""

    def __init__(self, payload: bytes) -> None:
        self._letters = [Letter(PEER, payload)]

    async def inbox(self) -> Letter:
        if not self._letters:
            raise EOFError
        return self._letters.pop()

    def post(self, role: Role, payload: bytes) -> None:
        del role, payload


@target(lambda: [b"\x00abc", b"\x01" + bytes(64)])
def topics(data: bytes) -> None:
    """A letter's topic byte: the letter comes to nobody or, whole, to who asked for its topic."""
    heard: list[bytes] = []
    box = Letterbox(Group(4, 1), ME, _Inbox(data))  # type: ignore[arg-type]  # of the network only this is used
    box.on("control", lambda _, payload: heard.append(payload))
    box.on("certificate", lambda _, payload: heard.append(payload))
    try:
        finished(box.pump())
    except EOFError:
        assert heard in ([], [data[1:]])


def _certificates() -> Sequence[bytes]:
    pem = tls().certificate
    return [pem.encode(), PEM_cert_to_DER_cert(pem)]


@target(_certificates)
def tls_certificate(data: bytes) -> None:
    """A certificate to be pinned (out of a handshake), and the one a connection shows."""
    pem = data.decode("latin-1") if data.startswith(b"-----") else DER_cert_to_PEM_cert(data)
    context = dict(zip(("transport_security_type", "ssl_tls_version", "ssl_session_reused"), ACCEPTED, strict=True))
    try:
        pin = Pin.of(PEER, pem)
    except AttestationError:
        admit({**{name: [value] for name, value in context.items()}, "x509_pem_cert": [pem.encode()]}, [])
        return
    shown = {**{name: [value] for name, value in context.items()}, "x509_pem_cert": [pin.pem]}
    assert admit(shown, [pin]) == (pin,)
