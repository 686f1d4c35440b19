"""What peers remember of this party's sealed state, so that an old copy of it is found out (03 "Epoch").

Every time the party seals its era proof and chain it counts an epoch and tells all peers so, signed; they seal the
newest statement of each party and acknowledge it. It *counts* when n-t parties, itself included, hold it; only then the
party says ``ready`` for what follows. So whatever it says in a segment, it says when a quorum knows how new the sealed
state behind it is, and a boot that finds older state, or none, learns it from them: it is silent where it may have
spoken, and draws nothing anew.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dkg_node.algebra.encoding import enc
from dkg_node.ceremony.chain import NO_PROOF, Chain, EraProof
from dkg_node.ceremony.program import Sealed
from dkg_node.ceremony.statements import PURPOSE, EpochStatement, Place, Stamp, decode_statement, judged
from dkg_node.errors import DkgError, SealedStateRolledBack, SealingError, Superseded
from dkg_node.protocols.decoding import decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dkg_node.ceremony.mailbox import Mailbox
    from dkg_node.ceremony.statements import Asking, Kept
    from dkg_node.protocols.session import Group, Identity, Role

BATCH, GAP, BURST = 0.005, 0.25, 16
"""Seconds; statements. What comes together is sealed together. Each write holds up the loop, and a liar makes
statements without end: so a peer's get BURST writes at once and then one a GAP. Honest parties make one a segment, and
wait for nobody else's."""


class Safe(Protocol):
    """The disk under the epochs. Every write is durable when it returns; SealingError if it can't be."""

    def keep(self, place: Place, proof: EraProof, chain: Chain, *, blind: bool) -> bytes:
        """Replace the sealed state; SHA-256 of the sealed file."""
        ...

    def read(self) -> Kept | None:
        """What is sealed. SealingError when it is damaged."""
        ...

    def set_aside(self, mark: int) -> None:
        """Move state and draws out of the way, under names with ``mark``."""
        ...

    def keep_statements(self, statements: Mapping[Role, EpochStatement]) -> None:
        """Replace what is remembered of the peers."""
        ...

    def statements(self) -> Mapping[Role, EpochStatement]:
        """What is remembered of the peers."""
        ...


@dataclass(frozen=True, slots=True)
class Home:
    """Whose epochs they are."""

    group: Group
    me: Role
    sid: bytes
    identity: Identity


