"""The handshake: both sides end with the one certificate to pin, and each attack with its own reason, on both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dkg_api.cbor import encoded, plain_value
from dkg_api.signatures import sign
from dkg_api.user_data import UserData
from dkg_node.attestation import handshake
from dkg_node.attestation.handshake import Dialer, Listener, Speaker, Step, outlived_digest
from dkg_node.attestation.messages import MAX_MESSAGE, Hello, Newer
from dkg_node.attestation.obstacles import CODES, ChannelRefused, Obstacle
from dkg_node.errors import AttestationError
from dkg_node.testing.enclaves import Enclave, Meeting, certificate_of, meet, organization_key, terms_of
from dkg_node.testing.forge import AT

TERMS = terms_of()
FIVE_MINUTES = 5 * 60 * 1000
A = Enclave(TERMS, 3)
B = Enclave(TERMS, 1)


@pytest.fixture(scope="module")
def a() -> Speaker:
    return A.speaker()


@pytest.fixture(scope="module")
def b() -> Speaker:
    return B.speaker()


def code(step: Step) -> str | None:
    """Why a step refused; no step both agrees and refuses, and a refusal never shows what to pin."""
    assert (step.refusal is None) or (step.agreed is None)
    return None if step.refusal is None else step.refusal.code


def test_both_sides_pin_what_the_other_showed_and_agree_on_one_transcript(a: Speaker, b: Speaker) -> None:
    meeting = meet(a, b)
    dialer, listener = meeting.run()
    assert dialer.agreed is not None
    assert listener.agreed is not None
    assert (dialer.agreed.peer, listener.agreed.peer) == (1, 3)
    assert dialer.agreed.certificate == listener.agreed.own_certificate == meeting.listener.certificate
    assert listener.agreed.certificate == dialer.agreed.own_certificate == meeting.dialer.certificate
    assert dialer.agreed.transcript == listener.agreed.transcript
    assert (dialer.agreed.statement.channel_key, listener.agreed.statement.channel_key) == (
        B.channel_key.public, A.channel_key.public
    )  # fmt: skip
    assert dialer.agreed.enrolment == b.enrolment
    assert dialer.agreed.at == AT
    assert all(len(message) <= MAX_MESSAGE for message in meeting.messages)


def test_no_two_handshakes_have_one_transcript() -> None:
    hello = Hello(1, bytes(32), 1, 3, 1, b"a" * 32)
    changed = [
        replace(hello, **change)
        for change in ({"version": 2}, {"terms_digest": b"x" * 32}, {"attempt": 2}, {"sender": 4}, {"receiver": 2},
                       {"nonce": b"c" * 32})
    ]  # fmt: skip
    found = {handshake.transcript_of(one, b"b" * 32) for one in (hello, *changed)}
    found.add(handshake.transcript_of(hello, b"d" * 32))
    assert len(found) == 8


# --- one side is wrong: the other refuses it, each way round, and tells it why

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "changed code": ({"pcrs": (b"x" * 48, *A.pcrs[1:])}, "evidence.release"),
    "debug mode, measurements zero": ({"pcrs": (bytes(48),) * 3}, "evidence.debug"),
    "a document for KMS": ({"said": {"purpose": "kms"}}, "evidence.purpose"),
    "a document for enrolment": ({"said": {"purpose": "enrol"}}, "evidence.purpose"),
    "another identity key in the document": ({"said": {"identity_key": bytes(32)}}, "evidence.identity_key"),
    "another policy on its KMS key": ({"said": {"sealing": bytes(32)}}, "evidence.sealing"),
    "no KMS key": ({"said": {"sealing": None}}, "evidence.sealing"),
    "a build that accepts another root": ({"said": {"root": bytes(32)}}, "evidence.other_build"),
    "evidence older than five minutes": ({"clock": lambda: AT - FIVE_MINUTES - 1}, "evidence.stale"),
    "evidence from the future": ({"clock": lambda: AT + FIVE_MINUTES}, "enrolment.future"),
    "a nonce of its own choice": ({"fields": {"nonce": b"n" * 32}}, "enrolment.nonce"),
    "an enrolment by another organisation": ({"organization": organization_key(2)}, "enrolment"),
    "no KMS key in nitro terms": ({"key_arn": None}, "enrolment"),
}


def lying(name: str, enclave: Enclave) -> Enclave:
    """The enclave with one thing wrong."""
    liar = replace(enclave, **WRONG[name][0])
    if name in {"changed code", "debug mode, measurements zero"}:  # enrolled when it still was what it should be
        liar.enrolment = enclave.enrolment  # type: ignore[method-assign]
    return liar


def speaker_of(name: str, enclave: Enclave) -> Speaker:
    """A liar's speaker; what it says in channel documents only has gone through no honest code."""
    liar = lying(name, enclave)
    said = liar.said
    liar.said = {key: value for key, value in said.items() if key != "purpose"}
    plain = liar.speaker()
    return replace(plain, statement=Statement(plain.statement, said)) if said else plain  # type: ignore[arg-type]


