"""Chunks: what fits into one, in which order, how long its messages are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_node.offline.chunk import MOST_VALUES, Batch, Chunk, bit_groups, noise_groups


@given(k=st.sampled_from([64, 128]), width=st.integers(0, 60), groups=st.integers(1, 20))
def test_messages_are_as_long_as_their_trimmed_elements(k: int, width: int, groups: int) -> None:
    chunk = Chunk(0, "noise", k, width, groups)
    weights = [*range(width + 1), 0]
    assert chunk.weights == tuple(weights)
    assert chunk.elements == groups * (width + 2)
    assert chunk.y_bytes == groups * sum(4 * ((k - w + 7) // 8) for w in weights)
    assert chunk.v_bytes == groups * sum(4 * ((k - w - 1 + 7) // 8) for w in weights)


@given(width=st.integers(0, 60))
def test_the_largest_noise_chunk_is_the_one_of_the_design(width: int) -> None:
    largest = noise_groups(width)
    assert Chunk(0, "noise", 64, width, largest).elements * 4 <= MOST_VALUES < (largest + 1) * (width + 2) * 4
    with pytest.raises(ValueError, match="plan it smaller"):
        Chunk(0, "noise", 64, width, largest + 1)


def test_products_open_all_bits_and_bits_drop_one() -> None:
    product = Chunk(0, "product", 128, rows=32, cols=2048)
    assert (product.elements, product.weights, product.opens_bits) == (16_384, (0,), False)
    assert product.y_bytes == product.v_bytes == 16_384 * 64
    bits = Chunk(0, "bits", 128, groups=bit_groups())
    assert (bits.elements, bits.weights, bits.opens_bits) == (16_384, (0,), True)


@pytest.mark.parametrize(
    "shape",
    [
        {"kind": "bits", "k": 64, "groups": bit_groups() + 1},
        {"kind": "bits", "k": 64, "groups": 0},
        {"kind": "bits", "k": 64, "groups": 1, "width": 1},
        {"kind": "bits", "k": 32, "groups": 1},
        {"kind": "noise", "k": 64, "groups": 1, "width": 62},
        {"kind": "noise", "k": 64, "groups": 1, "rows": 1},
        {"kind": "product", "k": 64, "rows": 33, "cols": 4},
        {"kind": "product", "k": 64, "rows": 1, "cols": 2052},
        {"kind": "product", "k": 64, "rows": 1, "cols": 6},
    ],
)
def test_a_chunk_of_no_plan_is_refused(shape: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"chunk|plan"):
        Chunk(0, **shape)  # type: ignore[arg-type]


def test_a_batch_has_one_kind_one_k_and_its_chunks_in_order() -> None:
    first, second = Chunk(0, "bits", 64, groups=1), Chunk(1, "bits", 64, groups=2)
    assert Batch(7, "bits", 64, (first, second)).chunks[1] is second
    for chunks in ((), (second,), (first, first), (first, Chunk(1, "bits", 128, groups=1))):
        with pytest.raises(ValueError, match="batch 7"):
            Batch(7, "bits", 64, chunks)
