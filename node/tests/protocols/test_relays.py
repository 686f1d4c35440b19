"""What a relay must prove: colluders can't put words into the mouth of a party that did not sign them."""

from __future__ import annotations

from hashlib import sha256

import pytest

from dkg_node.protocols import broadcast
from dkg_node.protocols.broadcast import Relay, broadcast_slots
from dkg_node.protocols.session import Group
from dkg_node.testing.lockstep import Lockstep

GROUP = Group(7, 2)
SENDER = 5
BODY = b"never said"


def accepted_with(signers: dict[int, bool]) -> bool:
    """Whether party 3 accepts it in slot 2; ``signers``: whose signature is there, and whether it is a true one."""
    sessions = {r: s.enter(1, broadcast_slots("b", GROUP, 64)) for r, s in Lockstep[None](GROUP).sessions.items()}
    digest, view = sha256(BODY).digest(), broadcast._View()
    signed = broadcast._signed(sessions[3], "b", SENDER, digest)
    chain = {r: sessions[r].identity.sign("broadcast", signed) if true else bytes(64) for r, true in signers.items()}
    sessions[3].link.offer(digest, BODY)
    broadcast._accept_relay(sessions[3], "b", view, Relay(SENDER, digest, chain), 2)
    return view.knows(SENDER, digest)


def test_a_relay_with_its_senders_and_one_more_signature_counts() -> None:
    assert accepted_with({SENDER: True, 1: True})


@pytest.mark.parametrize(
    "signers",
    [{1: True, 2: True}, {SENDER: False, 1: True, 2: True}, {SENDER: True}, {SENDER: True, 1: False}],
    ids=["sender missing", "sender forged", "sender alone", "second forged"],
)
def test_colluders_without_the_senders_signature_are_believed_nothing(signers: dict[int, bool]) -> None:
    assert not accepted_with(signers)
