"""The rules of the house that no tool on the market checks."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FUNCTION_LINES = 60
MODULE_LINES = 600
CRATES_IO = (
    'source = "registry+https://github.com/rust-lang/crates.io-index"'  # a name: cargo replaces it as configured
)


def tree(*patterns: str) -> list[Path]:
    """All files git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in sorted(set(done.stdout.splitlines())) if (ROOT / line).is_file()]


OWN_PYTHON = [p for p in tree("*.py", "*.pyi", ".ci/lock") if "_pb2" not in p.name]
OWN_RUST = tree("*.rs")


def rust_functions(text: str) -> list[tuple[str, int]]:
    """(name, lines) of the functions in text that cargo fmt has formatted: a body ends at a brace under its head."""
    found, lines = [], text.splitlines()
    for start, line in enumerate(lines):
        head = re.match(r"( *)(?:pub(?:\([a-z]+\))? )?(?:const )?(?:unsafe )?fn (\w+)", line)
        if head and not line.endswith((";", "}")):
            end = next((i for i in range(start, len(lines)) if lines[i] == head[1] + "}"), start)
            found.append((head[2], end - start + 1))
    return found


def test_no_python_function_is_longer_than_the_hard_limit() -> None:
    too_long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {length} lines"
        for path in OWN_PYTHON
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]
    assert not too_long


def test_no_rust_function_is_longer_than_the_hard_limit() -> None:
    too_long = [
        f"{path.relative_to(ROOT)} {name} has {length} lines"
        for path in OWN_RUST
        for name, length in rust_functions(path.read_text())
        if length > FUNCTION_LINES
    ]
    assert not too_long


def test_the_rust_measure_sees_a_long_function() -> None:
    body = "".join("        let x = 1;\n" for _ in range(70))
    text = (
        f"impl A {{\n    pub fn long(\n        self,\n    ) -> u8 {{\n{body}    }}\n\n    fn short() {{\n    }}\n}}\n"
    )
    assert rust_functions(text) == [("long", 74), ("short", 2)]


@pytest.mark.parametrize("paths", [OWN_PYTHON, OWN_RUST], ids=["python", "rust"])
def test_no_module_is_longer_than_the_hard_limit(paths: list[Path]) -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in paths}
    assert not {name: length for name, length in lengths.items() if length > MODULE_LINES}


def test_the_locks_hold_no_addresses() -> None:
    for path in tree("*.lock", "*package-lock.json"):
        text = path.read_text().replace(CRATES_IO, "")
        assert "://" not in text, path
        assert "find-links" not in text, path


def test_every_locked_python_package_has_a_hash() -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text())
    packages = [entry for entry in entries if not entry.startswith("#")]
    assert packages
    assert not [entry for entry in packages if "==" not in entry or "--hash=sha256:" not in entry]


def test_every_python_dependency_of_a_member_is_in_the_lock_at_its_pinned_version() -> None:
    locked = {line.split(" ")[0] for line in (ROOT / "requirements.lock").read_text().splitlines()}
    for path in tree("*pyproject.toml"):
        data = tomllib.loads(path.read_text())
        needs = data.get("project", {}).get("dependencies", []) + data.get("dependency-groups", {}).get("dev", [])
        foreign = [need for need in needs if not need.startswith("dkg-")]
        assert not [need for need in foreign if need not in locked], path


def test_what_only_fuzzing_needs_is_in_its_own_lock_and_in_no_other() -> None:
    extra = tomllib.loads((ROOT / "node/software/pyproject.toml").read_text())["project"]["optional-dependencies"]
    locked = {line.split(" ")[0] for line in (ROOT / "requirements.fuzz.lock").read_text().splitlines()}
    assert set(extra["fuzz"]) <= locked
    assert not set(extra["fuzz"]) & {
        line.split(" ")[0] for line in (ROOT / "requirements.lock").read_text().splitlines()
    }


def test_the_protobuf_code_is_what_generation_gives() -> None:
    command = [sys.executable, str(ROOT / "node" / "api" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_operator_never_becomes_a_module_that_shadows_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