class Statement:
    """Says one thing in the handshake's own messages and another in its documents."""

    def __init__(self, true: Any, said: dict[str, Any]) -> None:  # noqa: ANN401 - UserData
        self._true, self._said = true, said

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - its fields
        return getattr(self._true, name)

    def encode(self) -> bytes:
        data: bytes = replace(self._true, **self._said).encode()
        return data


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_listener_is_refused_and_told_why(name: str, a: Speaker) -> None:
    dialer, listener = meet(a, speaker_of(name, B)).run()
    assert code(dialer) == WRONG[name][1]
    assert code(listener) == WRONG[name][1], "it is told"
    assert "says the other side" in str(listener.refusal)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_dialer_is_refused_and_told_why(name: str, b: Speaker) -> None:
    dialer, listener = meet(speaker_of(name, A), b).run()
    assert code(listener) == WRONG[name][1]
    assert code(dialer) == WRONG[name][1], "it is told"


def test_terms_of_another_ceremony_are_refused_on_both_sides(a: Speaker) -> None:
    other = Enclave(terms_of(startGrace=1), 1).speaker()
    assert [code(step) for step in meet(a, other).run()] == ["terms", "terms"]
    assert [code(step) for step in meet(replace(other, statement=a.statement), other).run()] == ["terms", "terms"]


def test_a_listener_under_other_terms_who_hides_it_is_refused(a: Speaker) -> None:
    """It answers as if the terms were equal: its document and enrolment say what it runs under."""
    other = Enclave(terms_of(startGrace=1), 1).speaker()
    hidden = replace(other, statement=Statement(other.statement, {}))  # type: ignore[arg-type]
    hidden.statement.__dict__["terms_digest"] = TERMS.digest
    assert code(meet(a, hidden).run()[0]) == "enrolment"
    enrolled = replace(hidden, enrolment=B.enrolment(), sign=B.speaker().sign)
    assert code(meet(a, enrolled).run()[0]) == "evidence.terms"


def test_another_attempt_is_refused_on_both_sides(a: Speaker) -> None:
    later = replace(B, attempt=2).speaker()
    assert [code(step) for step in meet(a, later).run()] == ["attempt", "attempt"]
    hidden = replace(later, statement=Statement(later.statement, {}))  # type: ignore[arg-type]
    hidden.statement.__dict__["attempt"] = 1
    assert code(meet(a, hidden).run()[0]) == "evidence.attempt"


def test_diversion_to_another_partys_enclave_is_refused(a: Speaker, b: Speaker) -> None:
    """Party 3 dials party 2, its packets are led to party 1: genuine code, wrong organisation."""
    assert [code(step) for step in meet(a, b, to=2).run()] == ["roles", "roles"]
    two = Enclave(TERMS, 2).speaker()
    lying_two = replace(b, statement=Statement(b.statement, {}))  # type: ignore[arg-type]
    lying_two.statement.__dict__["party"] = 2
    assert code(meet(a, lying_two, to=2, certificates=(certificate_of(3), certificate_of(2))).run()[0]) == "enrolment"
    borrowed = replace(lying_two, enrolment=two.enrolment)
    step = meet(a, borrowed, to=2, certificates=(certificate_of(3), certificate_of(2))).run()[0]
    assert code(step) == "signature", "the enrolment is public, the key is not"


