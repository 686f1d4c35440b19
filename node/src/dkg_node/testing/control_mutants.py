"""Broken rules of the control layer, one at a time: seeded runs must notice each.

``python -m dkg_node.testing.control_mutants [SEEDS]`` prints for every mutant the first seed (of SEEDS at 4/1) whose
run goes wrong and how. A rule that can be broken unnoticed is not tested.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from dkg_node.ceremony import segment
from dkg_node.ceremony.book import Book
from dkg_node.ceremony.chain import Position, results
from dkg_node.ceremony.control import Control
from dkg_node.ceremony.evidence import Evidence
from dkg_node.ceremony.program import Sealed
from dkg_node.protocols import broadcast
from dkg_node.protocols.session import Group, Session
from dkg_node.testing.control_party import Memory
from dkg_node.testing.control_runs import draw_plan
from dkg_node.testing.control_world import World
from dkg_node.testing.toy_segments import ToyPace
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
    honest = Control._begin  # noqa: SLF001 - a mutant reaches inside

    def begin(self: Control, position: Position) -> None:
        self._silence.barred, self._silence.blind = None, False
        honest(self, position)

    return patch.object(Control, "_begin", begin)


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

    def keep(self: Memory, *_: object) -> None:
        self.sealed = Sealed(how="restart")

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
    honest = broadcast._accept_relay  # noqa: SLF001 - a mutant reaches inside

    def accept(session: Session, name: str, view: Any, relay: Any, number: int) -> None:
        honest(session, name, view, relay, number - 1)

    return patch.object(broadcast, "_accept_relay", accept)


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
}


@contextmanager
def mutant(name: str) -> Iterator[None]:
    """The control layer with one rule broken."""
    with MUTANTS[name]():
        yield


def first_failure(name: str, seeds: range, group: Group) -> tuple[int, object] | None:
    """The first seed whose run notices the mutant, and how; None if none does."""
    with mutant(name):
        for seed in seeds:
            bad = World(draw_plan(group, seed)).run()
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
