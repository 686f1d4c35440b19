"""Public coin: a random string nobody knows before enough parties agree to open it (01 section 4, step 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_node.algebra import kernel
from dkg_node.algebra.encoding import enc
from dkg_node.protocols.opening import opening_slot, robust_open

if TYPE_CHECKING:
    from dkg_node.algebra.kernel import Keys
    from dkg_node.protocols.opening import Opening
    from dkg_node.protocols.session import Group, Session, Slot

WORD_BITS = 128
VALUES = 4


def coin_slot(name: str, group: Group) -> Slot:
    """The coin's one slot."""
    return opening_slot(name, group, WORD_BITS, 1)


async def coin(session: Session, slot: str, keys: Keys, label: bytes) -> Opening:
    """RobustOpen of four packed K=128 base values under KDF(r_A, "coin"|label): 64 public bytes.

    ``label`` must hold what the coin is for (batch, round, digest of the list): one coin serves one list, and the
    caller opens it only after that list is fixed. t parties know nothing of it before an honest party sends its share.
    """
    values = kernel.prss(keys.derive(enc("coin", session.sid, session.era)), label, WORD_BITS, 0, VALUES)
    return await robust_open(session, slot, values.pack())
