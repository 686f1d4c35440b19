"""The mask stream: the design's vector, and the kernel against an oracle that works block by block."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_node.algebra import kernel
from dkg_node.keygen.masks import block_masks, blocks
from dkg_node.keygen.parameters import PARAMETER_SETS, ParameterSet
from dkg_node.testing import slow_keys

VECTOR = json.loads((Path(__file__).parent.parent / "vectors" / "mask_stream.json").read_text())
SEED = bytes.fromhex(VECTOR["seed"])


def test_oracle_follows_the_vector() -> None:
    key, counter = slow_keys.stream_start(SEED)
    assert key.hex() == VECTOR["key"]
    assert counter.to_bytes(16, "little").hex() == VECTOR["first_counter"]
    assert slow_keys.stream(SEED, 0, 32).hex() == VECTOR["stream"]


def test_kernel_follows_the_vector() -> None:
    assert kernel.mask_stream(SEED, 0, 32).hex() == VECTOR["stream"]


@given(st.binary(min_size=16, max_size=16), st.integers(0, 1 << 31), st.integers(0, 200))
def test_kernel_reads_the_stream_anywhere(seed: bytes, offset: int, length: int) -> None:
    assert kernel.mask_stream(seed, offset, length) == slow_keys.stream(seed, offset, length)


@pytest.mark.parametrize("params", PARAMETER_SETS.values(), ids=list(PARAMETER_SETS))
def test_last_block_of_every_key_ends_where_the_next_key_begins(params: ParameterSet) -> None:
    ends = [*(spec.mask_offset for spec in params.keys[1:]), None]
    for spec, end in zip(params.keys, ends, strict=True):
        last = list(blocks(spec))[-1]
        masks = block_masks(SEED, last)
        stop = spec.mask_offset + spec.mask_bytes
        assert end in {None, stop}
        assert masks[-64:] == slow_keys.stream(SEED, stop - 64, 64)[-len(masks) :]
