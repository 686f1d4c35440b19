"""Broken rules of the control layer, one at a time: seeded runs must notice each.

``python -m dkg_node.testing.control_mutants [SEEDS]`` prints for every mutant the first seed (of SEEDS at 4/1) whose
run goes wrong and how. A rule that can be broken unnoticed is not tested.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from dkg_node.ceremony import epochs, segment, statements
from dkg_node.ceremony.book import Book
from dkg_node.ceremony.chain import NO_PROOF, Position, results
from dkg_node.ceremony.control import Control
from dkg_node.ceremony.evidence import Evidence
from dkg_node.ceremony.go import GoExchange, Stand
from dkg_node.ceremony.program import Sealed
from dkg_node.ceremony.silence import Silence
from dkg_node.protocols import broadcast
from dkg_node.protocols.session import Group, Session
from dkg_node.testing.control_party import Memory
from dkg_node.testing.control_runs import FAMILIES
from dkg_node.testing.control_world import World
from dkg_node.testing.toy_segments import ToyPace, ToyProgram
from dkg_node.transport.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from dkg_node.transport.mailbox import Pending

Mutant = "Callable[[], AbstractContextManager[object]]"


def _relative_deadlines() -> AbstractContextManager[object]:
    """A slot ends a fixed time after one's own last slot ended, not after the start."""
    honest = Mailbox.begin

    def begin(self: Mailbox, request: Any, era: int, now: float) -> Pending:
        pending = honest(self, request, era, now)
        pending.deadline = now + ToyPace().round_timeout
        return pending

    return patch.object(Mailbox, "begin", begin)


def _oldest_chain() -> AbstractContextManager[object]:
    """A resume takes the oldest chain that it hears."""

    def oldest(*given: Any, key: Any = None) -> Any:
        return max(*given) if key is None else min(*given, key=key)

    return patch.object(segment, "max", oldest, create=True)


def _longest_chain() -> AbstractContextManager[object]:
    """A resume takes the chain with most segments, whatever its era; of equal ones the oldest."""

    def longest(*given: Any, key: Any = None) -> Any:
        return max(*given) if key is None else max(*given, key=lambda c: (len(results(c)), -len(c)))

    return patch.object(segment, "max", longest, create=True)


def _speaks_after_restart() -> AbstractContextManager[object]:
    """A restarted party speaks at once."""

    def at(self: Silence, position: Position, state: Any) -> bool:  # noqa: ARG001 - as the honest one
        self.asking = False
        return self._ports.me in state.absent | state.corrupt

    return patch.object(Silence, "at", at)


def _certificate_of_fewer() -> AbstractContextManager[object]:
    """One signature less makes a certificate."""

    class Smaller(Group):
        @property
        def quorum(self) -> int:
            return self.n - self.t - 1

    honest = Evidence.certified

    def certified(self: Evidence, position: Position, bases: Any) -> Any:
        group, self.group = self.group, Smaller(self.group.n, self.group.t)
        try:
            return honest(self, position, bases)
        finally:
            self.group = group

    return patch.object(Evidence, "certified", certified)


def _unsealed_chain() -> AbstractContextManager[object]:
    """Nothing of eras and certificates survives a restart."""
    honest = Memory.keep

    def keep(self: Memory, place: Any, proof: Any, chain: Any, *, blind: bool) -> bytes:  # noqa: ARG001 - see Memory
        return honest(self, place, NO_PROOF, (), blind=blind)

    return patch.object(Memory, "keep", keep)


def _no_amplified_go() -> AbstractContextManager[object]:
    """t+1 ``go`` move nobody."""
    honest = Book.should_go

    def should_go(self: Book, position: Position, waited: Any, now: float, grace: float) -> bool:
        entry = self.entry(position)
        ready = entry.quorum_at is not None and self.me in entry.ready
        return ready and honest(self, position, waited, now, grace)

    return patch.object(Book, "should_go", should_go)


def _start_on_fewer_go() -> AbstractContextManager[object]:
    """t+1 ``go`` start a segment and prove an era."""
    return patch.object(Book, "started", lambda self, position: len(self.entry(position).go) > self.group.t)


def _never_ready_for_the_next_era() -> AbstractContextManager[object]:
    """A segment without a certificate is waited for for ever."""
    return patch.object(Control, "_no_certificate", lambda _self, _running: None)


def _too_few_signatures() -> AbstractContextManager[object]:
    """Broadcast accepts a relay in round r with one signature less."""
    honest = broadcast._vouched  # noqa: SLF001 - a mutant reaches inside

    def vouched(session: Session, name: str, view: Any, relay: Any, number: int) -> Any:
        return honest(session, name, view, relay, number - 1)

    return patch.object(broadcast, "_vouched", vouched)


def _no_relay() -> AbstractContextManager[object]:
    """Nobody relays what it accepted."""
    return patch.object(broadcast, "encode_relays", lambda _relays: b"")


def _silent_about_certificates() -> AbstractContextManager[object]:
    """Who holds a certificate shows it to nobody, a new boot neither."""
    honest = Control._read  # noqa: SLF001 - a mutant reaches inside

    def read(self: Control, role: int, letter: Any) -> None:
        if type(letter).__name__ != "Show":
            honest(self, role, letter)

    return patch.object(Control, "_read", read)


