"""What peers remember of a party's sealed state, and what a boot makes of their answers (03 "Epoch")."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import pytest

from dkg_node.algebra.encoding import enc
from dkg_node.ceremony.chain import NO_PROOF, Certificate, Chain, Core, EraProof, Position
from dkg_node.ceremony.epochs import BATCH, BURST, GAP, Epochs, Home
from dkg_node.ceremony.statements import PURPOSE, Asking, EpochStatement, Kept, Place, Stamp, decode_statement, judged
from dkg_node.errors import SealedStateRolledBack, SealingError, Superseded
from dkg_node.protocols.session import Group, Role
from dkg_node.protocols.state import PublicState
from dkg_node.testing.stage import Stage, play

SID = bytes(range(32))
GRACE, QUIET = 20.0, 5.0
ALL = frozenset({1, 2, 3, 4})


def chain_of(length: int) -> Chain:
    """Any chain: epochs look into none."""
    core = Core(Position(0, 0), bytes(32), bytes(32), PublicState())
    return tuple(Certificate(core, {}) for _ in range(length))


@dataclass
class MemorySafe:
    """A disk that can be copied and put back, emptied and filled up."""

    state: Kept | None = None
    peers: dict[Role, EpochStatement] = field(default_factory=dict)
    aside: list[int] = field(default_factory=list)
    full: bool = False
    writes: int = 0

    def keep(self, place: Place, proof: EraProof, chain: Chain, *, blind: bool) -> bytes:
        digest = sha256(enc(place.boot, place.epoch, len(chain), int(blind))).digest()
        self.state = Kept(Stamp(place, digest), proof, chain, blind, whole=True)
        return digest

    def read(self) -> Kept | None:
        return self.state

    def set_aside(self, mark: int) -> None:
        self.state = None
        self.aside.append(mark)

    def keep_statements(self, statements: Mapping[Role, EpochStatement]) -> None:
        if self.full:
            raise SealingError("no room")
        self.writes += 1
        self.peers = dict(statements)

    def statements(self) -> Mapping[Role, EpochStatement]:
        return self.peers


@dataclass
class Town:
    """Some parties' epochs on a stage; the others' letters are the test's."""

    stage: Stage
    safes: dict[Role, MemorySafe] = field(default_factory=dict)
    epochs: dict[Role, Epochs] = field(default_factory=dict)
    boots: int = 0

    def boot(self, role: Role) -> Epochs:
        """Start or restart a party; its peers are told."""
        self.boots += 1
        group, safe = self.stage.group, self.safes.setdefault(role, MemorySafe())
        if role in self.epochs:
            self.epochs[role].close()
            self.stage.mailboxes[role]._on_boot.clear()
        home = Home(group, role, SID, self.stage.identity(role))
        asking = Asking(group, role, GRACE, QUIET)
        made = self.epochs[role] = Epochs(home, safe, self.stage.mailboxes[role], self.boots, asking)
        return made

    def statement(self, role: Role, boot: int, epoch: int, by: Role | None = None) -> EpochStatement:
        """One that ``by`` (the party itself) signed."""
        stamp = Stamp(Place(boot, epoch), bytes(32))
        return EpochStatement(stamp, self.stage.identity(by or role).sign(PURPOSE, stamp.signed(SID, role)))

    def tell(self, sender: Role, receiver: Role, *letter: bytes | str | int) -> None:
        """A letter of the topic, of any content."""
        self.stage.mailboxes[sender].send(receiver, "epoch", enc(*letter))


async def settle() -> None:
    """All letters under way, and what waits for the disk, are taken: virtual time passes in no time."""
    await asyncio.sleep(4 * GAP)


def started(town: Town, role: Role) -> str:
    """Ask nobody more: decide."""
    return town.epochs[role].decide().how


