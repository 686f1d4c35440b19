"""Terms: equal ones have one digest, bad ones one clear line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_api.canonical import CanonicalError, canonical, digest, parse
from dkg_api.terms import Terms, TermsError, parse_terms

MakeTerms = Callable[..., dict[str, Any]]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_canonical_text_reads_back_as_the_same_value(value: object) -> None:
    text = canonical(value)
    assert parse(text, "it") == value
    assert canonical(parse(text, "it")) == text


def test_canonical_text_follows_rfc_8785() -> None:
    # Names in order of UTF-16 code units, no blanks, escapes as in section 3.2.2.2.
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": [True, None, '\u000f"\\/']}
    assert canonical(value).decode() == (
        '{"\\r":2,"1":4,"\x80":[true,null,"\\u000f\\"\\\\/"],"\u20ac":1,"\U0001f600":5,"\ufb33":3}'
    )


@pytest.mark.parametrize("value", [1.0, [0.5], {"a": float("nan")}, 2**53, {"a": [-(2**53)]}, {1: 2}, b"x", "\ud800"])
def test_values_without_one_canonical_text_are_refused(value: object) -> None:
    with pytest.raises(CanonicalError):
        canonical(value)


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', "1.5", "NaN", "{", "1e2", "[" * 100_000, b"\xff", str(2**53)])
def test_texts_that_two_readers_could_take_differently_are_refused(text: str | bytes) -> None:
    with pytest.raises(CanonicalError) as error:
        parse(text, "the file")
    assert "\n" not in str(error.value)


def test_terms_keep_their_digest_through_any_formatting(make_terms: MakeTerms) -> None:
    raw = make_terms()
    terms = parse_terms(raw)
    shuffled = json.dumps(dict(reversed(list(raw.items()))), indent=3)
    assert parse_terms(shuffled).digest == terms.digest == digest(raw)
    assert parse_terms(terms.canonical) == terms
    assert terms.canonical == canonical(raw)


@pytest.mark.parametrize(("n", "t"), [(4, 1), (7, 2), (10, 3), (13, 4)])
def test_every_supported_size_is_accepted(make_terms: MakeTerms, n: int, t: int) -> None:
    assert parse_terms(make_terms(n, t)).n == n


def refused(raw: dict[str, Any] | bytes | str) -> str:
    with pytest.raises(TermsError) as error:
        parse_terms(raw)
    assert all("\n" not in line and line.startswith("terms") for line in error.value.problems)
    return str(error.value)


@pytest.mark.parametrize(("n", "t"), [(5, 1), (3, 1), (13, 3), (12, 4), (0, 1)])
def test_other_than_3t_plus_1_parties_are_refused(make_terms: MakeTerms, n: int, t: int) -> None:
    assert f"list exactly {3 * t + 1}" in refused(make_terms(n, t))


@pytest.mark.parametrize("t", [0, 5, -1])
def test_a_threshold_outside_1_to_4_is_refused(make_terms: MakeTerms, t: int) -> None:
    assert "threshold" in refused(make_terms(threshold=t))
    assert "use 1 to 4" in refused(make_terms(threshold=t))


def test_an_unknown_parameter_set_is_refused(make_terms: MakeTerms) -> None:
    line = refused(make_terms(parameterSet="tiny"))
    assert "parameterSet" in line
    assert "test, core, production" in line


@pytest.mark.parametrize("pcr", ["pcr0", "pcr1", "pcr2"])
def test_a_zero_register_is_refused(make_terms: MakeTerms, pcr: str) -> None:
    raw = make_terms()
    raw["releases"][0][pcr] = "0" * 96
    assert f"releases[0].{pcr}" in refused(raw)


def test_two_parties_of_one_organisation_are_refused(make_terms: MakeTerms) -> None:
    raw = make_terms()
    raw["parties"][2]["organization"] = raw["parties"][0]["organization"].upper()
    assert "stands twice" in refused(raw)


def test_two_parties_with_one_key_are_refused(make_terms: MakeTerms) -> None:
    raw = make_terms()
    raw["parties"][2]["organizationKey"] = raw["parties"][0]["organizationKey"]
    assert "1 and 3" in refused(raw)


@pytest.mark.parametrize("indices", [(1, 2, 3, 3), (0, 1, 2, 3), (1, 2, 3, 5), (2, 1, 3, 4)])
def test_indices_other_than_1_to_n_are_refused(make_terms: MakeTerms, indices: tuple[int, ...]) -> None:
    raw = make_terms()
    for party, index in zip(raw["parties"], indices, strict=True):
        party["index"] = index
    assert "ind" in refused(raw)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schemaVersion", 2),
        ("protocolVersion", 2),
        ("ceremony", "AB" * 16),
        ("ceremony", "00"),
        ("attestation", "none"),
        ("startGrace", 0),
        ("roundTimeout", -1),
        ("roundTimeout", "20"),
        ("minRate", 0),
        ("minSpeed", 0),
        ("minSpeed", True),
        ("notBefore", "2026-13-01T00:00:00Z"),
        ("deadline", "2020-01-01T00:00:00Z"),
        ("deadline", "2036-01-01"),
        ("releases", []),
        ("deadline", None),
        ("threshold", None),
    ],
)
def test_a_field_with_a_wrong_value_is_named(make_terms: MakeTerms, field: str, value: object) -> None:
    assert field in refused(make_terms(**{field: value}))


def test_missing_and_unknown_fields_are_named(make_terms: MakeTerms) -> None:
    raw = make_terms(extra=1)
    del raw["minRate"]
    with pytest.raises(TermsError) as error:
        parse_terms(raw)
    assert set(error.value.problems) == {"terms: minRate: is missing: add it", "terms: extra: is not known: remove it"}


def test_snake_case_names_are_not_a_second_spelling(make_terms: MakeTerms) -> None:
    raw = make_terms()
    raw["min_rate"] = raw.pop("minRate")
    assert "min" in refused(raw)


@given(st.binary(max_size=60))
def test_any_bytes_give_terms_or_one_clear_line(data: bytes) -> None:
    refused(data)


def test_terms_cannot_be_changed(terms: Terms) -> None:
    with pytest.raises(ValueError, match="frozen"):
        terms.threshold = 2


def test_what_a_software_test_ceremony_must_say_is_known(terms: Terms) -> None:
    assert terms.notices == ("SOFTWARE ATTESTATION: PROVES NOTHING", "INSECURE PARAMETERS")


@pytest.mark.parametrize(
    "region", ["eu-central-1", "us-gov-west-1", "cn-northwest-1", "ap-southeast-11", "us-isob-east-1", "mx-central-1"]
)
def test_names_of_regions_are_taken(make_terms: MakeTerms, region: str) -> None:
    assert parse_terms(in_region(make_terms, region)).party(1).sealing.region == region


@pytest.mark.parametrize(
    "region",
    ["s3", "kms", "", "local", "eu-central", "eu-central-", "eu--central-1", "-eu-central-1", "eu-central-1\n",
     "eu-central-111", "EU-central-1", "eu-central-1.example", "eu-central-1/x", "s3-eu-central-1", "eu-central-1-s3",
     "eu-" + "a" * 30 + "-1"],
)  # fmt: skip
def test_what_would_be_another_host_name_is_no_region(make_terms: MakeTerms, region: str) -> None:
    """A region becomes part of the names of KMS and S3 where the enclave sends its requests."""
    with pytest.raises(TermsError):
        parse_terms(in_region(make_terms, region))


def in_region(make_terms: MakeTerms, region: str) -> dict[str, Any]:
    raw = make_terms()
    raw["parties"][0]["sealing"]["region"] = region
    return raw
