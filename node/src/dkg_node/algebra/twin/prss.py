"""Pseudo-random sharings without interaction (Cramer-Damgard-Ishai 2005; 01 section 3)."""

from __future__ import annotations

from dkg_node.algebra.ring import ZERO, Element, Ring, alpha, product
from dkg_node.algebra.twin.sets import constants
from dkg_node.algebra.twin.setup import Keys
from dkg_node.algebra.twin.shares import Shares
from dkg_node.algebra.twin.words import aes_key, element_bytes, read_elements, ring_of, signed_limbs, split, stream


def prss(keys: Keys, label: bytes, k: int, start: int, count: int) -> Shares:
    """Shares of base values start..start+count-1: sum_A psi_A g_A(i), psi_A a word of the label's stream of A."""
    ring = ring_of(k)
    if start < 0 or count < 0:
        raise ValueError(f"ask for values from 0 on, not {count} from {start}")
    width = k // 8
    sums = [ZERO] * count
    for mask, key in keys.items():
        g = constants(keys.n, mask).values[keys.party]
        psi = map(signed_limbs, split(stream(aes_key(key, label), start * width, count * width), width))
        sums = [ring.add(total, ring.scale(g, value)) for total, value in zip(sums, psi, strict=True)]
    return Shares(k, sums)


def przs(keys: Keys, label: bytes, k: int, count: int) -> Shares:
    """Degree-2t shares of zero: sum_A g_A(i) sum_{u=1..t} alpha_i^u zeta_{A,u}, zeta uniform in R.

    g_A has degree t and the inner sum is a polynomial of degree t without constant term: their product has
    degree 2t and is 0 at 0.
    """
    ring = ring_of(k)
    sums = [ZERO] * count
    for mask, key in keys.items():
        g = constants(keys.n, mask).values[keys.party]
        zeta = read_elements(stream(aes_key(key, label), 0, count * keys.t * element_bytes(k)), k) or []
        for v in range(count):
            inner = _without_constant(ring, zeta[v * keys.t : (v + 1) * keys.t], alpha(keys.party))
            sums[v] = ring.add(sums[v], product(g, inner))
    return Shares(k, sums)


def _without_constant(ring: Ring, coefficients: list[Element], at: Element) -> Element:
    """sum_{u=1..t} coefficients_u at^u."""
    return ring.evaluate([ZERO, *coefficients], at)
