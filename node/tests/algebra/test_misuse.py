"""A caller's misuse raises ValueError and says what is wrong; nothing is cut or padded in silence."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

WORD = 8
ELEMENT = 32


class Kit:
    """Right arguments of one shape, to be spoilt one at a time."""

    def __init__(self, impl: ModuleType) -> None:
        self.impl = impl
        self.secret = impl.Secret.from_bytes(bytes(32))
        self.keys = impl.Keys.from_bytes(4, 1, 1, bytes(96))

    def zeros(self, count: int, k: int = 64) -> Any:  # noqa: ANN401 - a handle of either implementation
        return self.impl.Shares.zeros(k, count)

    def spectrum(self, count: int, k: int = 64) -> Any:  # noqa: ANN401 - the same
        return self.impl.Spectrum(self.zeros(count, k))

    def king(self, senders: int, king: int, weights: list[int]) -> bytes:
        message: bytes = self.impl.king_share(self.zeros(2), self.keys, senders, king, 0, weights)
        return message

    def check(self, key: int, digits: int, weights: list[int]) -> object:
        return self.impl.check_shares(self.zeros(1), bytes(ELEMENT), bytes(key), digits, weights, bits=False)


CASES: dict[str, tuple[Callable[[Kit], object], str]] = {
    "short secret": (lambda kit: kit.impl.Secret.from_bytes(bytes(31)), "31"),
    "keys of too few sets": (lambda kit: kit.impl.Keys.from_bytes(4, 1, 1, bytes(95)), "95"),
    "keys of no party": (lambda kit: kit.impl.Keys.from_bytes(4, 1, 5, bytes(96)), "5"),
    "group that is none": (lambda kit: kit.impl.Keys.from_bytes(5, 1, 1, bytes(96)), "5/1"),
    "contributions of no party": (lambda kit: kit.impl.Contributions(4, 1, 0, kit.secret), "0"),
    "message without own values": (lambda kit: kit.impl.Contributions.empty(4, 1, 1).message_for(2), "seed"),
    "message for oneself": (lambda kit: kit.impl.Contributions(4, 1, 1, kit.secret).message_for(1), "another"),
    "message from no party": (lambda kit: kit.impl.Contributions(4, 1, 1, kit.secret).receive(5, b""), "5"),
    "other K": (lambda kit: kit.impl.Shares.zeros(32, 1), "32"),
    "other K on the wire": (lambda kit: kit.impl.Shares.from_wire(96, b""), "96"),
    "broken element": (lambda kit: kit.impl.Shares.from_wire(64, bytes(33)), "33"),
    "64-bit elements read as 128": (lambda kit: kit.impl.Shares.from_wire(128, bytes(ELEMENT)), "32"),
    "other K of a stream": (lambda kit: kit.impl.prss(kit.keys, b"", 65, 0, 1), "65"),
    "other K of a zero": (lambda kit: kit.impl.przs(kit.keys, b"", 0, 1), "0"),
    "sum of two lengths": (lambda kit: kit.zeros(2).add(kit.zeros(3)), "2 and 3"),
    "difference of two lengths": (lambda kit: kit.zeros(2).sub(kit.zeros(3)), "2 and 3"),
    "sum of two K": (lambda kit: kit.zeros(2).add(kit.zeros(2, 128)), "128"),
    "joined of two K": (lambda kit: kit.impl.Shares.concat([kit.zeros(1), kit.zeros(1, 128)]), "K"),
    "nothing joined": (lambda kit: kit.impl.Shares.concat([]), "at least one"),
    "slice behind the end": (lambda kit: kit.zeros(3).slice(1, 4), r"1\.\.4"),
    "slice backwards": (lambda kit: kit.zeros(3).slice(2, 1), r"2\.\.1"),
    "packed part of four": (lambda kit: kit.zeros(6).pack(), "6"),
    "squares of part of four": (lambda kit: kit.impl.square_plus(kit.zeros(6)), "6"),
    "columns that are no quads": (lambda kit: kit.impl.products(kit.zeros(1), kit.zeros(3), kit.zeros(1)), "3"),
    "too few product masks": (lambda kit: kit.impl.products(kit.zeros(2), kit.zeros(4), kit.zeros(1)), "2 "),
    "products of two K": (lambda kit: kit.impl.products(kit.zeros(1), kit.zeros(4, 128), kit.zeros(1)), "128"),
    "too few senders": (lambda kit: kit.king(0b011, 1, [0]), "3 senders"),
    "too many senders": (lambda kit: kit.king(0b1111, 1, [0]), "3 senders"),
    "senders of no party": (lambda kit: kit.king(0b10011, 1, [0]), "3 senders"),
    "king beside the senders": (lambda kit: kit.king(0b0111, 4, [0]), "king"),
    "sender that is not asked": (lambda kit: kit.king(0b1110, 2, [0]), "senders"),
    "no weights": (lambda kit: kit.king(0b0111, 1, []), "at least one weight"),
    "weight that leaves no bit": (lambda kit: kit.king(0b0111, 1, [63]), "weight"),
    "no messages": (lambda kit: kit.impl.king_sum([], 64, 1, [0], bits=True), "messages"),
    "weights of a peer's message": (lambda kit: kit.impl.canonical(b"", 64, 0, [64], bits=False), "weight"),
    "K of a peer's message": (lambda kit: kit.impl.canonical(b"", 63, 0, [0], bits=False), "63"),
    "bits of part of four": (lambda kit: kit.impl.bits_from_openings(kit.zeros(3), b"", [0]), "3"),
    "part of a noise group": (lambda kit: kit.impl.noise_from_openings(kit.zeros(8), b"", [0, 1, 0], 1), "8"),
    "noise wider than K": (lambda kit: kit.impl.noise_from_openings(kit.zeros(4), bytes(32), [0], 64), "64"),
    "short challenge": (lambda kit: kit.check(15, 1, [0]), "15|16 bytes"),
    "33 digits": (lambda kit: kit.check(16, 33, [0]), "33"),
    "no digit": (lambda kit: kit.check(16, 0, [0]), "0"),
    "check without weights": (lambda kit: kit.check(16, 1, []), "weight"),
    "too few products": (
        lambda kit: kit.impl.beaver(kit.zeros(1), kit.zeros(2), kit.zeros(4), bytes(16), bytes(32)),
        "2 products",
    ),
    "too few openings": (
        lambda kit: kit.impl.beaver(kit.zeros(2), kit.zeros(2), kit.zeros(4), bytes(15), bytes(32)),
        "2 and 4 words",
    ),
    "openings of two K": (
        lambda kit: kit.impl.beaver(kit.zeros(1, 128), kit.zeros(1), kit.zeros(4), bytes(8), bytes(32)),
        "128",
    ),
    "part of a row": (lambda kit: kit.impl.negacyclic(bytes(8 * WORD), [kit.spectrum(4)] * 3), "64|row"),
    "no polynomial": (lambda kit: kit.impl.negacyclic(b"", []), "at least one|polynomial"),
    "polynomials of two lengths": (
        lambda kit: kit.impl.negacyclic(bytes(6 * WORD), [kit.spectrum(4), kit.spectrum(2)]),
        "one",
    ),
    "polynomials of two K": (
        lambda kit: kit.impl.negacyclic(bytes(4 * WORD), [kit.spectrum(2), kit.spectrum(2, 128)]),
        "one",
    ),
    "part of an inner row": (lambda kit: kit.impl.inner(bytes(WORD * 4), kit.zeros(3)), "32|row"),
}


@pytest.mark.parametrize("case", CASES)
def test_misuse_is_refused_and_named(impl: ModuleType, case: str) -> None:
    call, named = CASES[case]
    kit = Kit(impl)
    with pytest.raises(ValueError, match=named):
        call(kit)
