"""The control layer against eras without end, letters that cost, lost disks with holders away, slow catching up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dkg_node.algebra.encoding import enc
from dkg_node.ceremony import chain as chains
from dkg_node.ceremony import letters
from dkg_node.ceremony.book import Statement
from dkg_node.ceremony.chain import GO_PURPOSE, NO_PROOF, RESUME, EraProof, Position, go_bytes
from dkg_node.ceremony.letters import Ask, Contents, Letter, Say, Show, Sign, Want, encode
from dkg_node.ceremony.program import Sealed
from dkg_node.protocols import decoding
from dkg_node.protocols.decoding import decoded
from dkg_node.protocols.session import Group, Role
from dkg_node.testing import control_world
from dkg_node.testing.control_alone import (
    SID,
    TIMEOUT,
    Counting,
    Surroundings,
    certified,
    chain_of,
    control_of,
    hear,
    proof_of,
    say,
    start_segment,
)
from dkg_node.testing.control_faults import CONTROL, Colluders
from dkg_node.testing.control_party import Crash, Memory
from dkg_node.testing.control_world import Plan, World
from dkg_node.testing.simnet import Parcel, Weather
from dkg_node.testing.toy_segments import Shape, ToyPace
from dkg_node.testing.virtual_time import run_virtual

if TYPE_CHECKING:
    from dkg_node.ceremony.control import Control

# --- eras


def says_ready(around: Surroundings, position: Position) -> bool:
    statements = [letter.statement for _, letter in around.sent if isinstance(letter, Say)]
    return any((one.kind, one.position) == ("ready", position) for one in statements)


def test_who_learns_of_an_era_by_its_proof_starts_the_resume_and_asks_for_no_other_era() -> None:
    async def main() -> None:
        around = Surroundings()
        control = control_of(around)
        hear(control, 4, Show(proof_of(1), ()))
        assert control.running is not None
        assert control.running.setting.position == Position(1, RESUME)
        assert not says_ready(around, Position(2, RESUME))
        control.close()

    run_virtual(main())


class Churn(Colluders):
    """Keep their own ``go`` of resumes back, and their ``ready`` from the party farthest away."""

    def sends(self, sender: Role, receiver: Role, parcel: Parcel) -> bool:
        match decoded(parcel.body[1:]) if sender in self.faulty and parcel.body[:1] == CONTROL else None:
            case ("go", _, 0, _):
                return False
            case ("ready", _, 0, _):
                return receiver != 1
        return True


class Churning(World):
    """Faulty parties show an era's proof as soon as they can make it, and ask for the next era at once."""

    def __init__(self, n: int, t: int, seed: int) -> None:
        """Party 1 is far away, party 2 restarts once."""
        faulty = frozenset(range(n - t + 1, n + 1))
        weather, crashes = Weather(far=frozenset({1})), [Crash(10.0, 2, 0.5)]
        super().__init__(Plan(Group(n, t), seed, faulty, crashes=crashes, end=400.0, linger=1.4, weather=weather))
        churn = Churn(faulty, "honest", seed, self.group, self.signer, self.plan.shape)
        churn.spoke = self.spoke
        self.faults = self.wires.faults = churn
        self._shown: dict[Role, int] = {}
        self.later.append((1.0, self._look))

    def _look(self) -> None:
        asyncio.get_running_loop().call_later(0.02, self._look)
        for role in self.plan.faulty & self.controls.keys():
            control = self.controls[role]
            proof = self._proof(control)
            if proof.era > self._shown.get(role, -1):
                self._shown[role] = proof.era
                self._tell(role, Show(proof, control.chain), self._ready(role, Position(proof.era + 1, RESUME)))

    def _proof(self, control: Control) -> EraProof:
        position = Position(control.era + 1, RESUME)
        go = dict(control._go.book.entry(position).go)
        if go:
            signed = go_bytes(SID, "go", position)
            go.update({role: self.signer(role, GO_PURPOSE, signed) for role in self.plan.faulty})
        return EraProof(position.era, dict(sorted(go.items()))) if len(go) >= self.group.quorum else control.proof

    def _ready(self, role: Role, position: Position) -> Say:
        return Say(Statement("ready", position, self.signer(role, GO_PURPOSE, go_bytes(SID, "ready", position))))

    def _tell(self, role: Role, show: Show, ready: Letter) -> None:
        for other in set(self.group.roles) - self.plan.faulty:
            self.wires.up[role].post(other, CONTROL + encode(show))
            if other != 1:
                self.wires.up[role].post(other, CONTROL + encode(ready))


@pytest.mark.parametrize(("n", "t"), [(4, 1), (7, 2)])
def test_liars_quick_with_proofs_do_not_make_eras_without_end(n: int, t: int) -> None:
    for seed in range(3):
        world = Churning(n, t, seed)
        assert world.run() == []
        assert world.eras <= 2


# --- lost disks


def blind_control(around: Surroundings) -> Control:
    return control_of(around, sealed=Sealed(NO_PROOF, (), "lost disk"))


