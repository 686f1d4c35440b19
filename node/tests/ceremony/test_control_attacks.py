"""The control layer against letters made to cost, results withheld, and faults that must not end a party."""

from __future__ import annotations

import asyncio
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import pytest

from dkg_node.ceremony.book import Statement
from dkg_node.ceremony.chain import (
    NO_PROOF,
    RESUME,
    SEGMENT_PURPOSE,
    Certificate,
    Chain,
    Core,
    Position,
    last,
)
from dkg_node.ceremony.control import Control
from dkg_node.ceremony.letters import Ask, Contents, Say, Show, Sign, Want
from dkg_node.ceremony.program import Sealed
from dkg_node.errors import DkgError, ProtocolError, QuorumLost, SealingError, SetupIncomplete
from dkg_node.protocols.session import Group, Role
from dkg_node.protocols.state import PublicState
from dkg_node.testing.control_alone import (
    GROUP,
    KEYS,
    SEGMENTS,
    SID,
    TIMEOUT,
    Counting,
    Surroundings,
    certified,
    chain_of,
    control_of,
    core_after,
    hear,
    proof_of,
    say,
    start_segment,
    unstarted,
)
from dkg_node.testing.control_party import Crash
from dkg_node.testing.control_world import Plan, World
from dkg_node.testing.simnet import Faults, Parcel, Weather
from dkg_node.testing.toy_segments import Shape, ToyProgram
from dkg_node.testing.virtual_time import run_virtual

if TYPE_CHECKING:
    from dkg_node.ceremony.program import Peers

# --- floods


def test_a_flood_of_statements_about_far_positions_costs_no_signature_and_no_room() -> None:
    async def main() -> None:
        around, identity = Surroundings(), Counting()
        control = control_of(around, identity)
        for number in range(400):
            hear(control, 4, say(4, "ready", Position(1000 + number, 0)), say(4, "go", Position(0, 3 + number)))
            hear(control, 4, say(4, "go", Position(2 + number, RESUME)))
        assert identity.verified == 0
        assert len(control._go.book.entries) <= len(control._stand.window)
        assert len(around.letters(4, Ask)) == 1
        control.close()

    run_virtual(main())


def test_a_repeated_statement_is_verified_once() -> None:
    async def main() -> None:
        identity = Counting()
        control = control_of(Surroundings(), identity)
        for _ in range(50):
            hear(control, 4, say(4, "ready", Position(0, 0)), say(4, "go", Position(1, RESUME)))
        assert identity.verified == 2
        control.close()

    run_virtual(main())


def test_a_party_can_make_another_remember_one_certificate_to_be_a_position() -> None:
    async def main() -> None:
        identity = Counting()
        control = control_of(Surroundings(), identity)
        for number in range(60):
            for position in (Position(0, 0), Position(1 << 30, 0)):
                core = Core(position, bytes(32), number.to_bytes(32, "big"), PublicState())
                hear(control, 4, Sign(core, KEYS.of(4).sign(SEGMENT_PURPOSE, core.signed(SID))))
        assert identity.verified == 1
        assert len(control._evidence._signatures) == 1
        control.close()

    run_virtual(main())


def test_what_an_honest_peer_far_ahead_said_is_asked_for_again_once_one_has_caught_up() -> None:
    async def main() -> None:
        around = Surroundings(held={core_after((), Position(0, number)).contents for number in range(4)})
        control = control_of(around)
        chain = chain_of((0, 0), (0, 1), (0, 2))
        hear(control, 2, say(2, "ready", Position(0, 3)))
        assert len(around.letters(2, Ask)) == 1
        hear(control, 3, Show(NO_PROOF, chain))
        assert control.position == Position(0, 3)
        assert len(around.letters(2, Ask)) == 2
        control.close()

    run_virtual(main())


def test_the_same_question_is_answered_once_a_pause_and_the_last_one_then() -> None:
    async def main() -> None:
        around = Surroundings()
        control = control_of(around)
        for _ in range(1000):
            hear(control, 4, Want(bytes(32)), Ask())
        await asyncio.sleep(0.1)
        assert len(around.letters(4, Contents)) == 1
        shown = len(around.letters(4, Show))
        for _ in range(1000):
            hear(control, 4, Want(bytes(32)), Ask())
        await asyncio.sleep(TIMEOUT / 4)
        assert len(around.letters(4, Contents)) == 1
        await asyncio.sleep(TIMEOUT)
        assert len(around.letters(4, Contents)) == 2
        assert len(around.letters(4, Show)) == shown + 1
        control.close()

    run_virtual(main())


