"""A failed check as a record that a stranger can judge again (01 section 4, step 7; `dkgctl verify --faults`).

A ``Fault`` holds what was said, with the speakers' signatures: the check shares, the revealed batch keys, the kings'
showing. Who is convicted follows from it by a pure function (``judge.judge``), which the parties ran, too. A stranger
needs the enrolled identity keys, the plan's batch, and from an untrusted store the V that were wrong: right ones follow
from the revealed keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node.offline.king import Post, YPlace
    from dkg_node.protocols.broadcast import Signed
    from dkg_node.protocols.session import Role

Kind = Literal["key", "check share", "sender", "king"]
"""Why a party is Corrupt: it revealed a key that t+1 members of the set contradict; its W of step 6 is not what its
keys give; it signed a block of y that is not what its keys give; as a king it opened another V than it was sent, or
showed what the senders did not sign."""


@dataclass(frozen=True, slots=True)
class StampParts:
    """Of what the stamp of the check shares is the digest, but for list and coin (see ``session.stamp_of``)."""

    before: bytes
    state: bytes
    absent: frozenset[Role]
    history: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A check that failed: what was judged, and everybody's signed check shares. Fixed before any key is revealed."""

    sid: bytes
    era: int
    segment: int
    generation: int
    opened: tuple[tuple[Post, bytes], ...]
    """The round's list: who opened each chunk, and the hash of its V."""
    listing: bytes
    coin: bytes
    y: YPlace
    w_slot: int
    """First slot of the Broadcast of W; every other slot of the round has a fixed distance from it."""
    stamp: StampParts
    w: Mapping[Role, Signed]


@dataclass(frozen=True, slots=True)
class Conviction:
    """One party is Corrupt, and why."""

    party: Role
    kind: Kind


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault event, whole: the charge, the signed reveals and showings, and what follows from them."""

    charge: Charge
    keys: Mapping[Role, Signed]
    showing: Mapping[Role, Signed]
    convictions: tuple[Conviction, ...]
    never_king: frozenset[Role]
    """Kings with a wrong V that showed nothing: not named, never king again."""
    openings: tuple[bytes, ...] = ()
    """Hashes of all wrong V: the bodies to keep for strangers, who get the right ones out of the revealed keys."""

    @property
    def convicted(self) -> frozenset[Role]:
        """Everybody who is Corrupt by this event."""
        return frozenset(conviction.party for conviction in self.convictions)
