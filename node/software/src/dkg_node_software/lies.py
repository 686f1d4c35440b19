"""Lies that must be computed: the party's own copy of protocol functions is replaced before the ceremony begins.

Signed like the truth, so that what convicts a liar is what it signed. One class a lie, named in ``LIES``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dkg_node.offline import king
from dkg_node.protocols import broadcast

if TYPE_CHECKING:
    from dkg_node.ceremony.ports import Network
    from dkg_node.protocols.session import Exchange, Role

Body = Callable[[bytes], bytes]


@dataclass(slots=True)
class Stage:
    """Where the liar is, and where it lies."""

    only: int | None = None
    """Index of the one segment to lie in; None: all."""
    segment: int = 0

    @property
    def on(self) -> bool:
        """Whether to lie now."""
        return self.only is None or self.only == self.segment


HONEST = frozenset({"dkg_node.offline.judge", "dkg_node.offline.verify"})
"""A liar judges as everybody does: else it would only drop out."""


def replace_everywhere(original: Callable[..., Any], substitute: Callable[..., Any]) -> None:
    """Put another function under every name that the node's modules have for ``original``, but where it judges."""
    for name, module in list(sys.modules.items()):
        if name.startswith("dkg_node.") and name not in HONEST:
            for attribute, value in list(vars(module).items()):
                if value is original:
                    setattr(module, attribute, substitute)


def flipped(data: bytes, mask: int) -> bytes:
    """Bits of the first byte flipped: of an element of weight 0, so the encoding stays canonical."""
    return bytes([data[0] ^ mask]) + data[1:] if data else data


@dataclass(slots=True)
class Lie:
    """One way to lie."""

    stage: Stage

    def onto(self, network: Network) -> Network:
        """Begin; returns the network to use."""
        self.begin()
        return network

    def begin(self) -> None:
        """Replace what must be replaced."""


class WrongY(Lie):
    """A sender's y is off by two: the sum is even and wrong."""

    mask = 2

    def begin(self) -> None:
        """See Lie."""
        honest = king.own_y
        replace_everywhere(honest, lambda *given: self.bend(honest(*given)))

    def bend(self, y: bytes) -> bytes:
        """The wrong y."""
        return flipped(y, self.mask) if self.stage.on else y


class OddY(WrongY):
    """A sender adds one: the king's honest-looking sum is odd, and the wire's trimming drops it."""

    mask = 1

    def bend(self, y: bytes) -> bytes:
        """Plus one where that carries nothing."""
        return flipped(y, 1) if self.stage.on and y and not y[0] & 1 else y


class WrongV(Lie):
    """A king adds up wrongly."""

    def begin(self) -> None:
        """See Lie."""
        honest = king.add_up

        def lie(*given: Any, **named: Any) -> bytes | None:  # noqa: ANN401 - the honest function's arguments
            v = honest(*given, **named)
            return flipped(v, 1) if v is not None and self.stage.on else v

        replace_everywhere(honest, lie)


class Slander(Lie):
    """A king says that an honest sender sent it nothing."""

    def begin(self) -> None:
        """See Lie."""
        honest = king.collect

        async def lie(session: Any, *given: Any, **named: Any) -> Mapping[Role, bytes | None]:  # noqa: ANN401 - the same
            got = dict(await honest(session, *given, **named))
            others = sorted(role for role in got if role != session.me)
            if others and self.stage.on:
                got[others[0]] = None
            return got

        replace_everywhere(honest, lie)


class Spoken(Lie):
    """Lies in the bodies of Broadcasts whose name ends so."""

    ends: tuple[str, ...] = ()

    def begin(self) -> None:
        """See Lie."""
        honest = broadcast.broadcast

        async def lie(session: Any, name: str, body: bytes, **named: Any) -> Mapping[Role, bytes | None]:  # noqa: ANN401 - the same
            if self.stage.on and self.wanted(name, session.segment):
                body = self.bend(body)
            return await honest(session, name, body, **named)

        replace_everywhere(honest, lie)

    def wanted(self, name: str, segment: int) -> bool:
        """Whether to lie in this Broadcast."""
        del segment
        return name in self.ends

    def bend(self, body: bytes) -> bytes:
        """What is said instead."""
        return flipped(body, 1)


