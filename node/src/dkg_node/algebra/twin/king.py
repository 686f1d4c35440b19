"""The king's opening: masked shares and their sum (01 section 4, step 2; Damgard-Nielsen 2007)."""

from __future__ import annotations

from collections.abc import Sequence

from dkg_node.algebra.encoding import Mask, enc
from dkg_node.algebra.ring import ZERO, Element
from dkg_node.algebra.twin.sets import members
from dkg_node.algebra.twin.setup import Keys
from dkg_node.algebra.twin.shares import Shares
from dkg_node.algebra.twin.trim import Trim
from dkg_node.algebra.twin.words import AES_KEY, Buffer, aes_key, element_bytes, read_elements, stream


def king_share(s: Shares, keys: Keys, senders: int, king: int, attempt: int, weights: Sequence[int]) -> bytes:
    """y_i = lambda_i^S s_i + sum_{j>i} F(kappa_ij) - sum_{j<i} F(kappa_ij), j in S, trimmed.

    The masks cancel in the sum over S: king and corrupt senders see only the honest parties' sum. ValueError unless
    S is 2t+1 parties with the king and this one.
    """
    _check_senders(keys, senders, king)
    trim = Trim(s.k, weights, halved=False)
    ring, party = s.ring, keys.party
    among = members(senders)
    scale = ring.lagrange(among)[among.index(party)]
    y = [ring.mul(scale, share) for share in s.elements]
    for j in among:
        if j != party:
            sign = 1 if j > party else -1
            masks = _masks(_pair_key(keys, j, senders, king, attempt), s.k, len(s))
            y = [ring.add(share, ring.scale(mask, sign)) for share, mask in zip(y, masks, strict=True)]
    return trim.write(y)


def canonical(message: Buffer, k: int, count: int, weights: Sequence[int], *, bits: bool) -> bool:
    """Whether a message is ``count`` trimmed elements (y, or V for bits) with no bit above the trim."""
    return Trim(k, weights, halved=bits).read(message, count) is not None


def king_sum(messages: Sequence[Buffer], k: int, count: int, weights: Sequence[int], *, bits: bool) -> bytes | None:
    """Sum of the y of all senders, trimmed; for bits the lowest bit is dropped: V. None if one is not canonical."""
    if not messages:
        raise ValueError("give the messages of all senders")
    trim = Trim(k, weights, halved=False)
    total = [ZERO] * count
    for message in messages:
        y = trim.read(message, count)
        if y is None:
            return None
        total = [(a + e, b + f, c + g, d + h) for (a, b, c, d), (e, f, g, h) in zip(total, y, strict=True)]
    if bits:
        total = [(a >> 1, b >> 1, c >> 1, d >> 1) for a, b, c, d in total]
    return Trim(k, weights, halved=bits).write(total)


def _check_senders(keys: Keys, senders: int, king: int) -> None:
    among = members(senders)
    if len(among) != 2 * keys.t + 1 or among[-1] > keys.n:
        raise ValueError(f"give {2 * keys.t + 1} senders of {keys.n} parties, not {among}")
    if king not in among or keys.party not in among:
        raise ValueError(f"put the king {king} and the own party {keys.party} among the senders {among}")


def _pair_key(keys: Keys, other: int, senders: int, king: int, attempt: int) -> bytes:
    """kappa_ij = XOR over A containing i and j of KDF(k_A, enc("pair", i, j, king, S, try))[:16], i < j.

    For honest i and j one of the sets is all honest, so its term hides the XOR from the adversary.
    """
    low, high = sorted((keys.party, other))
    label = enc("pair", low, high, king, Mask(senders), attempt)
    kappa = 0
    for mask, key in keys.items():
        if other in members(mask):
            kappa ^= int.from_bytes(aes_key(key, label), "little")
    return kappa.to_bytes(AES_KEY, "little")


def _masks(kappa: bytes, k: int, count: int) -> list[Element]:
    """F: four words of the AES-CTR stream an element."""
    return read_elements(stream(kappa, 0, count * element_bytes(k)), k) or []
