"""A new release takes a share over through real nodes: only what all organisations signed for, only for one party."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any, Protocol

import pytest

from dkg_node_software.agreement import Agreement
from dkg_node_software.main import main
from dkg_node_software.measure import measure

NEGATIVE, USAGE, ENVIRONMENT = 1, 2, 4
Capture = pytest.CaptureFixture[str]
Started = Callable[[Popen[str]], Popen[str]]
PROGRAM = str(Path(sys.executable).parent / "dkg-software")
OTHER = {"pcr0": "1a" * 48, "pcr1": "1b" * 48, "pcr2": "1c" * 48}


class Organisations(Protocol):
    """See conftest."""

    agreement: Agreement
    place: Path
    double: Path

    def home(self, party: int) -> Path: ...
    def sealer(self, party: int, attempt: int) -> Any: ...  # noqa: ANN401 - a KmsSealer
    def write_state(self, party: int, **changes: object) -> Path: ...
    def node(self, mode: str, party: int, *more: str) -> int: ...
    def order(self, party: int, serial: int = 1, *more: str) -> int: ...
    def ordered(self, party: int) -> dict[str, Any]: ...
    def papers(self, party: int) -> list[str]: ...
    def leave(self, action: str, *arguments: str) -> int: ...
    def successor(self, step: str, *arguments: str) -> int: ...
    def succeed(self, releases: list[dict[str, str]]) -> Path: ...
    def certificate(self, keyset: str) -> str: ...
    def take_up(self, party: int, path: Path, port: int) -> Path: ...
    def side(self, party: int) -> Any: ...  # noqa: ANN401 - a DoubleParty


def refused(capsys: Capture, found: int, expected: int, words: str) -> None:
    """One line on stderr that has the words, and the exit code."""
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert found == expected, errors
    assert len(errors) == 1
    assert words in errors[0]


@pytest.fixture
def port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def changed(tmp_path: Path, change_code: Callable[[Path], dict[str, str]]) -> dict[str, str]:
    """The environment of another release: a copy of the node with one more line."""
    return {**os.environ, **change_code(tmp_path / "changed")}


def measured(environment: dict[str, str]) -> dict[str, str]:
    done = subprocess.run(
        [PROGRAM, "release", "measure"], capture_output=True, text=True, check=True, env=environment
    )  # fmt: skip
    release: dict[str, str] = json.loads(done.stdout)
    return release


def arguments(organisations: Organisations, home: Path, mode: str) -> list[str]:
    state = str(home / "desired-state.json")
    return ["node", "--mode", mode, "--desired-state", state, "--aws-double", str(organisations.double)]


def take_over(organisations: Organisations, home: Path, environment: dict[str, str]) -> Popen[str]:
    """The new release's node; it listens when this returns."""
    command = [PROGRAM, *arguments(organisations, home, "take-over")]
    process = Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert process.stdout is not None
    said = ""
    while "taking over on port" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return process


def ended(process: Popen[str]) -> str:
    output, _ = process.communicate(timeout=60)
    return output


