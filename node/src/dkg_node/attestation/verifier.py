"""Whether an attestation document is genuine, and whether a policy accepts it (design 03, "Verifier").

Pure: no clock, no network, no state; bytes and a time in, a value or a Refusal out, whatever the bytes. The steps:
1 envelope and 2 payload (``document``), 3 chain and 4 validity (``chain``), 5 signature (here), 6 policy (``policy``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from dkg_node.attestation.chain import verify_chain
from dkg_node.attestation.document import read_document
from dkg_node.attestation.policy import check_policy
from dkg_node.attestation.reasons import Reason, Refusal

if TYPE_CHECKING:
    from dkg_api.user_data import UserData
    from dkg_node.attestation.chain import Chains, Leaf
    from dkg_node.attestation.document import Document
    from dkg_node.attestation.policy import Policy


@dataclass(frozen=True, slots=True)
class Genuine:
    """A document that an NSM under the root signed. Says nothing yet about code, freshness or organisation."""

    document: Document
    name: str
    """Common name of the leaf."""


@dataclass(frozen=True, slots=True)
class Appraisal:
    """A document that a policy accepts."""

    genuine: Genuine
    statement: UserData


def authenticate(
    document: bytes, root: bytes, at: int, names: frozenset[str] = frozenset(), chains: Chains | None = None
) -> Genuine:
    """Steps 1 to 5 under the root with this SHA-256, at ``at`` in ms since 1970.

    ``names``: further payload fields that the terms allow; ``chains``: a memory that saves time and decides nothing.
    Raises Refusal.
    """
    read = read_document(document, names)
    leaf = verify_chain(read, root, at) if chains is None else chains.verify(read, root, at)
    _check_signature(read, leaf)
    return Genuine(read, leaf.name)


def appraise(
    document: bytes, policy: Policy, nonce: bytes | None, at: int, chains: Chains | None = None
) -> Appraisal:  # fmt: skip
    """All six steps.

    ``nonce``: the verifier's own; None for a document that must have none (an enrolment, judged at its own time).
    ``at``: ms since 1970; ``chains``: see ``authenticate``. Raises Refusal.
    """
    genuine = authenticate(document, policy.root, at, policy.names, chains)
    return Appraisal(genuine, check_policy(policy, genuine.document, genuine.name, nonce, at))


def _check_signature(document: Document, leaf: Leaf) -> None:
    """Step 5: ES384 by the leaf, over the bytes of the document itself, never over something encoded again.

    As with every ECDSA, (r, -s) fits where (r, s) does; the NSM writes both kinds. So a document's hash names the
    bytes that came, not the statement: two of them may say the same.
    """
    half = len(document.signature) // 2
    r, s = (int.from_bytes(part, "big") for part in (document.signature[:half], document.signature[half:]))
    try:
        leaf.key.verify(encode_dss_signature(r, s), document.signed, ECDSA(SHA384()))
    except (InvalidSignature, ValueError):
        raise Refusal(Reason.SIGNATURE, "the document's signature does not fit") from None
