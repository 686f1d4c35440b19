"""The stub file says what the built kernel has: what mypy believes is what runs."""

import subprocess
import sys
from pathlib import Path


def test_stub_file_agrees_with_the_built_kernel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mypy.stubtest", "dkg_kernel"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