def test_a_party_that_signs_for_anothers_document_is_refused(a: Speaker) -> None:
    """Organisation 2 lends its identity key to the enclave of party 1: the document names party and key."""
    two = Enclave(TERMS, 2)
    lent = replace(B.speaker(), enrolment=two.enrolment(), sign=two.speaker().sign)
    posed = replace(lent, statement=Statement(B.statement(), {}))  # type: ignore[arg-type]
    posed.statement.__dict__["party"] = 2
    shown = (certificate_of(3), certificate_of(2))
    assert code(meet(a, posed, to=2, certificates=shown).run()[0]) == "evidence.party"


def test_relay_between_two_honest_parties_gives_the_relay_nothing(a: Speaker, b: Speaker) -> None:
    """Party 2 stands between 3 and 1 and brings a certificate of its own into either half."""
    own = certificate_of(1)

    def swap(number: int, data: bytes) -> bytes:
        return with_certificate(data, own) if number == 2 else data

    assert [code(step) for step in meet(a, b, carry=swap).run()] == ["evidence.nonce", "evidence.nonce"]
    own = certificate_of(3)
    other_half = meet(a, b, carry=lambda number, data: with_certificate(data, own) if number == 3 else data)
    assert [code(step) for step in other_half.run()] == ["evidence.nonce", "evidence.nonce"]


def with_certificate(data: bytes, certificate: bytes) -> bytes:
    """Message 2 or 3 with another certificate."""
    fields = plain_value(data)
    assert isinstance(fields, dict)
    return encoded({**fields, 1: certificate})


def test_relayed_from_another_partys_handshake_is_refused(a: Speaker, b: Speaker) -> None:
    """Party 4's evidence for party 1 does not serve party 3, nor 3's for 2."""
    four = Enclave(TERMS, 4).speaker()
    other = meet(four, b)
    other.run()

    def swap(number: int, data: bytes) -> bytes:
        return other.messages[2] if number == 3 else data

    assert code(meet(a, b, carry=swap).run()[1]) == "certificate"


def test_replayed_messages_are_refused_on_both_sides(a: Speaker, b: Speaker) -> None:
    old = meet(a, b, nonces=(b"o" * 32, b"p" * 32), certificates=CERTIFICATES)
    assert old.run()[1].agreed is not None

    def replay(which: int) -> Callable[[int, bytes], bytes]:
        return lambda number, data: old.messages[number - 1] if number == which else data

    assert code(meet(a, b, carry=replay(2), certificates=CERTIFICATES).run()[0]) == "signature"
    assert code(meet(a, b, carry=replay(3), certificates=CERTIFICATES).run()[1]) == "signature"
    assert code(meet(a, b, carry=replay(1), certificates=CERTIFICATES).run()[0]) == "signature"


def test_a_replay_with_a_fresh_signature_is_refused(a: Speaker, b: Speaker) -> None:
    """Even who holds the identity key (an organisation's insider) can't use a document of an older handshake."""
    earlier = meet(a, b, certificates=CERTIFICATES, nonces=(b"o" * 32, b"p" * 32))
    earlier.run()
    for number, sides in (
        (1, (a, replace(b, attester=Recorded(document_of(earlier.messages[1]))))),
        (2, (replace(a, attester=Recorded(document_of(earlier.messages[2]))), b)),
    ):
        steps = meet(*sides, certificates=CERTIFICATES).run()
        assert [code(step) for step in steps] == ["evidence.nonce"] * 2, number


def document_of(message: bytes) -> bytes:
    """The document in message 2 or 3."""
    fields = plain_value(message)
    assert isinstance(fields, dict)
    document = fields[3]
    assert isinstance(document, bytes)
    return document


