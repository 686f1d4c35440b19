"""DEVELOPMENT SEALING: objects encrypted under a key that lies in a file beside them.

It has the shape of real sealing (bound to ceremony, terms, party, attempt, object and epoch; atomic; authenticated),
and it protects nothing against whoever can read this machine. It stands here until the attestation issue brings KMS.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from glob import escape
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol, TypeVar

from dkg_node.algebra.encoding import enc
from dkg_node.algebra.kernel import Contributions, Keys, Secret, Shares
from dkg_node.errors import SealingError
from dkg_node.sealing.files import sync_directory, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BANNER = b"DEVELOPMENT SEALING: PROTECTS NOTHING ON THIS MACHINE\n"
"""First line of every sealed file."""
KEY_FILE = "DEVELOPMENT-SEALING.key"
KEY_BYTES = 32
LONG_LIVED = 0
"""Attempt number of objects that outlive attempts: the identity key."""

T = TypeVar("T")


class Sealable(Protocol):
    """A kernel handle that can leave memory encrypted."""

    def sealed(self, key: Secret, aad: bytes) -> bytes:
        """AES-256-GCM under ``key``, bound to ``aad``."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What every sealed object of a party is bound to."""

    ceremony: str
    terms_digest: bytes
    party: int
    attempt: int

    def aad(self, name: str, epoch: int) -> bytes:
        """Additional data of an object: a blob of another party, attempt, name or epoch does not open."""
        return enc("sealed", self.ceremony, self.terms_digest, self.party, self.attempt, name, epoch)


def make_key_file(directory: Path) -> Path:
    """Make the DEVELOPMENT SEALING key file (mode 0600) unless there is one; returns its path."""
    path = directory / KEY_FILE
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path
    with os.fdopen(handle, "wb") as file:
        file.write(os.urandom(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    return path


def read_key_file(path: Path) -> Secret:
    """The key; SealingError when the file is missing, has a wrong length, or others may read it."""
    try:
        data, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise SealingError(
            f"can't read the sealing key {path}: {error.strerror}; start with an empty directory"
        ) from None
    if len(data) != KEY_BYTES:
        raise SealingError(f"the sealing key {path} is damaged: {len(data)} bytes instead of {KEY_BYTES}")
    if mode & 0o077:
        raise SealingError(f"the sealing key {path} can be read by others: run chmod 600 on it")
    return Secret.from_bytes(data)


@dataclass(frozen=True, slots=True)
class DevelopmentSealer:
    """DEVELOPMENT SEALING into one directory, under one key (see the module)."""

    directory: Path
    key: Secret
    context: Context

    def path(self, name: str) -> Path:
        """Where an object lies."""
        return self.directory / f"{name}.sealed"

    def has(self, name: str) -> bool:
        """Whether an object of that name lies there."""
        return self.path(name).exists()

    def fingerprint(self, name: str) -> bytes:
        """SHA-256 of the file of an object; empty where there is none."""
        try:
            return sha256(self.path(name).read_bytes()).digest()
        except OSError:
            return b""

    def set_aside(self, name: str, mark: int) -> None:
        """Move an object, if there is one, to a name that nothing reads. SealingError if it can't be done."""
        path = self.path(name)
        if not path.exists():
            return
        try:
            path.replace(path.with_name(f"{name}.set-aside-{mark}"))
            sync_directory(self.directory)
        except OSError as error:
            raise SealingError(f"can't set the old {path} aside: {error.strerror}; put that right") from None

    def seal(self, name: str, epoch: int, handle: Sealable) -> str:
        """Write an object durably; returns the SHA-256 of the file in hex. SealingError if it can't be written."""
        blob = BANNER + handle.sealed(self._object_key(name, epoch), self.context.aad(name, epoch))
        try:
            write_atomic(self.path(name), blob, mode=0o600)
        except OSError as error:
            msg = f"can't write the sealed {name} into {self.directory}: {error.strerror}; make room and start again"
            raise SealingError(msg) from None
        return sha256(blob).hexdigest()

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
        """Open a vector of shares; SealingError when the file is missing, damaged or not this party's."""
        return self._unseal(name, epoch, Shares.unsealed)

    def unseal_secret(self, name: str, epoch: int) -> Secret:
        """Open 32 secret bytes."""
        return self._unseal(name, epoch, Secret.unsealed)

    def unseal_keys(self, name: str, epoch: int, n: int, t: int) -> Keys:
        """Open PRSS keys."""
        return self._unseal(name, epoch, lambda key, aad, blob: Keys.unsealed(n, t, self.context.party, key, aad, blob))

    def unseal_contributions(self, name: str, epoch: int, n: int, t: int) -> Contributions:
        """Open setup contributions."""
        party = self.context.party
        return self._unseal(name, epoch, lambda key, aad, blob: Contributions.unsealed(n, t, party, key, aad, blob))

    def seal_bytes(self, name: str, epoch: int, data: bytes) -> str:
        """Seal 32 bytes that must come back as bytes (the identity key: signatures are made by another library)."""
        return self.seal(name, epoch, Shares.from_wire(64, data))

    def unseal_bytes(self, name: str, epoch: int) -> bytes:
        """Inverse of ``seal_bytes``."""
        return self.unseal_shares(name, epoch).to_wire()

    def erase(self, name: str) -> None:
        """Remove an object; nothing happens when there is none."""
        self.path(name).unlink(missing_ok=True)

    def erase_all(self, prefix: str) -> None:
        """Remove every object whose name begins so, those set aside too."""
        for kind in ("sealed", "set-aside-*"):
            for path in self.directory.glob(f"{escape(prefix)}*.{kind}"):
                path.unlink(missing_ok=True)

    def _object_key(self, name: str, epoch: int) -> Secret:
        return self.key.derive(enc("object", name, epoch))

    def _unseal(self, name: str, epoch: int, open_blob: Callable[[Secret, bytes, bytes], T]) -> T:
        path = self.path(name)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SealingError(f"can't read {path}: {error.strerror}; put the file back") from None
        if not data.startswith(BANNER):
            raise SealingError(f"{path} is damaged: it is no sealed file; put a good copy back")
        try:
            return open_blob(self._object_key(name, epoch), self.context.aad(name, epoch), data[len(BANNER) :])
        except ValueError:
            msg = f"{path} is damaged or was sealed for another ceremony, party or attempt; put a good copy back"
            raise SealingError(msg) from None