def run(organisations: Organisations, home: Path, mode: str, environment: dict[str, str]) -> tuple[int, str]:
    command = [PROGRAM, *arguments(organisations, home, mode)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return done.returncode, done.stdout + done.stderr


def test_a_share_goes_to_the_new_release_and_the_old_one_leaves(
    organisations: Organisations,
    changed: dict[str, str],
    port: int,
    started: Started,
    names: Callable[[str], None],
    capsys: Capture,
) -> None:
    """Two really different trees of code: signed, handed over, and the old key ended; the share opens still."""
    release = measured(changed)
    assert release != measure()
    home = organisations.take_up(1, organisations.succeed([release]), port)
    taker = started(take_over(organisations, home, changed))
    assert organisations.node("hand-over", 1) == 0
    assert "share kept as" in capsys.readouterr().out
    said = ended(taker)
    assert taker.returncode == 0, said
    assert "party 1: its share opens" in said
    code, said = run(organisations, home, "check", changed)
    assert code == 0, said
    refused(capsys, main(arguments(organisations, home, "check")), NEGATIVE, "denied: ")  # the old code

    names("local organisation 1\nlocal organisation 1\n")
    assert organisations.order(1) == 0
    organisations.write_state(1, eraseOrder=organisations.ordered(1))
    assert organisations.node("leave", 1) == 0
    credentials = str(organisations.place / "break-glass-1.json")
    assert organisations.leave("finish", *organisations.papers(1), "--credentials", credentials) == 0
    code, said = run(organisations, home, "check", changed)
    assert code == 0, said

    state = json.loads((home / "desired-state.json").read_text())
    old_order = {**state, "eraseOrder": organisations.ordered(1)}
    (home / "desired-state.json").write_text(json.dumps(old_order))
    code, said = run(organisations, home, "leave", changed)
    assert code == NEGATIVE
    assert "order: " in said  # an order for the first terms erases nothing under the successor


def test_a_party_leaves_successor_terms_too(
    organisations: Organisations, port: int, started: Started, names: Callable[[str], None], capsys: Capture
) -> None:
    """Both releases are this code: who erases, signs and ends what is the same."""
    path = organisations.succeed([measure()])
    home = organisations.take_up(1, path, port)
    taker = started(take_over(organisations, home, dict(os.environ)))
    assert organisations.node("hand-over", 1) == 0
    assert taker.wait(timeout=60) == 0
    after = ["--after", str(path), "--certificate", str(organisations.place / "certificate.json")]
    names("local organisation 1\nlocal organisation 1\n")
    assert organisations.order(1, 1, *after) == 0
    state = json.loads((home / "desired-state.json").read_text())
    (home / "desired-state.json").write_text(json.dumps({**state, "eraseOrder": organisations.ordered(1)}))
    assert main(arguments(organisations, home, "leave")) == 0
    assert not list(home.glob("*.sealed"))
    key = state["successions"][0]["keyArn"]
    papers = [*organisations.papers(1), "--receipt", str(home / "receipt.json")]
    credentials = ["--credentials", str(organisations.place / "break-glass-1.json")]
    capsys.readouterr()
    refused(capsys, organisations.leave("finish", *papers, *credentials), NEGATIVE, "belongs to others")
    old = next(e["key_arn"] for e in state["enrolments"] if e["party"] == 1)
    mine = [*papers, *credentials, *after]
    refused(capsys, organisations.leave("finish", *mine), USAGE, "--key-arn")
    refused(capsys, organisations.leave("finish", *mine, "--key-arn", old), NEGATIVE, "KMS key")
    assert organisations.leave("finish", *mine, "--key-arn", key) == NEGATIVE
    found = capsys.readouterr()
    assert f"{key} is disabled" in found.out
    assert f"end what opens the same share under the first terms too: {old} (Enabled)" in found.err
    refused(capsys, main(arguments(organisations, home, "check")), NEGATIVE, "disabled: ")
    organisations.write_state(1)
    assert organisations.node("check", 1) == 0  # the key of the first terms: this is what was said
    glass = organisations.side(1).api("kms", "break-glass")
    glass.disable_key(KeyId=old)
    glass.schedule_key_deletion(KeyId=old, PendingWindowInDays=7)
    names("local organisation 1\n")
    assert organisations.leave("finish", *mine, "--key-arn", key) == 0


def test_a_new_release_takes_nothing_over_into_the_old_ones_place(
    organisations: Organisations, port: int, capsys: Capture
) -> None:
    """It would seal over the identity key, which the old release then could not open."""
    organisations.take_up(1, organisations.succeed([measure()]), port)
    before = {path: path.read_bytes() for path in organisations.home(1).glob("*.sealed")}
    capsys.readouterr()
    refused(capsys, main(arguments(organisations, organisations.home(1), "take-over")), NEGATIVE, "occupied: ")
    assert {path: path.read_bytes() for path in organisations.home(1).glob("*.sealed")} == before
    organisations.write_state(1)
    assert organisations.node("check", 1) == 0


@pytest.mark.parametrize("name", ["identity", "share", "prss"])
def test_what_others_put_there_meanwhile_is_not_sealed_over_and_what_it_took_over_itself_is(
    organisations: Organisations, port: int, started: Started, capsys: Capture, name: str
) -> None:
    home = organisations.take_up(1, organisations.succeed([measure()]), port)
    taker = started(take_over(organisations, home, dict(os.environ)))
    foreign = (organisations.home(1) / ("share.sealed" if name == "prss" else f"{name}.sealed")).read_bytes()
    (home / f"{name}.sealed").write_bytes(foreign)
    capsys.readouterr()
    refused(capsys, organisations.node("hand-over", 1), NEGATIVE, "it refused")
    assert [path.name for path in home.glob("*.sealed")] == [f"{name}.sealed"]
    assert (home / f"{name}.sealed").read_bytes() == foreign
    (home / f"{name}.sealed").unlink()
    assert organisations.node("hand-over", 1) == 0
    assert taker.wait(timeout=60) == 0
    if name == "share":  # broken off after the identity key, say
        (home / "share.sealed").unlink()
    again = started(take_over(organisations, home, dict(os.environ)))
    assert organisations.node("hand-over", 1) == 0
    assert again.wait(timeout=60) == 0


def test_code_that_the_successor_terms_do_not_list_gets_nothing(
    organisations: Organisations, changed: dict[str, str], port: int, started: Started, capsys: Capture
) -> None:
    """The own organisation starts code of its own as taker; all signed for another release."""
    home = organisations.take_up(1, organisations.succeed([OTHER]), port)
    taker = started(take_over(organisations, home, changed))
    refused(capsys, organisations.node("hand-over", 1), NEGATIVE, "run a release that the terms list")
    taker.terminate()
    taker.wait(timeout=60)
    assert not list(home.glob("*.sealed"))
    assert organisations.node("check", 1) == NEGATIVE  # under the successor nothing is there
    organisations.write_state(1)
    assert organisations.node("check", 1) == 0  # under the first terms all is


def test_an_identity_key_that_nobody_enrolled_is_not_taken_over(
    organisations: Organisations, port: int, started: Started, capsys: Capture
) -> None:
    organisations.sealer(1, 0).seal_bytes("identity", 0, bytes(32))
    home = organisations.take_up(1, organisations.succeed([measure()]), port)
    taker = started(take_over(organisations, home, dict(os.environ)))
    capsys.readouterr()
    refused(capsys, organisations.node("hand-over", 1), NEGATIVE, "it refused")
    assert taker.poll() is None  # it waits for a better one
    taker.terminate()
    taker.wait(timeout=60)


def test_successor_terms_without_every_signature_move_nothing(
    organisations: Organisations, port: int, capsys: Capture
) -> None:
    path = organisations.succeed([OTHER])
    value = json.loads(path.read_text())
    path.write_text(json.dumps({**value, "signatures": value["signatures"][:3]}))
    capsys.readouterr()
    home = organisations.take_up(1, path, port)
    for mode in ("hand-over", "take-over", "check", "leave"):
        refused(capsys, main(arguments(organisations, home, mode)), USAGE, "local organisation 4")
    certificate = str(organisations.place / "certificate.json")
    refused(
        capsys, organisations.successor("check", str(path), "--certificate", certificate), NEGATIVE, "organisation 4"
    )  # fmt: skip


def test_a_forged_or_foreign_certificate_moves_nothing(
    organisations: Organisations, port: int, capsys: Capture
) -> None:
    """Signed successor terms of one key set let nobody move the share of another."""
    home = organisations.take_up(1, organisations.succeed([OTHER]), port)
    path = home / "certificate.json"
    good = json.loads(path.read_text())
    capsys.readouterr()
    path.write_text(json.dumps({**good, "digests": {"keyset": "cd" * 32}}))
    refused(capsys, main(arguments(organisations, home, "check")), NEGATIVE, "signature of party 1")
    path.write_text(json.dumps({**good, "signatures": good["signatures"][:2]}))
    refused(capsys, main(arguments(organisations, home, "check")), NEGATIVE, "2 parties signed, 3 must")
    path.write_text(organisations.certificate("cd" * 32))
    refused(capsys, main(arguments(organisations, home, "check")), USAGE, "another certificate")
    path.write_text(json.dumps(good))
    state = json.loads((home / "desired-state.json").read_text())
    (home / "desired-state.json").write_text(json.dumps({**state, "attempt": 2}))
    refused(capsys, main(arguments(organisations, home, "check")), USAGE, "not attempt 2")


def test_a_key_elsewhere_or_with_another_policy_takes_nothing_over(
    organisations: Organisations, port: int, capsys: Capture
) -> None:
    home = organisations.take_up(1, organisations.succeed([measure()]), port)
    state = json.loads((home / "desired-state.json").read_text())
    capsys.readouterr()
    (succession,) = state["successions"]
    old = next(e["key_arn"] for e in state["enrolments"] if e["party"] == 1)
    for arn, code, words in ((old, NEGATIVE, "terms: "), (old.replace("key/", "alias/"), USAGE, "single-region key")):
        changed = {**state, "successions": [{**succession, "keyArn": arn}]}
        (home / "desired-state.json").write_text(json.dumps(changed))
        refused(capsys, main(arguments(organisations, home, "check")), code, words)


def test_a_hand_over_to_nobody_is_no_verdict(
    organisations: Organisations, port: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dkg_node.transport.handover.TIMEOUT", 1.0)
    organisations.take_up(1, organisations.succeed([OTHER]), port)
    capsys.readouterr()
    refused(capsys, organisations.node("hand-over", 1), ENVIRONMENT, "no answer")
    organisations.write_state(1)
    refused(capsys, organisations.node("hand-over", 1), USAGE, "successions")
