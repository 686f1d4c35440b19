"""The double as a stranger sees it: plain botocore, a policy and documents written here, nothing of our clients."""

from __future__ import annotations

import functools
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asn1crypto.cms import ContentInfo
from botocore.exceptions import ClientError
from botocore.exceptions import SSLError as BotocoreSSLError
from botocore.session import Session
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dkg_api.cbor import encoded
from dkg_api.kms_policy import kms_policy, same_policy
from dkg_node.attestation.nsm import NsmAttester
from dkg_node.testing.aws_double import ACCOUNT, ROLE
from dkg_node.testing.aws_double import RunningDouble as Running
from dkg_node.testing.enclaves import terms_of
from dkg_node_software.nsm import SoftwareNsm, milliseconds, software_attester

PCRS = {"pcr0": "0a" * 48, "pcr1": "0b" * 48, "pcr2": "0c" * 48}
CONTEXT = {"terms": "t1", "party": "1"}
RSA = rsa.generate_private_key(65537, 2048)
SPKI = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
OAEP_SHA256 = OAEP(MGF1(SHA256()), SHA256(), None)


def allow(role: str, *actions: str, **condition: Any) -> dict[str, Any]:  # noqa: ANN401 - any condition
    found = {"Effect": "Allow", "Principal": {"AWS": ROLE + role}, "Action": list(actions), "Resource": "*"}
    return {**found, "Condition": condition} if condition else found


def deny(*actions: str, **condition: Any) -> dict[str, Any]:  # noqa: ANN401 - any condition
    return {**allow("x", *actions, **condition), "Effect": "Deny", "Principal": "*"}


ATTESTED = {f"kms:RecipientAttestation:PCR{i}": PCRS[f"pcr{i}"] for i in range(3)}
USE = allow(
    "enclave", "kms:Decrypt", "kms:GenerateDataKey",
    StringEquals={**ATTESTED, "kms:EncryptionContext:terms": "t1"},
)  # fmt: skip
STRICT = [
    USE,
    allow("operator", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"),
    allow("break-glass", "kms:DisableKey", "kms:ScheduleKeyDeletion", "kms:DescribeKey"),
    deny("kms:Decrypt", "kms:GenerateDataKey*", Null={"kms:RecipientAttestation:PCR0": "true"}),
    deny("kms:Encrypt", "kms:ReEncrypt*", "kms:CreateGrant", "kms:PutKeyPolicy", "kms:ReplicateKey"),
]


def make_key(double: Running, *statements: dict[str, Any], who: str = "operator", bypass: bool = True) -> str:
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    answer = double.client("kms", who).create_key(Policy=text, BypassPolicyLockoutSafetyCheck=bypass)
    return str(answer["KeyMetadata"]["Arn"])


@functools.cache
def attester(pcrs: tuple[tuple[str, str], ...]) -> NsmAttester:
    return software_attester(dict(pcrs))


def recipient(pcrs: dict[str, str] = PCRS, key: bytes | None = SPKI, algorithm: str = "RSAES_OAEP_SHA_256") -> Any:  # noqa: ANN401 - botocore's own shape
    document = attester(tuple(pcrs.items())).attest(b"", None, key)
    return {"KeyEncryptionAlgorithm": algorithm, "AttestationDocument": document}


def open_envelope(envelope: bytes) -> bytes:
    data = ContentInfo.load(envelope, strict=True)["content"]
    to, content = data["recipient_infos"][0].chosen, data["encrypted_content_info"]
    key = RSA.decrypt(to["encrypted_key"].native, OAEP_SHA256)
    iv = content["content_encryption_algorithm"]["parameters"].native
    decryptor = Cipher(AES(key), CBC(iv)).decryptor()
    padded = decryptor.update(content["encrypted_content"].native) + decryptor.finalize()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


def code(call: Callable[..., Any], **request: Any) -> str:  # noqa: ANN401 - any request
    """The error code of a refusal; the status is never a server's fault."""
    with pytest.raises(ClientError) as refusal:
        call(**request)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] in {400, 403, 404}
    return str(refusal.value.response["Error"]["Code"])