def test_a_statement_counts_when_a_quorum_has_sealed_it() -> None:
    async def scene(stage: Stage) -> None:
        town = Town(stage)
        for role in (1, 2, 3):
            town.boot(role)
        told: list[bool] = []
        town.epochs[1].on_remembered = lambda: told.append(True)
        town.safes[3].full = True
        town.epochs[1].keep(NO_PROOF, ())
        await settle()
        assert not town.epochs[1].remembered()
        assert town.epochs[1].unacknowledged() == [3, 4], "whoever waits can say for whom"
        assert told == []
        assert 1 in town.safes[2].peers
        assert 1 not in town.safes[3].peers
        town.boot(4)
        town.epochs[1].keep(NO_PROOF, ())
        assert not town.epochs[1].remembered()
        await settle()
        assert town.epochs[1].remembered()
        assert town.epochs[1].unacknowledged() == []
        assert told == [True]

    play(scene)


def test_a_full_disk_ends_the_party_that_can_remember_no_more() -> None:
    async def scene(stage: Stage) -> None:
        town = Town(stage)
        for role in (1, 2):
            town.boot(role)
        town.safes[2].full = True
        town.epochs[1].keep(NO_PROOF, ())
        assert isinstance(await town.epochs[2].ended(), SealingError)

    play(scene)


def test_acknowledgements_of_t_liars_are_not_enough() -> None:
    async def scene(stage: Stage) -> None:
        town = Town(stage)
        one = town.boot(1)
        one.keep(NO_PROOF, ())
        kept = town.safes[1].state
        assert kept is not None
        stamp = kept.stamp
        for _ in range(3):
            town.tell(4, 1, "kept", stamp.place.boot, stamp.place.epoch, stamp.digest)
        town.tell(3, 1, "kept", stamp.place.boot, stamp.place.epoch + 1, stamp.digest)
        town.tell(2, 1, "kept", stamp.place.boot, stamp.place.epoch, bytes(32))
        await settle()
        assert not one.remembered()

    play(scene)


def test_only_newer_statements_signed_by_the_party_itself_are_remembered() -> None:
    async def scene(stage: Stage) -> None:
        town = Town(stage)
        town.boot(2)
        good = town.statement(1, 5, 7)
        town.tell(1, 2, "epoch", good.encode())
        await settle()
        assert town.safes[2].peers == {1: good}
        forged = [
            town.statement(1, 9, 9, by=3),
            town.statement(1, 5, 6),
            town.statement(1, 4, 99),
            EpochStatement(Stamp(Place(6, 1), bytes(32)), bytes(64)),
        ]
        for statement in forged:
            town.tell(1, 2, "epoch", statement.encode())
        for garbage in (b"", b"\x00", good.encode()[:-1], good.encode() + b"\x01"):
            town.tell(1, 2, "epoch", garbage)
        town.tell(3, 2, "epoch", good.encode())
        await settle()
        assert town.safes[2].peers == {1: good}

    play(scene)


@pytest.mark.parametrize("liars", [(1,), (1, 4)])
def test_peers_that_send_statements_without_end_make_a_bounded_number_of_writes(liars: tuple[Role, ...]) -> None:
    seconds, many = 10, 40

    async def scene(stage: Stage) -> None:
        town = Town(stage)
        town.boot(2)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for epoch in range(1, seconds * many):
            for role in liars:
                town.tell(role, 2, "epoch", town.statement(role, 1, epoch).encode())
                await asyncio.sleep(1 / many / len(liars))
        await settle()
        assert town.safes[2].peers[1].stamp.place.epoch == seconds * many - 1
        assert town.safes[2].writes <= len(liars) * ((loop.time() - begin) / GAP + BURST + 1)

    play(scene)


def test_an_honest_statement_waits_for_no_liar() -> None:
    async def scene(stage: Stage) -> None:
        town = Town(stage)
        two = town.boot(2)
        for epoch in range(1, 3 * BURST):
            town.tell(4, 2, "epoch", town.statement(4, 1, epoch).encode())
            await asyncio.sleep(2 * BATCH)
        town.tell(3, 2, "epoch", town.statement(3, 1, 1).encode())
        await asyncio.sleep(2 * BATCH)
        assert town.safes[2].peers[3].stamp.place.epoch == 1
        assert 4 in two._unsealed, "the liar has used up what goes without a turn"

    play(scene)