def test_one_peer_gets_a_bounded_number_of_answers_a_pause_whatever_it_asks() -> None:
    async def main() -> None:
        around = Surroundings()
        around.contents = lambda _: b"x"  # type: ignore[method-assign,assignment]
        control = control_of(around)
        hear(control, 4, *[Want(sha256(b"%d" % number).digest()) for number in range(5000)])
        hear(control, 3, Want(bytes(32)))
        await asyncio.sleep(0.1)
        assert len(around.letters(4, Contents)) == 1024
        assert len(around.letters(3, Contents)) == 1, "another peer is answered all the same"
        control.close()

    run_virtual(main())


def test_a_party_that_is_done_answers_a_flood_of_statements_with_one_chain() -> None:
    async def main() -> None:
        chain = chain_of(*[(0, number) for number in range(SEGMENTS)])
        around = Surroundings(held={one.core.contents for one in chain})
        control = control_of(around, sealed=Sealed(NO_PROOF, chain, "restart"))
        await asyncio.sleep(0.1)
        before = len(around.letters(4, Show))
        for _ in range(500):
            hear(control, 4, Say(Statement("ready", Position(0, 0), bytes(64))))
        await asyncio.sleep(0.1)
        assert len(around.letters(4, Show)) == before + 1
        control.close()

    run_virtual(main())


# --- certificates


def test_a_whole_chain_of_an_older_era_ends_a_party_that_waits_in_a_newer_one() -> None:
    async def main() -> None:
        whole = chain_of(*[(0, number) for number in range(SEGMENTS)])
        around = Surroundings(held={one.core.contents for one in whole})
        control = control_of(around, sealed=Sealed(proof_of(1), whole[:4], "restart"))
        assert control.position == Position(1, RESUME)
        hear(control, 3, Show(NO_PROOF, whole))
        assert control.done
        assert await control.finished == whole
        assert around.kept[-1] == (proof_of(1), whole)
        control.close()

    run_virtual(main())


def test_a_newer_but_unfinished_chain_gives_way_to_a_whole_one() -> None:
    async def main() -> None:
        whole = chain_of(*[(0, number) for number in range(SEGMENTS)])
        newer = chain_of((0, 0), (0, 1), (0, 2), (0, 3), (1, RESUME))
        around = Surroundings(held={one.core.contents for one in whole})
        control = control_of(around, sealed=Sealed(proof_of(1), newer, "restart"))
        hear(control, 3, Show(proof_of(1), whole))
        assert control.done
        control.close()

    run_virtual(main())


def test_an_older_unfinished_chain_changes_nothing() -> None:
    async def main() -> None:
        newer = chain_of((0, 0), (1, RESUME))
        control = control_of(Surroundings(), sealed=Sealed(proof_of(1), newer, "restart"))
        hear(control, 3, Show(proof_of(1), chain_of((0, 0), (0, 1), (0, 2))))
        assert control.chain == newer
        control.close()

    run_virtual(main())


def test_a_certificate_made_of_signatures_lets_a_party_finish_its_own_segment_first() -> None:
    async def main() -> None:
        around = Surroundings()
        control = control_of(around)
        await start_segment(control, Position(0, 0))
        core = core_after((), Position(0, 0))
        for role in (2, 3, 4):
            hear(control, role, Sign(core, KEYS.of(role).sign(SEGMENT_PURPOSE, core.signed(SID))))
        await asyncio.sleep(TIMEOUT / 4 - 0.1)
        assert control.running is not None
        assert control.chain == ()
        await asyncio.sleep(0.2)
        assert last(control.chain) == Position(0, 0)
        control.close()

    run_virtual(main())


def test_nobody_lingers_once_the_next_segment_starts() -> None:
    async def main() -> None:
        control = control_of(Surroundings())
        await start_segment(control, Position(0, 0))
        hear(control, 2, Show(NO_PROOF, certified((), Position(0, 0))))
        assert control.chain == ()
        await start_segment(control, Position(0, 1))
        assert last(control.chain) == Position(0, 0)
        control.close()

    run_virtual(main())


def test_an_honest_run_adopts_nothing_though_letters_overtake_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    adopted = Counter[str]()
    adopt = ToyProgram.adopt

    async def counting(self: ToyProgram, certificate: Certificate, chain: Chain, contents: bytes, peers: Peers) -> None:
        adopted["all"] += 1
        await adopt(self, certificate, chain, contents, peers)

    monkeypatch.setattr(ToyProgram, "adopt", counting)
    for seed in range(6):
        plan = Plan(GROUP, seed, weather=Weather(overtaking=True), linger=TIMEOUT / 4)
        assert World(plan).run() == []
    assert adopted == {}