@pytest.fixture(scope="module")
def key(double: Running) -> str:
    return make_key(double, *STRICT)


def data_key(double: Running, key: str) -> tuple[bytes, bytes]:
    """(plaintext, wrapped) as the approved enclave gets them."""
    answer = double.client("kms", "enclave").generate_data_key(
        KeyId=key, KeySpec="AES_256", EncryptionContext=CONTEXT, Recipient=recipient()
    )
    assert answer.get("Plaintext", b"") == b""
    assert answer["KeyId"] == key
    return open_envelope(answer["CiphertextForRecipient"]), answer["CiphertextBlob"]


def test_the_approved_enclave_gets_its_data_key_again_and_nobody_sees_it(double: Running, key: str) -> None:
    plaintext, wrapped = data_key(double, key)
    assert len(plaintext) == 32
    answer = double.client("kms", "enclave").decrypt(
        KeyId=key, CiphertextBlob=wrapped, EncryptionContext=CONTEXT, Recipient=recipient()
    )
    assert open_envelope(answer["CiphertextForRecipient"]) == plaintext
    assert not answer.get("Plaintext")


@pytest.mark.parametrize("changed", ["pcr0", "pcr1", "pcr2"])
def test_changed_code_is_refused_by_each_register(double: Running, key: str, changed: str) -> None:
    wrong = recipient({**PCRS, changed: "dd" * 48})
    kms = double.client("kms", "enclave")
    asked = {"KeyId": key, "EncryptionContext": CONTEXT, "Recipient": wrong}
    assert code(kms.generate_data_key, KeySpec="AES_256", **asked) == "AccessDeniedException"
    assert code(kms.decrypt, CiphertextBlob=data_key(double, key)[1], **asked) == "AccessDeniedException"


@pytest.mark.parametrize(
    "given",
    [None, recipient({}), recipient(key=None), recipient(key=b"no key"), recipient(algorithm="RSAES_OAEP_SHA_1")],
    ids=["none", "debug", "no key", "a broken key", "another algorithm"],
)
def test_no_document_or_another_one_gets_nothing(double: Running, key: str, given: dict[str, Any] | None) -> None:
    asked = {"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": CONTEXT}
    more = {} if given is None else {"Recipient": given}
    refused = code(double.client("kms", "enclave").generate_data_key, **asked, **more)
    assert refused in {"AccessDeniedException", "ValidationException"}


def test_a_changed_document_is_refused(double: Running, key: str) -> None:
    given = recipient()
    broken = bytearray(given["AttestationDocument"])
    broken[-1] ^= 1
    given["AttestationDocument"] = bytes(broken)
    asked = {"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": CONTEXT, "Recipient": given}
    assert code(double.client("kms", "enclave").generate_data_key, **asked) == "AccessDeniedException"


@pytest.mark.parametrize(
    ("seconds", "refused"), [(-290, ""), (-310, "AccessDeniedException"), (45, ""), (75, "AccessDeniedException")]
)
def test_a_document_is_good_for_five_minutes(double: Running, key: str, seconds: int, refused: str) -> None:
    nsm = SoftwareNsm(PCRS, clock=lambda: milliseconds() - 310_000)
    nsm(encoded({"Attestation": {}}))  # its chain is valid from then on, so that only the document's time is judged
    nsm.clock = lambda: milliseconds() + seconds * 1000
    document = NsmAttester(nsm).attest(b"", None, SPKI)
    given = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": document}
    asked = {"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": CONTEXT, "Recipient": given}
    kms = double.client("kms", "enclave")
    if refused:
        assert code(kms.generate_data_key, **asked) == refused
    else:
        assert kms.generate_data_key(**asked)["CiphertextForRecipient"]


