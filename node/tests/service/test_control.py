from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.enrolment import Keyring
from dkg_api.signatures import public_bytes
from dkg_api.status import StatusContent
from dkg_node.ceremony.progress import Progress
from dkg_node.errors import DkgError
from dkg_node.service.command import EnvironmentFault
from dkg_node.service.control import ControlService, serve
from dkg_node.service.control_client import ControlClient
from dkg_node.service.identity import NodeIdentity
from dkg_node.service.status import StatusBoard

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = public_bytes(KEY)
BIG = bytes(range(256)) * 4096 * 3


@dataclass
class Node:
    board: StatusBoard
    service: ControlService
    server: grpc.Server
    socket: Path
    file: Path


@pytest.fixture
def node(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    file = tmp_path / "keyset.bin"
    file.write_bytes(BIG)
    board = StatusBoard(3, bytes(32), 1, ("SOFTWARE ATTESTATION: PROVES NOTHING",))
    artefacts = {"public/keyset.bin": file, "certificate.json": tmp_path / "none"}
    service = ControlService(board, NodeIdentity(KEY, Keyring({})), artefacts)
    socket = tmp_path_factory.mktemp("s") / "c.sock"
    server = serve(service, socket)
    yield Node(board, service, server, socket, file)
    service.drained.set()
    server.stop(None).wait()


def test_the_socket_is_for_its_owner_only(node: Node) -> None:
    assert node.socket.stat().st_mode & 0o777 == 0o600


def test_watch_gives_the_current_status_first_then_changes_signed_by_the_node(node: Node) -> None:
    async def scene() -> list[StatusContent]:
        client = ControlClient(node.socket, PUBLIC)
        seen: list[StatusContent] = []
        async for item in client.watch():
            seen.append(item)
            if item.state == "waiting":
                node.board.progress(Progress("batch 1", 42, 7, 8, 9))
            elif item.phase == "batch 1":
                node.board.show("done", "done")
            else:
                break
        await client.close()
        return seen

    seen = asyncio.run(scene())
    assert [item.state for item in seen] == ["waiting", "running", "done"]
    assert (seen[1].percent, seen[1].bits_per_second, seen[1].eta_seconds) == (42, 8, 9)
    assert all(item.notices == ("SOFTWARE ATTESTATION: PROVES NOTHING",) for item in seen)


def test_status_signed_by_another_key_is_passed_over(node: Node) -> None:
    async def scene() -> None:
        client = ControlClient(node.socket, bytes(32))
        node.board.show("failed", "stopped")
        try:
            await client.status()
        finally:
            await client.close()

    with pytest.raises(EnvironmentFault, match="no signed status"):
        asyncio.run(scene())


def test_fetch_brings_an_artefact_whole(node: Node, tmp_path: Path) -> None:
    async def scene() -> bytes:
        client = ControlClient(node.socket, PUBLIC)
        try:
            return await client.fetch("public/keyset.bin", tmp_path / "fetched")
        finally:
            await client.close()

    assert asyncio.run(scene()) == sha256(BIG).digest()
    assert (tmp_path / "fetched").read_bytes() == BIG


@pytest.mark.parametrize("name", ["certificate.json", "../secret", "", "share.sealed", "/etc/passwd"])
def test_fetch_gives_public_artefacts_that_are_there_and_nothing_else(node: Node, tmp_path: Path, name: str) -> None:
    async def scene() -> None:
        client = ControlClient(node.socket, PUBLIC)
        try:
            await client.fetch(name, tmp_path / "fetched")
        finally:
            await client.close()

    with pytest.raises(DkgError, match=r"ask for one of: public/keyset\.bin"):
        asyncio.run(scene())
    assert not (tmp_path / "fetched").exists()


def test_drain_answers_when_it_is_safe_and_not_before(node: Node) -> None:
    async def scene() -> list[str]:
        client = ControlClient(node.socket, PUBLIC)
        order = []

        async def drain() -> None:
            await client.drain()
            order.append("answered")

        asking = asyncio.create_task(drain())
        await asyncio.to_thread(node.service.drain.wait)
        order.append("stopping")
        node.service.drained.set()
        await asking
        await client.close()
        return order

    assert asyncio.run(scene()) == ["stopping", "answered"]
