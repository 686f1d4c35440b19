"""What KMS does with one key, each operation a function: authorise first, then look at the key's state, then act."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from dkg_node_software.double.authority import KeyRequest, authorise, expire, opened, usable
from dkg_node_software.double.cms import envelope
from dkg_node_software.double.faults import Fault, invalid
from dkg_node_software.double.keys import DAY, DISABLED, ENABLED, PENDING_DELETION, Grant, Key, KeyRing
from dkg_node_software.double.requests import Body, Caller, as_context

MOST_PLAINTEXT: Final = 4096
SIZES: Final = {"AES_256": 32, "AES_128": 16}
GRANTABLE: Final = frozenset({
    "Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo",
    "CreateGrant", "RetireGrant", "DescribeKey",
})  # fmt: skip

Answer = dict[str, Any]


class Service(Protocol):
    """What operations need of the service."""

    @property
    def ring(self) -> KeyRing:
        """All keys."""
        ...

    @property
    def clock(self) -> Callable[[], int]:
        """Gives ms since 1970."""
        ...

    def find(self, name: str, caller: Caller) -> Key:
        """A key by name. Fault when there is none."""
        ...

    def check_policy(self, body: Body, caller: Caller, key: Key) -> None:
        """Whether KMS takes the key's policy. Fault when not."""
        ...


def describe(request: KeyRequest) -> Answer:
    """DescribeKey."""
    authorise(request, "DescribeKey")
    return {"KeyMetadata": metadata(request.key)}


def get_policy(request: KeyRequest) -> Answer:
    """GetKeyPolicy."""
    authorise(request, "GetKeyPolicy")
    if request.body.text("PolicyName", "default") != "default":
        raise Fault("NotFoundException", "there is one policy, named default")
    return {"Policy": request.key.policy, "PolicyName": "default"}


def put_policy(service: Service, request: KeyRequest) -> Answer:
    """PutKeyPolicy."""
    authorise(request, "PutKeyPolicy")
    key = request.key
    before, key.policy = key.policy, request.body.text("Policy")
    try:
        service.check_policy(request.body, request.caller, key)
    except Fault:
        key.policy = before
        raise
    with service.ring.changing():
        return {}


def list_grants(request: KeyRequest) -> Answer:
    """ListGrants."""
    authorise(request, "ListGrants")
    rows = [
        {
            "KeyId": request.key.arn, "GrantId": g.grant_id, "GranteePrincipal": g.grantee,
            "Operations": g.operations, "Constraints": g.constraints,
        }
        for g in request.key.grants
    ]  # fmt: skip
    return {"Grants": rows, "Truncated": False}


def create_grant(service: Service, request: KeyRequest) -> Answer:
    """CreateGrant."""
    authorise(request, "CreateGrant")
    usable(request.key)
    operations = request.body.texts("Operations")
    if not operations or not set(operations) <= GRANTABLE:
        raise invalid("give operations that can be granted")
    constraints = request.body.fields.get("Constraints", {})
    known = {"EncryptionContextEquals", "EncryptionContextSubset"}
    if not isinstance(constraints, dict) or not constraints.keys() <= known:
        raise invalid("give constraints on the encryption context")
    checked = {name: as_context(name, value) for name, value in constraints.items()}
    grant = Grant(os.urandom(32).hex(), request.body.text("GranteePrincipal"), operations, checked)
    with service.ring.changing():
        request.key.grants.append(grant)
    return {"GrantId": grant.grant_id, "GrantToken": os.urandom(32).hex()}


def revoke_grant(service: Service, request: KeyRequest) -> Answer:
    """RevokeGrant."""
    authorise(request, "RevokeGrant")
    wanted = request.body.text("GrantId")
    with service.ring.changing():
        request.key.grants = [grant for grant in request.key.grants if grant.grant_id != wanted]
    return {}


def generate(request: KeyRequest) -> Answer:
    """GenerateDataKey."""
    authorise(request, "GenerateDataKey")
    return _with_plaintext(request, _new_data_key(request))


def generate_without(request: KeyRequest) -> Answer:
    """GenerateDataKeyWithoutPlaintext."""
    if request.attested is not None:
        raise invalid("GenerateDataKeyWithoutPlaintext takes no Recipient")
    authorise(request, "GenerateDataKeyWithoutPlaintext")
    answer = _new_data_key(request)
    return {name: answer[name] for name in ("CiphertextBlob", "KeyId")}


def _new_data_key(request: KeyRequest) -> Answer:
    usable(request.key)
    spec = request.body.text("KeySpec", "AES_256")
    size = SIZES.get(spec, 0) if "NumberOfBytes" not in request.body.fields else request.body.number(
        "NumberOfBytes", 0
    )  # fmt: skip
    if not 1 <= size <= 1024:
        raise invalid("give KeySpec or NumberOfBytes from 1 to 1024")
    plaintext = os.urandom(size)
    return {
        "CiphertextBlob": request.key.encrypt(plaintext, request.context),
        "Plaintext": plaintext, "KeyId": request.key.arn,
    }  # fmt: skip