@pytest.mark.parametrize("context", [{}, {"terms": "t2", "party": "1"}, {"party": "1"}])
def test_another_encryption_context_is_refused_by_the_policy(
    double: Running, key: str, context: dict[str, str]
) -> None:
    asked = {"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context, "Recipient": recipient()}
    assert code(double.client("kms", "enclave").generate_data_key, **asked) == "AccessDeniedException"


def test_a_context_that_the_policy_takes_but_that_is_not_the_ciphertexts_is_refused(double: Running, key: str) -> None:
    asked = {"KeyId": key, "CiphertextBlob": data_key(double, key)[1], "Recipient": recipient()}
    wrong = {**CONTEXT, "party": "2"}
    refused = code(double.client("kms", "enclave").decrypt, EncryptionContext=wrong, **asked)
    assert refused == "InvalidCiphertextException"


@pytest.mark.parametrize("who", ["operator", "break-glass", "admin", "stranger"])
def test_nobody_else_uses_the_key_even_with_a_genuine_document(double: Running, key: str, who: str) -> None:
    asked = {"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": CONTEXT, "Recipient": recipient()}
    assert code(double.client("kms", who).generate_data_key, **asked) == "AccessDeniedException"


def test_an_access_key_that_nobody_holds_is_refused(double: Running, key: str) -> None:
    refused = code(double.client("kms", "AKIANOBODY0000000001").describe_key, KeyId=key)
    assert refused == "UnrecognizedClientException"
    assert code(double.client("s3", "AKIANOBODY0000000001").list_buckets) == "AccessDenied"


LOOSEN: dict[str, tuple[str, dict[str, Any]]] = {
    "a policy": ("put_key_policy", {"PolicyName": "default", "Policy": "{}"}),
    "a grant": ("create_grant", {"GranteePrincipal": ROLE + "admin", "Operations": ["Decrypt"]}),
    "a replica": ("replicate_key", {"ReplicaRegion": "us-east-1"}),
    "an encryption": ("encrypt", {"Plaintext": b"x"}),
    "a data key without plaintext": ("generate_data_key_without_plaintext", {"KeySpec": "AES_256"}),
    "a key pair": ("generate_data_key_pair", {"KeyPairSpec": "ECC_NIST_P256"}),
    "an import": ("import_key_material", {"ImportToken": b"x", "EncryptedKeyMaterial": b"x"}),
    "another primary region": ("update_primary_region", {"PrimaryRegion": "us-east-1"}),
    "switching on": ("enable_key", {}),
    "taking back its deletion": ("cancel_key_deletion", {}),
}


SILENCE = {"switching on", "taking back its deletion"}
"""What no statement denies: that no statement allows it is what refuses."""
EVERYBODY = [f"arn:aws:iam::{ACCOUNT}:root", *(ROLE + who for who in ("enclave", "operator", "break-glass"))]
ALL_OF_IT = {"Effect": "Allow", "Principal": {"AWS": EVERYBODY}, "Action": "kms:*", "Resource": "*"}
RENDERED = json.loads(kms_policy(terms_of(), 1))["Statement"]


@pytest.fixture(scope="module")
def keys(double: Running) -> dict[str, str]:
    """Under the policy that parties make their keys with; with everything allowed besides; with that alone."""
    policies = {"rendered": RENDERED, "loosened": [*RENDERED, ALL_OF_IT], "open": [ALL_OF_IT]}
    return {name: make_key(double, *statements) for name, statements in policies.items()}


def answer_to(double: Running, who: str, key: str, what: str) -> str:
    """The error code, or nothing when it is done."""
    operation, request = LOOSEN[what]
    try:
        getattr(double.client("kms", who), operation)(**request, KeyId=key)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


@pytest.mark.parametrize("who", ["enclave", "operator", "break-glass", "admin", "stranger"])
@pytest.mark.parametrize("what", LOOSEN)
def test_nobody_goes_past_the_policy(double: Running, keys: dict[str, str], what: str, who: str) -> None:
    assert answer_to(double, who, keys["rendered"], what) == "AccessDeniedException"


@pytest.mark.parametrize("who", ["enclave", "operator", "break-glass", "admin"])
@pytest.mark.parametrize("what", sorted(LOOSEN.keys() - SILENCE))
def test_the_denials_hold_against_a_statement_that_allows_everything(
    double: Running, keys: dict[str, str], what: str, who: str
) -> None:
    """Here silence refuses nothing: what is refused, a denial refuses."""
    assert answer_to(double, who, keys["loosened"], what) == "AccessDeniedException"
    assert answer_to(double, who, keys["open"], what) != "AccessDeniedException", "so the test above could fail"


@pytest.mark.parametrize("what", sorted(SILENCE))
def test_what_no_denial_covers_is_refused_for_want_of_a_statement_only(
    double: Running, keys: dict[str, str], what: str
) -> None:
    """It opens nothing by itself; a policy with such a statement is another one, which the read-back refuses."""
    assert answer_to(double, "admin", keys["loosened"], what) != "AccessDeniedException"
    loosened = {**json.loads(kms_policy(terms_of(), 1)), "Statement": [*RENDERED, ALL_OF_IT]}
    assert not same_policy(kms_policy(terms_of(), 1), json.dumps(loosened))


def test_re_encryption_under_an_administrators_key_is_refused(double: Running, key: str) -> None:
    own = double.client("kms", "admin").create_key()["KeyMetadata"]["Arn"]
    asked = {"CiphertextBlob": data_key(double, key)[1], "SourceKeyId": key, "SourceEncryptionContext": CONTEXT}
    for who in ("admin", "enclave", "operator"):
        assert code(double.client("kms", who).re_encrypt, DestinationKeyId=own, **asked) == "AccessDeniedException"
    admin = double.client("kms", "admin")
    blob = admin.encrypt(KeyId=own, Plaintext=b"a key of the host's")["CiphertextBlob"]
    back = {"CiphertextBlob": blob, "DestinationKeyId": key, "DestinationEncryptionContext": CONTEXT}
    assert code(admin.re_encrypt, **back) == "AccessDeniedException", "nor does anything else get under the key"


def test_the_account_reaches_a_key_that_leaves_it_the_decision(double: Running) -> None:
    """So the tests above could fail: with the usual statement for the account an administrator does all of it."""
    admin = double.client("kms", "admin")
    key = admin.create_key()["KeyMetadata"]["Arn"]
    blob = admin.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    assert admin.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"})["Plaintext"] == b"x"
    other = admin.create_key()["KeyMetadata"]["Arn"]
    moved = admin.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext={"a": "b"}, DestinationKeyId=other)
    assert admin.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == b"x"
    admin.create_grant(KeyId=key, GranteePrincipal=ROLE + "operator", Operations=["Decrypt"])
    operator = double.client("kms", "operator")
    assert operator.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"})["Plaintext"] == b"x"
    grant = admin.list_grants(KeyId=key)["Grants"][0]["GrantId"]
    admin.revoke_grant(KeyId=key, GrantId=grant)
    refused = code(operator.decrypt, CiphertextBlob=blob, EncryptionContext={"a": "b"})
    assert refused == "AccessDeniedException"