class WrongW(Spoken):
    """A wrong sum in the check."""

    ends = ("W",)


class WrongVotes(Spoken):
    """Votes for hashes of nothing."""

    ends = ("votes",)

    def bend(self, body: bytes) -> bytes:
        """The first entry: another hash, or not even an entry."""
        return body[:1] + flipped(body[1:], 1)


class WrongKeys(Spoken):
    """Lies as a sender and then about its keys when they are revealed."""

    ends = ("keys",)

    def begin(self) -> None:
        """See Lie."""
        Spoken.begin(self)
        WrongY(self.stage).begin()


class WrongHashes(Spoken):
    """Misreports every hash of the setup."""

    def wanted(self, name: str, segment: int) -> bool:
        """The setup's only."""
        return name == "digests" and segment == 0

    def bend(self, body: bytes) -> bytes:
        """Every entry is another."""
        return bytes(byte ^ 0x55 for byte in body)


class WrongDigest(Spoken):
    """Says that another key came out."""

    def wanted(self, name: str, segment: int) -> bool:
        """The online phase's only."""
        return name == "digests" and segment != 0


class SilentAfterW(WrongW):
    """A wrong sum in the check, then nothing more about it: neither ``fault`` signature nor keys."""

    def onto(self, network: Network) -> Network:
        """See Lie."""
        self.begin()
        return _Mute(network)  # type: ignore[return-value]  # everything else is the network's own


class TwoFaced(Lie):
    """Signs two bodies in every Broadcast and sends each to half of the others."""

    def onto(self, network: Network) -> Network:
        """See Lie."""
        other: dict[tuple[int, str], bytes] = {}
        honest = broadcast._opening_message  # noqa: SLF001 - the one place where a body is signed

        def lie(session: Any, name: str, body: bytes) -> bytes:  # noqa: ANN401 - the honest function's arguments
            if self.stage.on:
                other[session.segment, f"{name}.1"] = honest(session, name, body[:-1] + bytes([body[-1] ^ 1]))
            return honest(session, name, body)

        replace_everywhere(honest, lie)
        return _Faces(network, other)  # type: ignore[return-value]  # everything else is the network's own


@dataclass(frozen=True, slots=True)
class _Mute:
    """Says nothing in the slots that come after a fault."""

    network: Network

    def __getattr__(self, name: str) -> object:
        return getattr(self.network, name)

    async def exchange(self, request: Exchange) -> Mapping[Role, bytes | None]:
        if any(word in request.slot for word in ("fault", "keys", "show")):
            request = replace(request, outgoing={})
        return await self.network.exchange(request)


@dataclass(frozen=True, slots=True)
class _Faces:
    """The second body goes to every other peer."""

    network: Network
    other: dict[tuple[int, str], bytes] = field(default_factory=dict)

    def __getattr__(self, name: str) -> object:
        return getattr(self.network, name)

    async def exchange(self, request: Exchange) -> Mapping[Role, bytes | None]:
        second = self.other.get((request.tag.segment, request.slot))
        if second is not None:
            few = sorted(request.outgoing)[::2]
            out = {role: second if role in few else data for role, data in request.outgoing.items()}
            request = replace(request, outgoing=out)
        return await self.network.exchange(request)


LIES: dict[str, type[Lie]] = {
    "wrong-y": WrongY,
    "odd-y": OddY,
    "wrong-V": WrongV,
    "slander-king": Slander,
    "wrong-W": WrongW,
    "wrong-W-then-silent": SilentAfterW,
    "wrong-votes": WrongVotes,
    "wrong-keys": WrongKeys,
    "wrong-hashes": WrongHashes,
    "wrong-digest": WrongDigest,
    "two-faced": TwoFaced,
}
