"""Frames that no honest peer writes so: one form only, and never more memory than the limit."""

from __future__ import annotations

import tracemalloc

from dkg_node.transport.channel import Channel
from dkg_node.transport.frames import Address, Boot, Damaged, Frame, Kind, encode_header, unwrap, wrap

LIMIT = 1 << 18
ADDRESS = Address(Kind.SLOT, 0, 1, 0, 0)


def test_a_length_written_longer_than_needed_is_damaged() -> None:
    content = unwrap(b"\x0a\x05hello")
    assert not isinstance(content, Damaged)
    assert bytes(content) == b"hello"
    for length in (b"\x85\x00", b"\x85\x80\x00", b"\x85\x80\x80\x80\x00"):
        assert isinstance(unwrap(b"\x0a" + length + b"hello"), Damaged)
    assert isinstance(unwrap(b"\x0a\x80\x00"), Damaged)


def test_a_message_in_pieces_of_two_bytes_takes_no_more_memory_than_its_length() -> None:
    channel = Channel(1, 2, bytes(32), Boot(1, bytes(16)), LIMIT)
    pieces = LIMIT // 8  # a quarter of a message, so that all of it is still held
    tracemalloc.start()
    try:
        for first in range(0, pieces, 1024):
            frames = [Frame(ADDRESS, i, 0, LIMIT, 2 * i, bytes([i % 256, 1])) for i in range(first, first + 1024)]
            data = wrap([part for frame in frames for part in (encode_header(frame), frame.payload)])
            assert channel.read(data).damaged is None
            del frames, data
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < LIMIT
