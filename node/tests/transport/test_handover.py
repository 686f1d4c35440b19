"""The port where a share is taken over: whatever callers do, the next honest conversation goes to its end."""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue

import grpc
import pytest

from dkg_node.errors import SealingError, UsageError
from dkg_node.transport import handover
from dkg_node.transport.handover import Ask, HandOverRefused, HandOverUnreachable, TakeOverPort, hand_over


def echo(messages: Iterator[bytes]) -> Iterator[bytes]:
    """Two answers, then the end; anything that is not asked politely is refused."""
    for _ in range(2):
        message = next(messages, b"")
        if not message.startswith(b"please "):
            raise SealingError("ask politely")
        yield message[::-1]


@pytest.fixture
def port() -> Iterator[TakeOverPort]:
    made = TakeOverPort("127.0.0.1:0", echo)
    yield made
    made.stop()


def polite(ask: Ask) -> list[bytes]:
    return [ask(b"please 1"), ask(b"please 2")]


def test_messages_are_answered_in_turn_to_the_end(port: TakeOverPort) -> None:
    target = f"127.0.0.1:{port.start()}"
    assert hand_over(target, polite) == [b"1 esaelp", b"2 esaelp"]
    assert port.done.is_set()


def test_a_refusal_a_break_and_silence_end_one_conversation_and_no_other(
    port: TakeOverPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "TIMEOUT", 0.5)
    target = f"127.0.0.1:{port.start()}"
    with pytest.raises(HandOverRefused):
        hand_over(target, lambda ask: ask(b"now!"))
    with pytest.raises(HandOverRefused):  # the caller ends after the first message
        hand_over(target, lambda ask: ask(b"please 1"))
    with grpc.insecure_channel(target) as channel:
        method: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
            f"/{handover.SERVICE}/{handover.METHOD}"
        )
        nothing: SimpleQueue[bytes] = SimpleQueue()
        silent = method(iter(nothing.get, b""), timeout=30.0)
        with pytest.raises(grpc.RpcError):
            next(silent)
        assert silent.code() is grpc.StatusCode.CANCELLED  # by the port, not by this caller's own limit
        nothing.put(b"")
    assert not port.done.is_set()
    monkeypatch.setattr(handover, "TIMEOUT", 60.0)
    assert hand_over(target, polite)
    assert port.done.is_set()


def test_a_second_caller_is_turned_away_meanwhile(port: TakeOverPort) -> None:
    target = f"127.0.0.1:{port.start()}"

    def first(ask: Ask) -> bytes:
        answer = ask(b"please 1")
        with pytest.raises(HandOverUnreachable, match="RESOURCE_EXHAUSTED"):
            hand_over(target, polite)
        ask(b"please 2")
        return answer

    assert hand_over(target, first) == b"1 esaelp"


def test_nobody_there_and_a_port_in_use_are_told(monkeypatch: pytest.MonkeyPatch, port: TakeOverPort) -> None:
    number = port.start()
    with pytest.raises(UsageError, match="choose another port"):
        TakeOverPort(f"127.0.0.1:{number}", echo).start()
    monkeypatch.setattr(handover, "TIMEOUT", 0.2)
    with pytest.raises(HandOverUnreachable, match="no answer"):
        hand_over("127.0.0.1:1", polite)
