"""The threat model names tests: each exists, and no row is without one unless it says so."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

NODE = Path(__file__).resolve().parents[2]
ROWS = [
    line
    for line in (NODE / "docs" / "threat-model.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith(("| adversary", "|---"))
]
NAMED = re.findall(r"`([a-z_/]+\.py)::(test_[a-z0-9_]+)`", "\n".join(ROWS))


def test_there_are_rows_for_all_adversaries_of_the_design() -> None:
    adversaries = {row.split("|")[1].strip() for row in ROWS}
    assert adversaries >= {
        "other operator", "own organisation", "network", "own host", "account administrator", "cluster administrator",
        "leaver", "tester",
    }  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row.split("|")[1:3]).strip())
def test_every_row_has_a_test_or_says_that_it_has_none(row: str) -> None:
    last = row.split("|")[-2]
    assert "::test_" in last or last.strip().endswith("not here yet")


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_every_test_that_is_named_exists(file: str, name: str) -> None:
    path = (
        NODE / "software" / "tests" / file.removeprefix("software/")
        if file.startswith("software/")
        else NODE / "tests" / file
    )
    functions = {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}
    assert name in functions
