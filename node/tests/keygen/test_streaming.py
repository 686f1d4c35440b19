"""Bodies leave in storage order whatever order blocks end in, and a block loads no more than it needs."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from dkg_node.algebra.kernel import Shares
from dkg_node.keygen.bodies import body_share, masked_values, material
from dkg_node.keygen.masks import Block, blocks
from dkg_node.keygen.online import _InOrder
from dkg_node.keygen.plan import plan_of
from dkg_node.keygen.preprocessing import Held, Products, key_shares
from dkg_node.protocols.session import Group
from dkg_node.testing.ideal import ideal
from dkg_node.testing.online_runs import MemorySink
from dkg_node.testing.small_sets import SHRUNK


@given(st.permutations(range(7)))
def test_blocks_are_written_in_order(order: list[int]) -> None:
    sink = MemorySink()
    writer = _InOrder("key", sink)
    for index in order:
        writer.put(index, bytes([index]) * (index + 1))
    expected = b"".join(bytes([index]) * (index + 1) for index in range(7))
    assert sink.bodies == {"key": expected}
    assert writer.digest() == sha256(expected).digest()
    assert writer.early == {}


def test_nothing_is_written_before_its_turn() -> None:
    sink = MemorySink()
    writer = _InOrder("key", sink)
    writer.put(1, b"b")
    assert sink.bodies == {}
    writer.put(0, b"a")
    assert sink.bodies == {"key": b"ab"}


class Counting:
    """Preprocessing that counts what is taken out of it."""

    def __init__(self, held: Held) -> None:
        self.held = held
        self.noise_taken: list[tuple[int, int]] = []
        self.products_taken: list[tuple[int, int]] = []

    def bits(self, batch: int, chunk: int) -> Shares:
        return self.held.bits(batch, chunk)

    def noise(self, batch: int, chunk: int) -> Shares:
        self.noise_taken.append((batch, chunk))
        return self.held.noise(batch, chunk)

    def products(self, batch: int, chunk: int) -> Products:
        self.products_taken.append((batch, chunk))
        return self.held.products(batch, chunk)


def test_block_takes_only_the_chunks_it_lies_in() -> None:
    group, plan = Group(4, 1), plan_of(SHRUNK)
    counting = Counting(ideal(group, SHRUNK, plan, 71).preprocessing[1])
    spec = SHRUNK.key("sns_bsk")
    words = bytes(16 * masked_values(plan.products[spec.name]))
    prepared = material(spec, plan, key_shares(SHRUNK, plan, counting), counting, bytes(16), words)
    assert counting.noise_taken == []
    every: list[Block] = list(blocks(spec))
    assert len(every) > 4
    for block in every:
        counting.noise_taken.clear()
        counting.products_taken.clear()
        share = body_share(block, prepared)
        assert (share.k, len(share)) == (128, len(block.groups))
        most = max(place.groups for place in plan.noise[spec.name])
        assert len(counting.noise_taken) <= len(block.groups) // most + 2
        assert len(counting.products_taken) == 2
