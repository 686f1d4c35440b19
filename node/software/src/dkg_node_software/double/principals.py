"""Who holds which access key, and what IAM would let them do: a table in the double's directory.

The double does not check signatures of requests: credentials come from a host that may be hostile, and are worth
nothing without attestation. What a principal may do beyond that is decided by the key's policy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dkg_node.sealing.files import write_atomic
from dkg_node_software.double.policy import ARN, Principal
from dkg_node_software.double.requests import Caller

FILE: Final = "principals.json"
CREDENTIAL: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[A-Z0-9]{16,32})/[0-9]{8}/(?P<region>[a-z0-9-]{1,32})/(?P<service>[a-z0-9]+)/"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One access key."""

    arn: str
    """Of the role or user that holds it."""
    create: bool = False
    """May make keys and buckets."""
    administrator: bool = False
    """IAM gives it everything in its account."""
    prefixes: tuple[str, ...] = ()
    """What it may read and write in S3: bucket/prefix."""

    @property
    def account(self) -> str:
        """AWS account, 12 digits."""
        return self.arn.split(":")[4]


@dataclass(frozen=True, slots=True)
class Signed:
    """What a request's signature claims."""

    access_key: str
    region: str
    service: str


class Principals:
    """The table, read again whenever the file changes: keys may be handed out while the double runs."""

    def __init__(self, directory: Path) -> None:
        """The file may come later."""
        self._path = directory / FILE
        self._read = (-1, -1)
        self._entries: Mapping[str, Entry] = {}

    def entry(self, access_key: str) -> Entry | None:
        """Who holds it."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        if (found.st_mtime_ns, found.st_ino) != self._read:
            rows = json.loads(self._path.read_text())
            self._entries = {key: Entry(**{**row, "prefixes": tuple(row["prefixes"])}) for key, row in rows.items()}
            self._read = (found.st_mtime_ns, found.st_ino)
        return self._entries.get(access_key)

    def caller(self, signed: Signed) -> Caller | None:
        """Who asks, as KMS sees it."""
        entry = self.entry(signed.access_key)
        if entry is None:
            return None
        partition = entry.arn.split(":")[1]
        principal = Principal(entry.arn, entry.account, entry.administrator)
        return Caller(principal, partition, signed.region, entry.create or entry.administrator)


def write_principals(directory: Path, entries: Mapping[str, Entry]) -> None:
    """Make the table. ValueError for an ARN that is no role's or user's."""
    if not all(ARN.fullmatch(entry.arn) and not entry.arn.endswith(":root") for entry in entries.values()):
        raise ValueError("give ARNs of roles or users")
    rows = {
        key: {
            "arn": entry.arn, "create": entry.create, "administrator": entry.administrator,
            "prefixes": list(entry.prefixes),
        }
        for key, entry in entries.items()
    }  # fmt: skip
    write_atomic(directory / FILE, json.dumps(rows, indent=1).encode(), mode=0o600)


def signed_by(authorization: str) -> Signed | None:
    """What the header of a request says; None for anything but SigV4."""
    found = CREDENTIAL.match(authorization)
    return None if found is None else Signed(found["key"], found["region"], found["service"])