class Epochs:
    """One party's vault with the peers' memory behind it, and its memory of the peers. It answers from the start on."""

    def __init__(self, home: Home, safe: Safe, mailbox: Mailbox, boot: int, asking: Asking) -> None:
        """``boot``: number of this boot. Registers for its topic. SealingError when what is sealed is damaged."""
        self._home, self._safe, self._mailbox, self._asking = home, safe, mailbox, asking
        self._boot, self._epoch, self._blind = boot, 0, False
        self._kept = safe.read()
        self._peers = dict(safe.statements())
        self._unsealed: dict[Role, EpochStatement] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._paid: dict[Role, float] = {}
        """Up to when a peer's writes so far use up what one a GAP allows."""
        self._own: EpochStatement | None = None
        self._acknowledged: set[Role] = set()
        self._told = False
        self._asked = False
        self._last: tuple[EraProof, Chain] = (NO_PROOF, ())
        self._base: Place | None = None
        self._lost = False
        self.rolled_back: SealedStateRolledBack | None = None
        """Why what was sealed was set aside, if it was."""
        self._trouble: DkgError | None = None
        self._troubled = asyncio.Event()
        self.on_remembered: Callable[[], None] | None = None
        """Called whenever the newest statement comes to count."""
        mailbox.on("epoch", self.take)
        mailbox.on_boot(self._peer_booted)

    # --- this party's own state

    def ask(self) -> None:
        """Ask all peers for the newest statement of this party."""
        self._asked = True
        self._to_all(enc("which"))

    def enough(self, connected: frozenset[Role], now: float) -> bool:
        """See ``Asking.enough``."""
        return self._asking.enough(connected, now, sealed=self._kept is not None)

    def missing(self) -> list[Role]:
        """Who has not answered."""
        return sorted(set(self._home.group.roles) - self._asking.answers.keys() - {self._home.me})

    def decide(self) -> Sealed:
        """How to start, once there are enough answers. A state that was rolled back is set aside.

        The number of this boot is made greater than any that a statement names, so that its own are the newest.
        """
        heard = [statement.stamp.place for statement in self._asking.heard()]
        places = heard if self._kept is None else [*heard, self._kept.stamp.place]
        self._boot = max([self._boot, *(place.boot + 1 for place in places)])
        self._epoch = max([0, *(place.epoch for place in places)])
        try:
            sealed = judged(self._kept, self._asking.heard())
        except SealedStateRolledBack as error:
            self.rolled_back = error
            sealed = Sealed(NO_PROOF, (), "lost disk")
        if sealed.how == "lost disk" and (self._kept is None or self.rolled_back is not None):
            self._safe.set_aside(self._boot)
        self._blind = self._lost = sealed.how == "lost disk"
        self._base = self._kept.stamp.place if self._kept is not None and sealed.how == "restart" else None
        if sealed.how != "fresh":
            self.keep(sealed.proof, sealed.chain)
        return sealed

    def keep(self, proof: EraProof, chain: Chain) -> None:
        """See ceremony.program.Vault: a new epoch, whose statement is sent when it is durable."""
        home = self._home
        self._last = proof, chain
        self._epoch += 1
        place = Place(self._boot, self._epoch)
        stamp = Stamp(place, self._safe.keep(place, proof, chain, blind=self._blind))
        self._own = EpochStatement(stamp, home.identity.sign(PURPOSE, stamp.signed(home.sid, home.me)))
        self._acknowledged, self._told = {home.me}, False
        self._to_all(enc("epoch", self._own.encode()))

    def spoke(self) -> None:
        """The party takes part in full: from the next epoch on a boot of it finds a plain restart."""
        self._blind = False

    def remembered(self) -> bool:
        """Whether the newest statement counts."""
        return len(self._acknowledged) >= self._home.group.quorum

    def unacknowledged(self) -> list[Role]:
        """Whom it waits for before it goes on: who has not acknowledged what it kept last, while n-t have not."""
        return [] if self.remembered() else sorted(set(self._home.group.roles) - self._acknowledged)

    async def ended(self) -> DkgError:
        """Why this boot must end, once it must: another one of the party lives, or its state was old after all."""
        await self._troubled.wait()
        return self._trouble or DkgError("end this start of the party")

    def close(self) -> None:
        """No timer is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- letters

    def take(self, role: Role, data: bytes) -> None:
        """A letter of the topic. Any bytes; they never raise."""
        if role == self._home.me:
            return
        match decoded(data):
            case ("which",):
                self._answer(role)
            case ("epoch", bytes() as body):
                self._remember(role, decode_statement(body))
            case ("newest", bytes() as body):
                self._answered(role, body)
            case ("kept", int() as boot, int() as epoch, bytes() as digest):
                if self._own is not None and self._own.stamp == Stamp(Place(boot, epoch), digest):
                    self._acknowledge(role)

    def _answer(self, role: Role) -> None:
        known = self._unsealed.get(role) or self._peers.get(role)
        self._send(role, enc("newest", b"" if known is None else known.encode()))

    def _remember(self, role: Role, statement: EpochStatement | None) -> None:
        """Take a peer's newer statement; repeat the acknowledgement of a known one; show an older one's sender more."""
        if statement is None:
            return
        known = self._unsealed.get(role) or self._peers.get(role)
        if known is not None and statement.stamp.place < known.stamp.place:
            self._answer(role)
        elif statement == self._peers.get(role):
            self._send_kept(role, statement)
        elif (known is None or statement.stamp.place > known.stamp.place) and statement.holds(
            self._home.identity, self._home.sid, role
        ):
            self._unsealed[role] = statement
            self._seal_later()

    def _seal_later(self) -> None:
        """All that is not sealed yet and has its turn, in one write."""
        loop = asyncio.get_running_loop()
        due = max(loop.time() + BATCH, min(map(self._turn, self._unsealed)))
        if self._timer is not None and self._timer.when() > due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = loop.call_at(due, self._seal)

    def _turn(self, role: Role) -> float:
        """When a peer's statement may be written: at once if it made few of late."""
        return self._paid.get(role, 0.0) - GAP * (BURST - 1)

    def _seal(self) -> None:
        """Make what came durable, then say so."""
        now, self._timer = asyncio.get_running_loop().time() + BATCH, None
        fresh = {role: statement for role, statement in self._unsealed.items() if self._turn(role) <= now}
        try:
            self._safe.keep_statements(self._peers | fresh)
        except SealingError as error:
            self._end(error)
            return
        self._peers |= fresh
        for role, statement in fresh.items():
            del self._unsealed[role]
            self._paid[role] = max(self._paid.get(role, 0.0), now) + GAP
            self._send_kept(role, statement)
        if self._unsealed:
            self._seal_later()

    def _send_kept(self, role: Role, statement: EpochStatement) -> None:
        stamp = statement.stamp
        self._send(role, enc("kept", stamp.place.boot, stamp.place.epoch, stamp.digest))

    def _acknowledge(self, role: Role) -> None:
        self._acknowledged.add(role)
        if self.remembered() and not self._told:
            self._told = True
            if self.on_remembered is not None:
                self.on_remembered()

    def _answered(self, role: Role, body: bytes) -> None:
        """A peer's memory of this party: an answer while it asks, later a warning. Only its own signature counts."""
        home, statement = self._home, decode_statement(body)
        if statement is not None and not statement.holds(home.identity, home.sid, home.me):
            statement = None
        if self._own is None and self._asked:
            self._asking.hear(role, statement)
        elif self._own is not None and statement is not None:
            self._warned(statement.stamp.place)

    def _warned(self, place: Place) -> None:
        """A statement of this party that it had not heard of when it started, or that another boot of it made since.

        The first comes too late: the party may have spoken twice. So it ends, and its next boot knows that it is blind.
        """
        own = self._own.stamp.place if self._own is not None else place
        if place > own:
            msg = "a newer start of this party has sealed state of its own: stop all but one copy"
            self._end(Superseded(f"{msg}, or set this machine's clock right if there is no other"))
        elif place.boot < self._boot and not self._lost and (self._base is None or place > self._base):
            self._blind = self._lost = True
            self._epoch += 1
            with suppress(SealingError):  # it ends with an error in any case
                self._safe.keep(Place(self._boot, self._epoch), *self._last, blind=True)
            self._end(SealedStateRolledBack("the sealed state was an old copy, as a late peer shows: start again"))

    def _peer_booted(self, role: Role) -> None:
        """A new boot of a peer may have lost what it held, and has not heard what this party asked."""
        if self._own is not None:
            self._send(role, enc("epoch", self._own.encode()))
        elif self._asked:
            self._send(role, enc("which"))

    # --- small things

    def _end(self, error: DkgError) -> None:
        self._trouble = self._trouble or error
        self._troubled.set()

    def _send(self, role: Role, letter: bytes) -> None:
        self._mailbox.send(role, "epoch", letter)

    def _to_all(self, letter: bytes) -> None:
        for role in self._home.group.roles:
            if role != self._home.me:
                self._send(role, letter)
