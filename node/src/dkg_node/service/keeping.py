"""What a party sealed, as an enclave finds it that takes no part in a ceremony: to look, to erase, to hand over.

Under which terms the objects lie, in which order those followed one another, and which key opens them is decided here;
whether it opens, KMS decides.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.canonical import CanonicalError, parse
from dkg_api.certificate import CertificateError, parse_certificate, verify_certificate
from dkg_api.errors import ApiError
from dkg_api.kms_policy import KmsPolicyError, key_arn_problem, kms_policy, sealing_digest
from dkg_api.session import session_id
from dkg_api.signatures import public_bytes
from dkg_api.successor import Custody, succeed
from dkg_api.user_data import UserData
from dkg_node.errors import UsageError
from dkg_node.sealing.check import unseal_check
from dkg_node.sealing.cms import Recipient
from dkg_node.sealing.kms import Context, KeyService
from dkg_node.sealing.readback import read_back
from dkg_node.sealing.reasons import Reason, SealingRefusal
from dkg_node.sealing.sealer import LONG_LIVED, KmsSealer
from dkg_node.service.command import NegativeVerdict
from dkg_node.service.identity import EPOCH as IDENTITY_EPOCH
from dkg_node.service.identity import NAME as IDENTITY
from dkg_node.service.verify import judge, read_file

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from dkg_api.certificate import Certificate
    from dkg_api.desired_state import DesiredState
    from dkg_api.terms import Terms
    from dkg_node.sealing.stores import BlobStore
    from dkg_node.service.build import Build

SHARE = "share"
SHARE_EPOCH = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """Terms under which a party seals, and its key under them."""

    terms: Terms | Custody
    party: int
    key_arn: str

    @property
    def sealing(self) -> bytes:
        """What evidence must say about the key: SHA-256(ARN | policy), from the terms alone."""
        return sealing_digest(self.key_arn, kms_policy(self.terms, self.party))


@dataclass(frozen=True, slots=True)
class Keeper:
    """This enclave over one party's objects under one standing."""

    standing: Standing
    service: KeyService
    """Its statement says what was read back about the key."""
    store: BlobStore

    def sealer(self, attempt: int) -> KmsSealer:
        """The objects of an attempt; 0 for what outlives attempts."""
        terms = self.standing.terms
        context = Context(terms.ceremony, terms.digest, self.standing.party, attempt)
        return KmsSealer(self.store, self.service, context)

    def statement(self, purpose: str, attempt: int) -> UserData:
        """What this boot says about itself."""
        return replace(self.service.statement, purpose=purpose, attempt=attempt)


def standings(state: DesiredState, home: Path, root: bytes) -> tuple[Standing, ...]:
    """The terms and all that followed them, each checked.

    UsageError for what does not fit together, NegativeVerdict for a certificate that proves nothing.
    """
    found = [_standing(state.terms, state.party, state.key_arn)]
    if not state.successions:
        return tuple(found)
    certificate = read_certificate(home / "certificate.json", state, root)
    for number, succession in enumerate(state.successions, 1):
        try:
            terms = succeed(
                state.terms, found[-1].terms, certificate.digest, succession.terms, succession.signatures
            )  # fmt: skip
        except ApiError as error:
            raise UsageError(f"succession {number}: {error}") from None
        found.append(_standing(terms, state.party, succession.key_arn))
    return tuple(found)


def _standing(terms: Terms | Custody, party: int, key_arn: str) -> Standing:
    """UsageError when that can't be the key, or when no key could have the policy of these terms."""
    problem = key_arn_problem(key_arn, terms, party)
    if problem is not None:
        raise UsageError(problem)
    try:
        kms_policy(terms, party)
    except KmsPolicyError as error:
        raise UsageError(str(error)) from None
    return Standing(terms, party, key_arn)


def read_certificate(path: Path, state: DesiredState, root: bytes) -> Certificate:
    """The key's certificate, good under the terms and of the attempt whose share is held."""
    try:
        certificate = parse_certificate(read_file(path, "certificate"))
    except CertificateError as error:
        raise UsageError(f"{path}: {error}") from None
    problems = verify_certificate(certificate, state.terms, judge(state.terms, root))
    if problems:
        raise NegativeVerdict(f"{path}: {problems[0]}")
    if certificate.sid != session_id(state.terms.digest, state.attempt).hex():
        raise UsageError(f"{path}: give the attempt that it certifies, not attempt {state.attempt}")
    return certificate


def keeper_of(build: Build, options: argparse.Namespace, state: DesiredState, standing: Standing) -> Keeper:
    """Reach AWS and read the key back. AttestationError outside of an enclave, SealingRefusal for another key."""
    attester, terms = build.attester(), standing.terms
    said = UserData(
        purpose="kms", terms_digest=terms.digest, attempt=LONG_LIVED, party=state.party, boot_id=os.urandom(16),
        boot_number=time.time_ns(), root=build.root,
    )  # fmt: skip
    attester.attest(said.encode(), None, None)  # nothing of what follows helps where there is no module
    aws = build.aws(terms, state.party)
    api = aws.kms()
    said = replace(said, sealing=read_back(api, standing.key_arn, terms, state.party))
    store = aws.store(state.bucket, home_of(options))
    return Keeper(standing, KeyService(api, standing.key_arn, attester, Recipient.fresh(), said), store)


def home_of(options: argparse.Namespace) -> Path:
    """The party's directory."""
    home: Path = options.home or options.desired_state.absolute().parent
    return home.absolute()


def identity_of(state: DesiredState, keeper: Keeper) -> Ed25519PrivateKey:
    """The enrolled key, opened. SealingRefusal for one that is another's."""
    data = keeper.sealer(LONG_LIVED).unseal_bytes(IDENTITY, IDENTITY_EPOCH)
    key = Ed25519PrivateKey.from_private_bytes(data)
    if public_bytes(key) not in state.keyring.keys[state.party]:
        raise SealingRefusal(Reason.IDENTITY, public_bytes(key).hex()[:16])
    return key


def check_share(state: DesiredState, keeper: Keeper, newest: str | None) -> None:
    """Open identity key and share, and let them go again. SealingRefusal with the first reason.

    ``newest``: SHA-256 in hex of the blob that was sealed last; None when nobody knows.
    """
    identity_of(state, keeper)
    unseal_check(keeper.sealer(state.attempt), keeper.service, keeper.standing.terms, SHARE, SHARE_EPOCH, newest)


def newest_share(transcript: Path) -> str | None:
    """SHA-256 in hex of the blob that a party's transcript names as its sealed share, None where it names none."""
    newest = None
    for line in transcript.read_text(errors="replace").splitlines() if transcript.exists() else ():
        try:
            entry = parse(line, "a line of the transcript")
        except CanonicalError:
            continue  # a line torn by a kill
        if isinstance(entry, dict) and entry.get("event") == "sealed":
            newest = str(entry.get("share_sha256"))
    return newest
