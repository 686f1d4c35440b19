"""One batch, one segment: rounds until every chunk is opened and checked (01 section 4).

A chunk without a canonical opening goes to another king in the next round; a failed check convicts somebody, and the
whole batch begins again with fresh keys. Holds while liars and missing parties are t at most; what comes out is right
except with probability 2^-128. Nothing is used before n-t parties have signed the list (the ceremony's certificate).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dkg_node.errors import ProtocolError, QuorumLost
from dkg_node.offline import labels
from dkg_node.offline.fault import Guard, Vows, convict
from dkg_node.offline.king import assign
from dkg_node.offline.round import Accepted, Result, RoundResult, run_round
from dkg_node.offline.slots import batch_slots, most_rounds
from dkg_node.offline.values import draw, finish
from dkg_node.offline.work import WINDOW, Desk, Work

if TYPE_CHECKING:
    from dkg_node.algebra.kernel import Keys
    from dkg_node.offline.chunk import Batch
    from dkg_node.offline.evidence import Fault
    from dkg_node.offline.labels import Place
    from dkg_node.offline.votes import Canonical
    from dkg_node.protocols.session import Group, Role, Session
    from dkg_node.protocols.state import PublicState
    from dkg_node.protocols.store import ObjectStore

__all__ = ["WINDOW", "BatchResult", "Result", "Work", "batch_slots", "restored", "run_batch"]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """A party's shares out of an accepted batch, by chunk, and what is public about it.

    ``results``: noise - packed, one element a group of four samples; bits - single, four a group; product - a block.
    ``opened``: who opened each chunk and the hash of its V, the table a certificate signs; ``listing`` is its digest.
    """

    batch: Batch
    generation: int
    """The generation that was accepted: a certificate names it."""
    results: tuple[Result, ...]
    opened: tuple[Canonical, ...]
    listing: bytes
    state: PublicState
    """The public state after the batch."""
    silent: frozenset[Role]
    """Who became Absent in it."""
    faults: tuple[Fault, ...]
    """Every failed check of it with its evidence."""
    rounds: int


@dataclass(slots=True)
class _Course:
    """Where a batch stands between two rounds."""

    batch: Batch
    state: PublicState
    attempt: int = 0
    """Rounds of this generation so far: the try of all its chunks that are left."""
    accepted: dict[int, Accepted] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def left(self) -> list[int]:
        """Chunks that have no accepted opening."""
        return [chunk.index for chunk in self.batch.chunks if chunk.index not in self.accepted]

    def advance(self, outcome: RoundResult) -> None:
        """Take over a round whose check passed, or that had nothing to check."""
        self.state = outcome.state
        self.accepted.update({one.canonical.post.chunk: one for one in outcome.accepted})
        self.attempt += 1

    def begin_again(self, state: PublicState, fault: Fault) -> None:
        """All keys of the generation are revealed: nothing of it is left."""
        self.state, self.attempt = state, 0
        self.accepted.clear()
        self.faults.append(fault)


async def run_batch(
    session: Session,
    keys: Keys,
    batch: Batch,
    store: ObjectStore,
    state: PublicState,
    guard: Guard | None = None,
) -> BatchResult:
    """Make the batch's noise, bits or products. ``keys`` are the PRSS keys r_A, ``state`` that of the segment's start.

    The schedule of ``session`` is ``batch_slots``. ``guard`` hears of every `fault` signature before it is sent.
    Raises QuorumLost when fewer than n-t parties take part or the rounds do not suffice, ProtocolError when this
    party's disk or more than t parties fail.
    """
    course, guard = _Course(batch, state.starting(batch.index)), guard or Vows()
    tries = (session.group.t + 1) ** 2
    for number in range(most_rounds(session.group)):
        if course.attempt == tries:
            break
        generation = course.state.generation(batch.index)
        desk = Desk(Work.of(session, keys, batch, generation, store))
        await _one_round(replace(session, round=number), keys, desk, course, guard)
        if not course.left():
            return _result(session, course, state, number + 1)
    missing = frozenset(session.group.roles) - course.state.active(session.group)
    chunks = course.left()
    raise QuorumLost(f"batch {batch.index}: chunks {chunks} found no king in all rounds; the era ends", missing)


async def _one_round(session: Session, keys: Keys, desk: Desk, course: _Course, guard: Guard) -> None:
    """Posts, the round, and after a failed check its verdict."""
    roster = assign(session.group, course.state, course.left(), course.attempt, course.batch.index)
    outcome = await run_round(roster.state.bind(session), keys, desk, roster.posts, roster.state)
    if outcome.charge is None:
        course.advance(outcome)
        session.skip(*unused(session.group, outcome))
    else:
        session = outcome.state.bind(session)
        state, fault = await convict(session, desk, outcome.charge, outcome.state, guard)
        guard.witness(course.batch.index, fault)
        course.begin_again(state, fault)
    desk.clear()


def unused(group: Group, outcome: RoundResult) -> list[str]:
    """Slots of a round that end without a charge, which no honest party uses: a function of Broadcast outputs.

    What a failed check adds; and where no chunk found a canonical opening, all that follows the votes.
    """
    broadcasts = {name: [f"{name}.{r}" for r in range(1, group.t + 2)] for name in ("W", "keys", "show")}
    checking = [] if outcome.accepted else ["coin", *broadcasts["W"]]
    return [*checking, "fault", *broadcasts["keys"], *broadcasts["show"]]


def _result(session: Session, course: _Course, start: PublicState, rounds: int) -> BatchResult:
    batch, state = course.batch, course.state
    made = [course.accepted[chunk.index] for chunk in batch.chunks]
    opened = tuple(one.canonical for one in made)
    generation = state.generation(batch.index)
    listing = labels.list_digest(session, batch, generation, [(c.post.chunk, c.digest) for c in opened])
    silent = state.absent - start.absent
    results = tuple(one.result for one in made)
    return BatchResult(batch, generation, results, opened, listing, state, silent, tuple(course.faults), rounds)


def restored(place: Place, work: Work, c: Canonical, body: bytes) -> Result:
    """The result of one chunk of an accepted batch again, from chunk keys and the certified V (01 section 3).

    Local, no slot: within (era, generation) everything is a function of PRSS keys and public state. ``place`` has the
    era of the batch; ``work`` is ``Work.of`` of its generation; ``body`` has the certified hash. As long as the work of
    a chunk: the caller gives its loop a turn between two. ProtocolError when more than t parties lied.
    """
    chunk = work.batch.chunks[c.post.chunk]
    v = labels.opened_value(work.prefix(place, c.post), body)
    result = None if v is None else finish(chunk, draw(chunk, work.keys_of(place, chunk)), v)
    if result is None:
        where = f"batch {work.batch.index} chunk {chunk.index}"
        raise ProtocolError(f"{where}: n-t parties certified a V that is none; start a new attempt")
    return result
