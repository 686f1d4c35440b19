"""Whatever is wrong: one clear line, the right exit code, nothing half-written taken as done."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from dkg_api.terms import parse_terms
from dkg_node.errors import AttestationError
from dkg_node.service import bridge
from dkg_node.testing.commands import (
    Ended,
    base_port,
    is_alive,
    local_arguments,
    program,
    run,
    run_local,
    wait_until_gone,
)
from dkg_node_software import main, preflight
from dkg_node_software.node_command import SoftwareBuild

Register = Callable[[subprocess.Popen[str]], subprocess.Popen[str]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--params", "tiny"), "unknown parameter set 'tiny': use one of test, core, production"),
        (("-n", "5"), "choose 4 parties for threshold 1"),
        (("-n", "3"), "choose 4 parties for threshold 1"),
        (("-t", "5", "-n", "16"), "choose a threshold of 1 to 4"),
        (("-t", "0", "-n", "1"), "choose a threshold of 1 to 4"),
        (("-n", "four"), "invalid int value"),
        (("--surprise",), "unrecognized arguments"),
        (("--round-timeout", "0"), "above zero"),
        (("--base-port", "70000"), "is busy or not allowed"),
        (("--adversary", "9=crash"), "PARTY 1 to 4"),
        (("--adversary", "2=kindness"), "unknown adversary 'kindness': choose wrong-share"),
    ],
)
def test_arguments_that_can_never_work_start_nothing(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    out = tmp_path / "out"
    run_local(out, *arguments).check_refused(4 if "--base-port" in arguments else 2, words)
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments", [(), ("fly",), ("run-local", "--out"), ("node",), ("verify",), ("drain", "/none")]
)
def test_wrong_commands_are_one_line(arguments: tuple[str, ...]) -> None:
    run("dkg-software", *arguments).check_refused(2)


def test_an_out_that_is_a_file_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    run_local(out).check_refused(2, "is not empty")
    assert out.read_text() == "mine"


def test_a_busy_port_is_named_with_its_party(tmp_path: Path) -> None:
    base = base_port(4)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base + 21))
        taken.listen()
        done = run(
            "dkg-software", "run-local", "-n", "4", "-t", "1", "--out", str(tmp_path / "out"), "--base-port", str(base)
        )
    done.check_refused(4, f"port {base + 21} of party 2 is busy")
    assert not (tmp_path / "out").exists()


def test_a_missing_bridge_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bridge, "COMMAND", "dkg-bridge-that-is-missing")
    assert main.main(local_arguments(tmp_path / "out")) == 4
    assert capsys.readouterr().err == "error: the command dkg-bridge-that-is-missing is missing: run make setup\n"


def test_too_little_disk_is_refused_with_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    assert main.main(local_arguments(tmp_path / "out")) == 4
    line = capsys.readouterr().err
    assert "free some disk" in line
    assert "GiB are free" in line


def test_too_little_memory_is_refused_with_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "available_memory", lambda: 1 << 20)
    assert main.main(local_arguments(tmp_path / "out")) == 4
    assert "free some memory" in capsys.readouterr().err


def test_a_disk_that_fills_up_while_running_ends_the_run_in_one_line(tmp_path: Path) -> None:
    arguments = [program("dkg-software"), *local_arguments(tmp_path / "out")]
    # No file may grow over 100 KiB: what writes the first larger one fails as on a full disk.
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 100; exec "$@"', "limited", *arguments], capture_output=True, text=True, check=False
    )
    Ended(done.returncode, done.stdout, done.stderr, tmp_path).check_refused(4, "File too large")
    assert not (tmp_path / "out" / "certificate.json").exists()


def test_ctrl_c_ends_all_leaves_nothing_that_looks_done_and_can_be_resumed(tmp_path: Path, started: Register) -> None:
    out = tmp_path / "out"
    process = started(
        subprocess.Popen(
            [program("dkg-software"), *local_arguments(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "batch" in line or "online" in line:
            break
    pids = [json.loads(path.read_bytes())["pid"] for path in out.glob("parties/*/identity.json")]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "error: interrupted: nothing unfinished was taken as done\n"
    assert len(pids) == 4
    assert not any(is_alive(pid) for pid in pids)
    assert not (out / "certificate.json").exists()
    run_local(out).check_refused(2, "is not empty")
    resumed = run_local(out, "--resume")
    assert resumed.code == 0, resumed.errors
    assert resumed.last_line.endswith("self-check passed (20 cases)")


def test_where_nothing_was_begun_nothing_is_resumed(tmp_path: Path) -> None:
    run_local(tmp_path / "out", "--resume").check_refused(2, "no run to resume")
    assert not (tmp_path / "out").exists()


def test_nodes_end_when_the_launcher_is_killed(tmp_path: Path, started: Register) -> None:
    out = tmp_path / "out"
    process = started(
        subprocess.Popen([program("dkg-software"), *local_arguments(out)], stdout=subprocess.PIPE, text=True)
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "setup" in line or "batch" in line:
            break
    pids = [json.loads(path.read_bytes())["pid"] for path in out.glob("parties/*/identity.json")]
    process.kill()
    assert len(pids) == 4
    for pid in pids:
        wait_until_gone(pid)


def test_code_that_the_terms_do_not_list_takes_no_part(ceremony: Ended) -> None:
    terms = parse_terms(json.loads((ceremony.out / "terms.json").read_bytes())["terms"])
    other = terms.releases[0].model_copy(update={"pcr0": "77" * 48})
    with pytest.raises(AttestationError, match="which the terms do not list"):
        SoftwareBuild(Path("none")).check_terms(terms.model_copy(update={"releases": (other,)}))
