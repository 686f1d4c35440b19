"""Known answers of every derivation: a change of a label, a layout or an order shows here, on twin and kernel alike.

``vectors/kernel.json`` holds SHA-256 of each output; after an intended change (it changes every key of a ceremony)
write the file anew from ``answers``.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest

VECTORS = Path(__file__).parents[1] / "vectors" / "kernel.json"
GROUPS = [(4, 1), (7, 2), (10, 3), (13, 4)]
PARTY = 2
SID = b"sid"


def some(size: int) -> bytes:
    """Public test bytes, without a pattern."""
    return b"".join(sha256(i.to_bytes(4, "little")).digest() for i in range(-(-size // 32)))[:size]


def answers(impl: ModuleType, n: int, t: int, k: int) -> dict[str, bytes]:
    """Every derivation once, small."""
    draws = impl.Contributions(n, t, PARTY, impl.Secret.from_bytes(some(32)))
    sets = [mask for mask, _ in impl.prss_constants(n, t, PARTY)]
    keys = draws.keys(SID, 3, {mask: [PARTY] for mask in sets})
    senders = (1 << 2 * t + 1) - 1
    weights = [0, 1, 9]
    s = impl.Shares.from_wire(k, some(3 * k // 2))
    v = impl.king_sum([impl.king_share(s, keys, senders, 1, 5, weights)], k, 3, weights, bits=True)
    return {
        "digests": draws.digests(SID),
        "message": draws.message_for(1),
        "prss": impl.prss(keys, b"label", k, 1, 5).to_wire(),
        "derived": impl.prss(keys.derive(b"chunk"), b"label", k, 0, 1).to_wire(),
        "przs": impl.przs(keys, b"label", k, 3).to_wire(),
        "king": impl.king_share(s, keys, senders, 1, 5, weights),
        "V": v,
        "check": impl.check_shares(s, v, some(16), 32, weights, bits=True).to_wire(),
    }


@pytest.mark.parametrize(("n", "t"), GROUPS)
def test_outputs_are_the_committed_ones(impl: ModuleType, n: int, t: int, k: int) -> None:
    wanted = json.loads(VECTORS.read_text())[f"{n}/{t} K={k}"]
    assert {name: sha256(out).hexdigest() for name, out in answers(impl, n, t, k).items()} == wanted