class Recorded:
    """Gives one document for every question."""

    def __init__(self, document: bytes) -> None:
        self.document = document

    def attest(self, user_data: bytes, nonce: bytes | None, public_key: bytes | None) -> bytes:
        return self.document


CERTIFICATES = (certificate_of(3), certificate_of(1))


def test_reflected_messages_are_refused_on_both_sides(a: Speaker, b: Speaker) -> None:
    """What a party has said itself proves nothing about another."""
    itself = Listener(a, certificate_of(3), b"c" * 32)
    assert code(itself.hello(Dialer(a, 1, certificate_of(3), b"a" * 32).hello())) == "roles"
    assert code(itself.hello(Dialer(a, 3, certificate_of(3), b"a" * 32).hello())) == "roles"
    meeting = meet(a, b)
    meeting.carry = lambda number, data: meeting.messages[1] if number == 3 else data
    assert code(meeting.run()[1]) == "order"
    own_nonce = meet(a, b, nonces=(b"a" * 32, b"a" * 32))
    assert code(own_nonce.run()[1]) == "reflected"
    back = meet(a, b)
    back.carry = lambda number, data: data.replace(b"b" * 32, b"a" * 32) if number == 2 else data
    assert code(back.run()[0]) == "reflected"


def test_the_listeners_evidence_never_serves_as_the_dialers(a: Speaker, b: Speaker) -> None:
    """A party that is led to itself by a role-swapping carrier: what it made as listener is refused as a dialer's."""

    listener = Listener(b, CERTIFICATES[1], b"b" * 32)
    response = listener.hello(Dialer(a, 1, CERTIFICATES[0], b"a" * 32).hello()).message
    assert response is not None
    transcript = handshake.transcript_of(Hello(1, TERMS.digest, 1, 3, 1, b"a" * 32), b"b" * 32)
    nonce = handshake.nonce_of("resp", transcript, CERTIFICATES[0], document_of(response))
    shown = a.evidence(CERTIFICATES[0], transcript, nonce).encode(None)
    assert code(listener.finish(shown, AT)) == "evidence.nonce"


def test_a_hello_with_the_listeners_own_nonce_is_refused_at_once(a: Speaker, b: Speaker) -> None:
    hello = Dialer(a, 1, CERTIFICATES[0], b"n" * 32).hello()
    assert code(Listener(b, CERTIFICATES[1], b"n" * 32).hello(hello)) == "reflected"


NEWER = (7, b"n" * 16)
"""A boot."""


def test_an_older_boot_is_refused_on_both_sides_and_knows_from_whom(a: Speaker, b: Speaker) -> None:
    asked = []

    def older(statement: UserData) -> tuple[int, bytes]:
        asked.append(statement.party)
        return NEWER

    dialer, listener = meet(replace(a, newer=older), b).run()
    assert [code(step) for step in (dialer, listener)] == ["boot", "boot"]
    assert (dialer.outlived, listener.outlived) == (None, 3)
    dialer, listener = meet(a, replace(b, newer=older)).run()
    assert [code(step) for step in (dialer, listener)] == ["boot", "boot"]
    assert (dialer.outlived, listener.outlived) == (1, None)
    assert asked == [1, 3]


def notices(a: Speaker, b: Speaker) -> dict[str, tuple[Newer, bytes]]:
    """What 1 could say to 3 in its refusal, with the transcript of the handshake; all but the first prove nothing."""
    transcript, other = b"t" * 32, b"u" * 32

    def said(speaker: Speaker, number: int, boot: bytes, over: bytes = transcript) -> Newer:
        return Newer(number, boot, speaker.enrolment, speaker.sign("channel", outlived_digest(over, number, boot)))

    true = said(b, *NEWER)
    boot = a.statement.boot_number
    return {
        "true": (true, transcript),
        "of another handshake": (said(b, *NEWER, over=other), transcript),
        "by another party": (said(Enclave(TERMS, 2).speaker(), *NEWER), transcript),
        "with another's signature": (replace(true, signature=a.sign("channel", bytes(32))), transcript),
        "of another number": (replace(true, number=8), transcript),
        "of an older boot": (said(b, boot - 1, NEWER[1]), transcript),
        "of this very boot": (said(b, boot, a.statement.boot_id), transcript),
        "under other terms": (said(Enclave(terms_of(startGrace=1), 1).speaker(), *NEWER), transcript),
    }


