"""What a local run needs, computed for the worst case before anything starts."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_node.errors import UsageError
from dkg_node.keygen.plan import plan_of
from dkg_node.service.bridge import bridge_path
from dkg_node.service.command import EnvironmentFault

if TYPE_CHECKING:
    from pathlib import Path

    from dkg_node.keygen.parameters import ParameterSet

GIB = 1 << 30
PROCESS = 190 << 20
"""Resident bytes of a node before it holds anything: interpreter, gRPC, kernel tables, buffers of the streams."""
CHUNKS_AT_ONCE = 8
CHUNK = 65_536 * 16 * 4
"""Base shares of one chunk at K=128, four words each; some four copies of them are alive at once."""
LINK = 24 << 20
"""What may wait for a peer and from it (the network's limits), unless the whole run has less for it."""
ASSEMBLY = 80 << 20
"""The bridge beside its input; one party assembles at a time."""
PORT_STEP = 10
PEER_PORT = 1


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes in the worst case, all parties together."""

    memory: int
    disk: int


def needs(params: ParameterSet, parties: int) -> Needs:
    """Memory: processes, noise and product shares kept to the end, chunks in flight. Disk: bodies, sets, objects."""
    shares = sum(
        (spec.samples + spec.products) * spec.word_bits // 8 + spec.products // 16 * spec.word_bits // 8
        for spec in params.keys
    )
    row = 4 * max(spec.row_masks * spec.word_bits // 8 * 64 for spec in params.keys)
    keys = params.seeded_bytes
    opened = sum(chunk.v_bytes for batch in plan_of(params).batches for chunk in batch.chunks)
    link = min(LINK, 2 * opened // parties + keys)
    each = PROCESS + shares + min(CHUNKS_AT_ONCE * 4 * CHUNK, 4 * opened) + row + (parties - 1) * link
    return Needs(parties * each + ASSEMBLY + 4 * keys, parties * 3 * keys + 2 * keys + opened + parties * (16 << 20))


def check_machine(params: ParameterSet, parties: int, out: Path, base_port: int) -> None:
    """Refuse with the numbers when memory, disk, ports or the bridge are missing."""
    bridge_path()
    wanted = needs(params, parties)
    available = available_memory()
    if wanted.memory > available:
        raise EnvironmentFault(
            f"free some memory: {parties} parties of set {params.name!r} need {wanted.memory / GIB:.1f} GiB, "
            f"{available / GIB:.1f} GiB are available"
        )
    free = shutil.disk_usage(_existing(out)).free
    if wanted.disk > free:
        raise EnvironmentFault(
            f"free some disk: {parties} parties of set {params.name!r} need {wanted.disk / GIB:.1f} GiB below {out}, "
            f"{free / GIB:.1f} GiB are free"
        )
    for party in range(1, parties + 1):
        check_port(party, peer_port(base_port, party))
        check_port(party, attest_port(base_port, party))


def peer_port(base_port: int, party: int) -> int:
    """17000 + 10 i is the party's block; the peer port is the second of it (07, "Ports")."""
    return base_port + PORT_STEP * party + PEER_PORT


def attest_port(base_port: int, party: int) -> int:
    """The first port of the block."""
    return base_port + PORT_STEP * party


def check_port(party: int, port: int) -> None:
    """Refuse a port that somebody else listens on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            raise EnvironmentFault(
                f"port {port} of party {party} is busy or not allowed: end what uses it or choose another --base-port"
            ) from None


def check_parties(parties: int, threshold: int) -> None:
    """N = 3T+1 and T in 1..4."""
    if not 1 <= threshold <= 4:
        raise UsageError(f"choose a threshold of 1 to 4: {threshold} is not supported")
    if parties != 3 * threshold + 1:
        raise UsageError(
            f"choose {3 * threshold + 1} parties for threshold {threshold}: N is always 3T+1, not {parties}"
        )


def check_out(out: Path) -> None:
    """OUT must be absent or empty."""
    try:
        used = out.exists() and (not out.is_dir() or any(out.iterdir()))
    except OSError as error:
        raise EnvironmentFault(f"can't read {out}: {error.strerror}; choose another OUT") from None
    if used:
        raise UsageError(
            f"choose another OUT or empty it: {out} is not empty, and nothing in it would be overwritten; "
            "--resume (RESUME=1) carries on with an unfinished run"
        )


def _existing(path: Path) -> Path:
    """The nearest directory above that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def available_memory() -> int:
    """MemAvailable of Linux: free memory plus what caches give back."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123 - a kernel interface, not a file of ours
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
