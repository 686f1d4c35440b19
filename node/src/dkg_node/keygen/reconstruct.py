"""Put the secret key together out of shares. For tests and the software distribution only.

Pure functions over wire bytes; where the shares come from and go to is the caller's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_node.algebra import kernel
from dkg_node.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node.keygen.parameters import ParameterSet
    from dkg_node.protocols.session import Group, Role

ELEMENT = 4 * 128 // 8
WORD = 128 // 8


def reconstruct(group: Group, params: ParameterSet, shares: Mapping[Role, bytes]) -> bytes:
    """Key bits of the set, one byte 0 or 1 each, in the order of SEGMENTS.

    ``shares``: wire bytes of ``KeyShares.all`` of at least 2t+1 parties; up to t wrong ones are corrected.
    ProtocolError, naming the parties whose length is wrong, when too few agree or a value is no bit.
    """
    length = params.key_bits * ELEMENT
    short = {role for role, data in shares.items() if len(data) != length}
    usable = {role: data for role, data in shares.items() if role not in short}
    opened = kernel.robust_open(group.n, group.t, 128, usable) if len(usable) >= group.degree2_quorum else None
    if opened is None:
        raise ProtocolError(
            f"shares of {len(usable)} parties don't give a key: bring the right shares of {group.degree2_quorum}", short
        )
    values, _ = opened
    return _bits(values, params.key_bits)


def _bits(values: bytes, count: int) -> bytes:
    """One byte a bit; every element must be a base value 0 or 1."""
    bits = bytes(values[i * ELEMENT] for i in range(count))
    rebuilt = b"".join(bit.to_bytes(ELEMENT, "little") for bit in bits)
    if rebuilt != values or not set(bits) <= {0, 1}:
        raise ProtocolError("the shares open to something that is no bit: they belong to another key or set")
    return bits