@pytest.mark.parametrize(
    "name",
    [
        "true",
        "of another handshake",
        "by another party",
        "with another's signature",
        "of another number",
        "of an older boot",
        "of this very boot",
        "under other terms",
    ],
)
def test_only_the_peers_own_word_in_this_handshake_makes_a_boot_stop(name: str, a: Speaker, b: Speaker) -> None:
    newer, transcript = notices(a, b)[name]
    assert a.outlived(1, newer, transcript, AT) is (name == "true")


def test_a_refusal_with_a_notice_where_nothing_is_agreed_yet_proves_nothing(a: Speaker, b: Speaker) -> None:
    notice = notices(a, b)["true"][0].encode()
    dialer, _ = meet(a, b, carry=lambda number, data: notice if number == 2 else data).run()
    assert (code(dialer), dialer.outlived) == ("boot", None)
    dialer, _ = meet(a, b, carry=lambda number, data: notice if number == 4 else data).run()
    assert (code(dialer), dialer.outlived) == ("boot", None), "it is over another transcript"


@pytest.mark.parametrize("key", [1, 3, 4, 5])
@pytest.mark.parametrize("value", [True, False, -1, None, b"", "1", [1]])
def test_a_number_that_is_none_is_malformed(a: Speaker, b: Speaker, key: int, value: object) -> None:
    """True is 1 to Python, and has no place in T."""
    fields = plain_value(Dialer(a, 1, CERTIFICATES[0], b"a" * 32).hello())
    assert isinstance(fields, dict)
    data = encoded({**fields, key: value})
    assert code(Listener(b, CERTIFICATES[1], b"b" * 32).hello(data)) == "malformed"


def test_the_lower_index_does_not_dial(a: Speaker, b: Speaker) -> None:
    assert [code(step) for step in meet(b, a).run()] == ["roles", "roles"]


def test_a_party_beyond_the_terms_is_refused(a: Speaker, b: Speaker) -> None:
    five = replace(a, statement=replace(a.statement, party=5))
    assert [code(step) for step in meet(five, b).run()] == ["roles", "roles"]


@pytest.mark.parametrize("version", [0, 2, 1 << 40])
def test_downgrade_and_other_versions_are_refused(a: Speaker, b: Speaker, version: int) -> None:
    def older(number: int, data: bytes) -> bytes:
        hello = Hello(version, a.statement.terms_digest, 1, 3, 1, b"a" * 32)
        return hello.encode() if number == 1 else data

    assert [code(step) for step in meet(a, b, carry=older).run()] == ["version", "version"]


# --- certificates


def bad_certificate(party: int, name: str) -> bytes:
    """One that may not be pinned."""
    key: Any = ec.generate_private_key(ec.SECP384R1() if name == "P-384" else ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    names = {"another's": [f"party-{party + 1}"], "two names": [f"party-{party}", "party-9"]}
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(datetime(2030, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=name == "CA:TRUE", path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(n) for n in names.get(name, [f"party-{party}"])]), critical=False
        )
    )  # fmt: skip
    signer = ec.generate_private_key(ec.SECP256R1()) if name == "issued by another" else key
    return made.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize("name", ["CA:TRUE", "another's", "two names", "P-384", "issued by another"])
def test_a_certificate_that_could_let_another_in_is_refused_on_both_sides(name: str, a: Speaker, b: Speaker) -> None:
    meeting = meet(a, b, certificates=(certificate_of(3), bad_certificate(1, name)))
    assert [code(step) for step in meeting.run()] == ["certificate", "certificate"]
    meeting = meet(a, b, certificates=(bad_certificate(3, name), certificate_of(1)))
    assert [code(step) for step in meeting.run()] == ["certificate", "certificate"]