def _names_the_absent() -> AbstractContextManager[object]:
    """Who is None is called Corrupt."""
    honest = segment.state_after

    def state_after(running: Any) -> Any:
        state = honest(running)
        return type(state)(corrupt=state.corrupt | state.absent)

    return patch.object(segment, "state_after", state_after)


def _no_answer_about_setup() -> AbstractContextManager[object]:
    """Nobody says which contributions counted: who missed the end of setup has no keys."""
    return patch.object(ToyProgram, "reply", lambda *_: None)


def _listens_to_everything() -> AbstractContextManager[object]:
    """Statements and signatures about any position are kept."""
    honest: Any = Stand.window

    class Everything(tuple[Position, ...]):
        __slots__ = ()

        def __contains__(self, position: object) -> bool:
            return True

    return patch.object(Stand, "window", property(lambda self: Everything(honest.fget(self))))


def _starts_without_results() -> AbstractContextManager[object]:
    """A segment starts though the results that its chain names are not held."""

    async def catch_up(*_: object) -> None:
        pass

    return patch.object(segment, "catch_up", catch_up)


def _nobody_waits_for_who_comes_back() -> AbstractContextManager[object]:
    """``go`` waits for no Absent party, though it said that it is coming."""
    return patch.object(GoExchange, "_coming", lambda *_: set())


@contextmanager
def _not_remembered(change: AbstractContextManager[object]) -> Iterator[None]:
    """With the second line of defence down, which hides the first one's fall.

    A boot is silent, too, until n-t hold its own new statement; here it takes itself for remembered at once.
    """
    with change, patch.object(epochs.Epochs, "remembered", lambda _self: True):
        yield


def _empty_disk_is_fresh() -> AbstractContextManager[object]:
    """Who finds nothing on its disk begins as if it had never spoken."""
    honest = statements.judged

    def judged(kept: Any, heard: Any) -> Any:
        return Sealed() if kept is None else honest(kept, heard)

    return _not_remembered(patch.object(epochs, "judged", judged))


def _old_copy_is_good() -> AbstractContextManager[object]:
    """Who finds an old copy of what it had sealed goes on from it."""
    honest = statements.judged

    def judged(kept: Any, heard: Any) -> Any:
        return honest(kept, () if kept is not None else heard)

    return _not_remembered(patch.object(epochs, "judged", judged))


def _hands_out_letters_before_the_start() -> AbstractContextManager[object]:
    """Letters are read before it is known where the party is silent."""
    honest = Control.start

    def start(self: Control) -> None:
        begin, late = self._silence.begin, asyncio.get_running_loop().call_later

        def put_off(_: Silence, position: Position, *, blind: bool) -> None:
            late(0.5, partial(begin, position, blind=blind))

        self._silence.barred, self._silence.blind = None, False
        with patch.object(Silence, "begin", put_off):
            honest(self)

    return patch.object(Control, "start", start)


MUTANTS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "relative deadlines": _relative_deadlines,
    "resume takes the oldest chain": _oldest_chain,
    "resume counts segments, not eras": _longest_chain,
    "speaks right after a restart": _speaks_after_restart,
    "certificate of n-t-1 signatures": _certificate_of_fewer,
    "nothing sealed": _unsealed_chain,
    "no go on t+1 go": _no_amplified_go,
    "start on t+1 go": _start_on_fewer_go,
    "no ready(E+1) without certificate": _never_ready_for_the_next_era,
    "round r accepts r-1 signatures": _too_few_signatures,
    "no relays": _no_relay,
    "certificates are not shown": _silent_about_certificates,
    "the silent are called Corrupt": _names_the_absent,
    "nobody answers about setup": _no_answer_about_setup,
    "listens to far positions": _listens_to_everything,
    "starts without results": _starts_without_results,
    "nobody waits for who comes back": _nobody_waits_for_who_comes_back,
    "an empty disk is fresh": _empty_disk_is_fresh,
    "an old copy is good": _old_copy_is_good,
    "letters are read before the start": _hands_out_letters_before_the_start,
}

FAMILY = {
    "relative deadlines": "twisted",
    "round r accepts r-1 signatures": "twisted",
    "no relays": "twisted",
    "resume takes the oldest chain": "restarts",
    "resume counts segments, not eras": "restarts",
    "no go on t+1 go": "aimed",
    "starts without results": "aimed",
    "an empty disk is fresh": "disks",
    "an old copy is good": "disks",
    "nobody waits for who comes back": "far",
}
"""Runs that are about the rule, where all kinds of runs would see it break too rarely."""


@contextmanager
def mutant(name: str) -> Iterator[None]:
    """The control layer with one rule broken."""
    with MUTANTS[name]():
        yield


def first_failure(name: str, seeds: range, group: Group) -> tuple[int, object] | None:
    """The first seed whose run notices the mutant, and how; None if none does."""
    draw = FAMILIES[FAMILY.get(name, "any")]
    with mutant(name):
        for seed in seeds:
            bad = World(draw(group, seed)).run()
            if bad:
                return seed, bad[0]
    return None


def main(arguments: list[str]) -> int:
    """Print the table; 0 if every mutant is noticed."""
    seeds, alive = int(arguments[0]) if arguments else 200, 0
    for name in MUTANTS:
        found = first_failure(name, range(seeds), Group(4, 1))
        alive += found is None
        sys.stdout.write(f"{name:36} {'ALIVE' if found is None else f'seed {found[0]}: {found[1]}'}\n")
        sys.stdout.flush()
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
