"""Parties of a batch that lie in chosen slots, signed like the truth, in every round (01 section 6)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING

from dkg_node.algebra import merkle
from dkg_node.algebra.ring import Element, Ring, alpha
from dkg_node.offline.king import SIGNATURE
from dkg_node.protocols.broadcast import HEAD
from dkg_node.testing.batches import Insider

if TYPE_CHECKING:
    from dkg_node.protocols.session import Role
    from dkg_node.testing.lockstep import Move, Outgoing

Lie = Callable[["Move"], "Outgoing | None"]
"""What leaves instead of the honest messages; None: those."""


def slot_of(move: Move) -> tuple[str, int]:
    """(plain name, round) of a move's slot."""
    name, _, number = move.slot.partition(".r")
    return name, int(number or 0)


class Liars(Insider):
    """Every corrupt party does in a slot what was planned for (party, slot): see the methods that plan."""

    def __init__(self, *corrupt: Role) -> None:
        """Honest until something is planned."""
        super().__init__(*corrupt)
        self.lies: dict[tuple[Role, str], Lie] = {}

    def send(self, move: Move) -> Outgoing:
        """See Adversary."""
        lie = self.lies.get((move.sender, slot_of(move)[0]))
        told = lie(move) if lie is not None else None
        return move.honest if told is None else told

    def plan(self, party: Role, slot: str, lie: Lie) -> Liars:
        """Tell this lie in every round's slot of that plain name."""
        self.lies[party, slot] = lie
        return self

    def add_to_y(self, party: Role, delta: int) -> Liars:
        """As a sender: the first word of y, signed, is off by ``delta``."""
        return self.change_y(party, lambda y: plus(y, delta, kept=64))

    def change_y(self, party: Role, change: Callable[[bytes], bytes]) -> Liars:
        """As a sender: another y, signed."""

        def lie(move: Move) -> Outgoing:
            return {king: self._signed_y(party, message, change) for king, message in move.honest.items()}

        return self.plan(party, "y", lie)

    def _signed_y(self, party: Role, message: bytes, change: Callable[[bytes], bytes]) -> bytes:
        y = change(message[SIGNATURE:])
        return self.sign_again(party, message[:SIGNATURE], merkle.root(y)) + y

    def add_to_v(self, party: Role, delta: int = 1) -> Liars:
        """As a king: the first word of V is off by ``delta``."""
        return self.plan(party, "V", lambda move: {peer: v and plus(v, delta) for peer, v in move.honest.items()})

    def say(self, party: Role, name: str, change: Callable[[bytes, Move], bytes]) -> Liars:
        """Broadcast other content, signed: ``change(honest content, move)``."""

        def lie(move: Move) -> Outgoing:
            honest = next(iter(move.honest.values()))
            body = honest[SIGNATURE : SIGNATURE + HEAD] + change(honest[SIGNATURE + HEAD :], move)
            signature = self.sign_again(party, honest[:SIGNATURE], sha256(body).digest())
            return dict.fromkeys(move.honest, signature + body)

        return self.plan(party, f"{name}.1", lie)

    def silent(self, party: Role, *slots: str) -> Liars:
        """Send nothing in slots whose name begins so."""
        every = [f"{name}.{number}" for name in slots for number in range(1, 6)]
        for slot in (*slots, *every):
            self.plan(party, slot, lambda _: {})
        return self

    def only_in(self, rounds: Callable[[int], bool]) -> Liars:
        """Lie in these rounds alone."""
        for key, lie in list(self.lies.items()):
            self.lies[key] = _in_rounds(lie, rounds)
        return self


def _in_rounds(lie: Lie, rounds: Callable[[int], bool]) -> Lie:
    return lambda move: lie(move) if rounds(slot_of(move)[1]) else None


def plus(data: bytes, delta: int, at: int = 0, kept: int = 63) -> bytes:
    """Add to the 64-bit word at byte ``at`` of which ``kept`` bits are sent: V of bits of weight 0 lacks the lowest."""
    word = (int.from_bytes(data[at : at + 8], "little") + delta) % (1 << kept)
    return data[:at] + word.to_bytes(8, "little") + data[at + 8 :]


def add_to_elements(data: bytes, step: Element, factor: int = 1) -> bytes:
    """``factor * step`` added to every element of K=64 and weight 0."""
    ring = Ring(64)
    return wire([ring.add(value, ring.scale(step, factor)) for value in elements(data)])


def elements(body: bytes) -> list[Element]:
    """Elements of K=64 on the wire."""
    words = [int.from_bytes(body[i : i + 8], "little") for i in range(0, len(body), 8)]
    return [(words[i], words[i + 1], words[i + 2], words[i + 3]) for i in range(0, len(words), 4)]


def wire(values: list[Element]) -> bytes:
    """Inverse of ``elements``."""
    return b"".join(word.to_bytes(8, "little") for value in values for word in value)


def vanishing(at: Role, zeros: list[Role], *, at_zero: bool = True) -> Element:
    """Prod (X - alpha_h) over the parties ``zeros``, times X if it is to vanish at 0, too; at a party's point."""
    ring = Ring(64)
    value: Element = alpha(at) if at_zero else (1, 0, 0, 0)
    for zero in zeros:
        value = ring.mul(value, ring.sub(alpha(at), alpha(zero)))
    return value


def moved(body: bytes, at: Role, zeros: list[Role], *, at_zero: bool = True) -> bytes:
    """A share moved towards the next codeword: it agrees with the honest ones at ``zeros``."""
    ring, step = Ring(64), vanishing(at, zeros, at_zero=at_zero)
    return wire([ring.add(value, step) for value in elements(body)])


def flipped(data: bytes, at: int = 0) -> bytes:
    """One bit changed."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
