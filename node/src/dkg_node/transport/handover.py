"""How two enclaves of one party reach each other to hand objects over: a stream of messages, one at a time.

The transport proves nothing and hides nothing: what goes through it is bound and encrypted by `sealing.reseal`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Event, Lock, Timer
from typing import Any, Final, TypeVar

import grpc

from dkg_node.errors import DkgError, SealingError, UsageError

SERVICE: Final = "dkg_api.v1.HandOver"
METHOD: Final = "Objects"
MAX_MESSAGE: Final = 16 * 1024 * 1024
"""A sealed share of the largest parameter set has less than 1 MiB."""
TIMEOUT: Final = 120.0
"""Seconds for a whole conversation; KMS is asked meanwhile."""
UNPROVEN: Final = 5.0
"""Seconds for a caller to prove itself; no KMS is asked meanwhile."""
WAIT: Final = UNPROVEN + 1.0
"""Seconds that a caller waits for another conversation, before it is turned away: one that proves nothing ends then."""
AT_ONCE: Final = 4
"""Callers; all but one are turned away."""
_LOG = logging.getLogger(__name__)
_OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.enable_http_proxy", 0),
    ("grpc.so_reuseport", 0),
]

T = TypeVar("T")
Ask = Callable[[bytes], bytes]
"""Send a message, get the answer."""


class HandOverRefused(SealingError):
    """The other enclave said no."""


class HandOverUnreachable(DkgError):
    """Nobody answers, or the conversation broke off."""


@dataclass(slots=True)
class TakeOverPort:
    """Listens until one conversation went to its end."""

    listen: str
    """host:port; port 0 takes a free one."""
    take: Callable[[Iterator[bytes], Callable[[], None]], Iterator[bytes]]
    """Answers to the messages of a caller, telling once it is proven; DkgError ends that conversation and no other."""
    done: Event = field(default_factory=Event)
    _one: Lock = field(default_factory=Lock)
    _server: grpc.Server | None = None

    def start(self) -> int:
        """Listen; the port. UsageError if it can't be had."""
        threads = ThreadPoolExecutor(AT_ONCE, "dkg-take-over")
        server = grpc.server(threads, options=_OPTIONS, maximum_concurrent_rpcs=AT_ONCE)
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._serve)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
        try:
            port = server.add_insecure_port(self.listen)
        except RuntimeError as error:
            raise UsageError(f"free {self.listen} or choose another port: it can't be listened on") from error
        server.start()
        self._server = server
        return port

    def stop(self) -> None:
        """End, with time for the last answer to leave."""
        if self._server is not None:
            self._server.stop(TIMEOUT).wait()

    def _serve(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        if not self._one.acquire(timeout=WAIT):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy")
        limits = [Timer(TIMEOUT, context.cancel), Timer(UNPROVEN, context.cancel)]
        for limit in limits:  # a caller that says nothing, or anything, must not keep others away
            limit.start()
        try:
            yield from self.take(messages, limits[1].cancel)
            self.done.set()
        except DkgError as error:
            _LOG.warning("took nothing over: %s", error)
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "refused")
        finally:
            for limit in limits:
                limit.cancel()
            self._one.release()


def hand_over(target: str, talk: Callable[[Ask], T]) -> T:
    """Hold a conversation with the enclave at ``target`` (host:port); what ``talk`` returns.

    HandOverRefused when it says no, HandOverUnreachable when there is no answer; what ``talk`` raises.
    """
    outgoing: SimpleQueue[bytes | None] = SimpleQueue()
    with grpc.insecure_channel(target, _OPTIONS) as channel:
        method: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(f"/{SERVICE}/{METHOD}")
        answers = method(iter(outgoing.get, None), timeout=TIMEOUT, wait_for_ready=True)

        def ask(message: bytes) -> bytes:
            outgoing.put(message)
            try:
                return next(answers)
            except StopIteration:
                raise HandOverUnreachable("the other enclave ended the conversation; start both sides again") from None

        try:
            result = talk(ask)
            outgoing.put(None)
            for _ in answers:  # the other side is done when it sees the end
                pass
        except grpc.RpcError:
            raise _failure(answers.code()) from None
        finally:
            outgoing.put(None)
            answers.cancel()
    return result


def _failure(code: grpc.StatusCode | None) -> DkgError:
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return HandOverRefused("look into the log of the enclave that takes over: it refused")
    name = "error" if code is None else code.name
    return HandOverUnreachable(f"start the enclave that takes over where it can be reached: no answer ({name})")
