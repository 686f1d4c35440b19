"""What it costs n parties to attest one another: every pair once, each party with a module and a memory of its own."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.enrolment import enrol
from dkg_api.signatures import public_bytes, sign
from dkg_api.user_data import UserData
from dkg_node.attestation.appraiser import LONG_LIVED, TermsAppraiser
from dkg_node.attestation.binding import ChannelKey
from dkg_node.attestation.handshake import Dialer, Listener, Speaker
from dkg_node.errors import DkgError
from dkg_node.transport.tls import TlsIdentity
from dkg_node_software.agreement import ATTEMPT, Pace, agree
from dkg_node_software.nsm import milliseconds, software_attester
from dkg_node_software.root import SOFTWARE_ROOT

if TYPE_CHECKING:
    from dkg_api.terms import Terms
    from dkg_node.sharing.sets import Group

RELEASE = {"pcr0": "01" * 48, "pcr1": "02" * 48, "pcr2": "03" * 48}


@dataclass(frozen=True, slots=True)
class AttestRow:
    """All pairs, one after another in one process: both sides' work, no network."""

    n: int
    pairs: int
    seconds: float
    cpu_seconds: float
    ms_per_handshake: float
    """CPU of both sides."""
    bytes_per_handshake: int


def attest_row(group: Group) -> AttestRow:
    """Every pair shakes hands once. DkgError if one refuses."""
    agreement = agree("test", group, [RELEASE], Pace(), None)
    speakers = {
        party: speaker(agreement.terms, party, agreement.keys[party], ChannelKey.fresh()) for party in group.roles
    }
    shown = {party: TlsIdentity.fresh(party, datetime.now(UTC)).der for party in group.roles}
    pairs = [(high, low) for high in group.roles for low in group.roles if high > low]
    began, cpu, sent = time.perf_counter(), time.process_time(), 0
    for high, low in pairs:
        dialer = Dialer(speakers[high], low, shown[high], os.urandom(32))
        listener = Listener(speakers[low], shown[low], os.urandom(32))
        sent += _shake(dialer, listener)
    took, used = time.perf_counter() - began, time.process_time() - cpu
    return AttestRow(
        group.n, len(pairs), round(took, 3), round(used, 3), round(1000 * used / len(pairs), 3), sent // len(pairs)
    )


def _shake(dialer: Dialer, listener: Listener) -> int:
    """One handshake; bytes of all four messages."""
    first = dialer.hello()
    second = listener.hello(first).message or b""
    third = dialer.response(second, milliseconds()).message or b""
    step = listener.finish(third, milliseconds())
    fourth = step.message or b""
    if step.agreed is None or dialer.confirmed(fourth).agreed is None:
        raise DkgError(f"internal error: the benchmark's own parties refuse each other: {step.refusal}")
    return sum(map(len, (first, second, third, fourth)))


def speaker(terms: Terms, party: int, organization: Ed25519PrivateKey, key: ChannelKey) -> Speaker:
    """A party in its first boot, with a module of its own."""
    identity, attester = Ed25519PrivateKey.generate(), software_attester(RELEASE)

    def said(purpose: str, attempt: int, channel_key: bytes | None) -> UserData:
        return UserData(
            purpose=purpose, terms_digest=terms.digest, attempt=attempt, party=party, boot_id=os.urandom(16),
            boot_number=1, root=SOFTWARE_ROOT, identity_key=public_bytes(identity), channel_key=channel_key,
        )  # fmt: skip

    document = attester.attest(said("enrol", LONG_LIVED, None).encode(), None, None)
    return Speaker(
        statement=said("channel", ATTEMPT, key.public),
        enrolment=enrol(terms.digest, party, public_bytes(identity), organization, document),
        attester=attester,
        sign=lambda purpose, message: sign(identity, purpose, message),
        appraiser=TermsAppraiser(terms, ATTEMPT, SOFTWARE_ROOT),
        parties=terms.n,
        newer=lambda _: None,
    )
