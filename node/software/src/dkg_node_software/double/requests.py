"""One KMS request, read strictly: fields of other types are refused before anything looks at them."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dkg_node_software.double.faults import invalid
from dkg_node_software.double.policy import Principal

MAX_BODY: Final = 256 * 1024
MAX_CONTEXT: Final = 8192


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and where."""

    principal: Principal
    partition: str
    region: str
    may_create: bool = False
    """IAM lets it make keys and buckets."""


@dataclass(frozen=True, slots=True)
class Body:
    """The fields of a request."""

    fields: Mapping[str, Any]

    def text(self, name: str, default: str | None = None) -> str:
        """A text; Fault when it is missing and has no default."""
        value = self.fields.get(name, default)
        if not isinstance(value, str) or not value:
            raise invalid(f"give {name} as text")
        return value

    def blob(self, name: str) -> bytes:
        """Bytes in base64."""
        return unbase64(name, self.fields.get(name))

    def number(self, name: str, default: int) -> int:
        """A whole number."""
        value = self.fields.get(name, default)
        if type(value) is not int:
            raise invalid(f"give {name} as a whole number")
        return value

    def flag(self, name: str) -> bool:
        """True or false; false when it is not there."""
        value = self.fields.get(name, False)
        if type(value) is not bool:
            raise invalid(f"give {name} as true or false")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        value = self.fields.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise invalid(f"give {name} as a list of texts")
        return value

    def context(self, name: str = "EncryptionContext") -> dict[str, str]:
        """A map of texts."""
        return as_context(name, self.fields.get(name, {}))

    def recipient(self) -> tuple[object, bytes] | None:
        """Algorithm and document, or None where none is given. An empty or odd one is refused, not ignored."""
        if "Recipient" not in self.fields:
            return None
        value = self.fields["Recipient"]
        if not isinstance(value, dict):
            raise invalid("give Recipient as an object")
        return value.get("KeyEncryptionAlgorithm"), unbase64("AttestationDocument", value.get("AttestationDocument"))


def read_body(data: bytes) -> Body:
    """The fields of a request's body. Fault for anything but one JSON object."""
    if len(data) > MAX_BODY:
        raise invalid("send less")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        raise invalid("send one JSON object") from None
    if not isinstance(fields, dict):
        raise invalid("send one JSON object")
    return Body(fields)


def unbase64(name: str, value: object) -> bytes:
    """Bytes in base64. Fault for anything else."""
    try:
        data = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise invalid(f"give {name} as bytes")
    return data


def as_context(name: str, value: object) -> dict[str, str]:
    """An encryption context. Fault for anything but texts by text, 8 KiB in all."""
    if not isinstance(value, dict) or not all(isinstance(part, str) for part in value.values()):
        raise invalid(f"give {name} as texts by text")
    try:
        size = sum(len(key.encode()) + len(part.encode()) for key, part in value.items())
    except UnicodeError:
        raise invalid(f"give {name} in valid Unicode") from None
    if size > MAX_CONTEXT:
        raise invalid(f"give a smaller {name}")
    return value
