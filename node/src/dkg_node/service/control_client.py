"""The other side of a node's control socket: launcher, operator, a person."""

from __future__ import annotations

from dataclasses import dataclass
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

INTERVAL_MS = 200
OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
)
DRAIN_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Item:
    """A status item of a node."""

    party: int
    notices: tuple[str, ...]
    state: str
    phase: str
    percent: int
    bits_per_second: int
    sent_bytes: int
    eta_seconds: int | None
    message: str
    artefacts: tuple[str, ...]


class ControlClient:
    """One node's control service."""

    def __init__(self, socket: Path, identity_key: bytes | None = None) -> None:
        """``identity_key`` (32 bytes): status items must be signed by it; None: by the key they name."""
        self._socket, self._key = socket, identity_key
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}", options=OPTIONS)
        self._stub = control_pb2_grpc.ControlStub(self._channel)

    async def watch(self) -> AsyncIterator[Item]:
        """Status items until the node ends; what is not signed as it must be is passed over."""
        request = control_pb2.WatchRequest(least_interval_ms=INTERVAL_MS)
        try:
            async for item in self._stub.Watch(request, wait_for_ready=True):
                read = self._read(item)
                if read is not None:
                    yield read
        except grpc.aio.AioRpcError:
            return

    async def status(self) -> Item:
        """The current status. EnvironmentFault when the node ends before it gives one."""
        async for item in self.watch():
            return item
        raise EnvironmentFault(f"the node behind {self._socket} gives no signed status: look at its log")

    def _read(self, item: control_pb2.StatusItem) -> Item | None:
        key = self._key or item.identity_key
        if item.identity_key != key or not verify(key, "status", item.content, item.signature):
            return None
        content = read_status(item.content)
        return None if content is None else Item(**{name: getattr(content, name) for name in Item.__dataclass_fields__})

    async def fetch(self, name: str, target: Path) -> bytes:
        """Write an artefact; returns its SHA-256. NegativeVerdict when the bytes are not those announced."""
        total, announced = sha256(), b""
        temporary = target.with_name(f".{target.name}.new")
        try:
            with temporary.open("wb") as file:
                async for chunk in self._stub.Fetch(control_pb2.FetchRequest(name=name)):
                    file.write(chunk.data)
                    total.update(chunk.data)
                    announced = chunk.sha256
        except grpc.aio.AioRpcError as error:
            raise EnvironmentFault(f"the node behind {self._socket} does not give {name}: {error.details()}") from None
        if announced != total.digest():
            raise NegativeVerdict(f"the node behind {self._socket} sent {name} damaged: start again")
        temporary.replace(target)
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