def test_a_grant_holds_for_its_context_only_and_never_against_a_denial(double: Running) -> None:
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
    key = make_key(double, root, deny("kms:GenerateDataKey"), who="admin")
    admin, operator = double.client("kms", "admin"), double.client("kms", "operator")
    blob = admin.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    admin.create_grant(
        KeyId=key, GranteePrincipal=ROLE + "operator", Operations=["Decrypt", "GenerateDataKey"],
        Constraints={"EncryptionContextSubset": {"a": "c"}},
    )  # fmt: skip
    assert code(operator.decrypt, CiphertextBlob=blob, EncryptionContext={"a": "b"}) == "AccessDeniedException"
    asked = {"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": {"a": "c"}}
    assert code(operator.generate_data_key, **asked) == "AccessDeniedException"


def test_a_policy_that_locks_its_maker_out_needs_the_word(double: Running) -> None:
    with pytest.raises(ClientError, match="MalformedPolicyDocument"):
        make_key(double, *STRICT, bypass=False)
    assert make_key(double, *STRICT, bypass=True)


def test_a_policy_that_is_not_understood_is_refused_when_it_is_made(double: Running) -> None:
    with pytest.raises(ClientError, match="MalformedPolicyDocument"):
        make_key(double, allow("enclave", "kms:Decrypt", DateLessThan={"aws:CurrentTime": "2030-01-01T00:00:00Z"}))


@pytest.mark.parametrize("who", ["enclave", "break-glass", "stranger"])
def test_who_may_make_no_keys_makes_none(double: Running, who: str) -> None:
    assert code(double.client("kms", who).create_key) == "AccessDeniedException"


