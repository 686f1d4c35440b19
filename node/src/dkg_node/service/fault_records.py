"""Fault records of transcripts, judged again offline: what `verify --faults` and the report go by (07)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dkg_api.canonical import CanonicalError, parse
from dkg_api.session import LAST_ATTEMPT, session_id
from dkg_api.transcript import verify_lines
from dkg_node.keygen.parameters import parameter_set
from dkg_node.keygen.plan import plan_of
from dkg_node.offline.record import decode_fault
from dkg_node.offline.verify import convictions_of
from dkg_node.protocols.session import Group
from dkg_node.protocols.store import fetched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from dkg_api.enrolment import Keyring
    from dkg_api.terms import Terms
    from dkg_node.offline.evidence import Fault
    from dkg_node.protocols.store import ObjectStore

Named = tuple[int, str]
"""(party, kind of conviction)."""
EVENT = "fault"
MOST_PARTIES = 15
"""Points of the exceptional set but 0."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One record: what it claims, what it proves, and why these are not the same ("" if they are)."""

    sha256: str
    where: str = ""
    """File and line."""
    phase: str = ""
    """Segment of the event."""
    claims: tuple[Named, ...] = ()
    proves: tuple[Named, ...] = ()
    never_king: tuple[int, ...] = ()
    """Kings that showed nothing, as the record says: it costs the office, and silence can't be proven to strangers."""
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """The JSON object (snake_case names)."""
        return {
            "sha256": self.sha256,
            "where": self.where,
            "phase": self.phase,
            "claims": [{"party": party, "kind": kind} for party, kind in self.claims],
            "proves": [{"party": party, "kind": kind} for party, kind in self.proves],
            "never_king": list(self.never_king),
            "problem": self.problem or None,
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a transcript that tells of a fault."""

    where: str
    record: bytes | None
    """None: the line has none."""
    convicted: frozenset[int]
    """Parties that the line itself calls convicted; 0 for what is none."""


@dataclass(frozen=True, slots=True)
class Court:
    """Judges records under terms by the enrolled keys. ``objects`` holds the wrong V by hash and needs no trust."""

    terms: Terms
    keyring: Keyring
    objects: ObjectStore
    _judged: dict[bytes, Judged] = field(default_factory=dict)

    def judge(self, entry: Entry) -> Judged:
        """Judge an entry's record, each different one once: as long as n times the work of its batch."""
        if entry.record is None:
            return Judged("", entry.where, problem="the line has no fault record: get this transcript again")
        digest = sha256(entry.record).digest()
        if digest not in self._judged:
            self._judged[digest] = self._judge(entry.record, digest.hex())
        found = replace(self._judged[digest], where=entry.where)
        if not found.problem and entry.convicted != {party for party, _ in found.claims}:
            found = replace(found, problem="the line names other parties than its record: trust neither")
        return found

    def _judge(self, record: bytes, name: str) -> Judged:
        fault = decode_fault(record)
        if fault is None:
            return Judged(name, problem="it is damaged or was written by another version: get this transcript again")
        charge, plan = fault.charge, plan_of(parameter_set(self.terms.parameter_set))
        claims = _pairs(fault.convictions)
        head = Judged(name, phase=f"batch {charge.segment}", claims=claims, never_king=tuple(sorted(fault.never_king)))
        if not any(session_id(self.terms.digest, attempt) == charge.sid for attempt in range(1, LAST_ATTEMPT + 1)):
            return replace(head, problem="it belongs to other terms: give the terms of its ceremony")
        if not 1 <= charge.segment <= len(plan.batches):
            return replace(head, problem="the plan of these terms has no such batch")
        group, batch = Group(self.terms.n, self.terms.threshold), plan.batches[charge.segment - 1]
        proven = convictions_of(fault, (group, batch), self.keyring.verify, self.objects.get)
        head = replace(head, proves=_pairs(proven))
        return head if head.proves == claims else replace(head, problem=self._reason(fault))

    def _reason(self, fault: Fault) -> str:
        """Why a record proves something else than it claims."""
        missing = [digest.hex() for digest in fault.openings if fetched(self.objects, digest) is None]
        if missing:
            return f"its evidence is incomplete: put the public value {missing[0]} into the object directory"
        return "it does not prove what it claims: ask another party for its record, and blame nobody by this one"


def _pairs(convictions: Iterable[Any]) -> tuple[Named, ...]:
    return tuple(sorted({(one.party, one.kind) for one in convictions}))


def entries_of(path: Path) -> Iterator[Entry]:
    """All lines of a transcript that tell of a fault. Never raises for what stands in one."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            value = _parsed(line)
            if value.get("event") == EVENT:
                yield Entry(f"{path.name} line {number}", _record(value), _convicted(value))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        value = parse(line, "entry")
    except CanonicalError:
        return {}
    return value if isinstance(value, dict) else {}


def _record(value: dict[str, Any]) -> bytes | None:
    try:
        return bytes.fromhex(value["record"])
    except (KeyError, TypeError, ValueError):
        return None


def _convicted(value: dict[str, Any]) -> frozenset[int]:
    said = value.get("convicted")
    roles = {str(role): role for role in range(1, MOST_PARTIES + 1)}
    return frozenset(roles.get(party, 0) for party in said) if isinstance(said, dict) else frozenset()


def judged_transcripts(court: Court, paths: Iterable[Path]) -> tuple[Judged, ...]:
    """All records of transcripts, in order."""
    return tuple(court.judge(entry) for path in paths for entry in entries_of(path))


def chain_problem(path: Path) -> str | None:
    """What is wrong with a transcript's chain, in one line."""
    with path.open("rb") as lines:
        problem = verify_lines(lines)
    return None if problem is None else f"{path.name}: {problem}"


def openings_of(paths: Iterable[Path]) -> frozenset[str]:
    """Hashes (hex) of the wrong V that the records of transcripts need: keep these public values with them."""
    records = [entry.record for path in paths for entry in entries_of(path) if entry.record is not None]
    faults = [fault for fault in map(decode_fault, records) if fault is not None]
    return frozenset(digest.hex() for fault in faults for digest in fault.openings)
