"""No variable, option or input turns attestation off, and nobody goes round it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from dkg_api.desired_state import DesiredState, PeerEntry
from dkg_node.service import dkgctl, node_main
from dkg_node.service.command import Parser

NODE = Path(__file__).resolve().parents[2]
SOURCES = [
    path
    for part in ("src/dkg_node", "api/src/dkg_api")
    for path in sorted((NODE / part).rglob("*.py"))
    if "testing" not in path.parts and "v1" not in path.parts
]
MAY_TOUCH = {
    "service/node_main.py": "sets one variable that gRPC reads",
    "sealing/aws.py": "empties the environment before botocore reads it",
}
READS = {"environ", "getenv", "environb", "getenvb", "which", "expanduser", "expandvars"}
SUSPICIOUS = ("insecure", "skip", "no-attest", "no-verify", "allow", "trust", "root", "unsafe", "disable", "force")


def names(tree: ast.AST) -> Iterator[str]:
    """Every attribute and name that is used or imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(NODE)))
def test_nothing_reads_the_environment(path: Path) -> None:
    if any(path.as_posix().endswith(allowed) for allowed in MAY_TOUCH):
        return
    assert not READS & set(names(ast.parse(path.read_text())))


def test_the_files_that_may_touch_the_environment_exist() -> None:
    assert all(any(path.as_posix().endswith(name) for path in SOURCES) for name in MAY_TOUCH)


def test_every_network_of_a_node_is_made_with_handshakes() -> None:
    calls = [
        call
        for path in SOURCES
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "PeerNetwork"
    ]
    assert calls
    for call in calls:
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        assert isinstance(given.get("handshakes"), ast.Name), "a name that mypy knows is never None"


def test_no_option_of_a_node_or_tool_sounds_like_a_way_round() -> None:
    parsers = {"node": Parser()}
    node_main.add_options(parsers["node"])
    for name, command in dkgctl.TOOLS.items():
        module = __import__(command.module, fromlist=["add_options"])
        parsers[name] = Parser()
        module.add_options(parsers[name])
    for name, parser in parsers.items():
        options = [option for action in parser._actions for option in action.option_strings]
        found = [option for option in options if any(word in option for word in SUSPICIOUS)]
        assert not found, (name, found)


def test_the_desired_state_has_no_field_for_a_root_or_a_policy() -> None:
    assert set(DesiredState.model_fields) == {
        "terms", "signatures", "party", "attempt", "key_arn", "peers", "enrolments", "bucket", "erase_order",
        "successions",
    }  # fmt: skip
    assert set(PeerEntry.model_fields) == {"index", "host", "peer_port", "attest_port"}