def test_a_disabled_key_opens_nothing_and_nobody_switches_it_on(double: Running) -> None:
    key = make_key(double, *STRICT)
    wrapped = data_key(double, key)[1]
    double.client("kms", "break-glass").disable_key(KeyId=key)
    asked = {"KeyId": key, "EncryptionContext": CONTEXT, "Recipient": recipient()}
    kms = double.client("kms", "enclave")
    assert code(kms.decrypt, CiphertextBlob=wrapped, **asked) == "DisabledException"
    assert code(kms.generate_data_key, KeySpec="AES_256", **asked) == "DisabledException"
    assert double.client("kms", "operator").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"


def test_a_key_that_waits_for_its_deletion_opens_nothing(double: Running) -> None:
    key = make_key(double, *STRICT)
    wrapped = data_key(double, key)[1]
    glass = double.client("kms", "break-glass")
    glass.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    asked = {"KeyId": key, "EncryptionContext": CONTEXT, "Recipient": recipient()}
    assert code(double.client("kms", "enclave").decrypt, CiphertextBlob=wrapped, **asked) == "KMSInvalidStateException"
    assert code(glass.disable_key, KeyId=key) == "KMSInvalidStateException"


def test_a_ciphertext_of_another_key_is_refused(double: Running, key: str) -> None:
    other = make_key(double, *STRICT)
    asked = {"EncryptionContext": CONTEXT, "Recipient": recipient(), "CiphertextBlob": data_key(double, other)[1]}
    assert code(double.client("kms", "enclave").decrypt, KeyId=key, **asked) == "IncorrectKeyException"


def test_a_changed_ciphertext_is_refused(double: Running, key: str) -> None:
    wrapped = bytearray(data_key(double, key)[1])
    wrapped[-1] ^= 1
    asked = {"EncryptionContext": CONTEXT, "Recipient": recipient(), "KeyId": key}
    refused = code(double.client("kms", "enclave").decrypt, CiphertextBlob=bytes(wrapped), **asked)
    assert refused == "InvalidCiphertextException"


def test_another_region_has_no_such_key(double: Running, key: str) -> None:
    kms = double.client("kms", "operator")
    elsewhere = key.replace("eu-central-1", "us-east-1")
    assert code(kms.describe_key, KeyId=elsewhere) == "NotFoundException"


def test_the_audit_log_shows_who_asked_with_which_document_and_never_a_key(double: Running, key: str) -> None:
    plaintext, wrapped = data_key(double, key)
    code(double.client("kms", "operator").decrypt, KeyId=key, CiphertextBlob=wrapped, EncryptionContext=CONTEXT)
    text = (double.state / "audit.jsonl").read_text()
    good, refused = (json.loads(line) for line in text.splitlines()[-2:])
    assert good["eventName"] == "GenerateDataKey"
    assert good["userIdentity"]["arn"] == ROLE + "enclave"
    assert good["additionalEventData"]["recipient"]["attestationDocumentEnclaveImageDigest"] == PCRS["pcr0"]
    assert good["encryptionContext"] == CONTEXT
    assert "errorCode" not in good
    assert refused["errorCode"] == "AccessDeniedException"
    assert refused["userIdentity"]["arn"] == ROLE + "operator"
    assert plaintext.hex() not in text


def test_a_client_without_the_test_ca_does_not_talk_to_it(double: Running, key: str) -> None:
    credentials = {"aws_access_key_id": "A", "aws_secret_access_key": "B"}
    kms = Session().create_client("kms", region_name="eu-central-1", endpoint_url=double.url, **credentials)
    with pytest.raises(BotocoreSSLError):
        kms.describe_key(KeyId=key)


def raw(double: Running, body: bytes, **headers: str) -> tuple[int, bytes]:
    """A request without any client's help."""
    context = ssl.create_default_context(cafile=str(double.state / "ca.pem"))
    request = urllib.request.Request(double.url, data=body, headers=headers, method="POST")  # noqa: S310 - https
    try:
        with urllib.request.urlopen(request, context=context) as answer:  # noqa: S310 - the same
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


