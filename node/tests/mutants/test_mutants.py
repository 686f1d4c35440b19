"""The list of mutants follows the code: every one has its place."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

SPEC = spec_from_file_location("offline_mutants", Path(__file__).with_name("offline.py"))


def test_every_mutant_has_exactly_one_place() -> None:
    assert SPEC is not None
    assert SPEC.loader is not None
    module = sys.modules[SPEC.name] = module_from_spec(SPEC)
    SPEC.loader.exec_module(module)
    for mutant in module.MUTANTS:
        text = (module.PACKAGE / mutant.file).read_text()
        assert module.mutated(text, mutant) != text
    assert len({mutant.name for mutant in module.MUTANTS}) == len(module.MUTANTS) >= 20
