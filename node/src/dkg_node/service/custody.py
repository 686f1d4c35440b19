"""How one boot of a party seals: under its KMS key, which is read back before anything is made or opened (03)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_api.user_data import UserData
from dkg_node.sealing.cms import Recipient
from dkg_node.sealing.kms import Context, KeyService
from dkg_node.sealing.readback import read_back
from dkg_node.sealing.reasons import Reason, SealingRefusal
from dkg_node.sealing.sealer import LONG_LIVED, KmsSealer
from dkg_node.service.command import EnvironmentFault
from dkg_node.service.identity import NAME as IDENTITY
from dkg_node.service.identity import identity_key

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from dkg_api.desired_state import DesiredState
    from dkg_node.ceremony.ports import Attester
    from dkg_node.sealing.stores import BlobStore
    from dkg_node.service.build import Build
    from dkg_node.transport.frames import Boot


@dataclass(frozen=True, slots=True)
class Custody:
    """What the party's key gave this boot."""

    digest: bytes
    """SHA-256(ARN | policy) as it was read back, 32 bytes."""
    identity: Ed25519PrivateKey
    sealer: KmsSealer
    """Of the attempt; its data keys are there."""


def take_custody(build: Build, attester: Attester, state: DesiredState, home: Path, boot: Boot) -> Custody:
    """Read the key back, make or open the identity key, get the attempt's data keys: all that needs KMS.

    Call it before the protocol's loop runs: each request takes a round trip and a document. EnvironmentFault when KMS
    can't be reached, SealingRefusal for another key than the terms want and for what does not open.
    """
    try:
        aws = build.aws(state.terms, state.party)
        api = aws.kms()
        digest = read_back(api, state.key_arn, state.terms, state.party)
        said = UserData(
            purpose="kms", terms_digest=state.terms.digest, attempt=state.attempt, party=state.party,
            boot_id=boot.id, boot_number=boot.number, root=build.root, sealing=digest,
        )  # fmt: skip
        store = aws.store(state.bucket, home)
        service = KeyService(api, state.key_arn, attester, Recipient.fresh(), said)
        identity = identity_key(_sealer(service, store, state, LONG_LIVED))
        sealer = _sealer(service, store, state, state.attempt)
        sealer.ready(besides=IDENTITY)
    except SealingRefusal as refusal:
        if refusal.reason is Reason.UNREACHABLE:
            raise EnvironmentFault(str(refusal)) from None
        raise
    return Custody(digest, identity, sealer)


def _sealer(service: KeyService, store: BlobStore, state: DesiredState, attempt: int) -> KmsSealer:
    return KmsSealer(store, service, Context(state.terms.ceremony, state.terms.digest, state.party, attempt))
