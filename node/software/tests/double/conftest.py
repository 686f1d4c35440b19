from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dkg_node.testing.aws_double import RunningDouble, start_double


@pytest.fixture(scope="session")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDouble]:
    running = start_double(tmp_path_factory.mktemp("double") / "state")
    yield running
    running.stop()


@pytest.fixture
def start() -> Iterator[Callable[[Path], RunningDouble]]:
    """Doubles that the test starts; whatever happens, they end."""
    made: list[RunningDouble] = []

    def start_one(state: Path) -> RunningDouble:
        made.append(start_double(state))
        return made[-1]

    yield start_one
    for running in made:
        running.end()
