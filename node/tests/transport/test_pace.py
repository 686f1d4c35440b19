"""How often a party tries: counted under virtual time, with the sockets alone left out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from dkg_node.testing.virtual_time import run_virtual
from dkg_node.transport.attest import LONGEST_PAUSE, AttestPort, Reply
from dkg_node.transport.frames import Boot
from dkg_node.transport.hub import Hub, Peer
from dkg_node.transport.pause import Pauses
from dkg_node.transport.pinbook import MOST_PINS
from dkg_node.transport.streams import StreamEnd
from dkg_node.transport.tls import Attested, Pin, TlsIdentity

ME, PEER = 2, 1
HOUR = 3600.0
OWN = TlsIdentity.fresh(ME, datetime(2030, 1, 1, tzinfo=UTC))
THEIRS = TlsIdentity.fresh(PEER, datetime(2030, 1, 1, tzinfo=UTC)).der


def tries(
    monkeypatch: pytest.MonkeyPatch, handshake: Callable[[], Reply], seconds: float = HOUR
) -> tuple[int, int, AttestPort]:
    """Handshakes and calls that a party makes in that time towards a peer whose port for streams refuses."""
    made = {"handshakes": 0, "calls": 0}

    async def dial(*_: object) -> Reply:
        made["handshakes"] += 1
        return handshake()

    async def call(*_: object) -> None:
        made["calls"] += 1
        raise StreamEnd("connection refused")

    monkeypatch.setattr(AttestPort, "_dial", dial)
    monkeypatch.setattr(Hub, "_call", call)

    async def scene() -> AttestPort:
        lines: Any = {PEER: SimpleNamespace(useful=False)}
        hub = Hub(ME, OWN, lines, "", lambda *_: None)
        hub._changed = {PEER: asyncio.Event()}
        handshakes: Any = SimpleNamespace(shown=lambda: OWN)
        port = AttestPort(ME, hub, handshakes, "")
        port._wake = {PEER: asyncio.Event()}
        hub.doubt = port.doubt
        port.update({PEER: Peer("127.0.0.1", 1, attest_port=2)})
        tasks = [asyncio.ensure_future(work) for work in (hub._dial(PEER), port._keep(PEER), port._expire())]
        await asyncio.sleep(seconds)
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        return port

    port = run_virtual(scene())
    return made["handshakes"], made["calls"], port


def pinned() -> Reply:
    bond: Any = None
    return Reply(pin=Pin.of_der(PEER, THEIRS, Attested(OWN, bond, Boot(1, bytes(16)))))


def test_a_peer_that_attests_but_refuses_every_stream_is_tried_at_a_bounded_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each refused call doubts the pin, each handshake makes a new one: nothing may spin between the two."""
    handshakes, calls, port = tries(monkeypatch, pinned)
    assert HOUR / LONGEST_PAUSE <= handshakes <= 2 * HOUR / LONGEST_PAUSE + 20
    assert handshakes <= calls <= handshakes + 2 * HOUR / 2.0 + 20
    assert len(port._book.pins[PEER]) <= MOST_PINS


def test_a_peer_whose_attest_port_refuses_is_tried_at_a_bounded_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    handshakes, calls, _ = tries(monkeypatch, lambda: Reply(refusal="it refuses"))
    assert HOUR / LONGEST_PAUSE <= handshakes <= 2 * HOUR / LONGEST_PAUSE + 20
    assert calls == 0, "nothing is pinned"


def test_a_peer_that_comes_back_is_attested_at_once_and_the_next_trouble_is_a_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a minute of refusals the first good handshake ends the pauses."""
    left = [Reply(refusal="not yet")] * 16
    handshakes, _, port = tries(monkeypatch, lambda: left.pop() if left else pinned(), seconds=90.0)
    assert not left
    assert handshakes > 20, "the doubts after it begin with short pauses again"
    assert port.made == handshakes - 16


def test_pauses_double_to_the_longest_and_are_never_in_step() -> None:
    pauses = Pauses(0.1, 5.0)
    found = [pauses.failed() for _ in range(40)]
    bounds = [min(5.0, 0.1 * 2**number) for number in range(40)]
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(found, bounds, strict=True))
    assert len(set(found[10:])) > 20
    pauses.succeeded()
    assert pauses.failed() <= 0.1