def test_who_was_ready_and_is_gone_is_named_by_those_that_wait_for_its_go() -> None:
    async def main() -> None:
        around = Surroundings()
        control = control_of(around)
        for role in (2, 3, 4):
            hear(control, role, say(role, "ready", Position(0, 0)))
        assert control._go.said("go", Position(0, 0))
        hear(control, 2, say(2, "go", Position(0, 0)))
        assert control.running is None
        assert control.missing() == [3, 4]

    run_virtual(main())


def test_a_lost_disk_is_silent_until_n_minus_t_others_have_shown_where_they_stand_however_long_it_takes() -> None:
    async def main() -> None:
        around = Surroundings()
        control = blind_control(around)
        newest = chain_of((0, 0), (0, 1))
        hear(control, 3, Show(NO_PROOF, newest[:1]))
        hear(control, 4, Show(NO_PROOF, newest[:1]))
        await asyncio.sleep(100 * TIMEOUT)
        assert control.awaited == {2}
        assert 2 in control.missing()
        for role in (2, 3, 4):
            hear(control, role, say(role, "go", Position(1, RESUME)))
        assert control.running is not None
        assert control.running.silent, "it counts as nobody's witness in a resume"
        hear(control, 2, Show(NO_PROOF, newest))
        assert control.awaited == set()
        control.close()

    run_virtual(main())


class Hiding(Colluders):
    """Party 4 hides the last batch's certificate; party 3 hears of it from nobody."""

    hiding = False

    def sends(self, sender: Role, receiver: Role, parcel: Parcel) -> bool:
        last_batch = Position(0, 2)
        letter = None
        if parcel.kind == "post" and parcel.body[:1] == CONTROL:
            letter = letters.decode(self.group, parcel.body[1:])
        match letter:
            case Sign(core, _):
                return receiver != 3 or core.position != last_batch
            case Show(_, chain) if any(one.position.era == 0 and one.position >= last_batch for one in chain):
                return receiver != 3 and not (sender == 4 and self.hiding)
        return True


class Forgetting(World):
    """When online begins at party 1, 2 goes down for long, 1 loses its disk, 4 plays one that never heard of it."""

    def __init__(self, *, wiped: bool) -> None:
        super().__init__(Plan(Group(4, 1), 3, frozenset({4}), end=900.0))
        self._hiding = Hiding(frozenset({4}), "honest", 3, self.group, self.signer, self.plan.shape)
        self._hiding.spoke = self.spoke
        self._hiding.group = self.group
        self.faults = self.wires.faults = self._hiding
        self._wiped = wiped

    def _observe(self, role: Role, control: Control, event: str, position: Position) -> None:
        super()._observe(role, control, event, position)
        if (event, position, role) == ("start", Position(0, 3), 1) and not self._hiding.hiding:
            self._hiding.hiding = True
            loop = asyncio.get_running_loop()
            loop.call_later(1.5, self._crash, Crash(0, 2, 200.0))
            loop.call_later(1.6, self._crash, Crash(0, 1, 1.0, wiped=self._wiped))
            loop.call_later(1.6, self._go_back)

    def _go_back(self) -> None:
        """Party 4 finds itself before the last batch."""
        memory = self.memories[4]
        self.wires.crash(4)
        self.parties.pop(4).close()
        state, disk = [older for older in memory.older if older[0] is not None and len(older[0].chain) == 2][-1]
        self.memories[4] = Memory(state, disk)
        self._boot(4)


@pytest.mark.parametrize("wiped", [False, True])
def test_a_lost_disk_does_not_bring_online_about_twice_while_a_holder_is_away(*, wiped: bool) -> None:
    world = Forgetting(wiped=wiped)
    assert world.run() == []
    assert len(world.judge._inputs) == 1
    assert set(world.ends) >= {1, 2, 3}


# --- catching up


@pytest.mark.parametrize(("reading", "ready"), [(3, True), (2, False)])
def test_a_party_is_ready_for_a_segment_once_it_holds_what_that_reads(reading: int, *, ready: bool) -> None:
    async def main() -> None:
        chain, position = chain_of((0, 0), (0, 1)), Position(0, 2)
        around = Surroundings(held={chain[0].core.contents}, reading=reading)
        control = control_of(around)
        hear(control, 2, Show(NO_PROOF, chain))
        assert says_ready(around, position) == ready
        await start_segment(control, position)
        assert around.ran == ([position] if ready else [])
        control.close()

    run_virtual(main())


@pytest.mark.parametrize("adopting", [1.5, 5.0])
def test_who_takes_longer_to_catch_up_than_others_wait_is_a_full_party_again_soon(
    adopting: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_world, "ToyPace", lambda: ToyPace(start_grace=1.0))
    shape = Shape(batches=12, adopting=adopting)
    world = World(Plan(Group(4, 1), 1, crashes=[Crash(12.0, 1, 20.0)], shape=shape, linger=1.4))
    assert world.run() == []
    assert sum(1 in core.state.absent for core in world.judge.states.values()) <= 3


# --- contents