# --- enrolments


def test_a_key_enrolled_without_a_document_is_refused(a: Speaker, b: Speaker) -> None:
    bare = b.enrolment.model_copy(update={"document": None})
    content = bare.content()
    bare = bare.model_copy(update={"signature": sign(organization_key(1), "enrolment", content).hex()})
    step = meet(a, replace(b, enrolment=bare)).run()[0]
    assert code(step) == "enrolment"
    assert "no attestation document" in str(step.refusal)


def test_a_key_made_outside_an_enclave_is_refused(a: Speaker, b: Speaker) -> None:
    """The organisation enrols a key of its own with the enclave's document, which names another."""
    outside = Ed25519PrivateKey.generate()
    forged = replace(B, identity=outside).enrolment(identity_key=b.statement.identity_key)
    step = meet(a, replace(b, enrolment=forged, sign=lambda *said: sign(outside, *said))).run()[0]
    assert code(step) == "enrolment.identity_key"


def test_a_channel_document_enrols_nothing(a: Speaker, b: Speaker) -> None:
    wrong = B.enrolment(purpose="channel", channel_key=bytes(32))
    assert code(meet(a, replace(b, enrolment=wrong)).run()[0]) == "enrolment.purpose"


def test_a_zero_measurement_in_the_enrolment_is_refused(a: Speaker, b: Speaker) -> None:
    debug = replace(B, pcrs=(bytes(48),) * 3).enrolment()
    assert code(meet(a, replace(b, enrolment=debug)).run()[0]) == "enrolment.debug"


def test_an_enrolment_is_judged_at_its_own_time(a: Speaker) -> None:
    """It is months old when the channel is made: that takes nothing from it."""
    old = replace(B, clock=lambda: AT - 3_000_000)
    speaker = replace(B.speaker(), enrolment=old.enrolment())
    assert meet(a, speaker).run()[0].agreed is not None


def test_a_document_whose_leaf_has_expired_is_refused_on_both_sides(a: Speaker, b: Speaker) -> None:
    later = AT + 3 * 3600 * 1000
    late_a, late_b = (
        replace(speaker, attester=replace(enclave, clock=lambda: later)) for speaker, enclave in ((a, A), (b, B))
    )
    assert [code(step) for step in meet(late_a, late_b, at=(later, later)).run()] == ["evidence.expired"] * 2
    assert code(meet(late_a, b, at=(AT, later)).run()[1]) == "evidence.expired"


# --- bytes

MESSAGES = st.integers(1, 3)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=MESSAGES, place=st.integers(0, 1 << 20), bit=st.integers(0, 7))
def test_any_changed_bit_of_any_message_is_refused(a: Speaker, b: Speaker, number: int, place: int, bit: int) -> None:
    def flip(which: int, data: bytes) -> bytes:
        if which != number:
            return data
        at = place % len(data)
        return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]

    dialer, listener = meet(a, b, certificates=CERTIFICATES, carry=flip).run()
    assert dialer.agreed is None
    assert listener.agreed is None
    assert code(dialer) in CODES


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(st.binary(max_size=300), st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 1 << 40), st.binary(max_size=40), st.text(max_size=5)),
    lambda inner: st.dictionaries(st.integers(0, 6), inner, max_size=7), max_leaves=8,
).map(encoded)))  # fmt: skip
def test_no_bytes_of_a_peer_raise(a: Speaker, b: Speaker, data: bytes) -> None:
    assert code(Listener(b, CERTIFICATES[1], b"b" * 32).hello(data)) in CODES
    dialer = Dialer(a, 1, CERTIFICATES[0], b"a" * 32)
    assert code(dialer.response(data, AT)) in CODES
    listener = Listener(b, CERTIFICATES[1], b"b" * 32)
    assert listener.hello(dialer.hello()).refusal is None
    assert code(listener.finish(data, AT)) in CODES


def changed_message(data: bytes, key: int, value: object) -> bytes:
    """With one field exchanged."""
    fields = plain_value(data)
    assert isinstance(fields, dict)
    return encoded({**fields, key: value})


