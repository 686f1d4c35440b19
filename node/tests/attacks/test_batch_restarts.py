"""A known coin never meets new errors, and revealed keys open nothing: all restart in the worst moment (01 section 2).

After a restart the batch is made again in the next era. Its keys, coin and signatures hold the era, so what the liars
learned or kept of the old one is worth nothing there.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import pytest

from dkg_node.algebra import kernel
from dkg_node.algebra.encoding import enc
from dkg_node.offline import labels
from dkg_node.offline.batch import BatchResult, batch_slots, run_batch
from dkg_node.offline.check import DIGITS, w_of_chunk
from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.offline.judge import majority_keys
from dkg_node.offline.king import assign
from dkg_node.offline.values import draw, to_open
from dkg_node.protocols.session import Group
from dkg_node.protocols.state import PublicState
from dkg_node.protocols.store import MemoryStore
from dkg_node.testing.batches import SEGMENT, dealt_keys, kinds_of, made_values, true_values
from dkg_node.testing.liars import Liars, plus
from dkg_node.testing.lockstep import Run, run_lockstep

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_node.protocols.session import Role, Session, Tag
    from dkg_node.testing.lockstep import Move, Outgoing

GROUPS = [Group(4, 1), Group(7, 2), Group(13, 4)]
TOP = 1 << 62
"""The highest bit of a coordinate of V."""


def bits(groups: int) -> Batch:
    return Batch(5, "bits", 64, (Chunk(0, "bits", 64, groups=groups),))


def run_in(
    group: Group, batch: Batch, era: int, liars: Liars, stop_at: Callable[[Role, Tag], bool] | None = None
) -> Run[BatchResult]:
    """The batch in an era."""

    async def program(session: Session) -> BatchResult:
        entered = replace(session.enter(SEGMENT, batch_slots(group, batch)), era=era)
        if session.me in liars.corrupt:
            entered = liars.join(entered, PublicState())
        return await run_batch(entered, dealt_keys(group, session.me), batch, MemoryStore(), PublicState())

    return run_lockstep(group, program, liars, stop_at=stop_at)


def assert_right(group: Group, run: Run[BatchResult], liars: Liars, era: int) -> BatchResult:
    """All honest parties end alike with the right values of that era and have named nobody honest."""
    honest = frozenset(group.roles) - liars.corrupt
    assert honest <= set(run.results), run.errors
    assert len({(run.results[role].listing, run.results[role].state) for role in honest}) == 1
    result = run.results[min(honest)]
    assert result.state.corrupt <= liars.corrupt
    assert made_values(group, run, honest) == true_values(group, result.batch, result.generation, era)
    return result


# --- between coin and check -------------------------------------------------------------------------------------------


def solution(rows: list[int], columns: int) -> int:
    """A vector of bits other than 0 whose products with all rows (bits as numbers) are even."""
    pivots: dict[int, int] = {}
    for start in rows:
        row = start
        for pivot, other in pivots.items():
            row ^= other if row >> pivot & 1 else 0
        if row:
            place = row.bit_length() - 1
            pivots = {p: other ^ (row if other >> place & 1 else 0) for p, other in pivots.items()} | {place: row}
    free = next(column for column in range(columns) if column not in pivots)
    return 1 << free | sum(1 << pivot for pivot, row in pivots.items() if row >> free & 1)


def sums(chunk: Chunk, v: bytes, coin: bytes, listing: bytes) -> bytes:
    """One party's W of any shares: how it depends on V is the same for all."""
    keys = dealt_keys(GROUPS[0], 1).derive(b"any")
    w = w_of_chunk(chunk, keys, to_open(draw(chunk, keys)), v, coin, listing)
    assert w is not None
    return w.to_wire()


def invisible_error(chunk: Chunk, coin: bytes, listing: bytes) -> list[int]:
    """Bytes of V at which the highest bit of a word can be changed without any change of W under this coin and list.

    The sums of all digits change by multiples of 2^63, linearly over the bits: 32 digits of 4 coordinates are 128
    equations, and a chunk of more than 32 elements has more coordinates than that.
    """
    blank = bytes(chunk.v_bytes)
    places = range(0, chunk.v_bytes, 8)

    def tops(v: bytes) -> int:
        body = sums(chunk, v, coin, listing)
        return sum((body[8 * i + 7] >> 7) << i for i in range(4 * DIGITS))

    columns = [tops(plus(blank, TOP, at)) ^ tops(blank) for at in places]
    rows = [sum((column >> i & 1) << j for j, column in enumerate(columns)) for i in range(4 * DIGITS)]
    chosen = solution(rows, len(places))
    return [at for j, at in enumerate(places) if chosen >> j & 1]


