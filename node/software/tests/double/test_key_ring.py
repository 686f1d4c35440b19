"""Keys over time: what a restart keeps, and when a key is gone."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dkg_node.attestation.nsm import NsmAttester
from dkg_node_software.double.faults import Fault
from dkg_node_software.double.keys import FILE, KeyRing
from dkg_node_software.double.kms import Kms
from dkg_node_software.double.policy import Principal
from dkg_node_software.double.requests import Body, Caller
from dkg_node_software.nsm import SoftwareNsm

ACCOUNT = "000000000000"
WHO = Principal(f"arn:aws:iam::{ACCOUNT}:user/admin", ACCOUNT, administrator=True)
ADMIN = Caller(WHO, "aws", "eu-central-1", may_create=True)
DAY = 24 * 60 * 60 * 1000


class World:
    """A KMS whose clock a test sets."""

    def __init__(self, directory: Path) -> None:
        self.now = 1_893_456_000_000
        self.directory = directory
        self.restart()

    def restart(self) -> None:
        self.kms = Kms(KeyRing(self.directory), lambda: self.now)

    def ask(self, operation: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - a request's fields
        return self.kms.handle(operation, Body(fields), ADMIN, {})

    def code(self, operation: str, **fields: Any) -> str:  # noqa: ANN401 - the same
        with pytest.raises(Fault) as fault:
            self.ask(operation, **fields)
        return fault.value.code


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_key_is_gone_when_its_waiting_time_is_over_and_not_before(world: World) -> None:
    key = world.ask("CreateKey")["KeyMetadata"]["Arn"]
    world.ask("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    world.now += 7 * DAY - 1
    assert world.ask("DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    world.restart()
    world.now += 1
    assert world.code("DescribeKey", KeyId=key) == "NotFoundException"
    assert world.code("CancelKeyDeletion", KeyId=key) == "NotFoundException"


@pytest.mark.parametrize("days", [0, 6, 31, True, "7"])
def test_a_waiting_time_outside_of_seven_to_thirty_days_is_refused(world: World, days: object) -> None:
    key = world.ask("CreateKey")["KeyMetadata"]["Arn"]
    assert world.code("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=days) == "ValidationException"


def test_a_deletion_taken_back_leaves_the_key_disabled(world: World) -> None:
    key = world.ask("CreateKey")["KeyMetadata"]["Arn"]
    world.ask("ScheduleKeyDeletion", KeyId=key)
    world.ask("CancelKeyDeletion", KeyId=key)
    assert world.code("Encrypt", KeyId=key, Plaintext="eA==") == "DisabledException"
    world.ask("EnableKey", KeyId=key)
    assert world.ask("Encrypt", KeyId=key, Plaintext="eA==")["CiphertextBlob"]


def test_policy_grants_and_state_are_there_after_a_restart(world: World) -> None:
    key = world.ask("CreateKey", Description="d")["KeyMetadata"]["Arn"]
    policy = world.ask("GetKeyPolicy", KeyId=key)["Policy"]
    world.ask("CreateGrant", KeyId=key, GranteePrincipal="arn:aws:iam::000000000000:role/x", Operations=["Decrypt"])
    world.ask("DisableKey", KeyId=key)
    world.restart()
    assert world.ask("GetKeyPolicy", KeyId=key)["Policy"] == policy
    assert len(world.ask("ListGrants", KeyId=key)["Grants"]) == 1
    assert world.ask("DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"


def test_a_policy_that_would_lock_out_is_not_put_and_the_old_one_stays(world: World) -> None:
    key = world.ask("CreateKey")["KeyMetadata"]["Arn"]
    before = world.ask("GetKeyPolicy", KeyId=key)["Policy"]
    locked = json.loads(before)
    locked["Statement"][0]["Action"] = "kms:Decrypt"
    asked = {"KeyId": key, "PolicyName": "default", "Policy": json.dumps(locked)}
    assert world.code("PutKeyPolicy", **asked) == "MalformedPolicyDocumentException"
    assert world.ask("GetKeyPolicy", KeyId=key)["Policy"] == before
    world.ask("PutKeyPolicy", **asked, BypassPolicyLockoutSafetyCheck=True)
    assert world.code("GetKeyPolicy", KeyId=key) == "AccessDeniedException"


def test_a_policy_spoiled_on_the_disk_allows_nothing(world: World) -> None:
    key = world.ask("CreateKey")["KeyMetadata"]["Arn"]
    path = world.directory / FILE
    rows = json.loads(path.read_text())
    rows[0]["policy"] = rows[0]["policy"].replace('"Version"', '"version"')
    path.write_text(json.dumps(rows))
    world.restart()
    assert world.code("DescribeKey", KeyId=key) == "AccessDeniedException"


def test_a_data_key_without_plaintext_takes_no_recipient(world: World) -> None:
    """As in AWS: there would be nothing to put into the envelope, and nobody shall believe that there was."""
    key = world.ask("CreateKey")["KeyMetadata"]["Arn"]
    spki = generate_private_key(65537, 2048).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    document = NsmAttester(SoftwareNsm({}, clock=lambda: world.now)).attest(b"", None, spki)
    given = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": b64encode(document).decode()}
    asked = {"KeyId": key, "KeySpec": "AES_256"}
    assert world.ask("GenerateDataKey", Recipient=given, **asked)["CiphertextForRecipient"]
    assert world.ask("GenerateDataKeyWithoutPlaintext", **asked)["CiphertextBlob"]
    assert world.code("GenerateDataKeyWithoutPlaintext", Recipient=given, **asked) == "ValidationException"
