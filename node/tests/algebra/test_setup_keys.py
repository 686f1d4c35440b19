"""Setup randomness as one party holds it, and the keys made of it (01 section 3)."""

from __future__ import annotations

from random import Random
from types import ModuleType

import pytest

from dkg_node.algebra import kernel
from dkg_node.algebra.encoding import Mask, digest, enc, kdf
from dkg_node.algebra.twin.sets import all_sets, members, sets_of
from dkg_node.testing.dealing import World

SID = b"sid of an attempt"


def seed(i: int) -> bytes:
    return bytes([i]) * 32


def rho(mask: int, i: int) -> bytes:
    return kdf(seed(i), enc("rho", Mask(mask), i))


def rho_digest(mask: int, i: int, sid: bytes = SID) -> bytes:
    return digest("prss", sid, Mask(mask), i, rho(mask, i))


def start(impl: ModuleType, n: int, t: int) -> dict[int, kernel.Contributions]:
    return {i: impl.Contributions(n, t, i, impl.Secret.from_bytes(seed(i))) for i in range(1, n + 1)}


def exchanged(impl: ModuleType, n: int, t: int, silent: int = 0) -> dict[int, kernel.Contributions]:
    """All messages delivered but those of one party."""
    draws = start(impl, n, t)
    for sender, own in draws.items():
        for peer, others in draws.items():
            if sender not in {peer, silent}:
                assert others.receive(sender, own.message_for(peer)) is True
    return draws


def test_messages_are_the_derived_values_of_common_sets(impl: ModuleType, group: tuple[int, int]) -> None:
    n, t = group
    draws = start(impl, n, t)
    for peer in range(2, n + 1):
        common = [mask for mask in all_sets(n, t) if {1, peer} <= set(members(mask))]
        assert draws[1].message_for(peer) == b"".join(rho(mask, 1) for mask in common)


def test_digests_stand_in_order_with_zeros_for_the_absent(impl: ModuleType, group: tuple[int, int]) -> None:
    n, t = group
    draws = exchanged(impl, n, t, silent=2)
    for party in (1, 2, n):
        wanted = b"".join(
            bytes(32) if i == 2 != party else rho_digest(mask, i)
            for mask in sets_of(n, t, party)
            for i in members(mask)
        )
        assert draws[party].digests(SID) == wanted


def test_all_parties_make_the_same_keys_of_the_same_counted_set(world: World) -> None:
    """r_A = H("r", sid, E, A, i1, rho1, ...) in order of i, whatever order the table has."""
    n, t = world.n, world.t
    draws = exchanged(world.impl, n, t)
    counted = {
        int(mask): [i for i in members(mask) if i % 3 != 0 or i == max(members(mask))] for mask in all_sets(n, t)
    }
    keys = {i: draws[i].keys(SID, 7, {m: c[::-1] for m, c in counted.items()}) for i in world.parties}
    shares = {i: world.impl.prss(key, b"x", world.k, 0, 1) for i, key in keys.items()}
    world.opened(shares, t)
    by_hand = b"".join(
        digest("r", SID, 7, mask, *(part for i in sorted(counted[mask]) for part in (i, rho(mask, i))))
        for mask in sets_of(n, t, 1)
    )
    wanted = world.impl.prss(world.impl.Keys.from_bytes(n, t, 1, by_hand), b"x", world.k, 0, 1)
    assert shares[1].to_wire() == wanted.to_wire()


def test_era_and_attempt_enter_the_keys(impl: ModuleType) -> None:
    draws = exchanged(impl, 4, 1)
    counted = {int(mask): list(members(mask)) for mask in all_sets(4, 1)}
    made = {
        impl.prss(draws[1].keys(sid, era, counted), b"x", 64, 0, 1).to_wire()
        for sid, era in [(SID, 0), (SID, 1), (b"other", 0)]
    }
    assert len(made) == 3


def test_a_counted_contribution_that_is_missing_stops_the_keys(impl: ModuleType) -> None:
    draws = exchanged(impl, 4, 1, silent=2)
    counted = {int(mask): list(members(mask)) for mask in all_sets(4, 1)}
    with pytest.raises(ValueError, match="2"):
        draws[1].keys(SID, 0, counted)
    for mask in sets_of(4, 1, 1):
        if mask >> 1 & 1:
            assert draws[1].rho(mask, 2) is None
            assert draws[1].fill(SID, mask, 2, rho(mask, 2), rho_digest(mask, 2)) is True
            assert draws[1].rho(mask, 2) == rho(mask, 2)
    draws[1].keys(SID, 0, counted)


@pytest.mark.parametrize("table", [{}, {0b0111: [1], 0b1011: [1]}, {0b0111: [1], 0b1011: [1], 0b1101: []}])
def test_a_set_without_a_counted_contribution_has_no_key(impl: ModuleType, table: dict[int, list[int]]) -> None:
    """A key made of nothing would be public."""
    with pytest.raises(ValueError, match="0x000"):
        exchanged(impl, 4, 1)[1].keys(SID, 0, table)


def test_a_wrong_length_stores_nothing(impl: ModuleType) -> None:
    draws = start(impl, 4, 1)
    message = draws[2].message_for(1)
    before = draws[1].digests(SID)
    for broken in (b"", message[:-1], message + b"\0", message[:32], message * 2):
        assert draws[1].receive(2, broken) is False
    assert draws[1].digests(SID) == before


def test_fill_takes_only_what_the_certified_digest_names(impl: ModuleType) -> None:
    mask = 0b0111
    wanted = rho_digest(mask, 2)
    tries = {
        "another value": (SID, mask, 2, rho(mask, 3), wanted),
        "another sid": (b"", mask, 2, rho(mask, 2), wanted),
        "another digest": (SID, mask, 2, rho(mask, 2), rho_digest(mask, 3)),
        "cut digest": (SID, mask, 2, rho(mask, 2), wanted[:-1]),
        "short value": (SID, mask, 2, rho(mask, 2)[:-1], wanted),
        "long value": (SID, mask, 2, rho(mask, 2) + b"\0", wanted),
        "another contributor": (SID, mask, 3, rho(mask, 2), wanted),
        "no member": (SID, mask, 4, rho(mask, 4), rho_digest(mask, 4)),
        "not this party's set": (SID, 0b1110, 2, rho(0b1110, 2), rho_digest(0b1110, 2)),
        "no set at all": (SID, 0b0011, 2, rho(0b0011, 2), rho_digest(0b0011, 2)),
    }
    draws = start(impl, 4, 1)[1]
    before = draws.digests(SID)
    for name, arguments in tries.items():
        assert draws.fill(*arguments) is False, name
    assert draws.digests(SID) == before
    assert draws.fill(SID, mask, 2, rho(mask, 2), wanted) is True


@pytest.mark.parametrize(("mask", "contributor"), [(7, 4), (7, 0), (7, 255), (0b1110, 2), (0, 1), (0xFFFF, 1), (3, 1)])
def test_a_peer_asking_for_a_place_that_is_not_there_gets_nothing(
    impl: ModuleType, mask: int, contributor: int
) -> None:
    assert exchanged(impl, 4, 1)[1].rho(mask, contributor) is None


def test_a_later_message_replaces_an_earlier_one(impl: ModuleType) -> None:
    draws = start(impl, 4, 1)
    other = impl.Contributions(4, 1, 2, impl.Secret.from_bytes(Random(1).randbytes(32)))
    assert draws[1].receive(2, other.message_for(1))
    assert draws[1].receive(2, draws[2].message_for(1))
    assert draws[1].rho(0b0111, 2) == rho(0b0111, 2)
