"""What an enclave says about itself inside its attestation document (design 03, "user_data").

A deterministic CBOR map of at most 512 bytes, the most that the NSM signs. Keys: 1 version, 2 purpose, 3 terms digest,
4 attempt, 5 party, 6 identity key, 7 X25519 key, 8 boot id, 9 boot number, 10 SHA-256(ARN | policy), 11 SHA-256(root).
Keys 6, 7 and 10 are left out where there is nothing to say. A document is good for its purpose only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dkg_api.cbor import CborError, encoded, plain_value
from dkg_api.session import LAST_ATTEMPT
from dkg_api.terms import MAX_THRESHOLD

LIMIT: Final = 512
"""Bytes of user_data and of the nonce that an NSM takes."""
VERSION: Final = 1
ATTESTATION_PURPOSES: Final = frozenset({"enrol", "channel", "kms", "reseal", "receipt"})
"""``kms``: made for AWS KMS, worthless in a handshake."""

_BYTES: Final = {
    "terms_digest": (3, 32), "identity_key": (6, 32), "channel_key": (7, 32), "boot_id": (8, 16), "sealing": (10, 32),
    "root": (11, 32),
}  # fmt: skip
"""Name: key of the map, length."""
_INTEGERS: Final = {"attempt": (4, LAST_ATTEMPT), "party": (5, 3 * MAX_THRESHOLD + 1), "boot_number": (9, 2**63 - 1)}
"""Name: key of the map, largest."""
_OPTIONAL: Final = frozenset({"identity_key", "channel_key", "sealing"})
_NEEDED: Final = {"enrol": ("identity_key",), "channel": ("identity_key", "channel_key")}
"""What a purpose is about must be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserData:
    """One statement. Public: everything in it is shown to every peer."""

    purpose: str
    terms_digest: bytes
    """32 bytes."""
    attempt: int
    """0: holds for all attempts."""
    party: int
    boot_id: bytes
    """16 random bytes."""
    boot_number: int
    """Greater than that of any earlier boot of the party."""
    root: bytes
    """SHA-256 of the DER of the root that this build accepts."""
    identity_key: bytes | None = None
    """Ed25519, 32 bytes."""
    channel_key: bytes | None = None
    """X25519, 32 bytes, fresh each boot."""
    sealing: bytes | None = None
    """SHA-256(ARN | policy) of the KMS key, 32 bytes."""

    def __post_init__(self) -> None:
        """ValueError for what no reader would take: a mistake in the code, never in a peer's bytes."""
        if self.purpose not in ATTESTATION_PURPOSES:
            raise ValueError(f"use a purpose of the closed list, not {self.purpose!r}")
        for name, (_, length) in _BYTES.items():
            value = getattr(self, name)
            if not (value is None and name in _OPTIONAL) and not (isinstance(value, bytes) and len(value) == length):
                raise ValueError(f"give {name} as {length} bytes")
        for name, (_, largest) in _INTEGERS.items():
            value = getattr(self, name)
            if type(value) is not int or not (name == "party") <= value <= largest:
                raise ValueError(f"give {name} as a whole number up to {largest}")
        missing = [name for name in _NEEDED.get(self.purpose, ()) if getattr(self, name) is None]
        if missing:
            raise ValueError(f"give {missing[0]}: a document for {self.purpose} is about it")

    def encode(self) -> bytes:
        """The bytes that go into the document."""
        fields: dict[int, object] = {1: VERSION, 2: self.purpose}
        fields |= {key: getattr(self, name) for name, (key, _) in {**_BYTES, **_INTEGERS}.items()}
        return encoded({key: value for key, value in fields.items() if value is not None})


def decode_user_data(data: bytes | None) -> UserData | None:
    """The statement, or None for anything but the exact encoding of one."""
    if data is None or len(data) > LIMIT:
        return None
    try:
        fields = plain_value(data)
        if type(fields) is not dict:
            return None
        named = {name: fields[key] for name, (key, _) in {**_BYTES, **_INTEGERS}.items() if key in fields}
        result = UserData(purpose=fields[2], **named)
        return result if result.encode() == data else None  # other versions, other keys, other encodings end here
    except (CborError, ValueError, TypeError, KeyError):
        return None
