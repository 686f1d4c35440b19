"""Sealing under AWS KMS: a header with the wrapped data key, then what the kernel sealed under a key derived from it.

One data key for each attempt and boot; each object has its own key by KDF from it, and stands in the associated data of
its frames with ceremony, terms digest, party, attempt and epoch. A data key of an earlier boot is asked for once.

A boot lists the store once and remembers the digest of whatever it wrote or read: a host that hides or swaps an object
while the party runs gets a refusal, and never a second value in place of the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from dkg_node.algebra.encoding import enc
from dkg_node.algebra.kernel import Contributions, Keys, Secret, Shares
from dkg_node.sealing.kms import MAX_WRAPPED
from dkg_node.sealing.reasons import Reason, SealingRefusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_node.sealing.kms import Context, DataKey
    from dkg_node.sealing.stores import BlobStore

MAGIC: Final = b"DKG SEALED BY KMS 1\n"
LENGTH: Final = 2
"""Bytes of the wrapped key's length, little endian, after the first line."""

FIRST: Final = 1
MARK: Final = ".a"
Buffer = bytes | memoryview
T = TypeVar("T")
LONG_LIVED: Final = 0
"""Attempt number of objects that outlive attempts: the identity key."""
OTHERS: Final = frozenset({Reason.CONTEXT, Reason.OTHER_KEY, Reason.DAMAGED})
"""Why a data key in a store is not this party's of this attempt: its object stays shut, and no other."""


class Sealable(Protocol):
    """A kernel handle that can leave memory encrypted."""

    def sealed(self, key: Secret, aad: bytes) -> bytes:
        """AES-256-GCM under ``key``, bound to ``aad``."""
        ...


class DataKeys(Protocol):
    """Who makes data keys and opens them again: ``kms.KeyService``."""

    def new_key(self, context: Context) -> DataKey:
        """A fresh one. SealingRefusal when there is none to be had."""
        ...

    def open_key(self, wrapped: bytes, context: Context) -> Secret:
        """That of an earlier boot. SealingRefusal when it stays shut."""
        ...


