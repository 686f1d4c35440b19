"""Two liars that try to split one Dolev-Strong Broadcast by what they answer to those who pull a body."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from random import Random

import pytest

from dkg_node.protocols.broadcast import MASK, Relay, _signed, broadcast, broadcast_slots, encode_relays
from dkg_node.protocols.session import Group, Role, Session, Tag
from dkg_node.testing.control_party import Keys, mac
from dkg_node.testing.simnet import Faults, Parcel, SimNetwork, Weather, Wires
from dkg_node.testing.toy_segments import ToyPace
from dkg_node.testing.virtual_time import run_virtual

GROUP = Group(7, 2)
SID = bytes(32)
TOLD, SERVED = 2, 1
"""Honest parties that hear of the liars' body from the liars; the first of them is never served by them."""
LIARS = (6, 7)
LIMIT = 100


class Even(Weather):
    """All links alike."""

    def delay(self, random: Random, sender: Role, receiver: Role, *, letter: bool) -> float:
        return 0.1


class Liar(SimNetwork):
    """Serves its body to one party and says nothing else by itself."""

    body = b""

    def say(self, to: Role, kind: str, slot: int, content: bytes) -> None:
        self._wires.send(self, to, Parcel(kind, 0, Tag(0, slot, 0), content))

    def arrive(self, sender: Role, parcel: Parcel) -> None:
        if parcel.kind == "want" and sender == SERVED and self.body:
            self.say(sender, "body", parcel.tag.slot, parcel.body + self.body)


def lie(session: Session, liars: list[Liar], honest: list[Role]) -> bytes:
    """Name a body of the first liar in round 2 to two parties, which nobody was sent in round 1; its digest."""
    body = session.stamp() + bytes(MASK) + b"forged"
    digest = sha256(body).digest()
    chain = {role: mac(0, role, "broadcast", _signed(session, "b", LIARS[0], digest)) for role in LIARS}
    liars[0].body = body
    for role in honest:
        for liar in liars:
            liar.say(role, "slot", 0, b"")
            told = role in (TOLD, SERVED)
            liar.say(role, "slot", 1, encode_relays([Relay(LIARS[0], digest, chain)]) if told else b"")
            liar.say(role, "slot", 2, b"")
    return digest


async def outputs(empties: list[float]) -> list[bytes | None]:
    """What the honest output for the liar if it says, at these times, that it doesn't have its body."""
    wires, slots = Wires(GROUP, Random(1), Faults(), 0.0, Even()), broadcast_slots("b", GROUP, LIMIT)
    honest = [role for role in GROUP.roles if role not in LIARS]
    sessions = {}
    for role in honest:
        network = wires.boot(role, 5.5)
        sessions[role] = Session.of(GROUP, role, SID, network, Keys(0, role, lambda *_: None)).enter(0, slots)
        network.open_segment(0, list(ToyPace().ends(slots)))
    liars = [Liar(wires, role, 1, 5.5) for role in LIARS]
    for liar in liars:
        wires._boots[liar.me] = 1
        wires.up[liar.me] = liar
    digest = lie(sessions[TOLD], liars, honest)
    for when in empties:
        asyncio.get_running_loop().call_at(when, liars[0].say, TOLD, "body", 2, digest)
    got = await asyncio.gather(*(broadcast(sessions[role], "b", b"hi %d" % role, limit=LIMIT) for role in honest))
    return [found[LIARS[0]] for found in got]


ROUND_2_ENDS = ToyPace().ends(broadcast_slots("b", GROUP, LIMIT))[1]


@pytest.mark.parametrize(
    "empties",
    [[], [0.5], [0.5, 0.6, 0.7], [ROUND_2_ENDS - 0.05], [ROUND_2_ENDS - 0.05, ROUND_2_ENDS + 0.05], [ROUND_2_ENDS]],
    ids=str,
)
def test_answers_without_a_body_never_split_a_broadcast(empties: list[float]) -> None:
    assert run_virtual(outputs(empties)) == [b"forged"] * 5
