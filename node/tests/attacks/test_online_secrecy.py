"""What online must never let out: wide words of a narrow body, a second seed, unmasked inputs (01 section 5)."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from dkg_node.algebra import kernel
from dkg_node.algebra.kernel import Shares
from dkg_node.keygen.bodies import masked_inputs
from dkg_node.keygen.masks import blocks
from dkg_node.keygen.online import open_seed, seed_slot
from dkg_node.keygen.parameters import ParameterSet, parameter_set
from dkg_node.keygen.plan import plan_of
from dkg_node.keygen.preprocessing import key_shares
from dkg_node.protocols.session import Group, Role, Session
from dkg_node.testing.ideal import Dealer, ideal
from dkg_node.testing.lockstep import Adversary, Move, Outgoing, run_lockstep
from dkg_node.testing.online_runs import online_in_lockstep
from dkg_node.testing.small_sets import TOY

GROUP = Group(4, 1)


class Eavesdropper(Adversary):
    """An honest-looking party that notes the length of every message it gets, by slot and part."""

    def __init__(self) -> None:
        self.corrupt = frozenset({1})
        self.lengths: dict[str, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))

    def send(self, move: Move) -> Outgoing:
        for messages in move.seen.values():
            self.lengths[move.slot][move.tag.part] |= {len(data) for data in messages.values()}
        return move.honest


@pytest.mark.parametrize("params", [TOY, parameter_set("test")], ids=lambda params: params.name)
def test_shares_of_a_64_bit_body_have_64_bit_coordinates_on_the_wire(params: ParameterSet) -> None:
    ear = Eavesdropper()
    done = online_in_lockstep(GROUP, params, ideal(GROUP, params, plan_of(params), 41), ear)
    assert done.run.errors == {}
    widths = set()
    for spec in params.keys:
        parts = ear.lengths[f"bodies.{spec.name}"]
        expected = {block.index + 1: {len(block.groups) * 4 * spec.word_bits // 8} for block in blocks(spec)}
        assert parts == expected, spec.name
        widths.add(spec.word_bits)
    assert widths == {64, 128}


def test_masked_inputs_of_a_64_bit_key_are_shares_mod_2_64() -> None:
    plan = plan_of(TOY)
    held = ideal(GROUP, TOY, plan, 42).preprocessing[1]
    share = key_shares(TOY, plan, held)
    for name, tiles in plan.products.items():
        spec = TOY.key(name)
        assert masked_inputs(spec, tiles, share, held).k == spec.word_bits


def test_handles_of_different_width_never_mix() -> None:
    narrow, wide = Shares.zeros(64, 4), Shares.zeros(128, 4)
    with pytest.raises(ValueError, match="64"):
        narrow.add(wide)
    with pytest.raises(ValueError, match="64"):
        Shares.concat([wide, narrow])


def integers_opened(k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bodies b = <a, s> + e of 64-bit masks as the ring of ``k`` bits opens them; also masks and key."""
    random = np.random.default_rng(43)
    masks = random.integers(0, 1 << 64, (64, 8), dtype=np.uint64)
    key = np.array([1, 0, 1, 1, 0, 0, 1, 0], dtype=np.int64)
    e = random.integers(-(1 << 45), 1 << 45, 64)
    dealer = Dealer(GROUP, 44)
    wide = [int(word).to_bytes(k // 8, "little") for word in masks.reshape(-1)]
    keys, noise = dealer.base(key, k), dealer.base(e, k)
    shares = {role: kernel.inner(b"".join(wide), keys[role]).add(noise[role]).pack() for role in GROUP.roles}
    opened = kernel.robust_open(4, 1, k, {role: share.to_wire() for role, share in shares.items()})
    assert opened is not None
    size = k // 8
    values = [int.from_bytes(opened[0][i : i + size], "little") for i in range(0, len(opened[0]), size)]
    return masks.astype(np.float64), np.array([float(v) for v in values]), key


def test_least_squares_finds_the_key_in_wide_openings_only() -> None:
    """Why the reduction matters: over the integers <a,s> + e gives the key away, mod 2^64 it does not."""
    for k, found in ((128, True), (64, False)):
        masks, opened, key = integers_opened(k)
        guess = np.rint(np.linalg.lstsq(masks, opened, rcond=None)[0]).astype(np.int64)
        assert bool((guess == key).all()) == found


def seeds(sid: bytes, era: int, segment: int) -> set[bytes]:
    keys = Dealer(GROUP, 45).keys()

    async def program(session: Session) -> bytes:
        entered = replace(session, sid=sid, era=era).enter(segment, [seed_slot(GROUP)])
        seed, liars = await open_seed(entered, keys[session.me])
        assert liars == frozenset()
        return seed

    run = run_lockstep(GROUP, program)
    assert run.errors == {}
    return set(run.results.values())


def test_seed_has_one_value_in_every_era_and_segment() -> None:
    """Two seeds with one noise would be two bodies whose difference gives the key away."""
    first = seeds(b"one", 0, 1)
    assert len(first) == 1
    assert seeds(b"one", 3, 9) == first
    assert seeds(b"another", 0, 1) != first
    assert {len(seed) for seed in first} == {16}


def test_final_share_prints_nothing() -> None:
    plan = plan_of(TOY)
    share = key_shares(TOY, plan, ideal(GROUP, TOY, plan, 46).preprocessing[2])
    assert "redacted" in repr(share)
    assert share.all.to_wire()[:8].hex() not in repr(share)


def opened_inputs(role: Role) -> int:
    """Bytes of the first BSK's masked inputs that one party sends to another."""
    params = TOY
    plan = plan_of(params)
    held = ideal(GROUP, params, plan, 47).preprocessing[role]
    return len(masked_inputs(params.key("bsk"), plan.products["bsk"], key_shares(params, plan, held), held))


def test_every_secret_factor_is_opened_once_a_tile_and_masked() -> None:
    """6 LWE bits are filled up to 8, 16 GLWE bits as they are: 24 values, 6 elements, nothing more."""
    assert opened_inputs(1) == (8 + 16) // 4
