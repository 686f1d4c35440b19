from __future__ import annotations

from dkg_node.sharing.sets import Group
from dkg_node_software.bench_attest import attest_row


def test_the_benchmark_attests_every_pair_with_full_documents() -> None:
    row = attest_row(Group(4, 1))
    assert row.pairs == 6
    assert row.bytes_per_handshake > 10_000, "two documents and two enrolments with theirs"
    assert row.cpu_seconds > 0
