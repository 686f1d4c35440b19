"""The policy evaluator: a table of policies, requests and answers; what is not understood is never followed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_node_software.double.policy import Decision, PolicyError, Principal, Question, read_policy

ACCOUNT = "000000000000"
ENCLAVE = f"arn:aws:iam::{ACCOUNT}:role/enclave"
OPERATOR = f"arn:aws:iam::{ACCOUNT}:role/operator"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef"
PCR0 = "kms:RecipientAttestation:PCR0"
TERMS = "kms:EncryptionContext:terms"
ALLOWED, DENIED, SILENT = Decision.ALLOWED, Decision.DENIED, Decision.SILENT


def statement(**changes: object) -> dict[str, Any]:
    usual = {"Effect": "Allow", "Principal": {"AWS": ENCLAVE}, "Action": "kms:Decrypt", "Resource": "*"}
    return {**usual, **changes}


def policy(*statements: dict[str, Any], **changes: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **changes})


def condition(operator: str, key: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return statement(Condition={operator: {key: value}})


def ask(
    text: str, action: str = "kms:Decrypt", arn: str = ENCLAVE, *, administrator: bool = False, **values: str
) -> Decision:
    named = {name.replace("__", ":"): value for name, value in values.items()}
    account = arn.split(":")[4]
    return read_policy(text).decide(Question(Principal(arn, account, administrator), action, KEY, named))


A = {"kms__RecipientAttestation__PCR0": "aa"}
T = {"kms__EncryptionContext__terms": "t1"}
DENY_ALL = statement(Effect="Deny", Principal="*", Action="kms:*")
DENY_UNATTESTED = statement(Effect="Deny", Principal="*", Condition={"Null": {PCR0: "true"}})

TABLE: list[tuple[str, str, dict[str, Any], Decision]] = [
    ("the role", policy(statement()), {}, ALLOWED),
    ("another role", policy(statement()), {"arn": OPERATOR}, SILENT),
    ("a role whose name begins alike", policy(statement()), {"arn": ENCLAVE + "2"}, SILENT),
    ("the role's name in another account", policy(statement()), {"arn": ENCLAVE.replace(ACCOUNT, "1" * 12)}, SILENT),
    ("another action", policy(statement()), {"action": "kms:Encrypt"}, SILENT),
    ("an action in another case", policy(statement(Action="kms:decrypt")), {}, ALLOWED),
    ("an action of a list", policy(statement(Action=["kms:Encrypt", "kms:Decrypt"])), {}, ALLOWED),
    ("an action by a star", policy(statement(Action="kms:De*")), {}, ALLOWED),
    ("a star that does not reach", policy(statement(Action="kms:Des*")), {}, SILENT),
    ("an action by a question mark", policy(statement(Action="kms:Decryp?")), {}, ALLOWED),
    ("all actions", policy(statement(Action="kms:*")), {"action": "kms:PutKeyPolicy"}, ALLOWED),
    ("the star alone", policy(statement(Action="*")), {}, ALLOWED),
    ("a shorter action", policy(statement(Action="kms:Decrypt*")), {"action": "kms:Dec"}, SILENT),
    ("ReEncrypt* covers From", policy(statement(Action="kms:ReEncrypt*")), {"action": "kms:ReEncryptFrom"}, ALLOWED),
    ("GenerateDataKey is not its pair", policy(statement(Action="kms:GenerateDataKey")),
     {"action": "kms:GenerateDataKeyPair"}, SILENT),
    ("everybody", policy(statement(Principal="*")), {"arn": OPERATOR}, ALLOWED),
    ("everybody in AWS", policy(statement(Principal={"AWS": "*"})), {"arn": OPERATOR}, ALLOWED),
    ("a list of principals", policy(statement(Principal={"AWS": [OPERATOR, ENCLAVE]})), {}, ALLOWED),
    ("the account, asked by a role without IAM rights", policy(statement(Principal={"AWS": ROOT})), {}, SILENT),
    ("the account, asked by an administrator", policy(statement(Principal={"AWS": ROOT})),
     {"administrator": True}, ALLOWED),
    ("another account, asked by an administrator", policy(statement(Principal={"AWS": ROOT.replace("0", "1")})),
     {"administrator": True}, SILENT),
    ("the account denied, asked by a role", policy(statement(), statement(Effect="Deny", Principal={"AWS": ROOT})),
     {}, DENIED),
    ("the key", policy(statement(Resource=KEY)), {}, ALLOWED),
    ("another key", policy(statement(Resource=KEY[:-1] + "0")), {}, SILENT),
    ("a denial beats an allowance", policy(statement(), DENY_ALL), {}, DENIED),
    ("a denial first beats it too", policy(DENY_ALL, statement()), {}, DENIED),
    ("a denial beats an administrator", policy(statement(Principal={"AWS": ROOT}), DENY_ALL),
     {"administrator": True}, DENIED),
    ("a denial of another action", policy(statement(), statement(Effect="Deny", Action="kms:Encrypt")), {}, ALLOWED),
    ("equal", policy(condition("StringEquals", PCR0, "aa")), A, ALLOWED),
    ("not equal", policy(condition("StringEquals", PCR0, "ab")), A, SILENT),
    ("absent is not equal", policy(condition("StringEquals", PCR0, "aa")), {}, SILENT),
    ("case matters", policy(condition("StringEquals", PCR0, "AA")), A, SILENT),
    ("case does not matter", policy(condition("StringEqualsIgnoreCase", PCR0, "AA")), A, ALLOWED),
    ("one of several values", policy(condition("StringEquals", PCR0, ["ab", "aa"])), A, ALLOWED),
    ("a condition key in another case", policy(condition("StringEquals", "kms:RECIPIENTattestation:pcr0", "aa")),
     A, ALLOWED),
    ("the image's digest", policy(condition("StringEquals", "kms:RecipientAttestation:ImageSha384", "bb")),
     {"kms__RecipientAttestation__ImageSha384": "bb"}, ALLOWED),
    ("both keys", policy(statement(Condition={"StringEquals": {PCR0: "aa", TERMS: "t1"}})), A | T, ALLOWED),
    ("one of two keys", policy(statement(Condition={"StringEquals": {PCR0: "aa", TERMS: "t1"}})), A, SILENT),
    ("one of two operators", policy(statement(Condition={"StringEquals": {PCR0: "aa"}, "Null": {TERMS: "false"}})),
     A, SILENT),
    ("a context of other terms", policy(condition("StringEquals", TERMS, "t2")), T, SILENT),
    ("like", policy(condition("StringLike", TERMS, "t?")), T, ALLOWED),
    ("equal knows no wildcards", policy(condition("StringEquals", TERMS, "t*")), T, SILENT),
    ("a dot is no wildcard", policy(condition("StringLike", TERMS, "..")), T, SILENT),
    ("a negation holds", policy(condition("StringNotEquals", TERMS, "t2")), T, ALLOWED),
    ("a negation holds for what is absent", policy(condition("StringNotEquals", TERMS, "t2")), {}, ALLOWED),
    ("a negation fails", policy(condition("StringNotLike", TERMS, "t*")), T, SILENT),
    ("if it exists, and does not", policy(condition("StringEqualsIfExists", TERMS, "t2")), {}, ALLOWED),
    ("if it exists, and is another", policy(condition("StringEqualsIfExists", TERMS, "t2")), T, SILENT),
    ("there must be none, and is", policy(condition("Null", PCR0, "true")), A, SILENT),
    ("there must be none, and is not", policy(condition("Null", PCR0, "true")), {}, ALLOWED),
    ("there must be one, and is not", policy(condition("Null", PCR0, "false")), {}, SILENT),
    ("a denial without attestation, unattested", policy(statement(), DENY_UNATTESTED), {}, DENIED),
    ("a denial without attestation, attested", policy(statement(), DENY_UNATTESTED), A, ALLOWED),
    ("context keys that differ in case", policy(statement()), {**T, "kms__EncryptionContext__Terms": "t2"}, DENIED),
    ("one statement without a list", json.dumps({"Version": "2012-10-17", "Statement": statement()}), {}, ALLOWED),
]  # fmt: skip


@pytest.mark.parametrize(("text", "asked", "answer"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_table(text: str, asked: dict[str, Any], answer: Decision) -> None:
    assert ask(text, **asked) is answer


NOT_UNDERSTOOD = {
    "no JSON": "{",
    "a name that stands twice": policy(statement()).replace('"Effect"', '"Effect": "Deny", "Effect"'),
    "another version": policy(statement(), Version="2008-10-17"),
    "no statement": policy(),
    "an unknown element on top": policy(statement(), More=1),
    "NotAction": policy({**statement(), "NotAction": "kms:Decrypt"}),
    "NotPrincipal": policy({**statement(), "NotPrincipal": {"AWS": ENCLAVE}}),
    "NotResource": policy({**statement(), "NotResource": "*"}),
    "another effect": policy(statement(Effect="Maybe")),
    "an effect in another case": policy(statement(Effect="deny")),
    "no action": policy(statement(Action=[])),
    "an action of another service": policy(statement(Action="s3:GetObject")),
    "a service as principal": policy(statement(Principal={"Service": "ec2.amazonaws.com"})),
    "a federated principal": policy(statement(Principal={"AWS": ENCLAVE, "Federated": "x"})),
    "a wildcard in a principal": policy(statement(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/*"})),
    "a deleted principal": policy(statement(Principal={"AWS": "AROAEXAMPLEEXAMPLE001"})),
    "no principal": policy({k: v for k, v in statement().items() if k != "Principal"}),
    "no resource": policy({k: v for k, v in statement().items() if k != "Resource"}),
    "an unknown operator": policy(condition("StringSortOf", PCR0, "aa")),
    "a set operator": policy(condition("ForAllValues:StringEquals", PCR0, "aa")),
    "a number's operator": policy(condition("NumericEquals", PCR0, "1")),
    "an unknown condition key": policy(condition("StringEquals", "kms:ViaService", "x")),
    "a global condition key": policy(condition("StringEquals", "aws:PrincipalOrgID", "o-1")),
    "a register there is not": policy(condition("StringEquals", "kms:RecipientAttestation:PCR32", "aa")),
    "an empty encryption context key": policy(condition("StringEquals", "kms:EncryptionContext:", "aa")),
    "Null with another word": policy(condition("Null", PCR0, "yes")),
    "Null with a bool": policy(condition("Null", PCR0, value=True)),
    "an empty operator": policy(statement(Condition={"StringEquals": {}})),
    "a condition that is a list": policy(statement(Condition=[])),
    "a value that is a number": policy(condition("StringEquals", PCR0, 1)),
    "no value": policy(condition("StringEquals", PCR0, [])),
}


@pytest.mark.parametrize("text", NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD.keys())
def test_a_policy_that_is_not_understood_is_never_followed(text: str) -> None:
    with pytest.raises(PolicyError):
        read_policy(text)


def test_one_odd_statement_spoils_a_policy_whose_others_would_allow() -> None:
    with pytest.raises(PolicyError):
        read_policy(policy(statement(), condition("StringSortOf", PCR0, "aa")))


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_no_json_value_raises_anything_else(value: object) -> None:
    with pytest.raises(PolicyError):
        read_policy(json.dumps({"Version": "2012-10-17", "Statement": [value]}))
