"""A certified batch is taken over chunk by chunk: the loop lives on, and what the disk lost comes from peers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dkg_node.algebra.kernel import Keys, Shares
from dkg_node.ceremony import contents as written
from dkg_node.ceremony.chain import Certificate, Core, Position
from dkg_node.ceremony.checkpoint import Made
from dkg_node.ceremony.making import Making
from dkg_node.ceremony.phases import Segment
from dkg_node.errors import ProtocolError
from dkg_node.offline.batch import BatchResult, batch_slots
from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.protocols.session import Group, Role
from dkg_node.protocols.state import PublicState
from dkg_node.protocols.store import MemoryStore
from dkg_node.testing.batches import SEGMENT, dealt_keys, simulate_batch
from dkg_node.testing.lockstep import Lockstep

GROUP = Group(4, 1)
CHUNKS = 11
BATCH = Batch(5, "bits", 64, tuple(Chunk(i, "bits", 64, groups=1) for i in range(CHUNKS)))
ME: Role = 2


@dataclass
class Peers:
    """Serves what party 1 holds; ``spoil`` changes it."""

    store: MemoryStore
    spoil: Callable[[bytes], bytes] = bytes
    asked: list[bytes] = field(default_factory=list)

    async def fetch(self, digest: bytes) -> bytes:
        self.asked.append(digest)
        await asyncio.sleep(0)
        return self.spoil(self.store.get(digest) or b"")


class Adopting(Making):
    """Only what taking over a batch needs."""

    def __init__(self, store: MemoryStore) -> None:
        segment = Segment(SEGMENT, "batch", "batch", batch_slots(GROUP, BATCH), BATCH)
        sid = Lockstep[None](GROUP).sessions[ME].sid
        self._work = cast("Any", SimpleNamespace(sid=sid, segments={SEGMENT: segment}))
        self._party = cast("Any", SimpleNamespace(store=store))

    def _keys_of(self, chain: object) -> Keys:
        return dealt_keys(GROUP, ME)


@pytest.fixture(scope="module")
def made() -> tuple[dict[Role, MemoryStore], BatchResult]:
    stores = {role: MemoryStore() for role in GROUP.roles}
    return stores, simulate_batch(GROUP, BATCH, stores=stores).results[ME]


def adopted(result: BatchResult, store: MemoryStore, peers: Peers) -> tuple[Made, int]:
    """The batch as adopted, and how many turns of its loop another task got meanwhile."""
    body = written.encode_batch(result.generation, result.opened)
    core = Core(Position(0, SEGMENT), bytes(32), sha256(body).digest(), PublicState())

    async def run() -> tuple[Made, int]:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        made = await Adopting(store)._again(Certificate(core, {}), (), body, cast("Any", peers))
        task.cancel()
        return made, turns

    return asyncio.run(run())


def wires(results: tuple[Any, ...]) -> list[bytes]:
    return [part.to_wire() for part in results if isinstance(part, Shares)]


def test_other_tasks_get_a_turn_after_every_chunk(made: tuple[dict[Role, MemoryStore], BatchResult]) -> None:
    stores, result = made
    found, turns = adopted(result, stores[ME], Peers(stores[1]))
    assert wires(found.results) == wires(result.results)
    assert turns >= CHUNKS


@pytest.mark.parametrize("damage", [lambda _: None, lambda body: body[:-1] + b"?"], ids=["lost", "damaged"])
def test_what_the_disk_lost_or_damaged_comes_from_peers_and_nothing_else(
    made: tuple[dict[Role, MemoryStore], BatchResult], damage: Callable[[bytes], bytes | None]
) -> None:
    stores, result = made
    lost = {result.opened[i].digest for i in (0, 7, CHUNKS - 1)}

    class Broken(MemoryStore):
        def get(self, digest: bytes) -> bytes | None:
            body = stores[ME].get(digest)
            return damage(body or b"") if digest in lost else body

    peers = Peers(stores[1])
    found, _ = adopted(result, Broken(), peers)
    assert wires(found.results) == wires(result.results)
    assert sorted(peers.asked) == sorted(lost)


def test_a_certified_opening_that_is_none_ends_the_adoption_with_a_reason(
    made: tuple[dict[Role, MemoryStore], BatchResult],
) -> None:
    """Only more than t liars can certify such a hash."""
    stores, result = made
    peers = Peers(stores[1], lambda body: body[:-1])
    with pytest.raises(ProtocolError, match="batch 5 chunk 0: n-t parties certified a V that is none"):
        adopted(result, MemoryStore(), peers)
