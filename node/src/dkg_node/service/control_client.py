"""The other side of a node's control socket: launcher, operator, a person."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import grpc

from dkg_api.signatures import verify
from dkg_api.status import read_status
from dkg_api.v1 import control_pb2, control_pb2_grpc
from dkg_node.service.command import EnvironmentFault, NegativeVerdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dkg_api.status import StatusContent

INTERVAL_MS = 200
OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
)
DRAIN_SECONDS = 20.0
FETCH_SECONDS = 600.0
LARGEST = 1 << 32
"""Most bytes of an artefact that is fetched without another limit."""


class ControlClient:
    """One node's control service."""

    def __init__(self, socket: Path, identity_key: bytes | None = None) -> None:
        """``identity_key`` (32 bytes): status items must be signed by it; None: by the key they name."""
        self._socket, self._key = socket, identity_key
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}", options=OPTIONS)
        self._stub = control_pb2_grpc.ControlStub(self._channel)

    async def watch(self) -> AsyncIterator[StatusContent]:
        """Status items until the node ends; what is not signed as it must be is passed over."""
        request = control_pb2.WatchRequest(least_interval_ms=INTERVAL_MS)
        try:
            async for item in self._stub.Watch(request, wait_for_ready=True):
                read = self._read(item)
                if read is not None:
                    yield read
        except grpc.aio.AioRpcError:
            return

    async def status(self) -> StatusContent:
        """The current status. EnvironmentFault when the node ends before it gives one."""
        async for item in self.watch():
            return item
        raise EnvironmentFault(f"the node behind {self._socket} gives no signed status: look at its log")

    def _read(self, item: control_pb2.StatusItem) -> StatusContent | None:
        key = self._key or item.identity_key
        if item.identity_key != key or not verify(key, "status", item.content, item.signature):
            return None
        return read_status(item.content)

    async def fetch(self, name: str, target: Path, limit: int = LARGEST) -> bytes:
        """Write an artefact of at most ``limit`` bytes; returns its SHA-256.

        NegativeVerdict, with nothing written, when the bytes are not those announced or too many.
        """
        total, announced, length = sha256(), b"", 0
        temporary = target.with_name(f".{target.name}.new")
        try:
            with temporary.open("wb") as file:
                async for chunk in self._stub.Fetch(control_pb2.FetchRequest(name=name), timeout=FETCH_SECONDS):
                    length += len(chunk.data)
                    if length > limit:
                        raise NegativeVerdict(
                            f"the node behind {self._socket} sends too much for {name}: do without it"
                        )
                    file.write(chunk.data)
                    total.update(chunk.data)
                    announced = chunk.sha256
            if announced != total.digest():
                raise NegativeVerdict(f"the node behind {self._socket} sent {name} damaged: start again")
            temporary.replace(target)
        except grpc.aio.AioRpcError as error:
            raise EnvironmentFault(f"the node behind {self._socket} does not give {name}: {error.details()}") from None
        finally:
            temporary.unlink(missing_ok=True)
        return announced

    async def drain(self) -> None:
        """Ask the node to stop; returns when it is safe to end it, or it is gone."""
        try:
            await self._stub.Drain(control_pb2.DrainRequest(reason="asked to"), timeout=DRAIN_SECONDS)
        except grpc.aio.AioRpcError:
            return

    async def close(self) -> None:
        """Give up the connection."""
        await self._channel.close()
