"""A TLS connection is that of the handshake only if both enclaves say which certificates they show and see."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dkg_node.attestation.binding import DIALS, LISTENS, Bond, ChannelKey
from dkg_node.attestation.handshake import Agreed
from dkg_node.attestation.obstacles import ChannelRefused
from dkg_node.testing.enclaves import Enclave, certificate_of, meet, terms_of

TERMS = terms_of()


@pytest.fixture(scope="module")
def agreed() -> tuple[Agreed, Agreed, ChannelKey, ChannelKey]:
    a, b = Enclave(TERMS, 3), Enclave(TERMS, 1)
    dialer, listener = meet(a.speaker(), b.speaker()).run()
    assert dialer.agreed is not None
    assert listener.agreed is not None
    return dialer.agreed, listener.agreed, a.channel_key, b.channel_key


Both = tuple[Agreed, Agreed, ChannelKey, ChannelKey]


def bonds(agreed: Both) -> tuple[Bond, Bond]:
    return agreed[2].bond(agreed[0]), agreed[3].bond(agreed[1])


def test_both_sides_bind_the_connection_they_agreed_on(agreed: Both) -> None:
    a, b = bonds(agreed)
    mine, theirs = agreed[0].own_certificate, agreed[0].certificate
    b.check(a.mac(DIALS, mine, theirs), DIALS, mine, theirs)
    a.check(b.mac(LISTENS, theirs, mine), LISTENS, theirs, mine)


def refused(bond: Bond, mac: bytes, side: str, shown: bytes, seen: bytes) -> None:
    with pytest.raises(ChannelRefused) as error:
        bond.check(mac, side, shown, seen)
    assert error.value.code == "binding"


def test_another_certificate_on_either_side_is_found_out(agreed: Both) -> None:
    a, b = bonds(agreed)
    mine, theirs, other = agreed[0].own_certificate, agreed[0].certificate, certificate_of(1)
    refused(b, a.mac(DIALS, mine, other), DIALS, mine, theirs)
    refused(b, a.mac(DIALS, other, theirs), DIALS, mine, theirs)


def test_a_mac_sent_back_is_no_answer(agreed: Both) -> None:
    a, _ = bonds(agreed)
    mine, theirs = agreed[0].own_certificate, agreed[0].certificate
    refused(a, a.mac(DIALS, mine, theirs), LISTENS, theirs, mine)
    refused(a, a.mac(DIALS, mine, theirs), LISTENS, mine, theirs)


def test_every_handshake_has_a_key_of_its_own(agreed: Both) -> None:
    assert agreed[2].bond(agreed[0]).key != agreed[2].bond(replace(agreed[0], transcript=b"x" * 32)).key


def test_a_mac_of_another_handshake_or_boot_does_not_fit(agreed: Both) -> None:
    a, b = bonds(agreed)
    mine, theirs = agreed[0].own_certificate, agreed[0].certificate
    other_transcript = agreed[2].bond(replace(agreed[0], transcript=b"x" * 32))
    refused(b, other_transcript.mac(DIALS, mine, theirs), DIALS, mine, theirs)
    refused(b, ChannelKey.fresh().bond(agreed[0]).mac(DIALS, mine, theirs), DIALS, mine, theirs)
    relabelled = replace(a, transcript=b"x" * 32)
    refused(b, relabelled.mac(DIALS, mine, theirs), DIALS, mine, theirs)


@pytest.mark.parametrize("mac", [b"", bytes(32), bytes(33)])
def test_bytes_that_are_no_mac_are_refused(agreed: Both, mac: bytes) -> None:
    _, b = bonds(agreed)
    refused(b, mac, DIALS, agreed[0].own_certificate, agreed[0].certificate)


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31), bytes(31), None])
def test_a_key_that_gives_everybody_the_same_secret_is_refused(agreed: Both, key: bytes | None) -> None:
    class Weak:
        channel_key = key

    with pytest.raises(ChannelRefused, match="weak"):
        agreed[2].bond(replace(agreed[0], statement=Weak()))  # type: ignore[arg-type]


def test_keys_are_never_shown(agreed: Both) -> None:
    bond = bonds(agreed)[0]
    assert bond.key.hex() not in repr(bond)
    assert str(bond.key) not in repr(bond)
    assert "X25519" not in repr(agreed[2])
