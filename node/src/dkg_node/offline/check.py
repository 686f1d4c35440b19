"""The check of a batch: the opened V are the values the parties share (01 section 4, steps 5 and 6).

Furukawa-Lindell 2019 over R = GR(2^K, 4): a public coin picks D digits per element out of 16 exceptional ones, and the
digit-weighted sums of all s - V must be sharings of zero. A forged element passes one digit with probability 1/16 at
most, so a batch with a wrong V passes 32 digits with 2^-128. Sums leave a party only with a fresh PRZS of degree 2t
under them: unmasked, 32 digits would give away a chunk.

Acceptance reads the shares of ALL parties that spoke, n-t at least: a degree-2t word is only ever checked, never
corrected, and no subset is picked (2t+1 arbitrary shares always fit).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_node.algebra import kernel
from dkg_node.errors import QuorumLost
from dkg_node.offline.labels import chi_key, zero_label
from dkg_node.protocols.opening import element_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node.algebra.kernel import Keys, Shares
    from dkg_node.offline.chunk import Chunk
    from dkg_node.protocols.session import Group, Role

DIGITS = 32
"""D: 16^-32 = 2^-128 for the batch. A constant: nothing of the product takes another number."""


def w_bytes(k: int) -> int:
    """Length of one party's W: D elements."""
    return DIGITS * element_bytes(k)


def w_of_chunk(chunk: Chunk, keys: Keys, s: Shares, v: bytes, coin: bytes, listing: bytes) -> Shares | None:
    """W_{i,c,d} = sum_m chi_{m,d} 2^weight(m) (s_m - V_m) + Z_{i,c,d}, masked; None if V is not canonical.

    ``keys`` are the chunk keys. Z is a PRZS of degree 2t under "zero"|H(list)|coin; digit d takes its value d.
    """
    chi, zero = chi_key(coin, listing, chunk), zero_label(coin, listing)
    sums = kernel.check_shares(s, v, chi, DIGITS, chunk.weights, bits=chunk.opens_bits)
    return None if sums is None else sums.add(kernel.przs(keys, zero, chunk.k, DIGITS))


def read_w(k: int, outputs: Mapping[Role, bytes | None]) -> dict[Role, bytes]:
    """The check shares of everybody whose Broadcast output can be read; one of a wrong length is as good as none."""
    return {role: body for role, body in outputs.items() if body is not None and len(body) == w_bytes(k)}


def accepted(group: Group, k: int, outputs: Mapping[Role, bytes | None], active: frozenset[Role]) -> bool:
    """Whether the W of all parties that spoke lie, digit for digit, on degree-2t polynomials with value 0 at 0.

    ``outputs`` are Broadcast outputs. QuorumLost, naming the silent, when fewer than n-t can be read: 2t+1 shares and a
    zero fit whatever is sent.
    """
    spoken = read_w(k, outputs)
    if len(spoken) < group.quorum:
        raise QuorumLost(
            "fewer than n-t parties took part in the check; bring the silent ones back", active - set(spoken)
        )
    return kernel.lies_on(group.n, 2 * group.t, k, spoken)
