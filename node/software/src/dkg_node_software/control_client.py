"""The launcher's side of the nodes' control sockets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import grpc

from dkg_api.signatures import verify
from dkg_api.v1 import control_pb2, control_pb2_grpc
from dkg_node.service.command import EnvironmentFault, NegativeVerdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

INTERVAL_MS = 200
RETRIES = {"grpc.enable_retries": 0, "grpc.initial_reconnect_backoff_ms": 50, "grpc.max_reconnect_backoff_ms": 200}


@dataclass(frozen=True, slots=True)
class Item:
    """What the display and the launcher use of a status item."""

    state: str
    phase: str
    percent: int
    bits_per_second: int
    sent_bytes: int
    eta_seconds: int | None
    message: str


class ControlClient:
    """One node's control service."""

    def __init__(self, party: int, socket: Path, identity_key: bytes) -> None:
        """``identity_key``: 32 bytes; status items must be signed by it."""
        self._party, self._key = party, identity_key
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}", options=list(RETRIES.items()))
        self._stub = control_pb2_grpc.ControlStub(self._channel)

    async def watch(self) -> AsyncIterator[Item]:
        """Status items until the node ends."""
        request = control_pb2.WatchRequest(least_interval_ms=INTERVAL_MS)
        try:
            async for item in self._stub.Watch(request, wait_for_ready=True):
                read = self._read(item)
                if read is not None:
                    yield read
        except grpc.aio.AioRpcError:
            return

    def _read(self, item: control_pb2.StatusItem) -> Item | None:
        """The item if this party signed it."""
        if item.identity_key != self._key or not verify(self._key, "status", item.content, item.signature):
            return None
        fields = json.loads(item.content)
        if fields["party"] != self._party:
            return None
        return Item(**{name: fields[name] for name in Item.__dataclass_fields__})

    async def fetch(self, name: str, target: Path) -> bytes:
        """Write an artefact; returns its SHA-256. NegativeVerdict when the bytes are not those announced."""
        total, announced, length = sha256(), b"", 0
        temporary = target.with_name(f".{target.name}.new")
        try:
            with temporary.open("wb") as file:
                async for chunk in self._stub.Fetch(control_pb2.FetchRequest(name=name)):
                    file.write(chunk.data)
                    total.update(chunk.data)
                    announced, length = chunk.sha256, length + len(chunk.data)
        except grpc.aio.AioRpcError as error:
            raise EnvironmentFault(f"party {self._party} does not give {name}: {error.details()}") from None
        if announced != total.digest():
            raise NegativeVerdict(f"party {self._party} sent {name} damaged: start again")
        temporary.replace(target)
        return announced

    async def drain(self) -> None:
        """Ask the node to stop; returns when it is safe to end it, or it is gone."""
        try:
            await self._stub.Drain(control_pb2.DrainRequest(reason="the launcher has what it needs"), timeout=20)
        except grpc.aio.AioRpcError:
            return

    async def close(self) -> None:
        """Give up the connection."""
        await self._channel.close()
