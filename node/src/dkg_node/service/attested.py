"""What attestation brings to a node: its documents, its side of all channels, and whose enrolments count."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_api.signatures import public_bytes, sign
from dkg_api.user_data import UserData
from dkg_node.attestation.appraiser import LONG_LIVED, TermsAppraiser
from dkg_node.attestation.binding import ChannelKey
from dkg_node.attestation.handshake import Speaker
from dkg_node.attestation.obstacles import ChannelRefused
from dkg_node.errors import AttestationError
from dkg_node.service.channels import Boots, Channels, Identities
from dkg_node.service.clock import milliseconds
from dkg_node.transport.settings import Lifetimes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from dkg_api.desired_state import DesiredState
    from dkg_api.enrolment import Enrolment
    from dkg_node.ceremony.ports import Attester
    from dkg_node.transport.frames import Boot

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Proof:
    """One boot of a party: who attests it, and under which root it judges others."""

    attester: Attester
    root: bytes
    """SHA-256 of the one root of the build."""
    key: Ed25519PrivateKey
    """Identity key."""
    boot: Boot
    sealing: bytes
    """SHA-256(ARN | policy) of the KMS key as it was read back."""

    def enrolment_document(self, state: DesiredState) -> bytes:
        """For the organisation to sign: this code made this identity key. AttestationError without a module."""
        return self.attester.attest(self._statement(state, "enrol", LONG_LIVED, None).encode(), None, None)

    def appraiser(self, state: DesiredState) -> TermsAppraiser:
        """The policy of the terms in this attempt."""
        return TermsAppraiser(state.terms, state.attempt, self.root)

    def channels(self, state: DesiredState, appraiser: TermsAppraiser, lifetimes: Lifetimes) -> Channels:
        """Its side of all handshakes. AttestationError when its own key is not enrolled."""
        own = next((e for e in state.enrolments if e.identity_key == public_bytes(self.key).hex()), None)
        if own is None:
            raise AttestationError("enrol this party's identity key: the desired state has no enrolment that counts")
        channel_key, boots = ChannelKey.fresh(), Boots()
        speaker = Speaker(
            statement=self._statement(state, "channel", state.attempt, channel_key.public),
            enrolment=own,
            attester=self.attester,
            sign=lambda purpose, message: sign(self.key, purpose, message),
            appraiser=appraiser,
            parties=state.terms.n,
            newer=boots.newer,
        )
        return Channels(speaker, channel_key, Identities(state.party, lifetimes), boots)

    def _statement(self, state: DesiredState, purpose: str, attempt: int, channel_key: bytes | None) -> UserData:
        return UserData(
            purpose=purpose, terms_digest=state.terms.digest, attempt=attempt, party=state.party,
            identity_key=public_bytes(self.key), channel_key=channel_key, boot_id=self.boot.id,
            boot_number=self.boot.number, sealing=self.sealing, root=self.root,
        )  # fmt: skip


def admitted(state: DesiredState, appraiser: TermsAppraiser) -> DesiredState:
    """The state with the enrolments that count: a refused one costs its own party its voice, and nobody else."""
    return state.model_copy(update={"enrolments": tuple(e for e in state.enrolments if _counts(e, appraiser))})


def _counts(enrolment: Enrolment, appraiser: TermsAppraiser) -> bool:
    try:
        appraiser.enrolment(enrolment, milliseconds())
    except ChannelRefused as refusal:
        log.warning("the enrolment of party %d is refused: %s", enrolment.party, refusal)
        return False
    return True
