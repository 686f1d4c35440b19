"""Data keys from AWS KMS that only an enclave of the terms' releases can get (03, "Sealing with AWS KMS").

Every request carries a fresh attestation document (purpose ``kms``) that vouches for this boot's RSA key; KMS checks
document, key policy and encryption context and answers under that key. Plaintext is never asked for and never taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from dkg_api.kms_policy import encryption_context
from dkg_node.algebra.encoding import enc
from dkg_node.errors import SealingError
from dkg_node.sealing.aws import call
from dkg_node.sealing.reasons import Reason, SealingRefusal

if TYPE_CHECKING:
    from dkg_api.user_data import UserData
    from dkg_node.algebra.kernel import Secret
    from dkg_node.ceremony.ports import Attester
    from dkg_node.sealing.cms import Recipient

ALGORITHM: Final = "RSAES_OAEP_SHA_256"
MAX_WRAPPED: Final = 6144
"""KMS's own limit of a ciphertext, bytes."""


class KmsApi(Protocol):
    """What is used of boto3's KMS client."""

    def generate_data_key(self, **request: Any) -> Mapping[str, Any]:  # noqa: ANN401 - an API's request
        """A new data key."""
        ...

    def decrypt(self, **request: Any) -> Mapping[str, Any]:  # noqa: ANN401 - the same
        """The data key of a ciphertext."""
        ...

    def describe_key(self, **request: Any) -> Mapping[str, Any]:  # noqa: ANN401 - the same
        """What kind of key it is."""
        ...

    def get_key_policy(self, **request: Any) -> Mapping[str, Any]:  # noqa: ANN401 - the same
        """Its policy."""
        ...

    def list_grants(self, **request: Any) -> Mapping[str, Any]:  # noqa: ANN401 - the same
        """What goes past the policy."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What every sealed object of a party is bound to."""

    ceremony: str
    terms_digest: bytes
    party: int
    attempt: int

    def aad(self, name: str, epoch: int) -> bytes:
        """Additional data of an object: a blob of another party, attempt, name or epoch does not open."""
        return enc("sealed", self.ceremony, self.terms_digest, self.party, self.attempt, name, epoch)


@dataclass(frozen=True, slots=True)
class DataKey:
    """A key for one attempt and boot, and what KMS needs to give it again."""

    key: Secret
    wrapped: bytes
    """Public."""


@dataclass(frozen=True, slots=True)
class KeyService:
    """The enrolled KMS key, as the enclave of this boot uses it."""

    api: KmsApi = field(repr=False)
    key_arn: str
    """The enrolled one, never one out of an object."""
    attester: Attester = field(repr=False)
    recipient: Recipient
    statement: UserData
    """What every document says, but for purpose and attempt."""

    def new_key(self, context: Context) -> DataKey:
        """A fresh data key. SealingRefusal when KMS gives none."""
        answer = call(
            "making a data key", self.api.generate_data_key, KeySpec="AES_256", **self._request(context)
        )  # fmt: skip
        return DataKey(self._open(answer), self._wrapped(answer))

    def open_key(self, wrapped: bytes, context: Context) -> Secret:
        """The data key of ``wrapped``. SealingRefusal when KMS opens it not, and not for this enclave."""
        answer = call("opening a data key", self.api.decrypt, CiphertextBlob=wrapped, **self._request(context))
        return self._open(answer)

    def _request(self, context: Context) -> dict[str, Any]:
        said = replace(self.statement, purpose="kms", attempt=context.attempt)
        document = self.attester.attest(said.encode(), None, self.recipient.public_key)
        return {
            "KeyId": self.key_arn,
            "EncryptionContext": key_context(context),
            "Recipient": {"KeyEncryptionAlgorithm": ALGORITHM, "AttestationDocument": document},
        }

    def _open(self, answer: Mapping[str, Any]) -> Secret:
        """Plaintext beside the envelope means that something else answers, or that the document was not looked at."""
        envelope = answer.get("CiphertextForRecipient")
        if answer.get("KeyId") != self.key_arn or answer.get("Plaintext") or not isinstance(envelope, bytes):
            raise SealingRefusal(Reason.ANSWER, "another key's, or readable by others")
        try:
            return self.recipient.open(envelope)
        except SealingError:
            raise SealingRefusal(Reason.ANSWER, "the envelope does not open") from None

    def _wrapped(self, answer: Mapping[str, Any]) -> bytes:
        wrapped = answer.get("CiphertextBlob")
        if not isinstance(wrapped, bytes) or not 0 < len(wrapped) <= MAX_WRAPPED:
            raise SealingRefusal(Reason.ANSWER, "no ciphertext to keep")
        return wrapped


def key_context(context: Context) -> dict[str, str]:
    """The encryption context of a party's data keys in an attempt: public, logged by AWS, part of the ciphertext."""
    demanded = encryption_context(context.terms_digest, context.ceremony, context.party)
    return {**demanded, "attempt": str(context.attempt)}
