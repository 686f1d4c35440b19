"""RobustOpen: every party learns the secrets of a vector of degree-t sharings in one slot (01 sections 1, 5).

A degree-t word on n = 3t+1 points has distance 2t+1, so t wrong or missing shares are corrected with no interaction.
Degree-2t words never come here: they may only be checked, never corrected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_node.algebra import kernel
from dkg_node.errors import QuorumLost
from dkg_node.protocols.session import Slot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node.algebra.kernel import Shares
    from dkg_node.protocols.session import Group, Role, Session


@dataclass(frozen=True, slots=True)
class Opening:
    """Opened vector: 4 words of K/8 bytes an element; the parties whose share was wrong or did not come in time.

    An empty message is none: who came back and must not speak yet sends it, so that nobody waits.
    """

    values: bytes
    liars: frozenset[Role]
    missing: frozenset[Role]


def element_bytes(k: int) -> int:
    """Bytes of an element of R on the wire."""
    return 4 * k // 8


def opening_slot(name: str, group: Group, k: int, elements: int) -> Slot:
    """The slot of one RobustOpen of ``elements`` elements."""
    return Slot(name, 2 * (group.n - 1) * elements * element_bytes(k), 1e-6 * group.n * elements)


async def robust_open(session: Session, slot: str, shares: Shares) -> Opening:
    """Open ``shares`` to all in one slot; it ends without the stragglers once 2t+1 shares lie on one polynomial.

    Raises QuorumLost naming the missing when no polynomial of degree t agrees with 2t+1 shares: only possible
    when more than t parties are silent or lie.
    """
    k, wire = shares.k, shares.to_wire()

    def decoded(got: Mapping[Role, bytes | None]) -> tuple[bytes, int] | None:
        usable = {role: data for role, data in got.items() if data is not None and len(data) == len(wire)}
        if len(usable) < session.group.degree2_quorum:
            return None
        return kernel.robust_open(session.group.n, session.group.t, k, usable)

    got = await session.exchange(
        slot,
        dict.fromkeys(session.group.roles, wire),
        limit=len(wire),
        enough=lambda partial: decoded(partial) is not None,
    )
    opened = decoded(got)
    missing = frozenset(role for role, data in got.items() if not data)
    if opened is None:
        msg = f"opening {slot!r} can't be decoded: over {session.group.t} parties are silent or wrong; bring them back"
        raise QuorumLost(msg, missing)
    values, mask = opened
    short = {role for role, data in got.items() if data and len(data) != len(wire)}
    return Opening(values, frozenset(role for role in session.group.roles if mask >> (role - 1) & 1) | short, missing)