def decrypt(request: KeyRequest) -> Answer:
    """Decrypt."""
    authorise(request, "Decrypt")
    plaintext = opened(request)
    answer = {"Plaintext": plaintext, "KeyId": request.key.arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
    return _with_plaintext(request, answer)


def _with_plaintext(request: KeyRequest, answer: Answer) -> Answer:
    """Under the recipient's key when there is one, and then nowhere else."""
    if request.attested is None:
        return answer
    plaintext = answer.pop("Plaintext")
    return {**answer, "CiphertextForRecipient": envelope(plaintext, request.attested.key)}


def encrypt(request: KeyRequest) -> Answer:
    """Encrypt."""
    authorise(request, "Encrypt")
    usable(request.key)
    plaintext = request.body.blob("Plaintext")
    if len(plaintext) > MOST_PLAINTEXT:
        raise invalid("encrypt at most 4096 bytes")
    return {"CiphertextBlob": request.key.encrypt(plaintext, request.context), "KeyId": request.key.arn}


def re_encrypt(service: Service, request: KeyRequest) -> Answer:
    """ReEncrypt."""
    target = service.find(request.body.text("DestinationKeyId"), request.caller)
    expire(target, service.clock())
    context = request.body.context("DestinationEncryptionContext")
    authorise(request, "ReEncryptFrom")
    authorise(request, "ReEncryptTo", target, context)
    plaintext = opened(request)
    usable(target)
    return {
        "CiphertextBlob": target.encrypt(plaintext, context),
        "SourceKeyId": request.key.arn, "KeyId": target.arn,
    }  # fmt: skip


def disable(service: Service, request: KeyRequest) -> Answer:
    """DisableKey."""
    return _turn(service, request, "DisableKey", DISABLED)


def enable(service: Service, request: KeyRequest) -> Answer:
    """EnableKey."""
    return _turn(service, request, "EnableKey", ENABLED)


def _turn(service: Service, request: KeyRequest, action: str, state: str) -> Answer:
    authorise(request, action)
    if request.key.state == PENDING_DELETION:
        raise Fault("KMSInvalidStateException", "the key waits for its deletion")
    with service.ring.changing():
        request.key.state = state
    return {}


def schedule(service: Service, request: KeyRequest) -> Answer:
    """ScheduleKeyDeletion."""
    authorise(request, "ScheduleKeyDeletion")
    days = request.body.number("PendingWindowInDays", 30)
    if not 7 <= days <= 30:
        raise invalid("give PendingWindowInDays from 7 to 30")
    if request.key.state == PENDING_DELETION:
        raise Fault("KMSInvalidStateException", "the key waits for its deletion")
    with service.ring.changing():
        request.key.state = PENDING_DELETION
        request.key.deletion = service.clock() / 1000 + days * DAY
    return {"KeyId": request.key.arn, "DeletionDate": request.key.deletion, "KeyState": PENDING_DELETION}


def cancel(service: Service, request: KeyRequest) -> Answer:
    """CancelKeyDeletion."""
    authorise(request, "CancelKeyDeletion")
    if request.key.state != PENDING_DELETION:
        raise Fault("KMSInvalidStateException", "the key does not wait for its deletion")
    with service.ring.changing():
        request.key.state, request.key.deletion = DISABLED, None
    return {"KeyId": request.key.arn}


def metadata(key: Key) -> Answer:
    """What KMS says about a key."""
    deletion = {} if key.deletion is None else {"DeletionDate": key.deletion}
    return {
        "AWSAccountId": key.account, "KeyId": key.key_id, "Arn": key.arn, "CreationDate": key.created,
        "Enabled": key.state == ENABLED, "Description": key.description, "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": key.state, "Origin": "AWS_KMS", "KeyManager": "CUSTOMER", "KeySpec": "SYMMETRIC_DEFAULT",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": key.multi_region, **deletion,
    }  # fmt: skip


def _alone(operation: Callable[[KeyRequest], Answer]) -> Callable[[Service, KeyRequest], Answer]:
    """An operation that needs nothing but its request."""
    return lambda _, request: operation(request)


OPERATIONS: Final[Mapping[str, Callable[[Service, KeyRequest], Answer]]] = {
    "DescribeKey": _alone(describe),
    "GetKeyPolicy": _alone(get_policy),
    "PutKeyPolicy": put_policy,
    "ListGrants": _alone(list_grants),
    "CreateGrant": create_grant,
    "RevokeGrant": revoke_grant,
    "GenerateDataKey": _alone(generate),
    "GenerateDataKeyWithoutPlaintext": _alone(generate_without),
    "Decrypt": _alone(decrypt),
    "Encrypt": _alone(encrypt),
    "ReEncrypt": re_encrypt,
    "DisableKey": disable,
    "EnableKey": enable,
    "ScheduleKeyDeletion": schedule,
    "CancelKeyDeletion": cancel,
}
