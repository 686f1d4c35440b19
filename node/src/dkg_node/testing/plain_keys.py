"""Sealing in a directory under data keys that anybody can compute: for tests in which it matters not who holds them."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from dkg_node.algebra.encoding import enc
from dkg_node.algebra.kernel import Secret
from dkg_node.sealing.kms import Context, DataKey
from dkg_node.sealing.sealer import KmsSealer
from dkg_node.sealing.stores import DirectoryBlobs

if TYPE_CHECKING:
    from pathlib import Path

WRAPPED: Final = 16


class PlainKeys:
    """See ``sealer.DataKeys``: another context has other keys, as with KMS."""

    def new_key(self, context: Context) -> DataKey:
        """Another one each time."""
        wrapped = os.urandom(WRAPPED)
        return DataKey(self.open_key(wrapped, context), wrapped)

    def open_key(self, wrapped: bytes, context: Context) -> Secret:
        """Of any bytes."""
        return Secret.from_bytes(sha256(context.aad("data key", 0) + enc(wrapped)).digest())


def plain_sealer(directory: Path, party: int, attempt: int = 1) -> KmsSealer:
    """A party's sealer of a fresh boot."""
    return KmsSealer(DirectoryBlobs(directory), PlainKeys(), Context("ab" * 16, bytes(32), party, attempt))