@dataclass(slots=True)
class KmsSealer:
    """The sealed objects of one party and attempt (see ``ports.Sealer``). Attempt 0 holds what outlives attempts.

    In the store the objects of attempts from 2 on have the attempt in their names: ``share.a2``.
    """

    store: BlobStore
    service: DataKeys
    context: Context
    _own: DataKey | None = field(default=None, init=False, repr=False)
    _known: dict[bytes, Secret] = field(default_factory=dict, init=False, repr=False)
    _seen: dict[str, bytes] | None = field(default=None, init=False, repr=False)
    """What lies there, by name: SHA-256 of what this boot wrote or read; empty where it has done neither."""

    def ready(self, besides: str) -> None:
        """Ask for this boot's data key, and for those of earlier boots that the objects need: later nothing waits.

        ``besides``: the object that lies there too and is not this attempt's.

        SealingRefusal when the service gives none. An object that was sealed under others' keys says so when it is
        opened.
        """
        self._data_key()
        for name in self._names():
            blob = None if name == besides else self.store.get(self.place(name))
            try:
                if blob is not None:
                    self._opened(_split(name, blob)[0])
            except SealingRefusal as refusal:
                if refusal.reason not in OTHERS:
                    raise

    def has(self, name: str) -> bool:
        """Whether an object of that name lies there."""
        return name in self._names()

    def seal(self, name: str, epoch: int, handle: Sealable) -> str:
        """Write an object durably; returns the SHA-256 of the whole blob in hex. SealingRefusal if it can't be done."""
        own = self._data_key()
        content = handle.sealed(_object_key(own.key, name, epoch), self.context.aad(name, epoch))
        blob = b"".join((MAGIC, len(own.wrapped).to_bytes(LENGTH, "little"), own.wrapped, content))
        self.store.put(self.place(name), blob)
        digest = self._names()[name] = sha256(blob).digest()
        return digest.hex()

    def unseal(self, name: str, epoch: int, open_content: Callable[[Secret, bytes, Buffer], T]) -> T:
        """Open an object with the kernel's ``unsealed`` of its type, given key, associated data and sealed content."""
        blob = self._get(name)
        if blob is None:
            raise SealingRefusal(Reason.MISSING, name)
        wrapped, content = _split(name, blob)
        key = _object_key(self._opened(wrapped), name, epoch)
        try:
            return open_content(key, self.context.aad(name, epoch), content)
        except ValueError:
            raise SealingRefusal(Reason.DAMAGED, f"{name}, epoch {epoch}") from None

    def fingerprint(self, name: str) -> bytes:
        """SHA-256 of an object's blob; empty where there is none."""
        known = self._names().get(name)
        if known == b"":
            self._get(name)
        return self._names().get(name, b"")

    def set_aside(self, name: str, mark: int) -> None:
        """Move an object, if there is one, to a name that nothing reads."""
        blob = self.store.get(self.place(name))
        if blob is not None:
            aside = f"{name}.set-aside-{mark}"
            self.store.put(self.place(aside), blob)
            self._names()[aside] = b""
            self.erase(name)

    def seal_shares(self, name: str, epoch: int, shares: Shares) -> str:
        """Seal a vector of shares."""
        return self.seal(name, epoch, shares)

    def seal_secret(self, name: str, epoch: int, secret: Secret) -> str:
        """Seal 32 secret bytes."""
        return self.seal(name, epoch, secret)

    def seal_keys(self, name: str, epoch: int, keys: Keys) -> str:
        """Seal the PRSS keys."""
        return self.seal(name, epoch, keys)

    def seal_contributions(self, name: str, epoch: int, contributions: Contributions) -> str:
        """Seal the setup contributions that the party holds."""
        return self.seal(name, epoch, contributions)

    def unseal_shares(self, name: str, epoch: int) -> Shares:
        """Open a vector of shares; SealingRefusal when it is missing, damaged or not this party's."""
        return self.unseal(name, epoch, Shares.unsealed)

    def unseal_secret(self, name: str, epoch: int) -> Secret:
        """Open 32 secret bytes."""
        return self.unseal(name, epoch, Secret.unsealed)

    def unseal_keys(self, name: str, epoch: int, n: int, t: int) -> Keys:
        """Open PRSS keys."""
        return self.unseal(name, epoch, lambda key, aad, blob: Keys.unsealed(n, t, self.context.party, key, aad, blob))

    def unseal_contributions(self, name: str, epoch: int, n: int, t: int) -> Contributions:
        """Open setup contributions."""
        party = self.context.party
        return self.unseal(name, epoch, lambda key, aad, blob: Contributions.unsealed(n, t, party, key, aad, blob))

    def seal_bytes(self, name: str, epoch: int, data: bytes) -> str:
        """Seal 32 bytes that must come back as bytes (the identity key: signatures are made by another library)."""
        return self.seal(name, epoch, Shares.from_wire(64, data))

    def unseal_bytes(self, name: str, epoch: int) -> bytes:
        """Inverse of ``seal_bytes``."""
        return self.unseal_shares(name, epoch).to_wire()

    def erase(self, name: str) -> None:
        """Remove every version of an object; nothing happens when there is none."""
        self.store.erase(self.place(name))
        self._names().pop(name, None)

    def erase_all(self, prefix: str) -> None:
        """Remove every object whose name begins so."""
        for name in tuple(self._names()):
            if name.startswith(prefix):
                self.erase(name)

    def _names(self) -> dict[str, bytes]:
        """See ``_seen``; the store is listed at first use."""
        if self._seen is None:
            found = (_attempt_of(stored) for stored in self.store.names())
            here = max(self.context.attempt, FIRST)
            self._seen = {name: b"" for name, attempt in found if attempt == here}
        return self._seen

    def place(self, name: str) -> str:
        """Name of an object in the store."""
        return name if self.context.attempt <= FIRST else f"{name}{MARK}{self.context.attempt}"

    def _get(self, name: str) -> bytes | None:
        """A blob, or None where none was and is. SealingRefusal when it is not what this boot wrote or read before."""
        blob, seen = self.store.get(self.place(name)), self._names()
        if blob is None:
            if name in seen:
                raise SealingRefusal(Reason.MISSING, name)
            return None
        digest = sha256(blob).digest()
        if seen.get(name, b"") not in (b"", digest):
            raise SealingRefusal(Reason.OLDER, f"{name} is {digest.hex()[:16]}..., not what it was before")
        seen[name] = digest
        return blob

    def _data_key(self) -> DataKey:
        """This boot's, asked for when the first object is sealed."""
        if self._own is None:
            self._own = self.service.new_key(self.context)
            self._known[self._own.wrapped] = self._own.key
        return self._own

    def _opened(self, wrapped: bytes) -> Secret:
        if wrapped not in self._known:
            self._known[wrapped] = self.service.open_key(wrapped, self.context)
        return self._known[wrapped]


def _attempt_of(stored: str) -> tuple[str, int]:
    """Name and attempt of an object of the store; what outlives attempts lies among those of the first."""
    name, mark, attempt = stored.rpartition(MARK)
    return (name, int(attempt)) if mark and attempt.isascii() and attempt.isdigit() else (stored, FIRST)


def _object_key(key: Secret, name: str, epoch: int) -> Secret:
    """KDF = HMAC-SHA-256: the expansion of HKDF for one block, from a key that is uniform already."""
    return key.derive(enc("object", name, epoch))


def _split(name: str, blob: bytes) -> tuple[bytes, memoryview]:
    """Wrapped data key and sealed content. SealingRefusal when it is no sealed object."""
    start = len(MAGIC) + LENGTH
    end = start + int.from_bytes(blob[len(MAGIC) : start], "little")
    if not blob.startswith(MAGIC) or not start < end <= min(len(blob), start + MAX_WRAPPED):
        raise SealingRefusal(Reason.DAMAGED, f"{name} is no sealed object")
    return blob[start:end], memoryview(blob)[end:]  # the content may be large: no copy
