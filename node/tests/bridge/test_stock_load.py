"""What the bridge writes loads and computes in a program that knows stock tfhe-rs only."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from node.tests.bridge.conftest import Commands, KeyFiles

OTHER_NOISE = "0f" * 16


def test_stock_tfhe_loads_the_test_set_and_computes_a_hundred_cases(commands: Commands, test_files: KeyFiles) -> None:
    report = commands.result(commands.stock_load, *test_files.paths(), "test", "100")
    # Re-randomisation, compression, squashing, squashed compression, OPRF.
    assert report == {"passed": True, "cases": 100, "further_checks": 5}


def test_stock_tfhe_loads_the_core_set_and_computes(commands: Commands, core_files: KeyFiles) -> None:
    report = commands.result(commands.stock_load, *core_files.paths(), "core", "3")
    assert report == {"passed": True, "cases": 3, "further_checks": 1}


@pytest.mark.long
def test_stock_tfhe_computes_a_hundred_cases_under_the_core_set(commands: Commands, core_files: KeyFiles) -> None:
    assert commands.result(commands.stock_load, *core_files.paths(), "core", "100")["cases"] == 100


def test_a_set_does_not_pass_for_another_one(commands: Commands, test_files: KeyFiles) -> None:
    done = commands.run(commands.stock_load, *test_files.paths(), "core", "1")
    assert done.returncode == 1
    assert "not conformant" in done.stderr


def test_files_of_two_key_generations_do_not_pass_for_one(
    commands: Commands, test_files: KeyFiles, tmp_path: Path
) -> None:
    other = commands.key_files("test", tmp_path, noise_seed=OTHER_NOISE)
    shutil.copy(test_files.directory / "server_key.bin", other.directory)
    done = commands.run(commands.stock_load, *other.paths(), "test", "1")
    assert done.returncode == 1
    assert "differ: server key" in done.stderr


def test_a_file_cut_short_does_not_load(commands: Commands, test_files: KeyFiles, tmp_path: Path) -> None:
    for index, path in enumerate(test_files.paths()):
        cut = tmp_path / path.name
        cut.write_bytes(path.read_bytes()[:-1])
        paths = test_files.paths()
        paths[index] = cut
        done = commands.run(commands.stock_load, *paths, "test", "1")
        assert done.returncode == 1
        assert str(cut) in done.stderr
