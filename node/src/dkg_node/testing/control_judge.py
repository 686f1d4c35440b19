"""What must never be in a simulated ceremony of control layers: the judge of the model-based test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg_node.ceremony.chain import RESUME, START, Position, results

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dkg_node.ceremony.chain import Chain, Core
    from dkg_node.protocols.session import Group, Role

SPREAD = 2.001
"""Most between two honest starts: two message delays."""
AWAY = 2
"""Whole segments after which a party that is up must count again."""
CATCH_UP = 60.0
"""Seconds in which a party that was down must have caught up."""


@dataclass(slots=True)
class Judge:
    """Hears everything of one run; ``bad`` is what went wrong."""

    group: Group
    honest: list[Role]
    quick: bool = True
    """Whether who is left behind can have caught up within startGrace: else it may be Absent for as long."""
    bad: list[tuple[object, ...]] = field(default_factory=list)
    starts: dict[Position, dict[Role, float]] = field(default_factory=dict)
    silent: dict[Position, set[Role]] = field(default_factory=dict)
    """Honest parties that said nothing in a segment."""
    states: dict[Position, Core] = field(default_factory=dict)
    certified: dict[Position, float] = field(default_factory=dict)
    """When the first honest party held the certificate."""
    down: list[tuple[float, float, Role]] = field(default_factory=list)
    """From when to when which honest party was not up."""
    crashed: dict[Position, set[Role]] = field(default_factory=dict)
    _outputs: dict[tuple[object, ...], dict[Role, bytes]] = field(default_factory=dict)
    _inputs: set[bytes] = field(default_factory=set)
    _said: dict[tuple[object, ...], bytes] = field(default_factory=dict)

    # --- what happens

    def start(self, role: Role, position: Position, now: float, *, silent: bool) -> None:
        """An honest party begins a segment."""
        self.starts.setdefault(position, {})[role] = now
        if silent:
            self.silent.setdefault(position, set()).add(role)

    def certificate(self, core: Core, now: float) -> None:
        """An honest party holds a certificate."""
        known = self.states.setdefault(core.position, core)
        self.certified.setdefault(core.position, now)
        if known.digest() != core.digest():
            self.bad.append(("TWO CERTIFICATES", core.position))

    def crash(self, role: Role, position: Position, begin: float, end: float) -> None:
        """An honest party goes down in a segment, until ``end``."""
        self.crashed.setdefault(position, set()).add(role)
        self.down.append((begin, end + CATCH_UP, role))

    def ready(self, role: Role, position: Position, now: float) -> None:
        """A party says that it is ready for a position: if nothing newer is certified, it has caught up."""
        if position > max(self.certified, default=START) and position.segment != RESUME:
            self.down = [
                (begin, min(end, now) if who == role and begin < now else end, who) for begin, end, who in self.down
            ]

    def heard(self, role: Role, place: tuple[object, ...], given: bytes) -> None:
        """What all Broadcasts of a segment have given a party so far."""
        self._outputs.setdefault(place, {})[role] = given

    def online(self, given: bytes) -> None:
        """An honest party runs online on this."""
        self._inputs.add(given)

    def once(self, place: tuple[object, ...], said: bytes) -> None:
        """An honest party says one thing at a place, over all its boots."""
        if self._said.setdefault(place, said) != said:
            self.bad.append(("SLOT REPEATED", place))

    # --- the end

    def conclude(self, ends: Mapping[Role, Chain], chains: Mapping[Role, Chain]) -> None:
        """``ends``: who has finished with what; ``chains``: what everybody holds."""
        self._agreement()
        if self.quick:
            self._absent_for_ever()
        if len(self._inputs) > 1:
            self.bad.append(("ONLINE TWICE", len(self._inputs)))
        finished = [ends[role] for role in self.honest if role in ends]
        if len({tuple(certificate.core.contents for certificate in results(chain)) for chain in finished}) > 1:
            self.bad.append(("DIFFERENT STATE",))
        for role, chain in chains.items():
            named = {r for c in chain for r in c.core.state.corrupt}
            if role in self.honest and named & set(self.honest):
                self.bad.append(("HONEST NAMED", role, named))

    def _agreement(self) -> None:
        """Honest parties hear the same in every Broadcast, if no more than t are faulty, late, silent, or crash in it.

        Late is who started more than two delays after the first honest one: it was away. Who is silent relays nothing,
        so it may hear alone what a liar sent to it alone: it signs nothing then, and counts as one that is missing.
        """
        for place, given in self._outputs.items():
            position = Position(int(str(place[0])), int(str(place[1])))
            starts = {r: when for r, when in self.starts.get(position, {}).items() if r in self.honest}
            timely = {role for role, when in starts.items() if when <= min(starts.values()) + SPREAD}
            whole = timely - self.crashed.get(position, set()) - self.silent.get(position, set())
            if len(whole) >= self.group.quorum and len({given[role] for role in whole if role in given}) > 1:
                self.bad.append(("SPLIT", place))
        if not self.down:
            for position, starts in self.starts.items():
                if max(starts.values()) - min(starts.values()) > SPREAD:
                    self.bad.append(("STARTS APART", position))

    def _absent_for_ever(self) -> None:
        """Who is up, with all other honest ones, for two whole segments of an era counts at the end of the second.

        Segments may be shorter than one message of a far party: then it has two roundTimeouts.
        This is the Limit, too: while nobody honest goes down, nobody honest is missing in a check, whatever t liars do.
        """
        for position, core in self.states.items():
            before = Position(position.era, position.segment - AWAY + 1)
            begin = min(self.starts.get(before, {}).values(), default=0.0) if before in self.states else 0.0
            end = self.certified[position]
            away = core.state.absent & set(self.honest)
            if away and not self.disturbed(begin, end):
                self.bad.append(("HONEST ABSENT", tuple(position), sorted(away)))

    def disturbed(self, begin: float, end: float) -> Iterable[Role]:
        """Honest parties that were down at some time between."""
        return {role for down, up, role in self.down if down <= end and up >= begin}

    def missing(self) -> int:
        """In how many certified segments somebody honest was Absent."""
        return sum(bool(core.state.absent & set(self.honest)) for core in self.states.values())
