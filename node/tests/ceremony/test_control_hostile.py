"""The control layer against eras without end, letters that cost, lost disks with holders away, slow catching up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from dkg_node.ceremony.book import Statement
from dkg_node.ceremony.chain import GO_PURPOSE, RESUME, EraProof, Position, go_bytes
from dkg_node.ceremony.letters import Letter, Say, Show, encode
from dkg_node.protocols.decoding import decoded
from dkg_node.protocols.session import Group, Role
from dkg_node.testing.control_alone import SID, Surroundings, control_of, hear, proof_of
from dkg_node.testing.control_faults import CONTROL, Colluders
from dkg_node.testing.control_party import Crash
from dkg_node.testing.control_world import Plan, World
from dkg_node.testing.simnet import Parcel, Weather
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
