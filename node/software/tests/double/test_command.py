"""`dkg-software aws-double` as a command: one line for what is wrong, and it ends when its launcher does."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dkg_node.testing.aws_double import RunningDouble


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "dkg-software"), "aws-double", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL)


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("--state", str(tmp_path), "--port", str(taken.getsockname()[1]))
    assert done.returncode == 4
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "endpoint").exists()


@pytest.mark.parametrize("name", ["keys.json", "s3.jsonl"])
def test_a_damaged_state_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('[{"arn": 1}]\n')
    done = run("--state", str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "damaged" in done.stderr


def test_it_listens_on_loopback_only_and_its_keys_are_its_owners(
    start: Callable[[Path], RunningDouble], tmp_path: Path
) -> None:
    running = start(tmp_path / "state")
    assert running.url.startswith("https://127.0.0.1:")
    assert (running.state / "endpoint").read_text().strip() == running.url
    running.client("kms", "admin").create_key()
    for name in ("keys.json", "server.pem"):
        assert (running.state / name).stat().st_mode & 0o077 == 0
    running.stop()
