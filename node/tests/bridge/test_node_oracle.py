"""The node build of tfhe-rs takes the key files as they are; stock Rust computes on what it encrypts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from node.tests.bridge.conftest import Commands, KeyFiles


@pytest.mark.parametrize("name", ["test", "core"])
def test_node_encrypts_and_rewrites_and_stock_rust_computes_on_it(
    name: str, commands: Commands, node_modules: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    files: KeyFiles = request.getfixturevalue(f"{name}_files")
    _, public_key, server_key, client_key = files.paths()
    asked = ("node", commands.oracle, public_key, server_key, name, "200", "77", tmp_path)
    said = commands.result(*asked, NODE_PATH=str(node_modules))
    # node-tfhe has no name for the parameters of the test set, so that it cannot ask for conformance there.
    assert said == {"conformant": name != "test", "public_key_same": True, "server_key_same": True}

    known = (tmp_path / "ciphertext.bin", tmp_path / "server_key.bin", client_key, name)
    assert commands.result(commands.stock_load, "ciphertext", *known, "200", "77")["passed"]
    assert commands.run(commands.stock_load, "ciphertext", *known, "200", "78").returncode == 1
