"""Whose requests AWS gets: a file in the form in which `aws configure export-credentials --format process` prints it.

The parent writes it for the node and keeps it fresh; the person who ends a key makes it for the break-glass role. They
sign requests and open nothing: what KMS answers to is the attestation document (03, "Sealing with AWS KMS").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from dkg_api.errors import DocumentError
from dkg_api.model import parse_model
from dkg_node.errors import UsageError
from dkg_node.sealing.aws import AwsCredentials
from dkg_node.service.verify import read_file

if TYPE_CHECKING:
    from pathlib import Path


class _Process(BaseModel):
    """Version 1 of what a credential process prints; ``Expiration`` and the account are for others."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, alias_generator=to_pascal)

    version: Literal[1]
    access_key_id: str = Field(min_length=16, max_length=128, pattern=r"^[A-Z0-9]+$")
    secret_access_key: str = Field(min_length=1, max_length=256, pattern=r"^[\x21-\x7e]+$", repr=False)
    session_token: str | None = Field(default=None, max_length=8192, pattern=r"^[\x21-\x7e]+$", repr=False)


def read_credentials(path: Path) -> AwsCredentials:
    """Those of the moment. UsageError, which quotes nothing of the file, when it holds none."""
    try:
        found = parse_model(_Process, read_file(path, "credentials"), "credentials")
    except DocumentError as error:
        advice = "write what `aws configure export-credentials --format process` prints"
        raise UsageError(f"{path}: {error}; {advice}") from None
    return AwsCredentials(found.access_key_id, found.secret_access_key, found.session_token)
