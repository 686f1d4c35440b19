"""Handshakes as the attest port wants them: attestation's state machines with this boot's keys and clock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

from dkg_node.attestation.handshake import Dialer, Listener, Speaker
from dkg_node.attestation.messages import NONCE_BYTES, refused
from dkg_node.attestation.obstacles import ChannelRefused, Obstacle
from dkg_node.service.clock import milliseconds
from dkg_node.transport.attest import Reply
from dkg_node.transport.frames import Boot
from dkg_node.transport.settings import Lifetimes
from dkg_node.transport.tls import Attested, Pin, TlsIdentity

if TYPE_CHECKING:
    from dkg_api.user_data import UserData
    from dkg_node.attestation.binding import ChannelKey
    from dkg_node.attestation.handshake import Agreed, Step
    from dkg_node.protocols.session import Role


@dataclass(slots=True)
class Boots:
    """The newest boot of each party that ever proved itself here. Safe to use from several threads."""

    _known: dict[Role, Boot] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def newer(self, statement: UserData) -> tuple[int, bytes] | None:
        """Number and id of a boot before which that one has to stop; None: there is none.

        Two boots with one number are two copies, and the first one stays.
        """
        known = self._known.get(statement.party)
        boot = Boot(statement.boot_number, statement.boot_id)
        if known is None or boot == known or boot.number > known.number:
            return None
        return known.number, known.id

    def take(self, statement: UserData) -> bool:
        """Remember it; False if a newer one has come meanwhile."""
        with self._lock:
            if self.newer(statement) is not None:
                return False
            self._known[statement.party] = Boot(statement.boot_number, statement.boot_id)
            return True


@dataclass(slots=True)
class Identities:
    """What this side shows: a new key and certificate whenever a handshake finds the present one too old."""

    role: Role
    lifetimes: Lifetimes
    clock: Callable[[], float] = time.monotonic
    _made: float = field(init=False)
    _now: TlsIdentity = field(init=False)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        """Make the first one."""
        self._made, self._now = self.clock(), TlsIdentity.fresh(self.role, datetime.now(UTC))

    def current(self) -> TlsIdentity:
        """The present one."""
        return self._now

    def young(self) -> TlsIdentity:
        """The present one, or a new one in its place."""
        with self._lock:
            if self.clock() >= self._made + self.lifetimes.renew:
                self._made, self._now = self.clock(), TlsIdentity.fresh(self.role, datetime.now(UTC))
            return self._now


@dataclass(frozen=True, slots=True)
class Channels:
    """One boot's side of all handshakes (see ``transport.attest.Handshakes``)."""

    speaker: Speaker
    """Its ``newer`` must be that of ``boots``."""
    key: ChannelKey
    identities: Identities
    boots: Boots
    clock: Callable[[], int] = milliseconds
    """ms since 1970, of the enclave."""

    def dial(self, peer: Role) -> Dialled:
        """A handshake with that listener."""
        own = self.identities.young()
        return Dialled(self, own, Dialer(self.speaker, peer, own.der, os.urandom(NONCE_BYTES)))

    def listen(self) -> Listened:
        """A handshake with whoever calls."""
        own = self.identities.young()
        return Listened(self, own, Listener(self.speaker, own.der, os.urandom(NONCE_BYTES)))

    def shown(self) -> TlsIdentity:
        """What handshakes show now."""
        return self.identities.current()

    def reply(self, step: Step, own: TlsIdentity) -> Reply:
        """A step as the transport wants it."""
        if step.refusal is not None:
            return Reply(step.message, refusal=str(step.refusal), outlived=step.outlived)
        if step.agreed is None:
            return Reply(step.message)
        try:
            return Reply(step.message, self._pin(step.agreed, own))
        except ChannelRefused as refusal:
            return Reply(refused(refusal), refusal=str(refusal))

    def _pin(self, agreed: Agreed, own: TlsIdentity) -> Pin:
        said = agreed.statement
        bond = self.key.bond(agreed)
        if not self.boots.take(said):
            raise ChannelRefused.by(Obstacle.BOOT, f"boot number {said.boot_number}")
        boot = Boot(said.boot_number, said.boot_id)
        return Pin.of_der(agreed.peer, agreed.certificate, Attested(own, bond, boot))


@dataclass(frozen=True, slots=True)
class Dialled:
    """See ``transport.attest.Dialling``."""

    channels: Channels
    own: TlsIdentity
    dialer: Dialer

    def hello(self) -> bytes:
        """The first message."""
        return self.dialer.hello()

    def response(self, data: bytes) -> Reply:
        """Answer to the second."""
        return self.channels.reply(self.dialer.response(data, self.channels.clock()), self.own)

    def confirmed(self, data: bytes) -> Reply:
        """After the last."""
        return self.channels.reply(self.dialer.confirmed(data), self.own)


@dataclass(frozen=True, slots=True)
class Listened:
    """See ``transport.attest.Listening``."""

    channels: Channels
    own: TlsIdentity
    listener: Listener

    def hello(self, data: bytes) -> Reply:
        """Answer to the first message."""
        return self.channels.reply(self.listener.hello(data), self.own)

    def finish(self, data: bytes) -> Reply:
        """Answer to the third."""
        return self.channels.reply(self.listener.finish(data, self.channels.clock()), self.own)

    def busy(self) -> bytes:
        """Turns a caller away."""
        return refused(ChannelRefused.by(Obstacle.BUSY, "rate limit"))
