from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from subprocess import Popen

import pytest

from dkg_node.testing.commands import SEED, Ended, run_local


@pytest.fixture(scope="session")
def ceremony(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """One good, seeded 4/1 ceremony that many tests look at; nobody changes its files."""
    return run_local(tmp_path_factory.mktemp("ceremony") / "out", *SEED)


@pytest.fixture
def copy(ceremony: Ended, tmp_path: Path) -> Path:
    """A copy of what it left, to be damaged."""
    return Path(shutil.copytree(ceremony.out, tmp_path / "copy"))


@pytest.fixture
def started() -> Iterator[Callable[[Popen[str]], Popen[str]]]:
    """Register a process that the test starts; whatever happens, it ends."""
    processes: list[Popen[str]] = []

    def register(process: Popen[str]) -> Popen[str]:
        processes.append(process)
        return process

    yield register
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def change_code() -> Callable[[Path], dict[str, str]]:
    """Copies the node's packages with one line more; the environment under which Python finds the copies first."""

    def change(directory: Path) -> dict[str, str]:
        for name in ("dkg_api", "dkg_node"):
            spec = find_spec(name)
            assert spec is not None
            assert spec.submodule_search_locations is not None
            shutil.copytree(spec.submodule_search_locations[0], directory / name)
        with (directory / "dkg_node" / "errors.py").open("a") as file:
            file.write("CHANGED = True\n")
        return {"PYTHONPATH": str(directory)}

    return change
