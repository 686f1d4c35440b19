"""A batch pays for the slots it uses and for no others (01 section 2, "Slots")."""

import pytest

from dkg_node.offline.batch import BatchResult, batch_slots, run_batch
from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.protocols.session import Group, Role, Session
from dkg_node.protocols.state import PublicState
from dkg_node.protocols.store import MemoryStore
from dkg_node.testing.batches import SEGMENT, dealt_keys
from dkg_node.testing.lockstep import Adversary, Lockstep, Move, Outgoing

GROUPS = [Group(4, 1), Group(7, 2)]
BATCH = Batch(2, "noise", 64, tuple(Chunk(index, "noise", 64, 3, 2, 0, 0) for index in range(7)))


class Mean(Adversary):
    """Bends what its parties send to some of the others in some slots; None: sends nothing."""

    def __init__(self, corrupt: frozenset[Role], slots: tuple[str, ...], to: frozenset[Role], mask: int | None) -> None:
        self.corrupt, self.slots, self.to, self.mask = corrupt, slots, to, mask

    def send(self, move: Move) -> Outgoing:
        if not move.slot.startswith(self.slots):
            return move.honest
        sent = {}
        for role, data in move.honest.items():
            if role not in self.to or not data:
                sent[role] = data
            elif self.mask is not None:
                sent[role] = bytes([data[0] ^ self.mask]) + data[1:]
        return sent


def run(group: Group, adversary: Adversary) -> tuple[Lockstep[BatchResult], dict[Role, BatchResult]]:
    steps = Lockstep[BatchResult](group, adversary)

    async def program(session: Session) -> BatchResult:
        entered = session.enter(SEGMENT, batch_slots(group, BATCH))
        return await run_batch(entered, dealt_keys(group, session.me), BATCH, MemoryStore(), PublicState())

    return steps, steps.run(program).results


ADVERSARIES = {
    "nobody lies": ((), None),
    "silent to some in y": (("y",), None),
    "a wrong sum for some": (("V",), 2),
    "a wrong sum for all": (("V",), 2),
    "no sum for some": (("V",), None),
    "a wrong check share": (("W.1",), 2),
}


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("name", ADVERSARIES)
def test_every_slot_up_to_the_last_one_is_used_or_falls_away(group: Group, name: str) -> None:
    """Then slot k ends at T_start plus the Deltas of the used slots up to k, and no round waits for what it skips."""
    corrupt = frozenset(range(1, group.t + 1))
    to = frozenset(group.roles) if name.endswith("all") else frozenset({group.n, group.n - 1})
    slots, mask = ADVERSARIES[name]
    steps, results = run(group, Mean(corrupt, slots or ("nothing",), to, mask))
    honest = frozenset(group.roles) - corrupt
    assert honest <= results.keys()
    used: set[int] = set()
    for role in honest:
        used |= steps.links[role].used[SEGMENT]
    skipped = set(steps.links[group.n].skipped[SEGMENT])
    assert not used & skipped
    assert set(range(max(used) + 1)) == (used | skipped) & set(range(max(used) + 1))


def test_a_round_without_a_fault_leaves_none_of_its_slots_to_the_next_one() -> None:
    group = Group(4, 1)
    steps, results = run(group, Mean(frozenset({1}), ("y",), frozenset({4}), None))
    names = [slot.name for slot in batch_slots(group, BATCH)]
    assert results[2].rounds > 1
    skipped = {names[slot] for slot in steps.links[2].skipped[SEGMENT]}
    assert {"fault", "keys.1", "keys.2", "show.1", "show.2"} <= skipped
    assert not {name for name in skipped if name.startswith(("y", "V.", "votes"))}
