"""Whether a receipt's attestation document shows that code of the terms erased a party's objects (03, "Leaving")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_node.attestation.appraiser import LONG_LIVED
from dkg_node.attestation.document import read_document
from dkg_node.attestation.policy import MAX_AHEAD, Expected, Policy, releases_of
from dkg_node.attestation.reasons import Reason, demand
from dkg_node.attestation.verifier import appraise

if TYPE_CHECKING:
    from dkg_api.kms_policy import KeyTerms


@dataclass(frozen=True, slots=True)
class Leaver:
    """Who must have made the document."""

    terms: KeyTerms
    """Under which the party sealed."""
    party: int
    identity_key: bytes
    """32 bytes."""
    sealing: bytes | None
    """SHA-256(ARN | policy) of its KMS key."""


def judge_receipt(document: bytes, root: bytes, leaver: Leaver, nonce: bytes, at: int) -> int:
    """When the document was made, ms since 1970: it is judged at that time, for a receipt lies before it is checked.

    ``nonce``: of the order that it answers; ``at``: now, which it may not be after. Refusal.
    """
    expected = Expected(
        purpose="receipt",
        terms_digest=leaver.terms.digest,
        attempt=LONG_LIVED,
        party=leaver.party,
        identity_keys=frozenset({leaver.identity_key}),
        sealing=leaver.sealing,
    )
    made = read_document(document).timestamp
    demand(made <= at + MAX_AHEAD, Reason.FUTURE, "the receipt's document")
    appraise(document, Policy(root=root, releases=releases_of(leaver.terms), expected=expected), nonce, made)
    return made
