"""How a build reaches AWS (03, "Sealing with AWS KMS").

Which endpoints and roots count is a trust anchor: compiled in, one for each distribution, like the attestation root.
Credentials are no anchor; see ``credentials``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dkg_node.sealing.stores import DirectoryBlobs, S3Blobs

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from dkg_api.desired_state import Bucket
    from dkg_api.terms import SealingTerms
    from dkg_node.sealing.aws import CredentialSource, Surroundings
    from dkg_node.sealing.kms import KmsApi
    from dkg_node.sealing.stores import BlobStore, S3Api


class Cloud(Protocol):
    """The AWS of one distribution, for its tools."""

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


@dataclass(frozen=True, slots=True)
class Aws:
    """AWS as one party's enclave reaches it."""

    surroundings: Surroundings
    source: CredentialSource
    account: str
    """Whose bucket alone is written and read, 12 digits."""

    def kms(self) -> KmsApi:
        """A client of KMS."""
        from dkg_node.sealing.aws import client  # noqa: PLC0415 - keeps --help quick

        api: KmsApi = client("kms", self.surroundings, self.source)
        return api

    def store(self, bucket: Bucket | None, home: Path) -> BlobStore:
        """Where the party's sealed objects lie: its bucket, or its directory if it has none."""
        if bucket is None:
            return DirectoryBlobs(home)
        from dkg_node.sealing.aws import client  # noqa: PLC0415 - keeps --help quick

        api: S3Api = client("s3", self.surroundings, self.source)
        return S3Blobs(api, bucket.name, bucket.prefix, self.account)
