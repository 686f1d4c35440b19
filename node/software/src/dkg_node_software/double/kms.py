"""KMS of the double: authorisation, documents and key states as KMS enforces them (03, "AWS double")."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dkg_node_software.double.authority import KeyRequest, authorise, expire
from dkg_node_software.double.documents import Attested, DocumentRefused, check_recipient
from dkg_node_software.double.faults import Fault, denied, invalid
from dkg_node_software.double.keys import Key, KeyRing, named_key, new_key
from dkg_node_software.double.operations import OPERATIONS, Answer, metadata
from dkg_node_software.double.policy import Decision, PolicyError, Question, read_policy
from dkg_node_software.double.requests import Body, Caller

MOST_POLICY: Final = 32 * 1024
NOT_HERE: Final = frozenset({
    "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "ImportKeyMaterial", "ReplicateKey",
    "UpdatePrimaryRegion",
})  # fmt: skip
"""Authorised as any other, then refused: a symmetric key of one region with material from KMS can do none of them."""


@dataclass(slots=True)
class Kms:
    """The service. ``clock`` gives ms since 1970."""

    ring: KeyRing
    clock: Callable[[], int]

    def handle(self, operation: str, body: Body, caller: Caller, audit: dict[str, Any]) -> Answer:
        """Answer one request, adding to ``audit`` what CloudTrail would show. Fault when it is refused."""
        if operation == "CreateKey":
            return self._create(body, caller)
        if operation == "ListKeys":
            keys = [{"KeyId": k.key_id, "KeyArn": k.arn} for k in self.ring.all() if _reachable(k, caller)]
            return {"Keys": keys, "Truncated": False}
        if operation not in OPERATIONS and operation not in NOT_HERE:
            raise Fault("UnknownOperationException", "this operation is not known here")
        request = self._request(operation, body, caller)
        audit["resources"] = [request.key.arn]
        audit["encryptionContext"] = request.context
        request.attested = self._attested(body)
        if request.attested is not None:
            audit["additionalEventData"] = {"recipient": request.attested.audit()}
        if operation in NOT_HERE:
            authorise(request, operation)
            raise Fault("UnsupportedOperationException", "this key can't do that")
        return OPERATIONS[operation](self, request)

    def _request(self, operation: str, body: Body, caller: Caller) -> KeyRequest:
        """The key is the one named; for a bare ciphertext the one that it names, as KMS does."""
        name = body.fields.get("KeyId")
        if name is None and operation in {"Decrypt", "ReEncrypt"}:
            name = body.fields.get("SourceKeyId") or named_key(body.blob("CiphertextBlob"))
            if name is None:
                raise Fault("InvalidCiphertextException", "no ciphertext of this service")
        if not isinstance(name, str):
            raise invalid("give KeyId as text")
        key = self.find(name, caller)
        expire(key, self.clock())
        context = body.context("SourceEncryptionContext" if operation == "ReEncrypt" else "EncryptionContext")
        return KeyRequest(key, body, caller, context)

    def find(self, name: str, caller: Caller) -> Key:
        """By ARN or id, in the caller's region. Fault when there is none."""
        key = self.ring.find(name, caller.region, caller.principal.account)
        if key is None or key.arn.split(":")[3] != caller.region:
            raise Fault("NotFoundException", "there is no key of this name here")
        return key

    def _attested(self, body: Body) -> Attested | None:
        recipient = body.recipient()
        if recipient is None:
            return None
        try:
            return check_recipient(*recipient, self.clock())
        except DocumentRefused as refusal:
            raise denied(f"the attestation document is refused: {refusal}") from None

    def _create(self, body: Body, caller: Caller) -> Answer:
        if not caller.may_create:
            raise denied(f"{caller.principal.arn} is not allowed to do kms:CreateKey")
        if body.text("Origin", "AWS_KMS") != "AWS_KMS" or body.text("KeySpec", "SYMMETRIC_DEFAULT") != (
            "SYMMETRIC_DEFAULT"
        ):
            raise Fault("UnsupportedOperationException", "the double has symmetric keys with material of its own only")
        account = caller.principal.account
        default = _account_policy(caller.partition, account)
        place = (caller.partition, caller.region, account)
        made = new_key(
            place, body.text("Policy", default), self.clock() / 1000, multi_region=body.flag("MultiRegion")
        )  # fmt: skip
        made.description = str(body.fields.get("Description", ""))
        self.check_policy(body, caller, made)
        self.ring.add(made)
        return {"KeyMetadata": metadata(made)}

    def check_policy(self, body: Body, caller: Caller, key: Key) -> None:
        """It must be understood, and unless the check is bypassed the caller must be able to change it again."""
        if len(key.policy) > MOST_POLICY:
            raise Fault("LimitExceededException", "write a shorter policy")
        try:
            policy = read_policy(key.policy)
        except PolicyError as error:
            raise Fault("MalformedPolicyDocumentException", str(error)) from None
        if not body.flag("BypassPolicyLockoutSafetyCheck"):
            question = Question(caller.principal, "kms:PutKeyPolicy", key.arn)
            if policy.decide(question) is not Decision.ALLOWED:
                raise Fault("MalformedPolicyDocumentException", "the new policy would lock its maker out")


def jsonable(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer as AWS's JSON protocol writes it: bytes in base64."""
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in answer.items()
    }


def milliseconds() -> int:
    """Since 1970, of this machine's clock."""
    return time.time_ns() // 1_000_000


def _reachable(key: Key, caller: Caller) -> bool:
    return key.arn.split(":")[3:5] == [caller.region, caller.principal.account]


def _account_policy(partition: str, account: str) -> str:
    """What KMS gives a key that is made without a policy: the account decides."""
    return (
        '{"Version":"2012-10-17","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow",'
        f'"Principal":{{"AWS":"arn:{partition}:iam::{account}:root"}},"Action":"kms:*","Resource":"*"}}]}}'
    )
