"""Put the secret key together out of shares. For tests and the software distribution only.

Pure functions over wire bytes; where the shares come from and go to is the caller's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_node.algebra import kernel
from dkg_node.algebra.ring import Ring
from dkg_node.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dkg_node.algebra.ring import Element
    from dkg_node.keygen.parameters import ParameterSet
    from dkg_node.protocols.session import Group, Role

ELEMENT = 4 * 128 // 8
WORD = 128 // 8


def reconstruct(group: Group, params: ParameterSet, shares: Mapping[Role, bytes]) -> bytes:
    """Key bits of the set, one byte 0 or 1 each, in the order of SEGMENTS.

    ``shares``: wire bytes of ``KeyShares.all``. Of 2t+1 parties or more, as many wrong ones are corrected as leave 2t+1
    that agree; of t+1 to 2t parties nothing is corrected, and of t+1 a wrong one shows only as values that are no bits.
    ProtocolError, naming the parties whose length is wrong, when too few agree or a value is no bit.
    """
    length = params.key_bits * ELEMENT
    short = {role for role, data in shares.items() if len(data) != length}
    usable = {role: data for role, data in shares.items() if role not in short}
    if len(usable) <= group.t:
        raise ProtocolError(
            f"{len(usable)} shares of the right length are too few: bring those of {group.t + 1} parties", short
        )
    if len(usable) < group.degree2_quorum:
        values = _agreeing(group, usable)
    else:
        opened = kernel.robust_open(group.n, group.t, 128, usable)
        values = opened[0] if opened else None
    if values is None:
        raise ProtocolError(
            f"the shares of {len(usable)} parties contradict each other: leave out those that are not of this key",
            short,
        )
    return _bits(values, params.key_bits)


def _agreeing(group: Group, shares: Mapping[Role, bytes]) -> bytes | None:
    """What the first and the last t+1 shares open to; None if it differs. Of at most 2t+1 shares they are all."""
    roles = sorted(shares)
    first, last = (_interpolated(used, shares) for used in (roles[: group.t + 1], roles[-group.t - 1 :]))
    return first if first == last else None


def _interpolated(used: Sequence[Role], shares: Mapping[Role, bytes]) -> bytes:
    """Values at 0 of the polynomials through these shares."""
    ring = Ring(128)
    weights = ring.lagrange(used)
    columns = zip(*(_elements(shares[role]) for role in used), strict=True)
    return b"".join(_wire(ring.dot(weights, column)) for column in columns)


def _elements(data: bytes) -> Iterator[Element]:
    for start in range(0, len(data), ELEMENT):
        a, b, c, d = (int.from_bytes(data[start + WORD * j : start + WORD * (j + 1)], "little") for j in range(4))
        yield a, b, c, d


def _wire(element: Element) -> bytes:
    return b"".join(word.to_bytes(WORD, "little") for word in element)


def _bits(values: bytes, count: int) -> bytes:
    """One byte a bit; every element must be a base value 0 or 1."""
    bits = bytes(values[i * ELEMENT] for i in range(count))
    rebuilt = b"".join(bit.to_bytes(ELEMENT, "little") for bit in bits)
    if rebuilt != values or not set(bits) <= {0, 1}:
        raise ProtocolError("the shares open to something that is no bit: they belong to another key or set")
    return bits
