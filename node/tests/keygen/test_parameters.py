"""The numbers of the design's tables, and what tfhe-rs itself says about the same sets."""

from collections.abc import Callable
from typing import Any

import pytest

from dkg_node.errors import UsageError
from dkg_node.keygen.parameters import PARAMETER_SETS, Decomposition, parameter_set

# name: (number, bodies, w, noise bits, products, seeded bytes, mask offset) as the table of 02 has them
PRODUCTION = {
    "compact_public_key": (1, 2048, 17, 38_912, 0, 16_384, 0),
    "compression_packing_ksk": (2, 2048 * 3 * 256, 43, 70_778_880, 0, 12_582_912, 16_384),
    "decompression_bsk": (3, 1024 * 2 * 2048, 17, 79_691_776, 2_097_152, 33_554_432, 50_348_032),
    "ksk": (4, 2048 * 4, 45, 385_024, 0, 65_536, 83_902_464),
    "bsk": (5, 918 * 2 * 2048, 17, 71_442_432, 1_880_064, 30_081_024, 144_064_512),
    "sns_bsk": (7, 918 * 3 * 3 * 2048, 30, 541_458_432, 3_760_128, 270_729_216, 174_145_536),
    "pksk": (9, 2048 * 4, 45, 385_024, 0, 65_536, 715_603_968),
    "rerandomization_key": (10, 2048, 17, 38_912, 0, 16_384, 775_766_016),
    "sns_compression_packing_ksk": (11, 4096 * 2 * 1024, 3, 41_943_040, 0, 134_217_728, 775_782_400),
    "oprf_bsk": (12, 918 * 2 * 2048, 17, 71_442_432, 1_880_064, 30_081_024, 1_581_088_768),
}
CORE_OFFSETS = {
    "compact_public_key": 0,
    "ksk": 16_384,
    "bsk": 60_178_432,
    "pksk": 90_259_456,
    "rerandomization_key": 150_421_504,
}
TEST_SAMPLES = [512, 65_536, 131_072, 256, 512, 10, 1_024, 8, 512, 256, 65_536, 512]


def test_production_keys_are_those_of_the_table() -> None:
    found = {
        spec.name: (
            spec.number,
            spec.samples,
            spec.width,
            spec.noise_bits,
            spec.products,
            spec.seeded_bytes,
            spec.mask_offset,
        )
        for spec in parameter_set("production").keys
    }
    assert found == PRODUCTION


def test_production_totals() -> None:
    params = parameter_set("production")
    assert (params.samples, params.noise_bits, params.products) == (38_617_088, 877_604_864, 9_617_408)
    assert params.key_bits == 17_196
    assert round(params.bits128 / 1e5) == 5834
    assert round((params.bits - params.bits128) / 1e5) == 2942
    assert round(params.seeded_bytes / 1e6) == 511


def test_core_offsets_and_totals() -> None:
    params = parameter_set("core")
    assert {spec.name: spec.mask_offset for spec in params.keys} == CORE_OFFSETS
    assert (round(params.bits / 1e5), round(params.products / 1e4)) == (723, 188)


def test_test_set_has_all_keys_and_the_counts_made_by_hand() -> None:
    params = parameter_set("test")
    assert [spec.number for spec in params.keys] == list(range(1, 13))
    assert [spec.samples for spec in params.keys] == TEST_SAMPLES
    assert (params.bits, params.products, params.key_bits) == (729_638, 66_304, 1_538)
    assert list(params.segments.values()) == [512, 1, 256, 256, 256, 256, 1]


def test_keys_tie_the_secrets_that_the_table_says() -> None:
    ends = {
        "compact_public_key": ("", "encryption", 64),
        "compression_packing_ksk": ("glwe", "compression", 64),
        "decompression_bsk": ("compression", "glwe", 64),
        "ksk": ("glwe", "lwe", 64),
        "bsk": ("lwe", "glwe", 64),
        "modulus_switch_key": ("", "lwe", 64),
        "sns_bsk": ("lwe", "sns", 128),
        "sns_modulus_switch_key": ("", "lwe", 64),
        "pksk": ("encryption", "lwe", 64),
        "rerandomization_key": ("", "glwe", 64),
        "sns_compression_packing_ksk": ("sns", "sns_compression", 128),
        "oprf_bsk": ("oprf", "glwe", 64),
    }
    for params in PARAMETER_SETS.values():
        for spec in params.keys:
            assert (spec.source, spec.target, spec.word_bits) == ends[spec.name]


def test_finest_level_comes_first() -> None:
    assert Decomposition(4, 3).factors(64) == (1 << 52, 1 << 56, 1 << 60)


def test_segments_follow_one_another() -> None:
    params = parameter_set("production")
    assert params.segment("encryption") == range(2048)
    assert params.segment("oprf") == range(17_196 - 918, 17_196)


def test_only_insecure_set_is_test() -> None:
    assert [name for name, params in PARAMETER_SETS.items() if params.insecure] == ["test"]


def test_unknown_set_is_refused_naming_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown parameter set 'toy': use one of test, core, production"):
        parameter_set("toy")


@pytest.mark.parametrize("name", PARAMETER_SETS)
def test_numbers_are_those_of_tfhe(name: str, bridge: Callable[..., dict[str, Any]]) -> None:
    params = parameter_set(name)
    said = bridge("parameters", "--parameter-set", name)
    assert said["key_bits"] == params.segments
    assert said["insecure"] == params.insecure
    assert [key["name"] for key in said["keys"]] == [spec.name for spec in params.keys]
    for key, spec in zip(said["keys"], params.keys, strict=True):
        assert key == {
            "number": spec.number,
            "name": spec.name,
            "word_bits": spec.word_bits,
            "noise_width": spec.width,
            "samples": spec.samples,
            "bits": spec.noise_bits,
            "products": spec.products,
            "seeded_bytes": spec.seeded_bytes,
            "mask_offset": spec.mask_offset,
            "mask_bytes": spec.mask_bytes,
        }
    totals = said["totals"]
    assert (totals["bits"], totals["products"], totals["seeded_bytes"]) == (
        params.bits,
        params.products,
        params.seeded_bytes,
    )


@pytest.mark.parametrize("name", PARAMETER_SETS)
def test_gadgets_and_shapes_are_those_of_tfhe(name: str, bridge: Callable[..., dict[str, Any]]) -> None:
    params = parameter_set(name)
    shapes = bridge("parameters", "--parameter-set", name)["shapes"]
    gadgets = {
        "bsk": "bsk",
        "ksk": "ksk",
        "pksk": "pksk",
        "decompression_bsk": "decompression_bsk",
        "compression_packing_ksk": "compression_packing_ksk",
        "sns_bsk": "sns_bsk",
        "sns_compression_packing_ksk": "sns_compression_packing_ksk",
    }
    for spec in params.keys:
        if spec.gadget is not None:
            said = shapes[gadgets.get(spec.name, "bsk")]
            assert (spec.name, spec.gadget) == (spec.name, Decomposition(said["base_log"], said["level"]))
    targets = {"glwe": "glwe", "compression": "compression_glwe", "sns": "sns_glwe"}
    targets["sns_compression"] = "sns_compression_glwe"
    for spec in params.keys:
        if spec.family.value in {"packing", "bootstrap"}:
            said = shapes[targets[spec.target]]
            shape = spec.noise.shape
            assert (shape.dimension, shape.size) == (said["dimension"], said["polynomial_size"])