def test_an_honest_party_may_state_more_than_one_a_segment() -> None:
    async def scene(stage: Stage) -> None:
        town = Town(stage)
        town.boot(2)
        for epoch in range(1, BURST):
            for role in (1, 3, 4):
                town.tell(role, 2, "epoch", town.statement(role, 1, epoch).encode())
            await asyncio.sleep(2 * BATCH)
            assert {statement.stamp.place.epoch for statement in town.safes[2].peers.values()} == {epoch}

    play(scene)


def test_a_statement_is_acknowledged_only_when_it_is_durable() -> None:
    async def scene(stage: Stage) -> None:
        town = Town(stage)
        for role in (1, 2, 3):
            town.boot(role)
        for _ in range(2 * BURST):
            town.epochs[1].keep(NO_PROOF, ())
            await asyncio.sleep(2 * BATCH)
        durable = town.safes[2].peers[1]
        assert durable != town.epochs[1]._own, "it has used up what goes without a turn"
        assert not town.epochs[1].remembered()
        await settle()
        assert town.safes[2].peers[1] == town.epochs[1]._own
        assert town.epochs[1].remembered()

    play(scene)


def test_a_statement_that_was_sealed_before_a_crash_is_acknowledged_when_it_comes_again() -> None:
    async def scene(stage: Stage) -> None:
        town = Town(stage)
        for role in (1, 2, 3):
            town.boot(role)
        town.epochs[3].close()
        town.epochs[1].keep(NO_PROOF, ())
        town.safes[3].peers = {1: town.epochs[1]._own}  # type: ignore[dict-item]
        await asyncio.sleep(0)
        town.boot(3)
        await settle()
        writes = town.safes[3].writes
        town.epochs[1]._peer_booted(3)
        await settle()
        assert town.epochs[1].remembered()
        assert town.safes[3].writes == writes

    play(scene)


def test_the_newest_statement_is_the_one_of_the_newest_boot() -> None:
    assert Place(2, 1) > Place(1, 9)
    assert decode_statement(enc(1, 2, bytes(31), bytes(64))) is None
    assert decode_statement(enc(1, 2, bytes(32), bytes(63))) is None


# --- what kind of start it is

HELD = EpochStatement(Stamp(Place(3, 8), bytes(32)), bytes(64))


def kept(boot: int, epoch: int, *, digest: bytes = bytes(32), blind: bool = False, whole: bool = True) -> Kept:
    """Sealed by an earlier boot."""
    return Kept(Stamp(Place(boot, epoch), digest), NO_PROOF, (), blind, whole)


def test_nothing_sealed_is_a_fresh_start_only_if_no_peer_holds_a_statement() -> None:
    assert judged(None, []).how == "fresh"
    assert judged(None, [HELD]).how == "lost disk"


def test_what_is_sealed_counts_if_no_statement_is_newer() -> None:
    assert judged(kept(3, 8), [HELD]).how == "restart"
    assert judged(kept(3, 9), [HELD]).how == "restart"
    assert judged(kept(4, 1), [HELD]).how == "restart"
    assert judged(kept(1, 1), []).how == "restart"


def test_a_party_that_was_blind_when_it_crashed_is_blind_again() -> None:
    assert judged(kept(3, 9, blind=True), [HELD]).how == "lost disk"


@pytest.mark.parametrize(
    "old",
    [kept(3, 7), kept(2, 99), kept(3, 8, digest=b"x" * 32), kept(3, 8, whole=False)],
    ids=["older epoch", "older boot", "another state of the same place", "other draws"],
)
def test_an_old_copy_is_rolled_back(old: Kept) -> None:
    with pytest.raises(SealedStateRolledBack, match="old copy"):
        judged(old, [HELD])


# --- how long a boot waits for answers


def asking() -> Asking:
    """Of party 1 of four."""
    return Asking(Group(4, 1), 1, GRACE, QUIET)


