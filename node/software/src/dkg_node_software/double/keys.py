"""The double's KMS keys: their material, state, policy and grants, on disk after every change."""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dkg_api.canonical import canonical
from dkg_node.sealing.files import write_atomic

ENABLED, DISABLED, PENDING_DELETION = "Enabled", "Disabled", "PendingDeletion"
MARK: Final = b"DBL1"
NONCE: Final = 12
DAY: Final = 24 * 60 * 60
FILE: Final = "keys.json"


@dataclass(slots=True)
class Grant:
    """A permission past the policy."""

    grant_id: str
    grantee: str
    operations: list[str]
    constraints: dict[str, dict[str, str]]


@dataclass(slots=True)
class Key:
    """A symmetric key."""

    arn: str
    material: str
    """32 bytes in hex: the double hides nothing from who reads its disk."""
    policy: str
    created: float
    description: str = ""
    state: str = ENABLED
    deletion: float | None = None
    multi_region: bool = False
    grants: list[Grant] = field(default_factory=list)

    @property
    def key_id(self) -> str:
        """The end of the ARN."""
        return self.arn.rpartition("/")[2]

    @property
    def account(self) -> str:
        """AWS account, 12 digits."""
        return self.arn.split(":")[4]

    def encrypt(self, plaintext: bytes, context: dict[str, str]) -> bytes:
        """A ciphertext that names the key and is bound to the encryption context."""
        nonce = os.urandom(NONCE)
        sealed = AESGCM(bytes.fromhex(self.material)).encrypt(nonce, plaintext, self._aad(context))
        return MARK + uuid.UUID(self.key_id.removeprefix("mrk-")).bytes + nonce + sealed

    def decrypt(self, ciphertext: bytes, context: dict[str, str]) -> bytes | None:
        """Its inverse; None when ciphertext, context and key do not belong together."""
        start = len(MARK) + 16
        nonce, sealed = ciphertext[start : start + NONCE], ciphertext[start + NONCE :]
        try:
            return AESGCM(bytes.fromhex(self.material)).decrypt(nonce, sealed, self._aad(context))
        except (InvalidTag, ValueError):
            return None

    def _aad(self, context: dict[str, str]) -> bytes:
        return canonical({"key": self.arn, "context": context})


def named_key(ciphertext: bytes) -> str | None:
    """The key id in a ciphertext, or None where there is none."""
    if len(ciphertext) <= len(MARK) + 16 + NONCE or not ciphertext.startswith(MARK):
        return None
    return str(uuid.UUID(bytes=ciphertext[len(MARK) : len(MARK) + 16]))


class KeyRing:
    """All keys. Every use is under one lock; every change is on disk when ``changing`` ends."""

    def __init__(self, directory: Path) -> None:
        """Read what is there."""
        self._path = directory / FILE
        self._lock = threading.RLock()
        rows = json.loads(self._path.read_text()) if self._path.exists() else []
        self._keys = {row["arn"]: _key(row) for row in rows}

    def find(self, name: str, region: str, account: str) -> Key | None:
        """By ARN, or by id in the caller's region and account."""
        with self._lock:
            found = self._keys.get(name)
            if found is None and not name.startswith("arn:"):
                found = next((key for key in self._keys.values() if _is(key, name, region, account)), None)
            return found

    def add(self, key: Key) -> None:
        """Keep a new key."""
        with self.changing():
            self._keys[key.arn] = key

    def all(self) -> tuple[Key, ...]:
        """In order of creation."""
        with self._lock:
            return tuple(self._keys.values())

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Change keys inside."""
        with self._lock:
            yield
            rows = [asdict(key) for key in self._keys.values()]
            write_atomic(self._path, json.dumps(rows, indent=1).encode(), mode=0o600)


def new_key(place: tuple[str, str, str], policy: str, now: float, *, multi_region: bool = False) -> Key:
    """A key in (partition, region, account)."""
    partition, region, account = place
    key_id = ("mrk-" if multi_region else "") + str(uuid.uuid4())
    arn = f"arn:{partition}:kms:{region}:{account}:key/{key_id}"
    return Key(arn, os.urandom(32).hex(), policy, now, multi_region=multi_region)


def _is(key: Key, key_id: str, region: str, account: str) -> bool:
    return key.key_id == key_id and key.arn.split(":")[3:5] == [region, account]


def _key(row: dict[str, Any]) -> Key:
    known = {item.name for item in fields(Key)}
    values = {name: value for name, value in row.items() if name in known}
    return Key(**{**values, "grants": [Grant(**grant) for grant in row["grants"]]})