def test_contents_for_all_peers_take_a_quarter_of_min_rate_and_peers_are_served_in_turn() -> None:
    async def main() -> None:
        around = Surroundings()
        around.contents = lambda _: bytes(100_000)  # type: ignore[method-assign,assignment]
        control = control_of(around)
        for role in (3, 4):
            hear(control, role, *[Want(number.to_bytes(32, "big")) for number in range(500)])
        hear(control, 2, Want(bytes(32)))
        await asyncio.sleep(2.0)
        given = {role: len(around.letters(role, Contents)) for role in (2, 3, 4)}
        assert given[2] == 1, "who asks for little waits for nobody's many questions"
        assert abs(given[3] - given[4]) <= 1
        assert 45 <= sum(given.values()) <= 51
        control.close()

    run_virtual(main())


def test_where_a_party_stands_is_shown_though_contents_wait() -> None:
    async def main() -> None:
        around = Surroundings()
        around.contents = lambda _: bytes(100_000)  # type: ignore[method-assign,assignment]
        control = control_of(around)
        hear(control, 4, *[Want(number.to_bytes(32, "big")) for number in range(500)])
        before = len(around.letters(2, Show))
        hear(control, 2, Ask())
        assert len(around.letters(2, Show)) == before + 1
        control.close()

    run_virtual(main())


# --- letters that cost


def made_up(era: int) -> Show:
    """An era that nobody proved."""
    return Show(EraProof(era, dict.fromkeys((1, 2, 3, 4), bytes(64))), ())


def test_made_up_proofs_cost_two_signatures_and_then_none_for_a_while() -> None:
    async def main() -> None:
        around, identity = Surroundings(), Counting()
        control = control_of(around, identity)
        hear(control, 4, *[made_up(era) for era in range(1, 100)])
        assert identity.verified == 2
        hear(control, 3, Show(proof_of(1), ()))
        assert control.era == 1, "another peer is heard all the same"
        await asyncio.sleep(TIMEOUT / 4 + 0.01)
        assert around.letters(4, Ask), "what it showed meanwhile is asked for"
        hear(control, 4, Show(proof_of(2), ()))
        assert control.era == 2
        control.close()

    run_virtual(main())


def test_who_shows_what_does_not_hold_is_still_heard_for_what_it_says_itself() -> None:
    async def main() -> None:
        control = control_of(Surroundings())
        hear(control, 4, made_up(1), say(4, "ready", Position(0, 0)))
        assert 4 in control._go.book.entry(Position(0, 0)).ready
        control.close()

    run_virtual(main())


def test_false_statements_cost_one_signature_and_then_none_for_a_while() -> None:
    async def main() -> None:
        identity = Counting()
        control = control_of(Surroundings(), identity)
        false = Say(Statement("ready", Position(0, 0), bytes(64)))
        hear(control, 4, *[false] * 100)
        assert identity.verified == 1
        await asyncio.sleep(TIMEOUT / 4 + 0.01)
        hear(control, 4, say(4, "ready", Position(0, 0)))
        assert 4 in control._go.book.entry(Position(0, 0)).ready
        control.close()

    run_virtual(main())


def test_a_made_up_end_of_a_chain_costs_two_signatures() -> None:
    async def main() -> None:
        identity = Counting()
        control = control_of(Surroundings(), identity)
        whole = chain_of((0, 0), (0, 1), (0, 2), (0, 3))
        false = replace(whole[-1], signatures=dict.fromkeys((1, 2, 3, 4), bytes(64)))
        hear(control, 4, *[Show(NO_PROOF, (*whole[:-1], false))] * 50)
        assert identity.verified == 2
        assert control.chain == ()
        control.close()

    run_virtual(main())


def test_false_signatures_under_a_known_certificate_do_not_get_into_the_chain() -> None:
    async def main() -> None:
        around = Surroundings()
        control = control_of(around)
        first = certified((), Position(0, 0))
        around.held.add(first[-1].core.contents)
        hear(control, 2, Show(NO_PROOF, first))
        false = replace(first[0], signatures=dict.fromkeys((2, 3, 4), bytes(64)))
        hear(control, 4, Show(NO_PROOF, (false, certified(first, Position(0, 1))[1])))
        assert control.position == Position(0, 2)
        assert control.chain[0] == first[0]
        control.close()

    run_virtual(main())


def test_a_chain_longer_than_any_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        control = control_of(Surroundings())
        seen: list[bytes] = []
        monkeypatch.setattr(chains, "decode_certificate", lambda _, data: seen.append(data))
        hear(control, 4, Show(NO_PROOF, chain_of((0, 0)) * 1000))
        hear(control, 3, Show(EraProof(900, {}), chain_of((0, 0)) * 100))
        assert seen == []
        control.close()

    run_virtual(main())


def test_a_letter_of_many_parts_is_dropped_at_the_fifth(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    honest = decoding._item

    def counting(tag: int, *rest: object) -> object:
        seen.append(tag)
        return honest(tag, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(decoding, "_item", counting)
    assert letters.decode(Group(4, 1), enc(b"") * 100_000) is None
    core = enc(b"") * 100_000
    assert letters.decode(Group(4, 1), enc("sign", core, bytes(64))) is None
    assert letters.decode(Group(4, 1), enc("show", core, core)) is None
    assert len(seen) <= 12