SIGNED = "AWS4-HMAC-SHA256 Credential=AKIAENCLAVE000000001/20300101/eu-central-1/kms/aws4_request, Signature=x"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b"\xff", b'{"KeyId": 1}', b'{"KeyId": "x", "EncryptionContext": []}', b"[" * 5000,
        b'{"KeyId": "x", "EncryptionContext": {"a": 1}}', b'{"KeyId": "x", "Recipient": "y"}',
        b'{"CiphertextBlob": "!"}', b'{"CiphertextBlob": ""}', b'{"KeyId": {"a": "b"}}', os.urandom(100),
    ],
)  # fmt: skip
@pytest.mark.parametrize("operation", ["Decrypt", "GenerateDataKey", "ReEncrypt", "CreateGrant", "Nothing", ""])
def test_no_request_ends_in_a_servers_fault(double: Running, operation: str, body: bytes) -> None:
    status, answer = raw(double, body, Authorization=SIGNED, **{"X-Amz-Target": f"TrentService.{operation}"})
    assert 400 <= status < 500, answer


def test_a_request_without_a_signature_is_refused(double: Running) -> None:
    assert raw(double, b"{}", **{"X-Amz-Target": "TrentService.ListKeys"})[0] == 400


def test_objects_and_their_versions_are_there_after_a_restart(start: Callable[[Path], Running], tmp_path: Path) -> None:
    first = start(tmp_path / "state")
    s3 = first.client("s3", "operator")
    s3.create_bucket(Bucket="shares", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_bucket_versioning(Bucket="shares", VersioningConfiguration={"Status": "Enabled"})
    enclave = first.client("s3", "enclave")
    versions = [
        enclave.put_object(Bucket="shares", Key="1/share", Body=body)["VersionId"] for body in (b"a", b"b", b"c")
    ]
    enclave.delete_object(Bucket="shares", Key="1/share", VersionId=versions[1])
    key = make_key(first, *STRICT)
    plaintext, wrapped = data_key(first, key)
    first.stop()
    with (tmp_path / "state" / "s3.jsonl").open("a") as journal:
        journal.write('{"environ": {"killed in the mid')

    second = start(tmp_path / "state")
    enclave = second.client("s3", "enclave")
    assert enclave.get_object(Bucket="shares", Key="1/share")["Body"].read() == b"c"
    assert enclave.get_object(Bucket="shares", Key="1/share", VersionId=versions[0])["Body"].read() == b"a"
    listed = enclave.list_object_versions(Bucket="shares", Prefix="1/")["Versions"]
    assert [row["VersionId"] for row in listed] == [versions[2], versions[0]]
    answer = second.client("kms", "enclave").decrypt(
        KeyId=key, CiphertextBlob=wrapped, EncryptionContext=CONTEXT, Recipient=recipient()
    )
    assert open_envelope(answer["CiphertextForRecipient"]) == plaintext


def test_in_s3_a_role_reaches_its_own_prefix_only(double: Running) -> None:
    s3 = double.client("s3", "operator")
    s3.create_bucket(Bucket="shares", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="shares", Key="2/share", Body=b"x")
    enclave = double.client("s3", "enclave")
    enclave.put_object(Bucket="shares", Key="1/share", Body=b"y")
    assert enclave.get_object(Bucket="shares", Key="1/share")["Body"].read() == b"y"
    assert code(enclave.get_object, Bucket="shares", Key="2/share") == "AccessDenied"
    assert code(enclave.put_object, Bucket="shares", Key="2/share", Body=bytes(4 << 20)) == "AccessDenied"
    assert code(enclave.list_objects_v2, Bucket="shares") == "AccessDenied"
    assert code(enclave.delete_bucket, Bucket="shares") == "AccessDenied"
    assert code(enclave.get_object, Bucket="shares", Key="1/share", ExpectedBucketOwner="1" * 12) == "AccessDenied"
    assert code(double.client("s3", "stranger").get_object, Bucket="shares", Key="1/share") == "AccessDenied"


def test_sts_answers(double: Running) -> None:
    assert double.client("sts", "operator").get_caller_identity()["Account"]