@pytest.mark.parametrize("value", [None, 1, "x", b"", b"x" * 31, b"x" * 33, [b"x"], {}])
def test_a_nonce_or_digest_of_another_form_is_malformed(a: Speaker, b: Speaker, value: object) -> None:
    dialer = Dialer(a, 1, CERTIFICATES[0], b"a" * 32)
    hello = dialer.hello()
    for key in (2, 6):
        assert code(Listener(b, CERTIFICATES[1], b"b" * 32).hello(changed_message(hello, key, value))) == "malformed"
    response = Listener(b, CERTIFICATES[1], b"b" * 32).hello(hello).message
    assert response is not None
    assert code(dialer.response(changed_message(response, 5, value), AT)) == "malformed"


@pytest.mark.parametrize("key", [1, 2, 3, 4])
@pytest.mark.parametrize("value", [None, 1, "x", [b"x"], {}, bytes(13_000)], ids=lambda value: type(value).__name__)
def test_evidence_of_another_form_is_malformed_on_both_sides(a: Speaker, b: Speaker, key: int, value: object) -> None:
    for number in (2, 3):
        meeting = meet(a, b, certificates=CERTIFICATES)
        meeting.carry = lambda at, data, n=number: changed_message(data, key, value) if at == n else data
        assert [code(step) for step in meeting.run()] == ["malformed"] * 2


def test_messages_that_are_too_long_or_not_due_are_refused(a: Speaker, b: Speaker) -> None:
    step = Listener(b, CERTIFICATES[1], b"b" * 32).hello(bytes(MAX_MESSAGE + 1))
    assert code(step) == "malformed"
    assert "too long" in str(step.refusal), "and not looked at further"
    assert code(Listener(b, CERTIFICATES[1], b"b" * 32).finish(b"", AT)) == "order"
    meeting = meet(a, b)
    assert meeting.run()[1].agreed is not None
    assert code(meeting.listener.finish(meeting.messages[2], AT)) == "order", "one handshake, one finish"


def test_without_the_last_message_the_dialer_has_nothing_to_pin(a: Speaker, b: Speaker) -> None:
    meeting = meet(a, b, carry=lambda number, data: b"" if number == 4 else data)
    dialer, listener = meeting.run()
    assert code(dialer) == "malformed"
    assert listener.agreed is not None, "a pin that nobody uses: the dialer tries again"


def test_what_the_peer_says_is_never_shown_but_by_its_code(a: Speaker) -> None:
    dialer = Dialer(a, 1, CERTIFICATES[0], b"a" * 32)
    assert code(dialer.response(encoded({0: 5, 1: "rm -rf"}), AT)) == "order"
    step = dialer.response(encoded({0: 5, 1: "busy"}), AT)
    assert code(step) == "busy"
    assert "\n" not in str(step.refusal)


def test_ones_own_broken_module_is_ones_own_trouble(a: Speaker, b: Speaker) -> None:
    class Broken:
        def attest(self, user_data: bytes, nonce: bytes | None, public_key: bytes | None) -> bytes:
            raise AttestationError("no module")

    with pytest.raises(AttestationError, match="no module"):
        meet(a, replace(b, attester=Broken())).run()


def test_every_reason_says_what_to_do() -> None:
    assert len({obstacle.code for obstacle in Obstacle}) == len(Obstacle)
    for known in CODES:
        text = str(ChannelRefused(known, "x"))
        assert text[0].islower()
        assert "\n" not in text


def test_chains_are_judged_anew_and_enrolments_remembered(a: Speaker) -> None:
    """What is fresh is never taken from memory: the same enrolment, a stale document."""
    speaker = replace(B.speaker())
    assert meet(a, speaker).run()[0].agreed is not None
    stale = Meeting(meet(a, speaker).dialer, meet(a, speaker).listener, at=(AT + FIVE_MINUTES + 1, AT))
    assert code(stale.run()[0]) == "evidence.stale"
