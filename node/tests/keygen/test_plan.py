"""The plan makes what the keys take: no more, no less, nothing twice."""

import pytest

from dkg_node.keygen.masks import MOST_BODY_BYTES, MOST_MASK_BYTES, blocks
from dkg_node.keygen.parameters import PARAMETER_SETS, ParameterSet
from dkg_node.keygen.plan import plan_of

SETS = list(PARAMETER_SETS.values())
names = [params.name for params in SETS]


@pytest.mark.parametrize("params", SETS, ids=names)
def test_every_chunk_has_exactly_one_place(params: ParameterSet) -> None:
    plan = plan_of(params)
    made = [(batch.index, chunk.index) for batch in plan.batches for chunk in batch.chunks]
    used = [(place.batch, place.chunk) for place in plan.bits]
    used += [(place.batch, place.chunk) for places in plan.noise.values() for place in places]
    used += [(tile.batch, tile.chunk) for tiles in plan.products.values() for tile in tiles]
    assert sorted(used) == made
    assert [batch.index for batch in plan.batches] == list(range(len(plan.batches)))


@pytest.mark.parametrize("params", SETS, ids=names)
def test_noise_of_a_key_is_made_at_its_width_and_modulus_and_covers_it(params: ParameterSet) -> None:
    plan = plan_of(params)
    for spec in params.keys:
        groups = 0
        for place in plan.noise[spec.name]:
            chunk = plan.batches[place.batch].chunks[place.chunk]
            assert (chunk.kind, chunk.k, chunk.width, chunk.groups) == (
                "noise",
                spec.word_bits,
                spec.width,
                place.groups,
            )
            assert place.start == groups
            groups += place.groups
        assert groups == -(-spec.samples // 4)


@pytest.mark.parametrize("params", SETS, ids=names)
def test_key_bits_come_first_and_mod_2_128(params: ParameterSet) -> None:
    plan = plan_of(params)
    assert {place.batch for place in plan.bits} == {0}
    assert (plan.batches[0].kind, plan.batches[0].k) == ("bits", 128)
    assert sum(place.groups for place in plan.bits) == -(-params.key_bits // 4)


@pytest.mark.parametrize("params", SETS, ids=names)
def test_tiles_cover_every_product_once(params: ParameterSet) -> None:
    plan = plan_of(params)
    total = 0
    for name, tiles in plan.products.items():
        spec = params.key(name)
        covered = set()
        for tile in tiles:
            chunk = plan.batches[tile.batch].chunks[tile.chunk]
            assert (chunk.kind, chunk.k, chunk.rows, chunk.cols) == (
                "product",
                spec.word_bits,
                len(tile.rows),
                len(tile.columns),
            )
            corner = (tile.rows.start, tile.columns.start)
            assert corner not in covered
            covered.add(corner)
            total += len(tile.rows) * len(tile.columns)
        assert max(tile.rows.stop for tile in tiles) == params.segments[spec.source]
        assert max(tile.columns.stop for tile in tiles) == params.segments[spec.target]
        assert sum(len(tile.rows) * len(tile.columns) for tile in tiles) == spec.products
    assert total == params.products


def test_squashing_key_has_two_columns_of_tiles() -> None:
    tiles = plan_of(PARAMETER_SETS["production"]).products["sns_bsk"]
    assert len(tiles) == 58
    assert [(tile.rows.start, tile.columns.start) for tile in tiles[:3]] == [(0, 0), (0, 2048), (32, 0)]


@pytest.mark.parametrize("params", SETS, ids=names)
def test_surplus_is_less_than_a_group_a_key(params: ParameterSet) -> None:
    made = sum(
        4 * chunk.groups * (len(chunk.weights) if chunk.kind == "noise" else 1)
        for batch in plan_of(params).batches
        for chunk in batch.chunks
        if chunk.kind != "product"
    )
    assert 0 <= made - params.bits <= 3 * sum(spec.width + 2 for spec in params.keys) + 3
    if params.name == "production":
        assert made == params.bits


@pytest.mark.parametrize("params", SETS, ids=names)
def test_blocks_cover_every_key_in_order_and_stay_small(params: ParameterSet) -> None:
    for spec in params.keys:
        rows = groups = size = 0
        for index, block in enumerate(blocks(spec)):
            assert (block.index, block.rows.start, block.groups.start) == (index, rows, groups)
            assert block.body_bytes <= MOST_BODY_BYTES
            assert len(block.rows) * spec.row_masks * spec.word_bits // 8 <= MOST_MASK_BYTES
            rows, groups, size = block.rows.stop, block.groups.stop, size + block.body_bytes
        assert (rows, groups, size) == (spec.rows, -(-spec.samples // 4), spec.seeded_bytes)