def test_a_boot_waits_for_every_connected_party_even_when_a_quorum_has_answered() -> None:
    boot = asking()
    boot.answers = {3: None, 4: None}
    assert not boot.enough(frozenset({2, 3, 4}), 0.0, sealed=True)
    assert not boot.enough(frozenset({2, 3, 4}), GRACE - 0.1, sealed=True)
    assert boot.enough(frozenset({2, 3, 4}), GRACE, sealed=True)
    boot.answers[2] = HELD
    assert boot.enough(frozenset({2, 3, 4}), 0.0, sealed=True)


def test_a_boot_waits_for_no_grace_when_those_away_do_not_come() -> None:
    boot = asking()
    boot.answers = {3: None, 4: None}
    assert not boot.enough(frozenset({3, 4}), 0.0, sealed=True)
    assert not boot.enough(frozenset({2, 3, 4}), QUIET - 0.1, sealed=True), "party 2 has come"
    assert not boot.enough(frozenset({3, 4}), QUIET, sealed=True), "and gone: something changed"
    assert boot.enough(frozenset({3, 4}), 2 * QUIET, sealed=True)


def test_an_empty_disk_waits_for_all_for_the_whole_grace() -> None:
    boot = asking()
    boot.answers = {3: None, 4: None}
    assert not boot.enough(frozenset({3, 4}), 0.0, sealed=False)
    assert not boot.enough(frozenset({3, 4}), GRACE - 0.1, sealed=False)
    assert boot.enough(frozenset({3, 4}), GRACE, sealed=False)


def test_fewer_than_a_quorum_are_never_enough() -> None:
    boot = asking()
    boot.answers = {4: None}
    assert not boot.enough(frozenset({4}), 0.0, sealed=True)
    assert not boot.enough(frozenset({4}), 100 * GRACE, sealed=True)


# --- boots


def scene_of(body: Callable[[Town], object]) -> None:
    """Four parties, of which 1 has sealed two epochs that all hold."""

    async def scene(stage: Stage) -> None:
        town = Town(stage)
        for role in stage.group.roles:
            town.boot(role)
        town.epochs[1].ask()
        await settle()
        assert town.epochs[1].enough(ALL, 0.0)
        assert started(town, 1) == "fresh"
        town.epochs[1].keep(NO_PROOF, ())
        town.safes[1].old = town.safes[1].state  # type: ignore[attr-defined]
        town.epochs[1].keep(NO_PROOF, chain_of(1))
        await settle()
        assert town.epochs[1].remembered()
        result = body(town)
        if asyncio.iscoroutine(result):
            await result

    play(scene)


async def again(town: Town, role: Role = 1) -> str:
    """Boot a party again, ask, decide."""
    town.boot(role).ask()
    await settle()
    return started(town, role)


def test_a_plain_restart_goes_on_from_what_it_sealed_and_states_it_anew() -> None:
    async def body(town: Town) -> None:
        assert await again(town) == "restart"
        await settle()
        assert town.epochs[1].remembered()
        kept_now = town.safes[1].state
        assert kept_now is not None
        assert len(kept_now.chain) == 1
        assert kept_now.stamp.place.epoch == 3
        assert all(town.safes[role].peers[1].stamp == kept_now.stamp for role in (2, 3, 4))

    scene_of(body)


def test_an_empty_disk_is_lost_and_no_fresh_start() -> None:
    async def body(town: Town) -> None:
        town.safes[1] = MemorySafe()
        assert await again(town) == "lost disk"
        assert await again(town) == "lost disk", "also after a crash while it is blind"
        town.epochs[1].spoke()
        town.epochs[1].keep(NO_PROOF, chain_of(2))
        assert await again(town) == "restart"

    scene_of(body)


def test_an_old_copy_of_the_disk_is_set_aside() -> None:
    async def body(town: Town) -> None:
        safe = town.safes[1]
        safe.state = safe.old  # type: ignore[attr-defined]
        assert await again(town) == "lost disk"
        assert isinstance(town.epochs[1].rolled_back, SealedStateRolledBack)
        assert len(safe.aside) == 1
        assert await again(town) == "lost disk"
        assert town.epochs[1].rolled_back is None, "what it sealed since is the newest"

    scene_of(body)


