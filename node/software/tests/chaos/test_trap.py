"""A trap goes off at its place, once, and says so before it does."""

import asyncio
import json
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from dkg_node.protocols.session import Exchange, Tag
from dkg_node_software.chaos.trap import Trapped, parse_trap


class Network:
    """Answers at once and remembers what it was asked."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    def open_segment(self, segment: int, deadlines: Sequence[float], era: int = 0) -> None:
        self.log.append(("open", segment))

    def close_segment(self, segment: int, era: int = 0) -> None:
        self.log.append(("close", segment))

    async def exchange(self, request: Exchange) -> Mapping[int, bytes | None]:
        self.log.append((request.slot, sorted(request.outgoing)))
        return {}

    def port(self) -> int:
        return 7051


class Scene:
    """A trapped network whose signals are only noted, with what was done before each."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch, *traps: str) -> None:
        self.journal, self.inner, self.signals = path / "chaos.jsonl", Network(), list[tuple[int, int, int]]()
        patch.setattr("os.kill", self._note)
        self.network: Any = Trapped(self.inner, [parse_trap(text) for text in traps], self.journal)  # type: ignore[arg-type]

    def _note(self, _: int, number: int) -> None:
        self.signals.append((number, len(self.inner.log), len(self.fired())))

    def fired(self) -> list[str]:
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        return [json.loads(line)["trap"] for line in lines]

    def exchange(self, segment: int, slot: str) -> None:
        request = Exchange(Tag(segment, 0, 0), dict.fromkeys((1, 2, 3, 4), b"x"), frozenset(), 9, slot)
        asyncio.run(self.network.exchange(request))


def test_it_goes_off_before_the_slot_and_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path, monkeypatch, "2/votes.1/before=stop")
    for segment, slot in ((1, "votes.1"), (2, "votes.2"), (2, "votes.1"), (2, "votes.1")):
        scene.exchange(segment, slot)
    assert scene.signals == [(signal.SIGSTOP, 2, 1)]
    assert scene.fired() == ["2/votes.1/before=stop"]
    assert len(scene.inner.log) == 4


def test_it_goes_off_after_the_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path, monkeypatch, "2/W.1/after=kill")
    scene.exchange(2, "W.1")
    assert scene.signals == [(signal.SIGKILL, 1, 1)]


def test_in_the_middle_of_a_slot_half_of_the_peers_have_the_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path, monkeypatch, "2/y/during=kill")
    scene.exchange(2, "y")
    assert scene.inner.log[0] == ("y", [1, 2])
    assert scene.signals == [(signal.SIGKILL, 1, 1)]


@pytest.mark.parametrize(("text", "done"), [("3/open/before=kill", 0), ("3/open/after=kill", 1)])
def test_the_start_of_a_segment_can_be_hit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, done: int
) -> None:
    scene = Scene(tmp_path, monkeypatch, text)
    scene.network.open_segment(3, ())
    assert scene.signals == [(signal.SIGKILL, done, 1)]


@pytest.mark.parametrize(("text", "done"), [("3/close/before=stop", 0), ("3/close/after=stop", 1)])
def test_the_end_of_a_segment_can_be_hit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, done: int) -> None:
    scene = Scene(tmp_path, monkeypatch, text)
    scene.network.close_segment(3)
    assert scene.signals == [(signal.SIGSTOP, done, 1)]


def test_everything_else_is_the_networks_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path, monkeypatch)
    assert scene.network.port() == 7051
