"""An honest batch: noise, bits and products are what the shared base values say, at every party, at its price."""

from __future__ import annotations

import pytest

from dkg_node.algebra.kernel import Shares
from dkg_node.offline.batch import BatchResult, Work, batch_slots, restored, run_batch
from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.offline.values import Drawn, ProductBlock, draw
from dkg_node.protocols.session import Group, Role, Session, Tag
from dkg_node.protocols.state import PublicState
from dkg_node.protocols.store import MemoryStore
from dkg_node.testing.batches import SEGMENT, base_values, dealt_keys, revealed, simulate_batch
from dkg_node.testing.lockstep import Lockstep, Run

SMALL = [Group(4, 1), Group(7, 2)]
LARGE = Group(13, 4)
SAMPLES = 4


def noise_batch(k: int, *widths: int, groups: int = 3, index: int = 0) -> Batch:
    return Batch(index, "noise", k, tuple(Chunk(i, "noise", k, width, groups) for i, width in enumerate(widths)))


def drawn_values(group: Group, batch: Batch, chunk: Chunk) -> dict[Role, Drawn]:
    """What every party draws for a chunk, by the keys alone."""
    sessions: dict[Role, Session] = Lockstep[None](group).sessions
    out = {}
    for role, session in sessions.items():
        work = Work.of(session.enter(SEGMENT, ()), dealt_keys(group, role), batch, 0, MemoryStore())
        out[role] = draw(chunk, work.keys_of(session, chunk))
    return out


def shares_of(run: Run[BatchResult], chunk: int) -> dict[Role, Shares]:
    out = {}
    for role, result in run.results.items():
        shares = result.results[chunk]
        assert isinstance(shares, Shares)
        out[role] = shares
    return out


def tuniform(bits: list[int], width: int, k: int) -> int:
    """e = sum_{i<=w} 2^i b_i + b_{w+1} - 2^w mod 2^K."""
    return (sum(bit << i for i, bit in enumerate(bits[:-1])) + bits[-1] - (1 << width)) % (1 << k)


def assert_noise_is_the_tuniform_of_the_parities(group: Group, batch: Batch) -> None:
    run = simulate_batch(group, batch)
    assert not run.errors
    for chunk in batch.chunks:
        bits = chunk.width + 2
        a = base_values(group, {role: drawn.a for role, drawn in drawn_values(group, batch, chunk).items()})
        samples = revealed(group, shares_of(run, chunk.index))
        assert len(samples) == chunk.groups
        for g, quadruple in enumerate(samples):
            for j, sample in enumerate(quadruple):
                parities = [a[4 * (g * bits + b) + j] & 1 for b in range(bits)]
                assert sample == tuniform(parities, chunk.width, chunk.k)


@pytest.mark.parametrize("group", SMALL, ids=str)
@pytest.mark.parametrize("k", [64, 128])
def test_noise_is_the_tuniform_of_the_parities_of_the_shared_values(group: Group, k: int) -> None:
    assert_noise_is_the_tuniform_of_the_parities(group, noise_batch(k, 0, 17, 43, 3, 45, 30))


@pytest.mark.parametrize("k", [64, 128])
def test_thirteen_parties_make_the_same_noise(k: int) -> None:
    assert_noise_is_the_tuniform_of_the_parities(LARGE, noise_batch(k, 0, 17, groups=1))


@pytest.mark.parametrize("group", [*SMALL, Group(10, 3), LARGE], ids=str)
@pytest.mark.parametrize("k", [64, 128])
def test_random_bits_are_the_parities_and_nothing_else(group: Group, k: int) -> None:
    batch = Batch(2, "bits", k, (Chunk(0, "bits", k, groups=5), Chunk(1, "bits", k, groups=1)))
    run = simulate_batch(group, batch)
    for chunk in batch.chunks:
        a = base_values(group, {role: drawn.a for role, drawn in drawn_values(group, batch, chunk).items()})
        bits = base_values(group, shares_of(run, chunk.index))
        assert bits == [value & 1 for value in a]


