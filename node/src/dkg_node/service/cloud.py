"""How a build reaches AWS, and whose credentials sign its requests (03, "Sealing with AWS KMS").

Which endpoints and roots count is a trust anchor: compiled in, one for each distribution, like the attestation root.
Credentials are no anchor. They come as a file in the form in which `aws configure export-credentials --format process`
prints them: the parent writes it for the node, the person who ends a key makes it for the break-glass role.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from dkg_api.errors import DocumentError
from dkg_api.model import parse_model
from dkg_node.errors import UsageError
from dkg_node.service.verify import read_file

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from dkg_api.terms import SealingTerms
    from dkg_node.sealing.aws import AwsCredentials, Surroundings


class Cloud(Protocol):
    """The AWS of one distribution."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Options by which a command finds it; none in production."""
        ...

    def surroundings(self, options: argparse.Namespace, sealing: SealingTerms) -> Surroundings:
        """Endpoints and roots for a party's key and objects. UsageError when the options don't say enough."""
        ...


class Amazon:
    """AWS itself, from the terms' partition and region: what production uses."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """There is nothing to choose."""

    def surroundings(self, options: argparse.Namespace, sealing: SealingTerms) -> Surroundings:
        """See ``Cloud``."""
        from dkg_node.sealing.aws import amazon  # noqa: PLC0415 - keeps --help quick

        del options
        return amazon(sealing.partition, sealing.region)


class _Process(BaseModel):
    """Version 1 of what a credential process prints; ``Expiration`` and the account are for others."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, alias_generator=to_pascal)

    version: Literal[1]
    access_key_id: str = Field(min_length=16, max_length=128, pattern=r"^[A-Z0-9]+$")
    secret_access_key: str = Field(min_length=1, max_length=256, pattern=r"^[\x21-\x7e]+$", repr=False)
    session_token: str | None = Field(default=None, max_length=8192, pattern=r"^[\x21-\x7e]+$", repr=False)


def read_credentials(path: Path) -> AwsCredentials:
    """The credentials of a file; UsageError, which never quotes it, when it holds none."""
    from dkg_node.sealing.aws import AwsCredentials  # noqa: PLC0415 - keeps --help quick

    try:
        found = parse_model(_Process, read_file(path, "credentials"), "credentials")
    except DocumentError as error:
        advice = "write what `aws configure export-credentials --format process` prints"
        raise UsageError(f"{path}: {error}; {advice}") from None
    return AwsCredentials(found.access_key_id, found.secret_access_key, found.session_token)
