"""What the enclave reads about its own key before it trusts it (03, "Sealing with AWS KMS").

The host can name any key it likes. So the enclave asks KMS over its own TLS: the enrolled key of the terms' region and
account, symmetric, of one region, with material from KMS, switched on, with the policy of the terms to the last
principal, and without grants. The digest of key and policy goes into evidence; peers compute it from the terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from dkg_api.kms_policy import key_arn_problem, kms_policy, same_policy, sealing_digest
from dkg_node.sealing.aws import call
from dkg_node.sealing.reasons import Reason, SealingRefusal

if TYPE_CHECKING:
    from dkg_api.kms_policy import KeyTerms
    from dkg_node.sealing.kms import KmsApi

KIND: Final = {
    "KeySpec": "SYMMETRIC_DEFAULT",
    "KeyUsage": "ENCRYPT_DECRYPT",
    "KeyManager": "CUSTOMER",
    "Origin": "AWS_KMS",
    "MultiRegion": False,
}


def read_back(api: KmsApi, key_arn: str, terms: KeyTerms, party: int) -> bytes:
    """SHA-256(ARN | policy) of a key that is as the terms want it, 32 bytes. SealingRefusal for any other key."""
    problem = key_arn_problem(key_arn, terms, party)
    if problem is not None:
        raise SealingRefusal(Reason.NO_KEY, problem)
    answer = call("describing the key", api.describe_key, KeyId=key_arn)
    _check_kind(answer.get("KeyMetadata"), key_arn)
    policy = kms_policy(terms, party)
    found = call("reading the key's policy", api.get_key_policy, KeyId=key_arn, PolicyName="default").get("Policy")
    if not isinstance(found, str) or not same_policy(policy, found):
        others = isinstance(found, str) and terms.digest.hex() not in found
        raise SealingRefusal(Reason.TERMS if others else Reason.KEY_POLICY, "its policy is not the one the terms give")
    grants = call("listing grants", api.list_grants, KeyId=key_arn)
    if grants.get("Grants") != [] or grants.get("Truncated"):
        raise SealingRefusal(Reason.GRANTS, "at least one is there")
    return sealing_digest(key_arn, policy)


def _check_kind(metadata: Mapping[str, Any] | object, key_arn: str) -> None:
    """Raise SealingRefusal for another key, another kind of key, or one that is not in use."""
    if not isinstance(metadata, Mapping) or metadata.get("Arn") != key_arn:
        raise SealingRefusal(Reason.NO_KEY, "the service describes another key")
    wrong = [name for name, value in KIND.items() if metadata.get(name) != value]
    if wrong or metadata.get("CustomKeyStoreId") or metadata.get("XksKeyConfiguration"):
        raise SealingRefusal(Reason.KEY_KIND, f"{', '.join(wrong) or 'key store'} is not as it must be")
    if metadata.get("KeyState") != "Enabled":
        raise SealingRefusal(Reason.DISABLED, "the key is not in use")