def test_random_bits_are_balanced() -> None:
    group, count = SMALL[0], 4096
    batch = Batch(0, "bits", 64, (Chunk(0, "bits", 64, groups=count // SAMPLES),))
    bits = base_values(group, shares_of(simulate_batch(group, batch), 0))
    assert set(bits) == {0, 1}
    assert abs(2 * sum(bits) - count) < 5 * count**0.5  # five standard deviations


@pytest.mark.parametrize("group", [*SMALL, Group(10, 3), LARGE], ids=str)
@pytest.mark.parametrize("k", [64, 128])
def test_products_are_the_products_of_the_shared_rows_and_columns(group: Group, k: int) -> None:
    rows, cols = 3, 8
    batch = Batch(1, "product", k, tuple(Chunk(i, "product", k, rows=rows, cols=cols) for i in range(2)))
    run = simulate_batch(group, batch)
    for chunk in batch.chunks:
        blocks = {}
        for role, result in run.results.items():
            block = result.results[chunk.index]
            assert isinstance(block, ProductBlock)
            blocks[role] = block
        x = base_values(group, {role: block.x for role, block in blocks.items()})
        y = base_values(group, {role: block.y for role, block in blocks.items()})
        p = revealed(group, {role: block.p for role, block in blocks.items()})
        assert [value for element in p for value in element] == [a * b % (1 << k) for a in x for b in y]
        assert len(set(x)) == rows
        assert len(set(y)) == cols


def test_all_parties_end_with_one_public_list_and_nobody_silent() -> None:
    run = simulate_batch(SMALL[1], noise_batch(64, 3, 0))
    assert len({(result.listing, result.opened) for result in run.results.values()}) == 1
    assert all(result.silent == frozenset() for result in run.results.values())
    assert [c.post.king for c in run.results[1].opened] == [1, 2]


class Watched(Lockstep[BatchResult]):
    """Notes every message that somebody waits for and nobody sends."""

    def __init__(self, group: Group) -> None:
        super().__init__(group)
        self.vain: list[tuple[Tag, Role, Role]] = []

    def _deliver(self, tag: Tag) -> None:
        waiting = self._pending[tag]
        for role, (_, request) in waiting.items():
            sent = {peer for peer, (_, other) in waiting.items() if role in other.outgoing}
            self.vain += [(tag, role, peer) for peer in request.expect - sent]
        super()._deliver(tag)


def test_nobody_waits_for_what_nobody_sends_and_nobody_holds_openings_that_nobody_lacks() -> None:
    group, batch = SMALL[1], noise_batch(64, 3, 0)
    watched = Watched(group)

    async def program(session: Session) -> BatchResult:
        keys = dealt_keys(group, session.me)
        return await run_batch(
            session.enter(SEGMENT, batch_slots(group, batch)), keys, batch, MemoryStore(), PublicState()
        )

    run = watched.run(program)
    assert not watched.vain
    hashes = {c.digest for c in run.results[1].opened}
    assert len(hashes) == 2
    assert not any(hashes & set(link.bodies) for link in watched.links.values())


def test_more_chunks_than_fit_in_flight_all_get_done_in_order() -> None:
    group = SMALL[0]
    batch = noise_batch(64, *range(20), groups=1)
    run = simulate_batch(group, batch)
    assert [c.post.chunk for c in run.results[1].opened] == list(range(20))
    assert [len(shares_of(run, i)[1]) for i in range(20)] == [1] * 20


def test_other_batches_eras_and_generations_have_other_values() -> None:
    group = SMALL[0]
    batches = [noise_batch(64, 17, index=index) for index in (0, 1)]
    redone = PublicState(generations=frozenset({(0, 1)}))
    outcomes = [simulate_batch(group, batch) for batch in batches] + [simulate_batch(group, batches[0], state=redone)]
    seen = [str(revealed(group, shares_of(run, 0))) for run in outcomes]
    assert len(set(seen)) == 3


def test_absent_and_corrupt_parties_are_done_without() -> None:
    group = SMALL[1]
    state = PublicState(corrupt=frozenset({2}), absent=frozenset({5}))
    run = simulate_batch(group, noise_batch(64, 3, 4, 5, 6, 7), state=state, stop_at=lambda role, _: role in {2, 5})
    assert set(run.results) == {1, 3, 4, 6, 7}
    assert len({result.listing for result in run.results.values()}) == 1
    assert not {post.post.king for post in run.results[1].opened} & {2, 5}
    assert len(revealed(group, shares_of(run, 0))) == 3


def test_results_can_be_derived_again_from_keys_list_and_stored_values() -> None:
    group = SMALL[0]
    batch = noise_batch(128, 3, 0)
    stores = {role: MemoryStore() for role in group.roles}
    lockstep = Lockstep[BatchResult](group)

    async def program(session: Session) -> BatchResult:
        entered = session.enter(SEGMENT, batch_slots(group, batch))
        keys = dealt_keys(group, session.me)
        return await run_batch(entered, keys, batch, stores[session.me], PublicState())

    run = lockstep.run(program)
    for role, result in run.results.items():
        session = lockstep.sessions[role].enter(SEGMENT + 1, ())
        work = Work.of(session, dealt_keys(group, role), batch, 0, stores[role])
        bodies = [stores[role].get(c.digest) or b"" for c in result.opened]
        again = [restored(session, work, c, body) for c, body in zip(result.opened, bodies, strict=True)]
        assert [part.to_wire() for part in again if isinstance(part, Shares)] == [
            part.to_wire() for part in result.results if isinstance(part, Shares)
        ]


@pytest.mark.parametrize(("k", "most"), [(64, 14), (128, 28)])
def test_thirteen_parties_send_no_more_than_the_design_allows_a_bit(k: int, most: float) -> None:
    batch = Batch(0, "bits", k, tuple(Chunk(i, "bits", k, groups=512) for i in range(13)))
    run = simulate_batch(LARGE, batch)
    bits = sum(4 * chunk.elements for chunk in batch.chunks)
    opening = sum(run.traffic.of("y").values()) + sum(run.traffic.of("V").values())
    assert opening / LARGE.n / bits <= most
    assert run.traffic.of("pull") == {}
    assert sum(run.traffic.of("v-by-hash").values()) == 0
    fixed = sum(sum(run.traffic.of(slot).values()) for slot in ("votes", "coin", "W"))
    assert fixed / LARGE.n <= 90_000 + 12 * 33 * len(batch.chunks)  # a batch, whatever its size


@pytest.mark.parametrize("group", [*SMALL, Group(10, 3), LARGE], ids=str)
@pytest.mark.parametrize("batch", [noise_batch(64, 17, 0), noise_batch(128, 3)], ids=["K64", "K128"])
def test_no_slot_carries_more_than_its_deadline_counts_on(group: Group, batch: Batch) -> None:
    run = simulate_batch(group, batch)
    announced: dict[str, int] = {}
    for slot in batch_slots(group, batch):
        name = slot.name.split(".")[0]
        announced[name] = announced.get(name, 0) + slot.size
        assert slot.work >= 0
    for (_, name), sent in run.traffic.sent.items():
        assert sent <= announced[name], name
