"""The two commands of the bridge's workspace, and a stock key set to try them on."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BRIDGE = Path(__file__).resolve().parents[2] / "bridge"
SEED = "000102030405060708090a0b0c0d0e0f"
FILES = ("keyset.bin", "public_key.bin", "server_key.bin", "client_key.bin")


def command(name: str, variable: str) -> str:
    """The command named by an environment variable, else the one on the PATH."""
    found = os.environ.get(variable) or shutil.which(name)
    if not found:
        pytest.fail(f"build {name} first: make setup, or name it in {variable}")
    return found


@dataclass(frozen=True)
class KeyFiles:
    """A directory with the files of one parameter set, put together from bodies."""

    name: str
    directory: Path

    def paths(self) -> list[Path]:
        """Key set, public key, server key, client key."""
        return [self.directory / name for name in FILES]


@dataclass(frozen=True)
class Commands:
    """dkg-bridge and stock-load, and what is done with them in every test."""

    bridge: str
    stock_load: str
    oracle: Path = BRIDGE / "node-oracle" / "oracle.js"
    seed: str = SEED

    def run(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """The finished command; its standard error is at most one line whatever happened."""
        done = subprocess.run(
            [str(argument) for argument in arguments],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | environment,
        )
        assert len(done.stderr.splitlines()) <= 1, done.stderr
        return done

    def result(self, *arguments: str | Path, **environment: str) -> dict[str, Any]:
        """The one JSON line of a command that goes well."""
        done = self.run(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        (line,) = done.stdout.splitlines()
        value: dict[str, Any] = json.loads(line)
        return value

    def key_files(self, name: str, directory: Path, noise_seed: str = SEED) -> KeyFiles:
        """Bodies of a stock key set, assembled again by the bridge."""
        parameters = self.result(self.bridge, "parameters", "--parameter-set", name)
        (directory / "bits").write_bytes(draw_key_bits(name, parameters["key_bits"]))
        known = ("--parameter-set", name, "--key-bits", directory / "bits")
        seed = ("--seed", SEED)
        bodies = directory / "bodies"
        self.result(self.bridge, "stock-reference", *known, *seed, "--noise-seed", noise_seed, "--out", bodies)
        self.result(self.bridge, "client-key", *known, "--out", directory / "client_key.bin")
        self.result(self.bridge, "assemble", *known[:2], *seed, "--bodies", bodies, "--out", directory)
        return KeyFiles(name, directory)


def draw_key_bits(name: str, counts: dict[str, int]) -> bytes:
    """Key bits by a seeded generator; the LWE bits of the test set are 1: with 0 it computes whatever its keys hold."""
    source = random.Random(name)
    ones = {"lwe", "oprf"} if name == "test" else set()
    return b"".join(
        bytes([1] * count) if segment in ones else bytes(source.choices((0, 1), k=count))
        for segment, count in counts.items()
    )


@pytest.fixture(scope="session")
def commands() -> Commands:
    return Commands(command("dkg-bridge", "DKG_BRIDGE"), command("stock-load", "STOCK_LOAD"))


@pytest.fixture(scope="session")
def test_files(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> KeyFiles:
    return commands.key_files("test", tmp_path_factory.mktemp("test-set"))


@pytest.fixture(scope="session")
def core_files(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> KeyFiles:
    return commands.key_files("core", tmp_path_factory.mktemp("core-set"))


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Where node-tfhe is installed: a user cache, so that neither the tree nor its digest changes."""
    source = BRIDGE / "node-oracle"
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("no node or npm on this machine: the second oracle needs them")
    key = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()[:16]
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    target = caches / "dkg-build" / f"node-oracle-{key}"
    if not (target / "done").exists():
        target.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, target / name)
        install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
        done = subprocess.run(install, cwd=target, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip("npm cannot fetch node-tfhe here: the second oracle needs it once")
        (target / "done").touch()
    return target / "node_modules"