# --- results that are not held


def test_a_segment_is_not_run_on_results_that_are_not_held_and_ends_no_party() -> None:
    async def main() -> None:
        around = Surroundings()
        control = control_of(around)
        hear(control, 2, Show(NO_PROOF, certified((), Position(0, 0))))
        await start_segment(control, Position(0, 1))
        assert control.running is not None
        await asyncio.sleep(TIMEOUT)
        assert around.ran == []
        assert control.running.silent
        assert {slot for slot, _ in around.slots} == {0, 1}
        assert all(set(outgoing.values()) == {b""} for _, outgoing in around.slots)
        assert not control.finished.done()
        control.close()

    run_virtual(main())


def test_results_that_come_soon_after_the_start_make_a_full_party() -> None:
    async def main() -> None:
        around = Surroundings()
        control = control_of(around)
        hear(control, 2, Show(NO_PROOF, certified((), Position(0, 0))))
        await start_segment(control, Position(0, 1))
        hear(control, 3, Contents(b"c0"))
        await asyncio.sleep(0.1)
        assert around.ran == [Position(0, 1)]
        assert control.running is not None
        assert not control.running.silent
        control.close()

    run_virtual(main())


def test_t_plus_1_signers_are_asked_at_once_and_then_the_others() -> None:
    async def main() -> None:
        around = Surroundings()
        control = control_of(around)
        hear(control, 2, Show(NO_PROOF, certified((), Position(0, 0))))
        await asyncio.sleep(0.01)
        assert [role for role in (2, 3, 4) if around.letters(role, Want)] == [2, 3]
        await asyncio.sleep(TIMEOUT / 2)
        assert [role for role in (2, 3, 4) if around.letters(role, Want)] == [2, 3, 4]
        control.close()

    run_virtual(main())


class Mute(Faults):
    """Colluders withhold a segment's messages from one party, and answer it nothing."""

    def __init__(self, colluders: frozenset[Role], victim: Role, segment: int) -> None:
        self._colluders, self._victim, self._segment = colluders, victim, segment

    def sends(self, sender: Role, receiver: Role, parcel: Parcel) -> bool:
        if sender not in self._colluders or receiver != self._victim:
            return True
        return b"contents" not in parcel.body[:40] and (parcel.kind != "slot" or parcel.tag.segment != self._segment)


@pytest.mark.parametrize(("n", "t"), [(4, 1), (13, 4)])
def test_colluders_that_withhold_the_last_batch_and_its_contents_take_nobody_out(n: int, t: int) -> None:
    liars = frozenset(range(2, t + 2))
    world = World(Plan(Group(n, t), 3, liars, "honest", linger=TIMEOUT / 4, end=900))
    world.wires.faults = Mute(liars, 1, 2)
    assert world.run() == []


# --- parties that come back


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("when", [10.0, 14.0, 18.0])
def test_a_party_whose_messages_take_longest_is_not_absent_for_ever(when: float, *, both_ways: bool) -> None:
    plan = Plan(
        GROUP,
        1,
        crashes=[Crash(when, 1, 2.0)],
        shape=Shape(batches=8),
        weather=Weather(frozenset({1}), both_ways=both_ways),
        linger=TIMEOUT / 4,
        end=900,
    )
    world = World(plan)
    assert world.run() == []
    absent = [one.position.segment for one in world.ends[2] if 1 in one.core.state.absent]
    assert len(absent) <= 3


def absent_three(around: Surroundings) -> Control:
    """Party 1 with party 4 Absent after the first segment."""
    control = control_of(around)
    around.held.add(core_after((), Position(0, 0)).contents)
    hear(control, 2, Show(NO_PROOF, certified((), Position(0, 0), frozenset({4}))))
    return control


def says_go(around: Surroundings, position: Position) -> bool:
    return any(
        isinstance(one, Say) and (one.statement.kind, one.statement.position) == ("go", position)
        for _, one in around.sent
    )


def test_nobody_waits_for_an_absent_party_that_says_nothing() -> None:
    async def main() -> None:
        around, position = Surroundings(), Position(0, 1)
        control = absent_three(around)
        hear(control, 2, say(2, "ready", position))
        hear(control, 3, say(3, "ready", position))
        assert says_go(around, position)
        control.close()

    run_virtual(main())


