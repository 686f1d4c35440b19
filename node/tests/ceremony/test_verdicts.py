"""What is kept of fault events: evidence at once, vows to the end of the segment, the same names at all parties."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dkg_api.certificate import Fault as Named
from dkg_api.transcript import verify_lines
from dkg_node.ceremony.chain import RESUME, Certificate, Core, Position
from dkg_node.ceremony.phases import Segment
from dkg_node.ceremony.transcript import Transcript
from dkg_node.ceremony.verdicts import Docket, before_online, certified_faults
from dkg_node.errors import ProtocolError
from dkg_node.offline.batch import BatchResult, batch_slots, run_batch
from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.offline.record import decode_fault
from dkg_node.protocols.session import Group, Role, Session
from dkg_node.protocols.state import PublicState
from dkg_node.protocols.store import MemoryStore
from dkg_node.testing.batches import dealt_keys
from dkg_node.testing.liars import Liars, flipped
from dkg_node.testing.lockstep import run_lockstep

GROUP = Group(4, 1)
BATCH = Batch(5, "bits", 64, (Chunk(0, "bits", 64, groups=1),))


class FixedClock:
    def utc(self) -> str:
        return "2026-01-01T00:00:00.000Z"


def batch_with(tmp_path: Path, liars: Liars, crashing: frozenset[Role] = frozenset()) -> dict[Role, Docket]:
    """A batch with liars; parties ``crashing`` end in the round after the first verdict."""
    written = {role: Transcript(tmp_path / f"{role}.jsonl", FixedClock()) for role in GROUP.roles}
    dockets = {role: Docket(transcript) for role, transcript in written.items()}

    async def program(session: Session) -> BatchResult:
        entered = session.enter(3, batch_slots(GROUP, BATCH))
        if session.me in liars.corrupt:
            entered = liars.join(entered, PublicState())
        keys = dealt_keys(GROUP, session.me)
        return await run_batch(entered, keys, BATCH, MemoryStore(), PublicState(), dockets[session.me])

    second = len(batch_slots(GROUP, BATCH)) // 6
    run_lockstep(GROUP, program, liars, stop_at=lambda role, tag: role in crashing and tag.slot >= second)
    for transcript in written.values():
        transcript.close()
    return dockets


def test_evidence_is_written_when_it_is_found_whatever_becomes_of_the_batch(tmp_path: Path) -> None:
    """A party that crashes in the very next round keeps what the first one proved."""
    liars = Liars(1).add_to_v(1).say(1, "W", lambda w, _: flipped(w))
    batch_with(tmp_path, liars, crashing=frozenset({2, 3, 4}))
    for role in (2, 3, 4):
        lines = (tmp_path / f"{role}.jsonl").read_bytes().splitlines(keepends=True)
        assert verify_lines(lines) is None
        entry = json.loads(lines[0])
        fault = decode_fault(bytes.fromhex(entry["record"]))
        assert fault is not None
        assert fault.convicted == {1}
        assert (entry["batch"], entry["convicted"]) == (5, {"1": "check share, king"})


def test_a_docket_refuses_the_certificate_of_what_it_called_faulty_and_no_other(tmp_path: Path) -> None:
    dockets = batch_with(tmp_path, Liars(1).add_to_v(1))
    for role in (2, 3, 4):
        with pytest.raises(ProtocolError, match="batch 5: refuse generation 0"):
            dockets[role].check(0, 5, 0)
        for era, batch, generation in ((0, 5, 1), (1, 5, 0), (0, 4, 0)):
            dockets[role].check(era, batch, generation)


def test_a_king_without_showing_is_noted_and_convicts_nobody(tmp_path: Path) -> None:
    batch_with(tmp_path, Liars(1).add_to_v(1).silent(1, "show"))
    entry = json.loads((tmp_path / "2.jsonl").read_bytes().splitlines()[0])
    assert (entry["convicted"], entry["never_king"]) == ({}, [1])


SEGMENTS = (Segment(0, "setup", "setup", ()), Segment(1, "batch 1", "batch", ()), Segment(2, "batch 2", "batch", ()))


def certificate(position: Position, *corrupt: Role) -> Certificate:
    return Certificate(Core(position, bytes(32), bytes(32), PublicState(corrupt=frozenset(corrupt))), {})


def test_certified_culprits_are_named_with_the_segment_that_first_says_so() -> None:
    chain = (
        certificate(Position(0, 0)),
        certificate(Position(0, 1), 3),
        certificate(Position(1, RESUME), 3),
        certificate(Position(1, 2), 2, 3),
    )
    named = (Named(party=2, kind="corrupt", phase="batch 2"), Named(party=3, kind="corrupt", phase="batch 1"))
    assert certified_faults(chain, SEGMENTS) == named
    assert certified_faults(chain[:1], SEGMENTS) == ()


def test_what_is_certified_depends_on_contents_and_not_on_who_signed() -> None:
    one = certificate(Position(0, 1), 3)
    other = replace(one, signatures={1: bytes(64)})
    assert certified_faults((one,), SEGMENTS) == certified_faults((other,), SEGMENTS)


def test_parties_whose_public_keys_were_certified_in_other_eras_sign_the_same() -> None:
    segments = (*SEGMENTS, Segment(3, "online a", "online", ()), Segment(4, "online b", "online", ()))
    common = (certificate(Position(0, 0)), certificate(Position(0, 1)), certificate(Position(0, 2), 3))
    one = (*common, certificate(Position(0, 3), 3), certificate(Position(0, 4), 3))
    other = (*common, certificate(Position(1, RESUME), 3), certificate(Position(1, 3), 3))
    assert before_online(one, segments) == common
    assert certified_faults(before_online(one, segments), segments) == certified_faults(common, segments)
    assert {c.position for c in before_online(other, segments)} >= {c.position for c in common}
    assert before_online(other, segments)[0].position.era == 0
