from __future__ import annotations

import pytest

from dkg_node.sharing.sets import Group
from dkg_node.transport.attest import AttestPort
from dkg_node.transport.tls import Pin
from dkg_node_software.bench_attest import attest_row
from dkg_node_software.bench_channel import channel_row


def test_the_benchmark_attests_every_pair_with_full_documents() -> None:
    row = attest_row(Group(4, 1))
    assert row.pairs == 6
    assert row.bytes_per_handshake > 10_000, "two documents and two enrolments with theirs"
    assert row.cpu_seconds > 0


def test_the_benchmark_of_channels_compares_an_attested_stream_with_a_plain_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One of the two pairs shakes hands, the other is told its certificates; each carries every byte."""
    attested: list[Pin] = []
    told: list[int] = []
    hold, of = AttestPort._hold, Pin.of

    def held(port: AttestPort, pin: Pin) -> None:
        attested.append(pin)
        hold(port, pin)

    def given(role: int, pem: str) -> Pin:
        told.append(role)
        return of(role, pem)

    monkeypatch.setattr(AttestPort, "_hold", held)
    monkeypatch.setattr(Pin, "of", given)
    row = channel_row(2, rounds=2)
    assert {pin.role for pin in attested} == {1, 2}
    assert all(pin.attested for pin in attested)
    assert set(told) == {1, 2}
    assert row.mebibytes == row.rounds == 2
    assert row.attested_mb_per_second > 0
    assert row.plain_mb_per_second > 0
