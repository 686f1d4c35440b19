"""What a ceremony leaves in OUT in which a party lied: real records, certificate, wrong openings - and no key."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from dkg_api.certificate import Certificate, CertificateSignature, Fault
from dkg_api.session import session_id
from dkg_api.signatures import public_bytes, sign, sign_terms
from dkg_node.ceremony.transcript import Transcript
from dkg_node.ceremony.verdicts import CORRUPT, Docket
from dkg_node.keygen.parameters import parameter_set
from dkg_node.keygen.plan import plan_of
from dkg_node.offline.batch import batch_slots, run_batch
from dkg_node.protocols.session import Group
from dkg_node.protocols.state import PublicState
from dkg_node.protocols.store import MemoryStore
from dkg_node.testing.batches import dealt_keys
from dkg_node.testing.enclaves import Enclave
from dkg_node.testing.liars import Liars, flipped
from dkg_node.testing.lockstep import SimulatedIdentities, run_lockstep

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from dkg_api.terms import Terms
    from dkg_node.offline.batch import BatchResult
    from dkg_node.protocols.session import Session

LIAR = 1
SEGMENT = 5
"""The last batch of the set ``test``, a small one."""
PHASE = f"batch {SEGMENT}"


class FixedClock:
    """Always the same instant."""

    def utc(self) -> str:
        """See Clock."""
        return "2026-01-01T00:00:00.000Z"


class _Objects(MemoryStore):
    """A store whose bodies also lie in OUT/objects by hash."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory

    def put(self, body: bytes) -> bytes:
        digest = super().put(body)
        (self._directory / digest.hex()).write_bytes(body)
        return digest

    def drop(self, digest: bytes) -> None:
        super().drop(digest)
        (self._directory / digest.hex()).unlink(missing_ok=True)


def write_output(out: Path, terms: Terms, organizations: Mapping[int, Ed25519PrivateKey]) -> None:
    """terms.json, certificate.json, transcript and objects: party 1, a king, forged a V and lied in the check."""
    for name in ("transcript", "objects"):
        (out / name).mkdir(exist_ok=True)
    (out / "terms.json").write_text(signed_terms(terms, organizations))
    (out / "certificate.json").write_text(json.dumps(certificate_of(terms, organizations).as_json()))
    liars = Liars(LIAR).add_to_v(LIAR).say(LIAR, "W", lambda w, _: flipped(w))
    _run(out, terms, liars)


def signed_terms(terms: Terms, organizations: Mapping[int, Ed25519PrivateKey]) -> str:
    """{terms, signatures}."""
    signatures = [sign_terms(terms, i, key).model_dump() for i, key in organizations.items()]
    return json.dumps({"terms": terms.as_json(), "signatures": signatures})


def certificate_of(terms: Terms, organizations: Mapping[int, Ed25519PrivateKey]) -> Certificate:
    """Signed by all with the keys of the simulation; it names the liar."""
    identities = SimulatedIdentities(Group(terms.n, terms.threshold), 0)
    keys = {role: identities.of(role).key for role in organizations}
    draft = Certificate(
        notices=terms.notices,
        terms_digest=terms.digest.hex(),
        sid=session_id(terms.digest, 1).hex(),
        era=0,
        digests={"keyset": "00" * 32},
        faults=(Fault(party=LIAR, kind=CORRUPT, phase=PHASE),),
        enrolments=tuple(_enclave(terms, i, keys[i], key).enrolment() for i, key in organizations.items()),
    )
    signatures = tuple(
        CertificateSignature(
            party=i, key=public_bytes(key).hex(), signature=sign(key, "certificate", draft.content()).hex()
        )
        for i, key in keys.items()
    )
    return draft.model_copy(update={"signatures": signatures})


def _enclave(terms: Terms, party: int, identity: Ed25519PrivateKey, organization: Ed25519PrivateKey) -> Enclave:
    """One that runs the release of the terms, under the forged root."""
    release = terms.releases[0]
    pcrs = [bytes.fromhex(value) for value in (release.pcr0, release.pcr1, release.pcr2)]
    return Enclave(terms, party, identity=identity, key_arn=None, pcrs=pcrs, organization=organization)


def _run(out: Path, terms: Terms, liars: Liars) -> None:
    """One batch of the plan; every party writes its transcript as in a ceremony."""
    group, sid = Group(terms.n, terms.threshold), session_id(terms.digest, 1)
    batch = plan_of(parameter_set(terms.parameter_set)).batches[SEGMENT - 1]
    written = {role: Transcript(out / "transcript" / f"{role}.jsonl", FixedClock()) for role in group.roles}

    async def program(session: Session) -> BatchResult:
        entered = replace(session, sid=sid).enter(SEGMENT, batch_slots(group, batch))
        if session.me in liars.corrupt:
            entered = liars.join(entered, PublicState())
        keys, docket = dealt_keys(group, session.me), Docket(written[session.me])
        return await run_batch(entered, keys, batch, _Objects(out / "objects"), PublicState(), docket)

    done = run_lockstep(group, program, liars)
    for transcript in written.values():
        transcript.close()
    if not set(group.roles) - liars.corrupt <= set(done.results):
        raise AssertionError(done.errors)
