"""PRSS keys: what a party holds during setup, and the keys that come out (01 section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import final

from dkg_node.algebra.encoding import Item, Mask, digest, enc, kdf
from dkg_node.algebra.twin.sealed import seal, unseal
from dkg_node.algebra.twin.sets import members, sets_of
from dkg_node.algebra.twin.shares import SECRET, Handle, Secret
from dkg_node.algebra.twin.words import Buffer, check_party, split

ABSENT = bytes(32)
ENTRY = 2 + 1 + SECRET
"""Bytes of one sealed contribution: set, contributor, rho."""


@final
class Contributions(Handle):
    """One party's view of the setup randomness rho_{A,i} of every set A it is in."""

    __slots__ = ("held", "n", "party", "t")

    def __init__(self, n: int, t: int, party: int, seed: Secret) -> None:
        """Own values are KDF(seed, enc("rho", A, i)); nothing of others yet."""
        self.n, self.t, self.party = n, t, party
        self.held = {(mask, party): kdf(seed.value, enc("rho", mask, party)) for mask in sets_of(n, t, party)}

    @staticmethod
    def empty(n: int, t: int, party: int) -> Contributions:
        """Nothing held, not even own values."""
        contributions = Contributions(n, t, party, Secret(ABSENT))
        contributions.held.clear()
        return contributions

    def message_for(self, peer: int) -> bytes:
        """Own rho of every set that contains both, increasing mask."""
        common = self._common(peer)
        if any((mask, self.party) not in self.held for mask in common):
            raise ValueError("make contributions from a seed before you send any")
        return b"".join(self.held[mask, self.party] for mask in common)

    def receive(self, peer: int, message: Buffer) -> bool:
        """Store the peer's rho; False (nothing stored) when the length is wrong."""
        common = self._common(peer)
        if len(message) != SECRET * len(common):
            return False
        self.held.update({(mask, peer): rho for mask, rho in zip(common, split(message, SECRET), strict=True)})
        return True

    def digests(self, sid: bytes) -> bytes:
        """Hashes of all held rho, own A increasing, members increasing; zeros where absent."""
        places = [(mask, i) for mask in sets_of(self.n, self.t, self.party) for i in members(mask)]
        return b"".join(_digest(sid, *place, self.held[place]) if place in self.held else ABSENT for place in places)

    def rho(self, mask: int, contributor: int) -> bytes | None:
        """One stored value; None for what is not held, whatever a peer asked for."""
        return self.held.get((Mask(mask), contributor))

    def fill(self, sid: bytes, mask: int, contributor: int, rho: Buffer, digest: bytes) -> bool:
        """Store rho if its place is one of this party's sets and it hashes to the certified digest."""
        if (
            not self._has_place(mask, contributor)
            or len(rho) != SECRET
            or _digest(sid, Mask(mask), contributor, bytes(rho)) != digest
        ):
            return False
        self.held[Mask(mask), contributor] = bytes(rho)
        return True

    def keys(self, sid: bytes, era: int, counted: Mapping[int, Sequence[int]]) -> Keys:
        """r_A = H("r", sid, E, A, i1, rho1, i2, rho2, ...) of the counted contributors in order of i."""
        keys = []
        for mask in sets_of(self.n, self.t, self.party):
            items: list[Item] = ["r", sid, era, mask]
            for contributor in sorted(set(counted.get(mask, ()))):
                rho = self.rho(mask, contributor)
                if rho is None:
                    raise ValueError(f"fetch the contribution of {contributor} to set {mask:#06x} first")
                items += [contributor, rho]
            if len(items) == 4:
                raise ValueError(f"count a contribution to set {mask:#06x} first")
            keys.append(digest(*items))
        return Keys(self.n, self.t, self.party, keys)

    def sealed(self, key: Secret, aad: bytes) -> bytes:
        """Seal every value held, in order, behind its mask (2 bytes) and contributor (1 byte)."""
        entries = [
            mask.to_bytes(2, "little") + bytes([contributor]) + rho
            for (mask, contributor), rho in sorted(self.held.items())
        ]
        return seal(key.value, _kind("contributions", self.n, self.t, self.party), aad, b"".join(entries))

    @staticmethod
    def unsealed(n: int, t: int, party: int, key: Secret, aad: bytes, blob: Buffer) -> Contributions:
        """Open ``sealed``; ValueError when anything does not belong together."""
        contributions = Contributions.empty(n, t, party)
        for entry in split(unseal(key.value, _kind("contributions", n, t, party), aad, blob), ENTRY):
            mask, contributor = Mask(int.from_bytes(entry[:2], "little")), entry[2]
            if not contributions._has_place(mask, contributor):  # noqa: SLF001 - of its own class
                raise ValueError("give contributions of own sets, in order")
            contributions.held[mask, contributor] = entry[-SECRET:]
        return contributions

    def _has_place(self, mask: int, contributor: int) -> bool:
        return mask in sets_of(self.n, self.t, self.party) and contributor in members(mask)

    def _common(self, peer: int) -> list[Mask]:
        """Sets with both; ValueError when the peer is no other party."""
        check_party(self.n, peer)
        if peer == self.party:
            raise ValueError("name another party than this one")
        return [mask for mask in sets_of(self.n, self.t, self.party) if mask >> (peer - 1) & 1]


@final
class Keys(Handle):
    """PRSS keys of one party: 32 bytes for every set of n-t parties that contains it."""

    __slots__ = ("_n", "_party", "_t", "values")

    def __init__(self, n: int, t: int, party: int, values: Sequence[bytes]) -> None:
        """For the twin's own use; values in order of increasing mask."""
        self._n, self._t, self._party, self.values = n, t, party, tuple(values)

    @staticmethod
    def from_bytes(n: int, t: int, party: int, data: Buffer) -> Keys:
        """Keys in order of increasing mask, 32 bytes each; ValueError for another length."""
        count = len(sets_of(n, t, party))
        if len(data) != SECRET * count:
            raise ValueError(f"give {count} keys of {SECRET} bytes, not {len(data)} bytes")
        return Keys(n, t, party, split(data, SECRET))

    @property
    def n(self) -> int:
        """Parties."""
        return self._n

    @property
    def t(self) -> int:
        """Corrupt parties at most."""
        return self._t

    @property
    def party(self) -> int:
        """Whose keys."""
        return self._party

    def items(self) -> Iterator[tuple[Mask, bytes]]:
        """(A, key), increasing mask."""
        return zip(sets_of(self.n, self.t, self.party), self.values, strict=True)

    def derive(self, label: bytes) -> Keys:
        """KDF(k_A, label) for every A."""
        return Keys(self.n, self.t, self.party, [kdf(value, label) for value in self.values])

    def reveal(self) -> bytes:
        """All keys, in order of increasing mask."""
        return b"".join(self.values)

    def sealed(self, key: Secret, aad: bytes) -> bytes:
        """Seal in frames, bound to n, t and the party."""
        return seal(key.value, _kind("keys", self.n, self.t, self.party), aad, b"".join(self.values))

    @staticmethod
    def unsealed(n: int, t: int, party: int, key: Secret, aad: bytes, blob: Buffer) -> Keys:
        """Open ``sealed``; ValueError when anything does not belong together."""
        sets_of(n, t, party)
        return Keys.from_bytes(n, t, party, unseal(key.value, _kind("keys", n, t, party), aad, blob))


def _kind(what: str, n: int, t: int, party: int) -> bytes:
    return enc(what, n, t, party)


def _digest(sid: bytes, mask: Mask, contributor: int, rho: bytes) -> bytes:
    return digest("prss", sid, mask, contributor, rho)
