"""Batches of the offline phase in the simulator: ideal keys, a run of one batch, and what its shares hide."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dkg_node.algebra import kernel
from dkg_node.algebra.kernel import Keys, Shares
from dkg_node.offline.batch import Work, batch_slots, run_batch
from dkg_node.offline.values import ProductBlock, draw
from dkg_node.protocols.session import Group
from dkg_node.protocols.state import PublicState
from dkg_node.protocols.store import MemoryStore
from dkg_node.sharing.sets import contains, sets_of
from dkg_node.testing.lockstep import Adversary, Lockstep, Run, run_lockstep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dkg_node.offline.batch import BatchResult
    from dkg_node.offline.chunk import Batch, Chunk
    from dkg_node.protocols.session import Identity, Role, Session, Tag
    from dkg_node.protocols.store import ObjectStore

SEGMENT = 3
WORD = 4
"""Coordinates of an element of R."""


def dealt_keys(group: Group, party: Role) -> Keys:
    """Ideal setup: the key of a set is its mask."""
    own = [mask for mask in sets_of(group) if contains(mask, party)]
    return Keys.from_bytes(group.n, group.t, party, b"".join(mask.to_bytes(32, "little") for mask in own))


@dataclass(frozen=True, slots=True)
class _Recorder:
    """An identity that notes what it signed, by signature."""

    identity: Identity
    signed: dict[bytes, tuple[str, bytes]]

    def sign(self, purpose: str, message: bytes) -> bytes:
        signature = self.identity.sign(purpose, message)
        self.signed[signature] = (purpose, message)
        return signature

    def verify(self, role: Role, purpose: str, message: bytes, signature: bytes) -> bool:
        return self.identity.verify(role, purpose, message, signature)


class Insider(Adversary):
    """An adversary that also knows the sessions of its parties, so that it can sign what it invents."""

    def __init__(self, *corrupt: Role) -> None:
        """The parties it controls."""
        self.corrupt = frozenset(corrupt)
        self.sessions: dict[Role, Session] = {}
        self.signed: dict[bytes, tuple[str, bytes]] = {}
        """What their honest code signed, by signature."""

    def join(self, entered: Session, state: PublicState) -> Session:
        """The session of one of its parties in a segment that starts with ``state``: what it signs is noted."""
        session = replace(entered, identity=_Recorder(entered.identity, self.signed))
        self.sessions[session.me] = state.bind(session)
        return session

    def sign_again(self, sender: Role, signature: bytes, digest: bytes) -> bytes:
        """What a party signed, with another digest at its end."""
        purpose, message = self.signed[signature]
        return self.sessions[sender].identity.sign(purpose, message[: -len(digest)] + digest)


def simulate_batch(
    group: Group,
    batch: Batch,
    adversary: Adversary | None = None,
    *,
    state: PublicState | None = None,
    stores: Mapping[Role, ObjectStore] | None = None,
    stop_at: Callable[[Role, Tag], bool] | None = None,
) -> Run[BatchResult]:
    """Run one batch at every party under ideal keys. ``stores``: keep what they hold."""
    public = state or PublicState()

    async def program(session: Session) -> BatchResult:
        entered = session.enter(SEGMENT, batch_slots(group, batch, public))
        if isinstance(adversary, Insider) and session.me in adversary.corrupt:
            entered = adversary.join(entered, public)
        store = MemoryStore() if stores is None else stores[session.me]
        return await run_batch(entered, dealt_keys(group, session.me), batch, store, public)

    return run_lockstep(group, program, adversary, stop_at=stop_at)


def revealed(group: Group, shares: Mapping[Role, Shares]) -> list[list[int]]:
    """What degree-t shares hide: four coordinates an element. AssertionError when they are no such sharing."""
    first = next(iter(shares.values()))
    opened = kernel.robust_open(group.n, group.t, first.k, {role: own.to_wire() for role, own in shares.items()})
    if opened is None or opened[1]:
        raise AssertionError("these shares do not lie on polynomials of degree t")
    size = first.k // 8
    words = [int.from_bytes(opened[0][i : i + size], "little") for i in range(0, len(opened[0]), size)]
    return [words[i : i + WORD] for i in range(0, len(words), WORD)]


def base_values(group: Group, shares: Mapping[Role, Shares]) -> list[int]:
    """The same for base sharings, whose secrets have one coordinate. AssertionError for others."""
    elements = revealed(group, shares)
    if any(any(element[1:]) for element in elements):
        raise AssertionError("these are no base sharings")
    return [element[0] for element in elements]


def true_values(group: Group, batch: Batch, generation: int = 0, era: int = 0) -> list[list[int]]:
    """What an accepted batch must hold, chunk by chunk, by ideal keys alone: bits, noise samples, or products."""
    sessions = Lockstep[None](group).sessions
    parties = list(group.roles)[: group.degree2_quorum]
    places = {role: replace(sessions[role].enter(SEGMENT, ()), era=era) for role in parties}
    works = {
        role: Work.of(place, dealt_keys(group, role), batch, generation, MemoryStore())
        for role, place in places.items()
    }
    values = []
    for chunk in batch.chunks:
        drawn = {role: draw(chunk, works[role].keys_of(places[role], chunk)) for role in parties}
        if chunk.kind == "product":
            x = base_values(group, {role: one.x for role, one in drawn.items() if one.x is not None})
            y = base_values(group, {role: one.y for role, one in drawn.items() if one.y is not None})
            values.append([a * b % (1 << chunk.k) for a in x for b in y])
        else:
            values.append(_samples(chunk, base_values(group, {role: one.a for role, one in drawn.items()})))
    return values


def _samples(chunk: Chunk, a: list[int]) -> list[int]:
    """Noise e = sum_{i<=w} 2^i b_i + b_{w+1} - 2^w of the parities in element order; bits as they are."""
    if chunk.kind == "bits":
        return [value & 1 for value in a]
    samples, bits = [], chunk.width + 2
    for g in range(chunk.groups):
        for j in range(WORD):
            b = [a[WORD * (g * bits + i) + j] & 1 for i in range(bits)]
            samples.append(
                (sum(bit << i for i, bit in enumerate(b[:-1])) + b[-1] - (1 << chunk.width)) % (1 << chunk.k)
            )
    return samples


def made_values(group: Group, run: Run[BatchResult], honest: frozenset[Role]) -> list[list[int]]:
    """What the honest parties' shares hide, chunk by chunk, in the form of ``true_values``."""
    first = run.results[min(honest)].batch
    values = []
    for chunk in first.chunks:
        parts: dict[Role, Shares] = {}
        for role in honest:
            result = run.results[role].results[chunk.index]
            parts[role] = result.p if isinstance(result, ProductBlock) else result
        values.append(
            base_values(group, parts)
            if chunk.kind == "bits"
            else [value for element in revealed(group, parts) for value in element]
        )
    return values


