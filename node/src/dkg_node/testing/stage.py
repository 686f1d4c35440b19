"""Parties that exchange letters in virtual time, for tests of what happens outside of slots."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.enrolment import Keyring
from dkg_api.signatures import public_bytes, sign, verify
from dkg_node.ceremony.mailbox import Mailbox
from dkg_node.ceremony.ports import Network
from dkg_node.protocols.session import Group, Role

T = TypeVar("T")
BEGIN = 1000.0
"""Virtual time at which every scene begins."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer when nothing else is to be done: nobody waits for real time."""

    def __init__(self) -> None:
        """Begin at ``BEGIN``."""
        super().__init__()
        self.virtual = BEGIN

    def time(self) -> float:
        """Virtual seconds."""
        return self.virtual

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.virtual = max(self.virtual, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Letter:
    """A message outside of slots; ``payload`` None: a new boot of the sender."""

    role: Role
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class PlainIdentity:
    """Signatures with keys that everybody in the test knows."""

    role: Role
    keys: Mapping[Role, Ed25519PrivateKey]

    def sign(self, purpose: str, message: bytes) -> bytes:
        """With this party's key."""
        return sign(self.keys[self.role], purpose, message)

    def verify(self, role: Role, purpose: str, message: bytes, signature: bytes) -> bool:
        """With that party's key."""
        return verify(public_bytes(self.keys[role]), purpose, message, signature)


@dataclass(slots=True)
class PostOffice:
    """Letters between all parties, in order, at once; those to silent parties and from them are lost."""

    group: Group
    silent: frozenset[Role]
    sent: int = 0
    queues: dict[Role, asyncio.Queue[Letter]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """One queue a party."""
        self.queues = {role: asyncio.Queue() for role in self.group.roles}


@dataclass(frozen=True, slots=True)
class Letters:
    """One party's side of the post office: the part of the network port that knows no slots."""

    office: PostOffice
    role: Role

    def post(self, role: Role, payload: bytes) -> None:
        """Queue a letter."""
        self.office.sent += 1
        if not {role, self.role} & self.office.silent:
            self.office.queues[role].put_nowait(Letter(self.role, payload))

    async def inbox(self) -> Letter:
        """The next letter."""
        return await self.office.queues[self.role].get()

    def now(self) -> float:
        """Virtual seconds."""
        return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class Stage:
    """All parties with their keys and pumped mailboxes."""

    group: Group
    office: PostOffice
    keys: Mapping[Role, Ed25519PrivateKey]
    mailboxes: Mapping[Role, Mailbox]

    def identity(self, role: Role) -> PlainIdentity:
        """One party's signatures."""
        return PlainIdentity(role, self.keys)

    def keyring(self) -> Keyring:
        """Everybody enrolled."""
        return Keyring({role: (public_bytes(key),) for role, key in self.keys.items()})


def play(scene: Callable[[Stage], Awaitable[T]], t: int = 1, silent: Sequence[Role] = ()) -> T:
    """Run ``scene(stage)`` in virtual time with n = 3t+1 parties of which some are silent."""

    async def main() -> T:
        group = Group(3 * t + 1, t)
        office = PostOffice(group, frozenset(silent))
        keys = {role: Ed25519PrivateKey.from_private_bytes(bytes([role]) * 32) for role in group.roles}
        boxes = {role: Mailbox(group, role, cast("Network", Letters(office, role))) for role in group.roles}
        pumps = [asyncio.create_task(box.pump()) for box in boxes.values()]
        try:
            return await scene(Stage(group, office, keys, boxes))
        finally:
            for pump in pumps:
                pump.cancel()

    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()
