"""The key policy: what it says, that it never changes unnoticed, and what counts as the same."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_api.kms_policy import KmsPolicyError, key_arn_problem, kms_policy, same_policy, sealing_digest
from dkg_api.terms import Terms, parse_terms

GOLDEN = Path(__file__).parent / "golden" / "kms_policy.json"
KEY = "arn:aws:kms:eu-central-1:000000000000:key/01234567-89ab-cdef-0123-456789abcdef"
Make = Callable[..., dict[str, Any]]


@pytest.fixture
def two_releases(make_terms: Make) -> Terms:
    second = {"pcr0": "0a" * 48, "pcr1": "0b" * 48, "pcr2": "0c" * 48}
    return parse_terms(make_terms(releases=[*make_terms()["releases"], second]))


def test_the_policy_of_a_party_is_the_golden_text(two_releases: Terms) -> None:
    assert json.loads(kms_policy(two_releases, 2)) == json.loads(GOLDEN.read_text())


def test_use_takes_one_release_as_a_whole_and_the_context_of_the_party(two_releases: Terms) -> None:
    statements = json.loads(kms_policy(two_releases, 3))["Statement"]
    use = [s for s in statements if s["Effect"] == "Allow" and "kms:Decrypt" in s["Action"]]
    assert len(use) == 2
    for statement, release in zip(use, two_releases.releases, strict=True):
        exact = statement["Condition"]["StringEquals"]
        assert [exact[f"kms:RecipientAttestation:PCR{i}"] for i in range(3)] == list(release.model_dump().values())
        assert exact["kms:EncryptionContext:terms"] == two_releases.digest.hex()
        assert exact["kms:EncryptionContext:party"] == "3"
        assert exact["kms:EncryptionContext:ceremony"] == two_releases.ceremony
        assert statement["Principal"] == {"AWS": "arn:aws:iam::000000000000:role/enclave"}


def test_no_statement_hands_the_key_to_the_account_or_lets_anybody_change_it(terms: Terms) -> None:
    statements = json.loads(kms_policy(terms, 1))["Statement"]
    allowed = [s for s in statements if s["Effect"] == "Allow"]
    assert "root" not in json.dumps(allowed)
    actions = {action for s in allowed for action in s["Action"]}
    assert actions == {
        "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants",
        "kms:DisableKey", "kms:ScheduleKeyDeletion",
    }  # fmt: skip


def test_policies_differ_between_parties_and_between_terms(terms: Terms, make_terms: Make) -> None:
    other = parse_terms(make_terms(ceremony="01" * 16))
    assert not same_policy(kms_policy(terms, 1), kms_policy(terms, 2))
    assert not same_policy(kms_policy(terms, 1), kms_policy(other, 1))


@pytest.mark.parametrize("role", ["*", "enc*", "a?", "arn:aws:iam::1:role/x", 'x"y', "a:b"])
def test_a_role_with_a_wildcard_or_of_another_account_is_refused(make_terms: Make, role: str) -> None:
    raw = make_terms()
    raw["parties"][0]["sealing"]["enclaveRole"] = role
    with pytest.raises(KmsPolicyError, match="name of an IAM role"):
        kms_policy(parse_terms(raw), 1)


def test_the_largest_policy_fits_into_what_kms_takes(make_terms: Make) -> None:
    releases = [{f"pcr{k}": f"{i + 1:02x}" * 48 for k in range(3)} for i in range(8)]
    assert len(kms_policy(parse_terms(make_terms(releases=releases)), 1)) < 32 * 1024


def test_order_of_lists_and_single_values_change_nothing(two_releases: Terms) -> None:
    policy = json.loads(kms_policy(two_releases, 1))
    changed = copy.deepcopy(policy)
    changed["Statement"].reverse()
    for statement in changed["Statement"]:
        statement["Action"].reverse()
        if len(statement["Action"]) == 1:
            statement["Action"] = statement["Action"][0]
        if isinstance(statement["Principal"], dict) and isinstance(statement["Principal"]["AWS"], str):
            statement["Principal"]["AWS"] = [statement["Principal"]["AWS"]]
    assert changed != policy
    assert same_policy(json.dumps(policy), json.dumps(changed, indent=2))


Place = tuple[str | int, ...]


def leaves(value: object, path: Place = ()) -> list[Place]:
    """Paths of all single values."""
    if isinstance(value, dict):
        return [p for name, part in value.items() for p in leaves(part, (*path, name))]
    if isinstance(value, list):
        return [p for index, part in enumerate(value) for p in leaves(part, (*path, index))]
    return [path]


def at(policy: Any, path: Place) -> Any:  # noqa: ANN401 - any part of a JSON text
    return functools.reduce(lambda value, step: value[step], path, policy)


def test_any_changed_or_missing_value_makes_another_policy(two_releases: Terms) -> None:
    policy = json.loads(kms_policy(two_releases, 1))
    paths = leaves(policy)
    assert len(paths) > 40
    for path in paths:
        changed = copy.deepcopy(policy)
        at(changed, path[:-1])[path[-1]] += "x"
        assert not same_policy(json.dumps(policy), json.dumps(changed)), path
        del at(changed, path[:-1])[path[-1]]
        assert not same_policy(json.dumps(policy), json.dumps(changed)), path


def test_an_added_statement_makes_another_policy(terms: Terms) -> None:
    policy = json.loads(kms_policy(terms, 1))
    extra = {"Sid": "More", "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    changed = {**policy, "Statement": [*policy["Statement"], extra]}
    assert not same_policy(json.dumps(policy), json.dumps(changed))


def test_a_deleted_role_that_came_back_makes_another_policy(terms: Terms) -> None:
    policy = kms_policy(terms, 1)
    found = policy.replace('"arn:aws:iam::000000000000:role/enclave"', '"AROAEXAMPLEEXAMPLE001"')
    assert found != policy
    assert not same_policy(policy, found)


def test_a_name_that_stands_twice_makes_another_policy(terms: Terms) -> None:
    policy = kms_policy(terms, 1)
    assert not same_policy(policy, policy.replace('"Effect":"Deny"', '"Effect":"Allow","Effect":"Deny"', 1))


@given(st.text())
def test_no_text_that_was_found_raises(text: str) -> None:
    assert not same_policy('{"Version":"2012-10-17"}', text)


def test_only_a_single_region_key_of_the_terms_region_and_account_is_the_partys(terms: Terms) -> None:
    assert key_arn_problem(KEY, terms, 1) is None
    others = [
        KEY.replace("eu-central-1", "us-east-1"), KEY.replace("000000000000", "000000000001"),
        KEY.replace("key/", "key/mrk-"), KEY.replace("key/", "alias/"), KEY + "\n", KEY.replace("aws:", "aws-cn:", 1),
        KEY.upper(), "",
    ]  # fmt: skip
    assert all(key_arn_problem(arn, terms, 1) for arn in others)


def test_the_digest_in_evidence_names_key_and_policy(terms: Terms) -> None:
    policy = kms_policy(terms, 1)
    digests = {sealing_digest(KEY, policy), sealing_digest(KEY, kms_policy(terms, 2)), sealing_digest(KEY[:-1], policy)}
    assert len(digests) == 3
    assert all(len(digest) == 32 for digest in digests)