def judged(group: Group, run: Run[BatchResult], corrupt: frozenset[Role]) -> BatchResult:
    """The batch as all honest parties have it.

    AssertionError unless they all ended it, alike, with right values, named nobody honest, and discarded no more than
    the 2t events that a run may have.
    """
    honest = frozenset(group.roles) - corrupt
    if not honest <= set(run.results):
        raise AssertionError({role: run.errors.get(role) for role in honest})
    seen = {(r.listing, r.state, r.generation, r.rounds, _named(r)) for r in (run.results[role] for role in honest)}
    if len(seen) != 1:
        raise AssertionError(f"honest parties differ: {seen}")
    result = run.results[min(honest)]
    if not result.state.corrupt <= corrupt:
        raise AssertionError(f"honest parties named: {sorted(result.state.corrupt - corrupt)}")
    if result.generation != len(result.faults) or result.generation > 2 * group.t:
        raise AssertionError(f"{result.generation} generations after {len(result.faults)} faults")
    if made_values(group, run, honest) != true_values(group, result.batch, result.generation):
        raise AssertionError("wrong values were accepted")
    return result


def _named(result: BatchResult) -> tuple[tuple[tuple[int, str], ...], ...]:
    return tuple(tuple((one.party, one.kind) for one in fault.convictions) for fault in result.faults)


def kinds_of(result: BatchResult) -> set[tuple[int, str]]:
    """(party, why) of all convictions."""
    return {pair for named in _named(result) for pair in named}
