"""What of a peer's letters is read at all: nothing for a while of one that has shown signatures that do not hold.

A letter is bounded by its kind before it is taken apart, and so are the signatures that one letter has this party look
at. Who says or signs something that it did not sign is not heard for a quarter of roundTimeout: honest parties never do
that. Who shows an era or a chain that does not prove itself may be honest, and know a key of a third party that this
one has not heard of: only what it shows is passed over, and it is asked to show it again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dkg_node.ceremony import letters

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_node.ceremony.chain import EraProof
    from dkg_node.ceremony.letters import Letter
    from dkg_node.protocols.session import Group, Identity, Role

DEAF_PART = 4
"""A peer is not heard for this part of roundTimeout."""


class Checked:
    """An Identity that remembers whether a signature did not hold."""

    def __init__(self, identity: Identity) -> None:
        """Of one party."""
        self._identity = identity
        self.failed = False

    def sign(self, purpose: str, message: bytes) -> bytes:
        """See Identity."""
        return self._identity.sign(purpose, message)

    def verify(self, role: Role, purpose: str, message: bytes, signature: bytes) -> bool:
        """See Identity."""
        good = self._identity.verify(role, purpose, message, signature)
        self.failed = self.failed or not good
        return good


class Ears:
    """One party's."""

    def __init__(
        self, group: Group, identity: Identity, round_timeout: float, again: Callable[[Role, float], None]
    ) -> None:
        """``again(role, seconds)`` asks a peer after that time for what it showed."""
        self._group, self._pause, self._again = group, round_timeout / DEAF_PART, again
        self.identity = Checked(identity)
        """To be used for all that letters say."""
        self.unproven = False
        """Set by the reader of a Show that does not prove itself."""
        self._deaf: dict[tuple[Role, bool], float] = {}

    def hear(
        self, role: Role, data: bytes, most: Callable[[EraProof], int], read: Callable[[Role, Letter], None]
    ) -> None:
        """Hand a peer's bytes to ``read`` if they are a letter and the peer is heard; see ``letters.decode``."""
        now, show = asyncio.get_running_loop().time(), letters.is_show(data)
        if any(now < self._deaf.get((role, kind), 0.0) for kind in {False, show}):
            return
        self.identity.failed = self.unproven = False
        letter = letters.decode(self._group, data, most)
        if letter is not None:
            read(role, letter)
        if (self.unproven or letter is None) if show else self.identity.failed:
            self._deaf[role, show] = now + self._pause
            if show:
                self._again(role, self._pause)
