"""Where a party that comes back must not speak, since it may have spoken there before (01 section 2, "Restart")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_node.ceremony.chain import RESUME

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_node.ceremony.chain import Position
    from dkg_node.ceremony.program import Ports
    from dkg_node.protocols.session import Role
    from dkg_node.protocols.state import PublicState


class Silence:
    """One boot's. It bars the one segment after the last certificate that was sealed; with a lost disk see ``look``."""

    def __init__(
        self, ports: Ports, later: Callable[[float, Callable[[], object]], None], stands: Callable[[], Position]
    ) -> None:
        """``later(seconds, call)``; ``stands`` gives the position that the party runs or waits for."""
        self._ports, self._later, self._stands = ports, later, stands
        self.barred: Position | None = None
        self.blind = False
        """Whether it is not known where this party has spoken."""
        self.ask: Callable[[], bool] = lambda: False
        """Asks all peers where they stand; False when that is of no use any more."""
        self.asking = False
        """A party that came back asks until it is a full party again."""
        self._shown: set[Role] = set()

    def begin(self, position: Position, *, blind: bool) -> None:
        """This party came back, or lost touch, at a position."""
        self.barred, self.blind = position, blind
        if not self.asking:
            self.asking = True
            self._again()

    def _again(self) -> None:
        if self.asking and self.ask():
            self._later(self._ports.pace.round_timeout / 2, self._again)

    def see(self, role: Role) -> None:
        """A peer has shown its chain."""
        self._shown.add(role)

    def look(self) -> None:
        """With a lost disk: the newest chain shown by n-t others bars its next position; what follows does not.

        N-t with oneself are one short: of the n-t that held this party's last certificate and of the n-t-1 others that
        answer, only the t liars may be in both, and no wait makes up for that. Until n-t others have shown where they
        stand, this party says nothing, in resumes neither: it would count as one that holds what it has lost. So a lost
        disk is one of the t that may be missing while others are away.
        """
        if self.blind and len(self._shown) >= self._ports.group.quorum:
            self.blind, self.barred = False, self._stands()

    def awaited(self) -> set[Role]:
        """Who could end the silence of a lost disk by showing where it stands."""
        return set(self._ports.group.roles) - self._shown - {self._ports.me} if self.blind else set()

    def at(self, position: Position, state: PublicState) -> bool:
        """Whether this party is silent in a segment that begins now, with that public state.

        Also where too few peers know how new its sealed state is: t+1 ``go`` started it before it was ready.
        """
        back = self.blind or position == self.barred
        self.asking = self.asking and back
        unknown = position.segment != RESUME and not self._ports.remembered()
        return back or unknown or self._ports.me in state.absent | state.corrupt
