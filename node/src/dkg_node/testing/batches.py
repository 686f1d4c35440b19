"""Batches of the offline phase in the simulator: ideal keys, a run of one batch, and what its shares hide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_node.algebra import kernel
from dkg_node.algebra.kernel import Keys
from dkg_node.offline.batch import batch_slots, run_batch
from dkg_node.protocols.session import Group
from dkg_node.protocols.state import PublicState
from dkg_node.protocols.store import MemoryStore
from dkg_node.sharing.sets import contains, sets_of
from dkg_node.testing.lockstep import Adversary, Run, run_lockstep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dkg_node.algebra.kernel import Shares
    from dkg_node.offline.batch import BatchResult
    from dkg_node.offline.chunk import Batch
    from dkg_node.protocols.session import Role, Session, Tag

SEGMENT = 3
WORD = 4
"""Coordinates of an element of R."""


def dealt_keys(group: Group, party: Role) -> Keys:
    """Ideal setup: the key of a set is its mask."""
    own = [mask for mask in sets_of(group) if contains(mask, party)]
    return Keys.from_bytes(group.n, group.t, party, b"".join(mask.to_bytes(32, "little") for mask in own))


class Insider(Adversary):
    """An adversary that also knows the sessions of its parties, so that it can sign what it invents."""

    def __init__(self, *corrupt: Role) -> None:
        """The parties it controls."""
        self.corrupt = frozenset(corrupt)
        self.sessions: dict[Role, Session] = {}


def simulate_batch(
    group: Group,
    batch: Batch,
    adversary: Adversary | None = None,
    *,
    state: PublicState | None = None,
    seed: int = 0,
    stop_at: Callable[[Role, Tag], bool] | None = None,
) -> Run[BatchResult]:
    """Run one batch at every party under ideal keys."""
    public = state or PublicState()

    async def program(session: Session) -> BatchResult:
        entered = session.enter(SEGMENT, batch_slots(group, batch, public))
        if isinstance(adversary, Insider) and session.me in adversary.corrupt:
            adversary.sessions[session.me] = public.bind(entered)
        return await run_batch(entered, dealt_keys(group, session.me), batch, MemoryStore(), public)

    return run_lockstep(group, program, adversary, seed=seed, stop_at=stop_at)


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
