"""A failed check, from the `fault` signatures to the verdict (01 section 4, step 7).

Slots: "fault", t+1 of "keys", t+1 of "show". Keys are revealed only after n-t parties have signed that the check of
this (era, batch, generation) failed. None of them signs a certificate of it, and a certificate needs n-t: so the keys
of an accepted batch are never revealed, and a batch whose keys were is never accepted.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from dkg_node.errors import OpeningLost, ProtocolError, QuorumLost
from dkg_node.offline import labels
from dkg_node.offline.evidence import Charge, Conviction, Fault
from dkg_node.offline.judge import Recomputation, Truth, judge_showing, majority_keys, wrong_shares
from dkg_node.offline.king import SIGNATURE
from dkg_node.offline.showing import make_showing
from dkg_node.offline.slots import keys_limit, showing_limit
from dkg_node.protocols.broadcast import broadcast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dkg_node.offline.work import Desk, Work
    from dkg_node.protocols.broadcast import Signed
    from dkg_node.protocols.session import Role, Session
    from dkg_node.protocols.state import PublicState

PURPOSE = "fault"


class Guard(Protocol):
    """Remembers which batches this party must never sign a certificate of, and what was proven."""

    def vow(self, era: int, batch: int, generation: int) -> None:
        """Called before the `fault` signature of (era, batch, generation) leaves the party."""
        ...

    def witness(self, batch: int, fault: Fault) -> None:
        """Called with every verdict of a batch as it is found: the evidence holds whatever becomes of the batch."""
        ...


class Vows:
    """A Guard in memory, which is enough.

    A vow binds in its own segment alone: a certificate of (E, b, g) is signed in that segment of that era or never.
    Who crashes there comes back with the chain it had sealed before, is silent in the segment after it - the same one -
    and a silent party signs nothing; with an empty or rolled-back disk it is silent up to what n-t others hold. The
    next era has another E. So a vow need not outlive the process (01 section 2, "Restart").
    """

    def __init__(self) -> None:
        """None yet."""
        self.sworn: set[tuple[int, int, int]] = set()

    def vow(self, era: int, batch: int, generation: int) -> None:
        """Remember it."""
        self.sworn.add((era, batch, generation))

    def witness(self, batch: int, fault: Fault) -> None:
        """The result of the batch has it, too."""

    def may_sign(self, era: int, batch: int, generation: int) -> bool:
        """Whether a certificate of this may still be signed."""
        return (era, batch, generation) not in self.sworn


async def convict(
    session: Session, desk: Desk, charge: Charge, state: PublicState, guard: Guard
) -> tuple[PublicState, Fault]:
    """Reveal the batch, recompute it, name who lied. ``session`` is bound to ``state`` and the failed round.

    Returns the state with the verdict (the batch in its next generation) and the evidence, the same verdict at all
    honest parties. QuorumLost when fewer than n-t sign or a key has fewer than t+1 reports; OpeningLost when this
    party's store lost a V: the verdict of the others reaches it with their certificate.
    """
    work = desk.work
    await sign_fault(session, work, guard)
    keys, liars, said = await reveal(session, work)
    state = state.without(session.active - set(said))
    truth = await recompute(session, work, charge, keys)
    session = state.bind(session)
    shown = await show(session, desk, truth)
    contents = {role: one.content for role, one in shown.items()}
    found, never_king = judge_showing(work.batch, charge, truth, contents, session.identity.verify)
    convictions = {
        *(Conviction(role, "key") for role in liars),
        *(Conviction(role, "check share") for role in wrong_shares(charge, truth)),
        *found,
    }
    ordered = tuple(sorted(convictions, key=lambda one: (one.party, one.kind)))
    showing = {king: shown[king] for king in truth.wrong if king in shown}
    fault = Fault(charge, said, showing, ordered, never_king, truth.openings)
    if not fault.convicted and not never_king:
        raise ProtocolError(f"batch {work.batch.index}: the check failed but nobody is to blame; start a new attempt")
    state = state.without(session.active - set(shown))
    return state.convicted(fault.convicted, never_king).redone(work.batch.index), fault


async def sign_fault(session: Session, work: Work, guard: Guard) -> None:
    """Slot "fault": say that the check failed, and wait until n-t say so. QuorumLost, naming the others, if fewer."""
    guard.vow(session.era, work.batch.index, work.generation)
    signed = labels.about_fault(session.where("fault"), work.batch, work.generation)

    def signers(got: Mapping[Role, bytes | None]) -> set[Role]:
        return {r for r, data in got.items() if data is not None and session.identity.verify(r, PURPOSE, signed, data)}

    own = session.identity.sign(PURPOSE, signed)
    got = await session.exchange(
        "fault",
        dict.fromkeys(session.group.roles, own),
        limit=SIGNATURE,
        enough=lambda partly: len(signers(partly)) >= session.group.quorum,
    )
    missing = session.active - signers(got)
    if len(signers(got)) < session.group.quorum:
        where = f"batch {work.batch.index}"
        raise QuorumLost(f"{where}: fewer than n-t parties signed the fault; bring back {sorted(missing)}", missing)


async def reveal(session: Session, work: Work) -> tuple[dict[int, bytes], frozenset[Role], dict[Role, Signed]]:
    """Broadcast of the batch's keys: the key of every set, who contradicts it, and what everybody said."""
    signed: dict[Role, Signed] = {}
    limit = keys_limit(session.group)
    await broadcast(session, "keys", work.keys.reveal(), limit=limit, signed=signed)
    said = {role: one for role, one in signed.items() if len(one.content) == limit}
    found = majority_keys(session.group, {role: one.content for role, one in said.items()})
    if found is None:
        missing = session.active - set(said)
        where = f"batch {work.batch.index}"
        raise QuorumLost(f"{where}: a key has fewer than t+1 reports; bring back {sorted(missing)}", missing)
    return (*found, said)


async def recompute(session: Session, work: Work, charge: Charge, keys: Mapping[int, bytes]) -> Truth:
    """What everybody did, by the revealed keys. A child a step: the party stays alive to its network meanwhile."""
    again = Recomputation((session.group, work.batch), charge, keys, lambda digest: work.held(session, digest))

    async def one(_: Session, step: Callable[[], None]) -> None:
        step()

    await session.parallel([partial(one, step=step) for step in again.steps()], 1)
    truth = again.truth()
    if truth is None:
        raise OpeningLost(f"batch {work.batch.index}: a V of the failed list is lost or damaged; check the disk")
    return truth


async def show(session: Session, desk: Desk, truth: Truth) -> dict[Role, Signed]:
    """Broadcast of the kings' showing: nothing, but in time, from everybody else."""
    content, wrong = b"", truth.wrong.get(session.me)
    if wrong is not None:
        messages = desk.shown(wrong.post.chunk)
        chunk = desk.work.batch.chunks[wrong.post.chunk]
        content = b"" if messages is None else make_showing(chunk, wrong.element, messages)
    signed: dict[Role, Signed] = {}
    await broadcast(session, "show", content, limit=showing_limit(session.group), signed=signed)
    return signed
