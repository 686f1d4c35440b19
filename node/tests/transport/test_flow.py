"""Counters of bytes: what a peer writes into its headers costs a bounded amount of memory."""

from __future__ import annotations

from dkg_node.transport.flow import MOST_ROWS, Meter
from dkg_node.transport.frames import Address, Frame, Kind


def test_headers_of_a_peer_make_a_bounded_number_of_rows() -> None:
    meter = Meter()
    for segment in range(3 * MOST_ROWS):
        meter.received(4, [Frame(Address(Kind.SLOT, 0, segment, 7, 0), segment, 0, 0, 0, b"")], 60)
    rows = meter.rows()
    assert len(rows) <= MOST_ROWS + 1
    assert sum(row.received_total for row in rows) == 3 * MOST_ROWS * 60
