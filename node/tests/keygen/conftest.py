import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def bridge() -> Callable[..., dict[str, Any]]:
    """Run dkg-bridge and return the JSON it prints; `make setup` puts it beside the interpreter."""
    command = Path(sys.executable).parent / "dkg-bridge"

    def run(*arguments: object) -> dict[str, Any]:
        done = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return run


@pytest.fixture(scope="session")
def stock_load() -> Callable[..., str]:
    """Run the crate that knows tfhe-rs only; returns its summary line."""
    command = Path(sys.executable).parent / "stock-load"

    def run(*arguments: object) -> str:
        done = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
