"""What the commands print is what the Python side reads."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from node.tests.bridge.conftest import Commands, KeyFiles

KEY = {
    "number",
    "name",
    "word_bits",
    "noise_width",
    "samples",
    "bits",
    "products",
    "seeded_bytes",
    "mask_offset",
    "mask_bytes",
}
SEGMENTS = ["encryption", "lwe", "glwe", "compression", "sns", "sns_compression", "oprf"]


@pytest.mark.parametrize("name", ["test", "core", "production"])
def test_parameters_add_up_and_offsets_follow_each_other(commands: Commands, name: str) -> None:
    parameters = commands.result(commands.bridge, "parameters", "--parameter-set", name)
    assert parameters["insecure"] is (name == "test")
    assert list(parameters["key_bits"]) == SEGMENTS
    offset = 0
    for key in parameters["keys"]:
        assert set(key) == KEY
        assert key["mask_offset"] == offset
        assert key["bits"] == key["samples"] * (key["noise_width"] + 2)
        assert key["seeded_bytes"] == key["samples"] * key["word_bits"] // 8
        offset += key["mask_bytes"]
    totals = parameters["totals"]
    assert totals["mask_bytes"] == offset
    for field in ("samples", "products", "seeded_bytes"):
        assert totals[field] == sum(key[field] for key in parameters["keys"])
    assert totals["noise_bits"] == sum(key["bits"] for key in parameters["keys"])
    assert totals["key_bits"] == sum(parameters["key_bits"].values())
    assert totals["bits"] == totals["noise_bits"] + totals["key_bits"]


def test_digests_printed_by_assemble_are_those_of_the_files(commands: Commands, test_files: KeyFiles) -> None:
    known = ("--parameter-set", "test", "--seed", commands.seed, "--bodies", test_files.directory / "bodies")
    report = commands.result(commands.bridge, "assemble", *known, "--out", test_files.directory)
    for name in ("keyset", "public_key", "server_key"):
        content = (test_files.directory / f"{name}.bin").read_bytes()
        assert report[f"{name}_sha256"] == hashlib.sha256(content).hexdigest()


def test_self_test_with_a_seed_repeats_itself_and_counts_its_cases(commands: Commands, test_files: KeyFiles) -> None:
    keyset, _, _, client_key = test_files.paths()
    command = ("self-test", "--keyset", keyset, "--client-key", client_key, "--cases", "20", "--seed", "5")
    first, second = (commands.result(commands.bridge, *command) for _ in range(2))
    assert first == second
    assert first["passed"] is True
    checks = {check["name"]: check["cases"] for check in first["checks"]}
    assert checks == {
        **dict.fromkeys(("encrypt", "add", "mul", "lt", "min"), 20),
        **dict.fromkeys(("rerandomization", "compression", "noise_squashing", "squashed_compression", "oprf"), 2),
        "single_key_decompression": 1,
    }