def test_one_honest_holder_beats_the_liars_that_deny_a_statement() -> None:
    async def body(town: Town) -> None:
        town.safes[4].peers.clear()
        town.boot(4)
        town.safes[1] = MemorySafe()
        assert await again(town) == "lost disk"

    scene_of(body)


def test_a_liar_can_make_no_party_look_rolled_back() -> None:
    async def body(town: Town) -> None:
        one = town.boot(1)
        one.ask()
        town.tell(4, 1, "newest", town.statement(1, 99, 99, by=4).encode())
        town.tell(4, 1, "newest", town.statement(4, 99, 99).encode())
        town.tell(4, 1, "newest", EpochStatement(Stamp(Place(99, 99), bytes(32)), bytes(64)).encode())
        await settle()
        assert started(town, 1) == "restart"
        town.tell(4, 1, "newest", town.statement(1, 99, 99, by=4).encode())
        await settle()
        assert not one._troubled.is_set()

    scene_of(body)


def test_a_clock_that_was_set_back_locks_nobody_out() -> None:
    async def body(town: Town) -> None:
        town.boots = -1
        town.safes[1] = MemorySafe()
        assert await again(town) == "lost disk"
        await settle()
        assert town.epochs[1].remembered(), "its statements are newer than those of the boot before"

    scene_of(body)


def test_a_holder_that_answers_late_ends_a_boot_that_took_itself_for_fresh() -> None:
    async def body(town: Town) -> None:
        town.safes[1] = MemorySafe()
        for role in (3, 4):
            town.safes[role].peers.clear()
            town.boot(role)
        late = town.safes[2].peers[1]
        one = town.boot(1)
        one._asking.answers = {3: None, 4: None}
        assert one.decide().how == "fresh"
        one.keep(NO_PROOF, ())
        town.tell(2, 1, "newest", late.encode())
        assert isinstance(await one.ended(), SealedStateRolledBack)
        assert await again(town) == "lost disk"

    scene_of(body)


def test_a_statement_of_a_newer_boot_of_itself_stops_a_party() -> None:
    async def body(town: Town) -> None:
        newer = town.statement(1, 99, 1)
        town.tell(2, 1, "newest", newer.encode())
        assert isinstance(await town.epochs[1].ended(), Superseded)

    scene_of(body)


def test_a_peer_that_lost_its_disk_is_told_again() -> None:
    async def body(town: Town) -> None:
        town.safes[2] = MemorySafe()
        town.boot(2)
        town.epochs[1]._peer_booted(2)
        await settle()
        assert town.safes[2].peers[1] == town.safes[3].peers[1]

    scene_of(body)


def test_of_two_live_copies_the_older_learns_of_the_newer_when_it_seals() -> None:
    async def body(town: Town) -> None:
        first, box = town.epochs[1], town.stage.mailboxes[1]
        second = town.boot(1)
        second.ask()
        await settle()
        assert second.decide().how == "restart"
        await settle()
        box.on("epoch", first.take)  # the streams still lead to the first one
        first.keep(NO_PROOF, chain_of(2))
        assert isinstance(await first.ended(), Superseded)
        assert not first.remembered(), "it never says ready again"
        assert not second._troubled.is_set()

    scene_of(body)


def test_a_party_that_knows_it_lost_its_disk_is_not_ended_by_late_answers() -> None:
    async def body(town: Town) -> None:
        late = town.safes[2].peers[1]
        town.safes[1] = MemorySafe()
        assert await again(town) == "lost disk"
        town.epochs[1].spoke()
        town.tell(2, 1, "newest", late.encode())
        await settle()
        assert not town.epochs[1]._troubled.is_set()

    scene_of(body)


def test_what_a_peer_once_admitted_it_can_not_take_back() -> None:
    boot = asking()
    boot.hear(2, HELD)
    boot.hear(2, None)
    boot.hear(2, EpochStatement(Stamp(Place(3, 7), bytes(32)), bytes(64)))
    assert boot.heard() == [HELD]
    boot.hear(3, None)
    boot.hear(3, HELD)
    assert boot.heard() == [HELD, HELD]