def changed(v: bytes, places: list[int]) -> bytes:
    for at in places:
        v = plus(v, TOP, at)
    return v


def old_list_and_coin(group: Group, batch: Batch, place: Session, v: bytes) -> tuple[bytes, bytes]:
    """What the liars know of a first round whose coin was opened: its list, and the coin itself."""
    post = assign(group, PublicState(), [0], 0, batch.index).posts[0]
    digest = labels.hash_of_body(labels.opened_body(labels.opened_prefix(place, batch, 0, post), v))
    listing = labels.list_digest(place, batch, 0, [(0, digest)])
    label = labels.coin_label(place, batch, 0, 0, listing)
    under = enc("coin", place.sid, place.era)
    shares = {
        role: kernel.prss(dealt_keys(group, role).derive(under), label, 128, 0, 4).pack().to_wire()
        for role in group.roles
    }
    opened = kernel.robust_open(group.n, group.t, 128, shares)
    assert opened is not None
    return listing, opened[0]


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_an_error_made_for_a_known_coin_does_not_pass_the_check_of_the_next_era(group: Group) -> None:
    """All crash when the coin is open and no W is sent; the king then chooses what that coin can't see."""
    batch, liars = bits(36), Liars(*range(1, group.t + 1))
    seen: list[bytes] = []
    liars.plan(1, "V", lambda move: seen.append(next(v for v in move.honest.values() if v)))
    first_w = next(at for at, slot in enumerate(batch_slots(group, batch)) if slot.name == "W.1")
    assert not run_in(group, batch, 0, liars, lambda _, tag: tag.slot >= first_w).results
    listing, coin = old_list_and_coin(group, batch, liars.sessions[1], seen[0])
    error = invisible_error(batch.chunks[0], coin, listing)
    wrong = changed(seen[0], error)
    assert wrong != seen[0]  # and under the old coin nobody could have told:
    assert sums(batch.chunks[0], wrong, coin, listing) == sums(batch.chunks[0], seen[0], coin, listing)
    liars.plan(1, "V", lambda move: {peer: v and changed(v, error) for peer, v in move.honest.items()})
    liars.only_in(lambda number: number == 0)
    result = assert_right(group, run_in(group, batch, 1, liars), liars, era=1)
    assert kinds_of(result) == {(1, "king")}


# --- after a reveal ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_what_a_reveal_gave_away_opens_nothing_in_the_next_era(group: Group) -> None:
    """A batch is revealed and redone, then all restart before its certificate: it begins with generation 0 again."""
    batch, liars = bits(16), Liars(*range(1, group.t + 1)).add_to_v(1)
    old = assert_right(group, run_in(group, batch, 0, liars), liars, era=0)
    assert old.generation == 1
    found = majority_keys(group, {role: said.content for role, said in old.faults[0].keys.items()})
    assert found is not None  # everybody knows the keys of (0, b, 0) now
    new = assert_right(group, run_in(group, batch, 1, Liars()), Liars(), era=1)
    assert new.generation == 0
    for generation in (0, 1):
        assert true_values(group, batch, 0, 1) != true_values(group, batch, generation, 0)
    place = replace(liars.sessions[1], era=1)
    own = {role: labels.batch_keys(place, dealt_keys(group, role), batch, 0).reveal() for role in group.roles}
    again = majority_keys(group, own)
    assert again is not None
    assert not set(again[0].values()) & set(found[0].values())


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_messages_of_an_old_era_said_again_are_nothing_or_a_lie(group: Group) -> None:
    """The liars repeat, slot for slot, what they signed before the restart: shares, openings, votes and W."""
    batch, said = bits(2), {}
    liars = Liars(*range(1, group.t + 1))
    names = ["y", "V", "coin", *(f"{name}.{r}" for name in ("votes", "W") for r in range(1, group.t + 2))]

    def record(move: Move) -> None:
        said[move.sender, move.slot] = move.honest

    def repeat(move: Move) -> Outgoing | None:
        return said.get((move.sender, move.slot))

    for role, name in product(liars.corrupt, names):
        liars.plan(role, name, record)
    assert_right(group, run_in(group, batch, 0, liars), liars, era=0)
    for role, name in product(liars.corrupt, names):
        liars.plan(role, name, repeat)
    result = assert_right(group, run_in(group, batch, 1, liars), liars, era=1)
    assert result.state.absent == liars.corrupt
    assert result.state.corrupt == frozenset()
