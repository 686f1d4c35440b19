"""Appraisal by the terms: what this ceremony demands of any party's evidence (see ``ports.Appraiser``).

Releases, parties and organisation keys come out of the terms, the root out of the build. Pure but for a
memory of chains, policies and enrolments already judged: what is remembered can't grow old, for a chain's time is
looked at anew and an enrolment is judged at its document's own time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from dkg_api.kms_policy import KmsPolicyError, kms_policy, sealing_digest
from dkg_node.attestation.chain import Chains
from dkg_node.attestation.document import read_document
from dkg_node.attestation.obstacles import ENROLLED, EVIDENCE, ChannelRefused, Obstacle, require
from dkg_node.attestation.policy import MAX_AHEAD, Expected, Policy, releases_of
from dkg_node.attestation.reasons import Reason, Refusal, demand
from dkg_node.attestation.verifier import appraise

if TYPE_CHECKING:
    from dkg_api.enrolment import Enrolment
    from dkg_api.terms import Terms
    from dkg_api.user_data import UserData
    from dkg_node.attestation.policy import Release

LONG_LIVED = 0
"""Attempt in an enrolment's document: the identity key is the same for all attempts."""
MOST_REMEMBERED = 1024
"""Enrolments; 13 parties have at most 104 that count."""


@dataclass(slots=True)
class TermsAppraiser:
    """One ceremony's policy in one attempt. Safe to call from several threads."""

    terms: Terms
    attempt: int
    root: bytes
    """SHA-256 of the one root that the build accepts."""
    _chains: Chains = field(default_factory=Chains, init=False, repr=False)
    _sealing: dict[tuple[int, str | None], bytes | None] = field(default_factory=dict, init=False, repr=False)
    _judged: set[bytes] = field(default_factory=set, init=False, repr=False)
    _releases: frozenset[Release] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Read the releases once."""
        self._releases = releases_of(self.terms)

    def enrolment(self, enrolment: Enrolment, at: int) -> None:
        """Whether an enrolment counts: signature of the organisation, document at its own time.

        ``at``: ms since 1970; nothing may be from the future. Raises ChannelRefused.
        """
        problem = enrolment.problem(self.terms)
        if problem is not None:
            raise ChannelRefused.by(Obstacle.ENROLMENT, problem)
        known = sha256(enrolment.encode()).digest()
        if known in self._judged:
            return
        document = enrolment.evidence
        if document is None:
            raise ChannelRefused.by(Obstacle.ENROLMENT, f"that of party {enrolment.party} has no attestation document")
        expected = self._expected("enrol", LONG_LIVED, enrolment)
        try:
            made = read_document(document).timestamp
            demand(made <= at + MAX_AHEAD, Reason.FUTURE, "the enrolment's document")
            appraise(
                document, Policy(root=self.root, releases=self._releases, expected=expected), None, made, self._chains
            )
        except Refusal as refusal:
            raise ChannelRefused.of(ENROLLED, refusal) from None
        missing = self.terms.attestation == "nitro" and enrolment.key_arn is None
        require(not missing, Obstacle.ENROLMENT, f"that of party {enrolment.party} names no KMS key")
        if len(self._judged) < MOST_REMEMBERED:
            self._judged.add(known)

    def channel(self, document: bytes, enrolment: Enrolment, nonce: bytes, public_key: bytes, at: int) -> UserData:
        """The statement of a document made for this very channel, now.

        ``enrolment``: of the party that shows it, appraised before; ``nonce``: of the handshake; ``public_key``: DER
        SPKI of the certificate to be pinned; ``at``: ms since 1970. Raises ChannelRefused.
        """
        expected = self._expected("channel", self.attempt, enrolment)
        policy = Policy(root=self.root, releases=self._releases, expected=expected, public_key=public_key)
        try:
            return appraise(document, policy, nonce, at, self._chains).statement
        except Refusal as refusal:
            raise ChannelRefused.of(EVIDENCE, refusal) from None

    def _expected(self, purpose: str, attempt: int, enrolment: Enrolment) -> Expected:
        return Expected(
            purpose=purpose,
            terms_digest=self.terms.digest,
            attempt=attempt,
            party=enrolment.party,
            identity_keys=frozenset({bytes.fromhex(enrolment.identity_key)}),
            sealing=self._sealing_of(enrolment),
        )

    def _sealing_of(self, enrolment: Enrolment) -> bytes | None:
        key = (enrolment.party, enrolment.key_arn)
        if key in self._sealing:
            return self._sealing[key]
        try:
            found = sealing_of(self.terms, enrolment)
        except KmsPolicyError as error:
            raise ChannelRefused.by(Obstacle.ENROLMENT, str(error)) from None
        if len(self._sealing) < MOST_REMEMBERED:
            self._sealing[key] = found
        return found


def sealing_of(terms: Terms, enrolment: Enrolment) -> bytes | None:
    """What an enclave with this enrolment must have read back, SHA-256(ARN | policy); None: it has no KMS key."""
    if enrolment.key_arn is None:
        return None
    return sealing_digest(enrolment.key_arn, kms_policy(terms, enrolment.party))