def test_an_absent_party_on_its_way_is_waited_for_one_round_timeout_and_not_twice_in_vain() -> None:
    async def main() -> None:
        around, position = Surroundings(), Position(0, 1)
        control = absent_three(around)
        hear(control, 4, say(4, "go", position))
        hear(control, 2, say(2, "ready", position))
        hear(control, 3, say(3, "ready", position))
        assert not says_go(around, position)
        await asyncio.sleep(TIMEOUT + 0.01)
        assert says_go(around, position)
        nxt = Position(0, 2)
        chain = certified(control.chain, position, frozenset({4}))
        around.held.add(chain[-1].core.contents)
        hear(control, 2, Show(NO_PROOF, chain), say(2, "ready", nxt))
        hear(control, 3, say(3, "ready", nxt))
        assert says_go(around, nxt)
        control.close()

    run_virtual(main())


def test_a_body_lists_who_is_ready_when_it_is_made_and_not_only_at_the_start() -> None:
    async def main() -> None:
        control = absent_three(Surroundings())
        await start_segment(control, Position(0, 1))
        running = control.running
        assert running is not None
        assert set(running.session.returning) == {4}
        control.close()
        control = absent_three(Surroundings())
        for role in (2, 3):
            hear(control, role, say(role, "ready", Position(0, 1)), say(role, "go", Position(0, 1)))
        running = control.running
        assert running is not None
        assert set(running.session.returning) == set()
        hear(control, 4, say(4, "ready", Position(0, 1)))
        assert set(running.session.returning) == {4}
        control.close()

    run_virtual(main())


def test_a_party_without_its_disk_waits_for_n_minus_t_others_before_it_knows_where_it_spoke() -> None:
    async def main() -> None:
        for shown, wait, sees in (((2, 3), 0.0, False), ((2, 3), 6.1, False), ((2, 3, 4), 0.0, True)):
            control = control_of(Surroundings(), sealed=Sealed(NO_PROOF, (), "lost disk"))
            for role in shown:
                hear(control, role, Show(NO_PROOF, ()))
            await asyncio.sleep(wait)
            assert control._silence.blind is not sees, (shown, wait)
            control.close()

    run_virtual(main())


@pytest.mark.parametrize("how", ["restart", "lost disk"])
def test_letters_that_came_before_the_start_do_not_make_a_restarted_party_speak(
    how: Literal["restart", "lost disk"],
) -> None:
    async def main() -> None:
        control = unstarted(Surroundings(), None, Sealed(NO_PROOF, (), how))
        await start_segment(control, Position(0, 0))
        control.start()
        assert control.running is not None
        assert control.running.silent
        control.close()

    run_virtual(main())


# --- errors


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (ProtocolError("a chunk is broken: fetch it again"), False),
        (QuorumLost("too few answers", {2}), False),
        (SealingError("no space: free some"), True),
        (SetupIncomplete("a set lacks a contribution", {2}), True),
    ],
)
def test_an_error_of_one_segment_ends_the_era_and_only_ones_own_disk_or_setup_the_party(
    error: DkgError, *, ends: bool
) -> None:
    async def main() -> None:
        around = Surroundings(failure=error)
        control = control_of(around)
        await start_segment(control, Position(0, 0))
        assert around.ran == [Position(0, 0)]
        assert control.finished.done() is ends
        if ends:
            assert control.finished.exception() is error
        else:
            said = [one.statement for one in around.letters(2, Say) if isinstance(one, Say)]
            assert ("ready", Position(1, RESUME)) in [(one.kind, one.position) for one in said]
            assert control.lost is error
        control.close()

    run_virtual(main())


def test_an_adoption_that_fails_is_tried_again() -> None:
    async def main() -> None:
        around = Surroundings(refusals=2)
        control = control_of(around)
        hear(control, 2, Show(NO_PROOF, certified((), Position(0, 0))))
        for _ in range(3):
            await asyncio.sleep(0.01)
            hear(control, 3, Contents(b"c0"))
            await asyncio.sleep(TIMEOUT + 0.1)
        assert around.adopted == 3
        assert not control.finished.done()
        assert control._go.said("ready", Position(0, 1))
        control.close()

    run_virtual(main())


def test_a_vault_that_keeps_nothing_ends_the_boot_before_anything_more_is_said() -> None:
    async def main() -> None:
        around = Surroundings()
        control = control_of(around)
        around.full = True
        around.sent.clear()
        hear(control, 2, Show(proof_of(1), ()))
        assert isinstance(control.finished.exception(), SealingError)
        hear(control, 2, Ask(), say(2, "ready", Position(0, 0)))
        await asyncio.sleep(TIMEOUT)
        assert around.sent == []

    run_virtual(main())
