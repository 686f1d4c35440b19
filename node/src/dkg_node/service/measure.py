"""Measured release of this installation: SHA-384 over the files that make the key (03, "Two builds").

Software PCRs prove nothing to anybody; they make changed code visible. What the software distribution adds (its
adversaries, its launcher) is not measured: attestation would refuse them otherwise, and no attack could be tried.
"""

from __future__ import annotations

import sys
from hashlib import sha384
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_node.service.command import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Iterable

CODE = frozenset({".py", ".so"})
CHUNK = 1 << 20


def measure() -> dict[str, str]:
    """pcr0: node and api; pcr1: interpreter; pcr2: kernel and bridge. Lower-case hex of 48 bytes each."""
    from dkg_node.service.bridge import bridge_path  # noqa: PLC0415 - keeps start-up short where nothing is measured

    return {
        "pcr0": _digest([*_package("dkg_api"), *_package("dkg_node")]),
        "pcr1": _digest([("interpreter", Path(sys.executable).resolve())]),
        "pcr2": _digest([*_package("dkg_kernel"), ("dkg-bridge", bridge_path())]),
    }


def _package(name: str) -> list[tuple[str, Path]]:
    """Code files of an installed package with their names relative to it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentFault(f"the package {name} is not installed: run make setup")
    root = Path(next(iter(spec.submodule_search_locations)))
    files = (path for path in root.rglob("*") if path.suffix in CODE)
    return [(f"{name}/{path.relative_to(root).as_posix()}", path) for path in files]


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    """SHA-384 over name, length and content of the files in order of name."""
    total = sha384()
    for name, path in sorted(files):
        total.update(f"{name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(CHUNK):
                total.update(block)
    return total.hexdigest()
