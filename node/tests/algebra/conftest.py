"""Every mathematical test runs on the readable twin and on the kernel, for each group and each K."""

from __future__ import annotations

from random import Random
from types import ModuleType

import pytest
from hypothesis import settings

from dkg_node.algebra import kernel, twin
from dkg_node.testing.dealing import World

settings.register_profile("algebra", max_examples=15, deadline=None, derandomize=True)
settings.load_profile("algebra")

IMPLEMENTATIONS = {"twin": twin, "kernel": kernel}
GROUPS = [(4, 1), (7, 2), (10, 3), (13, 4)]


@pytest.fixture(scope="session", params=IMPLEMENTATIONS)
def impl(request: pytest.FixtureRequest) -> ModuleType:
    return IMPLEMENTATIONS[request.param]


@pytest.fixture(scope="session", params=[64, 128], ids=lambda k: f"K{k}")
def k(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="session", params=GROUPS, ids=lambda g: f"{g[0]}of{g[1]}")
def group(request: pytest.FixtureRequest) -> tuple[int, int]:
    n, t = request.param
    return n, t


@pytest.fixture(scope="session")
def world(impl: ModuleType, group: tuple[int, int], k: int) -> World:
    return World(impl, *group, k)


@pytest.fixture(scope="session")
def small(impl: ModuleType, k: int) -> World:
    """For what does not depend on the number of parties."""
    return World(impl, 4, 1, k)


@pytest.fixture(scope="session")
def pair(group: tuple[int, int], k: int) -> tuple[World, World]:
    """The twin's world and the kernel's, of one shape."""
    return World(twin, *group, k), World(kernel, *group, k)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> Random:
    """Repeats for one test, differs between tests."""
    return Random(request.node.nodeid)
