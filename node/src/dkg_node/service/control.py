"""The control service on a Unix socket: Watch, Fetch, Drain (04, "Node and operator"). Read-only but for Drain."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from threading import Event
from typing import TYPE_CHECKING

import grpc

from dkg_api.v1 import control_pb2, control_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from dkg_node.service.identity import NodeIdentity
    from dkg_node.service.status import StatusBoard

CHUNK = 1 << 20
THREADS = 6
"""Watchers hold one each: the launcher, a person or two, and room for Fetch and Drain."""
HEARTBEAT = 1.0
"""Seconds after which a watcher gets an item though nothing has changed: bytes and estimate move on."""
GONE = ("drained", "failed")


class ControlService(control_pb2_grpc.ControlServicer):
    """One node's door for its operator."""

    def __init__(self, board: StatusBoard, identity: NodeIdentity, artefacts: Mapping[str, Path]) -> None:
        """``artefacts``: public files by name; only those can be fetched."""
        self._board, self._identity, self._artefacts = board, identity, artefacts
        self.drain = Event()
        """Set when somebody asked the node to stop."""
        self.drained = Event()
        """Set when it is safe to end the process."""

    def Watch(  # noqa: N802 - the service's name
        self, request: control_pb2.WatchRequest, context: grpc.ServicerContext
    ) -> Iterator[control_pb2.StatusItem]:
        """The current status, then every change, at most one item per ``least_interval_ms``."""
        number = 0
        while context.is_active():
            number, status = self._board.after(number, HEARTBEAT)
            content = self._board.content(number, status)
            signature = self._identity.sign("status", content)
            yield control_pb2.StatusItem(content=content, identity_key=self._identity.public, signature=signature)
            if status.state in GONE or self.drained.wait(request.least_interval_ms / 1000):
                return

    def Fetch(  # noqa: N802 - the service's name
        self, request: control_pb2.FetchRequest, context: grpc.ServicerContext
    ) -> Iterator[control_pb2.Chunk]:
        """A public artefact from ``offset`` on."""
        path = self._artefacts.get(request.name)
        if path is None or not path.exists():
            names = ", ".join(sorted(name for name, place in self._artefacts.items() if place.exists()))
            context.abort(grpc.StatusCode.NOT_FOUND, f"ask for one of: {names or 'nothing yet'}")
        with path.open("rb") as file:
            total = file.seek(0, 2)
            digest = _hash_of(path)
            file.seek(min(request.offset, total))
            yield control_pb2.Chunk(data=file.read(CHUNK), total=total, sha256=digest)
            while data := file.read(CHUNK):
                yield control_pb2.Chunk(data=data, total=total, sha256=digest)

    def Drain(  # noqa: N802 - the service's name
        self, request: control_pb2.DrainRequest, context: grpc.ServicerContext
    ) -> control_pb2.DrainReply:
        """Stop; answers when it is safe to end the process."""
        del request
        _, status = self._board.after(0, 0)
        self.drain.set()
        while context.is_active() and not self.drained.wait(HEARTBEAT):
            pass
        return control_pb2.DrainReply(state=status.state)


def serve(service: ControlService, socket: Path) -> grpc.Server:
    """Start the service; the socket is for this user only. OSError when it can't be made."""
    socket.unlink(missing_ok=True)
    server = grpc.server(ThreadPoolExecutor(THREADS, thread_name_prefix="control"))
    control_pb2_grpc.add_ControlServicer_to_server(service, server)
    if not server.add_insecure_port(f"unix:{socket}"):
        raise OSError(f"can't listen on {socket}")
    server.start()
    socket.chmod(0o600)
    return server


def _hash_of(path: Path) -> bytes:
    total = sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            total.update(block)
    return total.digest()
