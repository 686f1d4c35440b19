"""Certificate, desired state, report, transcript: good ones pass, each bad one for the reason it gives."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from dkg_api.canonical import CanonicalError
from dkg_api.certificate import (
    Certificate,
    CertificateError,
    CertificateSignature,
    Fault,
    SelfCheck,
    parse_certificate,
    verify_certificate,
)
from dkg_api.desired_state import DesiredStateError, parse_desired_state
from dkg_api.enrolment import Enrolment
from dkg_api.report import BitCounts, CpuSeconds, PartyReport, Phase, Report, SentBytes
from dkg_api.session import session_id
from dkg_api.signatures import public_bytes, sign
from dkg_api.terms import Terms, parse_terms
from dkg_api.transcript import append, verify_lines

Keys = dict[int, Ed25519PrivateKey]
MakeState = Callable[..., dict[str, Any]]
Sign = Callable[..., Certificate]


@pytest.fixture
def signed(terms: Terms, enrolments: list[Enrolment], identity_keys: Keys) -> Sign:
    """A certificate, changed before it is signed, by the given parties."""

    def make(signers: tuple[int, ...] = (1, 2, 3), **changes: object) -> Certificate:
        plain = Certificate(
            notices=terms.notices,
            terms_digest=terms.digest.hex(),
            sid=session_id(terms.digest, 3).hex(),
            era=0,
            digests={"keyset": "ab" * 32},
            self_check=SelfCheck(passed=True, cases=4, method="reconstruction"),
            faults=(Fault(party=4, kind="silent", phase="setup"),),
            enrolments=tuple(enrolments),
        ).model_copy(update=changes)
        signatures = tuple(
            CertificateSignature(
                party=i,
                key=public_bytes(identity_keys[i]).hex(),
                signature=sign(identity_keys[i], "certificate", plain.content()).hex(),
            )
            for i in signers
        )
        return plain.model_copy(update={"signatures": signatures})

    return make


def test_a_certificate_of_n_minus_t_parties_is_good_and_reads_back(signed: Sign, terms: Terms) -> None:
    certificate = signed()
    assert verify_certificate(certificate, terms) == ()
    assert parse_certificate(json.dumps(certificate.as_json(), indent=1)) == certificate
    assert verify_certificate(signed((1, 2, 3, 4)), terms) == ()


def test_one_signature_too_few_is_too_few_even_when_one_stands_twice(signed: Sign, terms: Terms) -> None:
    certificate = signed((1, 2))
    assert verify_certificate(certificate, terms) == ("2 parties signed, 3 must: get signatures of 1 more",)
    doubled = certificate.model_copy(update={"signatures": certificate.signatures * 2})
    assert verify_certificate(doubled, terms) == ("2 parties signed, 3 must: get signatures of 1 more",)


@pytest.mark.parametrize(
    "changes",
    [
        {"era": 1},
        {"digests": {"keyset": "ac" * 32}},
        {"digests": {}},
        {"faults": ()},
        {"self_check": None},
        {"self_check": SelfCheck(passed=False, cases=4, method="reconstruction")},
        {"notices": ()},
        {"sid": "00" * 32},
        {"terms_digest": "00" * 32},
    ],
)
def test_any_change_of_what_was_signed_is_noticed(signed: Sign, terms: Terms, changes: dict[str, object]) -> None:
    assert verify_certificate(signed().model_copy(update=changes), terms)


def test_what_no_party_may_sign_is_refused_though_all_signed_it(signed: Sign, terms: Terms) -> None:
    everybody = (1, 2, 3, 4)
    failed = SelfCheck(passed=False, cases=1, method="threshold")
    assert verify_certificate(signed(everybody, self_check=failed), terms) == ("the self-check did not pass",)
    assert "no attempt" in verify_certificate(signed(everybody, sid="00" * 32), terms)[0]
    assert "certifies no key" in verify_certificate(signed(everybody, digests={}), terms)[0]
    assert "SOFTWARE ATTESTATION" in verify_certificate(signed(everybody, notices=()), terms)[0]


def test_other_terms_are_the_first_thing_said(signed: Sign, make_terms: MakeState) -> None:
    (problem,) = verify_certificate(signed(), parse_terms(make_terms(startGrace=1)))
    assert "belongs to other terms" in problem


def test_signatures_by_keys_that_are_not_enrolled_count_for_nothing(
    signed: Sign, terms: Terms, identity_keys: Keys
) -> None:
    certificate = signed((1, 2))
    stranger = CertificateSignature(
        party=3,
        key=public_bytes(identity_keys[9]).hex(),
        signature=sign(identity_keys[9], "certificate", certificate.content()).hex(),
    )
    moved = certificate.signatures[0].model_copy(update={"party": 3})
    for extra in (stranger, moved):
        found = verify_certificate(
            certificate.model_copy(update={"signatures": (*certificate.signatures, extra)}), terms
        )
        assert "party 3 is not by a key enrolled for it" in found[0]
        assert "2 parties signed" in found[1]


def test_a_certificate_without_its_enrolments_proves_nothing(signed: Sign, terms: Terms) -> None:
    assert verify_certificate(signed().model_copy(update={"enrolments": ()}), terms)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_certificate_or_one_line(data: bytes) -> None:
    with pytest.raises(CertificateError) as error:
        parse_certificate(data)
    assert "\n" not in str(error.value)


# --- desired state


def test_the_desired_state_reads_back(make_desired_state: MakeState) -> None:
    state = parse_desired_state(make_desired_state())
    assert parse_desired_state(json.dumps(state.as_json())) == state
    assert "organizationKey" in json.dumps(state.as_json())
    entry = state.peer(3)
    assert entry is not None
    assert entry.peer_port == 17031
    assert state.peer(9) is None
    assert state.missing() == ()
    assert state.keyring.missing() == ()


def test_who_is_missing_is_known_while_others_are_being_started(make_desired_state: MakeState) -> None:
    raw = make_desired_state()
    raw["peers"][1]["attestPort"] = None
    raw["peers"].pop()
    raw["enrolments"] = raw["enrolments"][1:]
    assert parse_desired_state(raw).missing() == (1, 2, 4)


def refused(raw: dict[str, Any]) -> str:
    with pytest.raises(DesiredStateError) as error:
        parse_desired_state(raw)
    assert all("\n" not in line for line in error.value.problems)
    return str(error.value)


def test_what_a_node_cannot_start_from_is_refused_in_one_line(make_desired_state: MakeState) -> None:
    make = make_desired_state
    assert "party: 5 is not in the terms: use 1 to 4" in refused(make(party=5))
    assert "attempt" in refused(make(attempt=0))
    assert "no valid signature of Organisation 4" in refused(make(signatures=make()["signatures"][:3]))
    assert "stands twice" in refused(make(peers=make()["peers"] * 2))
    assert "terms.parameterSet: unknown parameter set" in refused(make(terms={**make()["terms"], "parameterSet": "x"}))
    assert "surprise: is not known" in refused(make(surprise=1))
    wrong = make()["enrolments"]
    wrong[0]["identity_key"] = "00" * 32
    assert "enrolment of party 1" in refused(make(enrolments=wrong))
    for field, value in (
        ("host", "a b"),
        ("peerPort", 0),
        ("peerPort", 65536),
        ("attestPort", 0),
        ("certificate", "PRIVATE"),
    ):
        peers = make()["peers"]
        peers[2][field] = value
        assert f"peers[2].{field}" in refused(make(peers=peers))


def test_a_bad_value_is_never_quoted(make_desired_state: MakeState) -> None:
    peers = make_desired_state()["peers"]
    peers[0]["certificate"] = "-----BEGIN PRIVATE KEY-----secret"
    with pytest.raises(DesiredStateError) as error:
        parse_desired_state(make_desired_state(peers=peers))
    assert "secret" not in "".join(error.value.problems)


# --- report and transcript


def test_the_report_has_exactly_the_agreed_names() -> None:
    sent = SentBytes(offline=6, online=1, setup=1, k64=2, k128=2, fixed=1)
    party = PartyReport(
        index=1,
        offline_seconds=1.5,
        online_seconds=0.5,
        cpu_seconds=CpuSeconds(offline=1.0, online=0.5),
        peak_rss_bytes=1,
        sent_bytes=sent,
        received_bytes=1,
    )
    report = Report(
        result="completed",
        attestation="software",
        parameter_set="test",
        parties=4,
        threshold=1,
        terms_digest="00" * 32,
        keyset_sha256=None,
        bits=BitCounts(k64=1, k128=2),
        products=3,
        phases=(Phase(name="setup", start="2030-01-01T00:00:00Z", end="2030-01-01T00:00:01Z"),),
        per_party=(party,),
        faults=(),
        self_check=None,
    )
    found = json.loads(json.dumps(report.as_json()))
    assert list(found) == [
        "schema_version", "result", "attestation", "parameter_set", "parties", "threshold", "terms_digest",
        "keyset_sha256", "bits", "products", "phases", "per_party", "faults", "self_check",
    ]  # fmt: skip
    assert list(found["per_party"][0]) == [
        "index", "offline_seconds", "online_seconds", "cpu_seconds", "peak_rss_bytes", "sent_bytes", "received_bytes",
    ]  # fmt: skip
    assert list(found["per_party"][0]["sent_bytes"]) == ["offline", "online", "setup", "k64", "k128", "fixed"]


entries = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9) | st.text("xyz\n", max_size=3), max_size=3)


def transcript(items: list[dict[str, Any]]) -> list[bytes]:
    lines: list[bytes] = []
    for item in items:
        lines.append(append(lines[-1] if lines else None, item))
    return lines


@given(st.lists(entries, max_size=6))
def test_a_transcript_holds_together(items: list[dict[str, Any]]) -> None:
    lines = transcript(items)
    assert verify_lines(lines) is None
    assert all(line.count(b"\n") == 1 for line in lines)


@given(st.lists(entries, min_size=2, max_size=6), st.data())
def test_a_line_changed_removed_moved_or_cut_is_found(items: list[dict[str, Any]], data: st.DataObject) -> None:
    lines = transcript([{**item, "n": number} for number, item in enumerate(items)])
    index = data.draw(st.integers(0, len(lines) - 2))
    changed = lines[index].replace(b'"n":', b'"m":')
    assert verify_lines([*lines[:index], changed, *lines[index + 1 :]])
    assert verify_lines([*lines[:index], *lines[index + 1 :]])
    assert verify_lines([*lines[:index], lines[index + 1], lines[index], *lines[index + 2 :]])
    assert "cut off" in str(verify_lines([*lines[:-1], lines[-1][:-1]]))
    assert verify_lines([b" " + lines[0], *lines[1:]])
    assert verify_lines([b"junk\n", *lines])


def test_an_entry_brings_no_link_of_its_own_and_no_float() -> None:
    with pytest.raises(ValueError, match="prev"):
        append(None, {"prev": "x"})
    with pytest.raises(CanonicalError):
        append(None, {"seconds": 1.5})


# --- the package


def test_generated_code_is_what_the_protos_say() -> None:
    script = Path(__file__).parents[1] / "generate.py"
    subprocess.run([sys.executable, script, "--check"], check=True)


def test_the_documents_need_no_grpc() -> None:
    names = ("canonical", "terms", "signatures", "enrolment", "certificate", "desired_state", "transcript", "report")
    code = f"import sys\nfor n in {names}: __import__('dkg_api.' + n)\nassert 'grpc' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert importlib.import_module("dkg_api.v1.control_pb2").StatusItem(content=b"x").SerializeToString()
