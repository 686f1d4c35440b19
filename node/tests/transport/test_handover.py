"""The port where a share is taken over: whatever callers do, the next honest conversation goes to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Thread

import grpc
import pytest

from dkg_node.errors import SealingError, UsageError
from dkg_node.transport import handover
from dkg_node.transport.handover import Ask, HandOverRefused, HandOverUnreachable, TakeOverPort, hand_over


def echo(messages: Iterator[bytes], proven: Callable[[], None]) -> Iterator[bytes]:
    """Two answers, then the end; anything that is not asked politely is refused. Two messages are proof enough."""
    for number in range(2):
        message = next(messages, b"")
        if not message.startswith(b"please "):
            raise SealingError("ask politely")
        if number == 1:
            proven()
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


def test_who_proves_nothing_does_not_keep_the_conversation_from_the_next(
    port: TakeOverPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller that has had its first answer is heard no longer than a proof takes; who comes meanwhile waits that."""
    monkeypatch.setattr(handover, "UNPROVEN", 0.5)
    target = f"127.0.0.1:{port.start()}"
    begun, over = Event(), Event()

    def stuck(ask: Ask) -> None:
        ask(b"please 1")
        begun.set()
        over.wait()

    def hold() -> None:
        with suppress(HandOverUnreachable):
            hand_over(target, stuck)

    thread = Thread(target=hold)
    thread.start()
    try:
        assert begun.wait(30)
        assert hand_over(target, polite) == [b"1 esaelp", b"2 esaelp"]
    finally:
        over.set()
        thread.join()


def test_who_has_proven_itself_has_the_time_that_kms_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "UNPROVEN", 0.2)

    def slow(messages: Iterator[bytes], proven: Callable[[], None]) -> Iterator[bytes]:
        next(messages)
        proven()
        assert not Event().wait(1.0)  # longer than the limit that has ended
        yield b"kept"

    port = TakeOverPort("127.0.0.1:0", slow)
    try:
        assert hand_over(f"127.0.0.1:{port.start()}", lambda ask: ask(b"3")) == b"kept"
    finally:
        port.stop()


def test_a_second_caller_is_turned_away_meanwhile(port: TakeOverPort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "WAIT", 0.5)
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
