"""The bridge as the node calls it: the one beside the interpreter, whatever the host's environment says."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from dkg_node.service.bridge import COMMAND, bridge_path, call_bridge
from dkg_node.service.command import EnvironmentFault


def install(directory: Path, script: str) -> None:
    command = directory / COMMAND
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)


def test_a_command_on_the_path_is_never_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "echo '{}'")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "elsewhere" / "python"))
    with pytest.raises(EnvironmentFault, match="missing"):
        bridge_path()


def test_the_command_sees_nothing_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, 'echo "{\\"seen\\": \\"$LD_PRELOAD_OF_THE_HOST\\"}"')
    monkeypatch.setenv("LD_PRELOAD_OF_THE_HOST", "yes")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert asyncio.run(call_bridge()) == {"seen": ""}
