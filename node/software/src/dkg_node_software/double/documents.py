"""What KMS makes of a Recipient: a document under the software root, fresh, with an RSA key to answer under."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from dkg_node.attestation.policy import MAX_AGE, MAX_AHEAD
from dkg_node.attestation.reasons import Refusal
from dkg_node.attestation.verifier import authenticate
from dkg_node_software.root import SOFTWARE_ROOT

ALGORITHM: Final = "RSAES_OAEP_SHA_256"
RSA_BITS: Final = range(2048, 4097)


class DocumentRefused(ValueError):
    """KMS would not answer an enclave that shows this."""


@dataclass(frozen=True, slots=True)
class Attested:
    """A document that KMS takes."""

    key: RSAPublicKey
    module_id: str
    pcrs: dict[int, bytes]

    def condition_values(self) -> dict[str, str]:
        """By condition key; registers that are zero are given too: a debug enclave matches no policy of ours."""
        values = {f"kms:RecipientAttestation:PCR{index}": value.hex() for index, value in self.pcrs.items()}
        return {**values, "kms:RecipientAttestation:ImageSha384": self.pcrs[0].hex()}

    def audit(self) -> dict[str, str]:
        """As CloudTrail has it in additionalEventData.recipient."""
        registers = {f"attestationDocumentEnclavePCR{index}": self.pcrs[index].hex() for index in (1, 2)}
        return {
            "attestationDocumentModuleId": self.module_id,
            "attestationDocumentEnclaveImageDigest": self.pcrs[0].hex(),
            **registers,
        }


def check_recipient(algorithm: object, document: bytes, now: int) -> Attested:
    """The document of a request at ``now`` in ms. DocumentRefused when KMS would refuse it."""
    if algorithm != ALGORITHM:
        raise DocumentRefused(f"use {ALGORITHM}")
    try:
        found = authenticate(document, SOFTWARE_ROOT, now).document
    except Refusal as refusal:
        raise DocumentRefused(refusal.reason.code) from None
    if not -MAX_AHEAD <= now - found.timestamp <= MAX_AGE:
        raise DocumentRefused("the document is older than five minutes")
    try:
        key = load_der_public_key(found.public_key or b"")
    except ValueError:
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size not in RSA_BITS:
        raise DocumentRefused("the document vouches for no RSA key")
    return Attested(key, found.module_id, dict(found.pcrs))
