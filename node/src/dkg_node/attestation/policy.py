"""Step 6 of the verifier: appraisal policies (RFC 9334) as values. Each field empty refuses; there are no wildcards."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg_api.user_data import decode_user_data
from dkg_node.attestation.reasons import Reason, Refusal, demand

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg_api.kms_policy import KeyTerms
    from dkg_api.user_data import UserData
    from dkg_node.attestation.document import Document

MAX_AGE: Final = 5 * 60 * 1000
"""ms. The leaf lives three hours and is cached: that its chain is valid says nothing about a document's age."""
MAX_AHEAD: Final = 60 * 1000
"""ms by which another machine's clock may run ahead."""
REGION: Final = re.compile(r"[a-z0-9-]{1,32}")

Release = tuple[bytes, ...]
"""PCR0, PCR1, PCR2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the statement in user_data must say."""

    purpose: str
    terms_digest: bytes
    attempt: int
    party: int
    identity_keys: frozenset[bytes] | None
    """The keys enrolled for the party; None only where a key is about to be enrolled or nobody asks for one."""
    sealing: bytes | None
    """SHA-256(ARN | policy), recomputed from the terms; None: the statement has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who is accepted. ``Policy()`` refuses everybody."""

    root: bytes = b""
    """SHA-256 of the root's DER: the build's one."""
    releases: frozenset[Release] = frozenset()
    expected: Expected | None = None
    public_key: bytes | None = None
    """The key that the document must vouch for (DER SPKI); None: it must vouch for none."""
    names: frozenset[str] = frozenset()
    """Further payload fields that the terms allow."""


def releases_of(terms: KeyTerms) -> frozenset[Release]:
    """The releases of the terms as policies hold them."""
    triples = ((release.pcr0, release.pcr1, release.pcr2) for release in terms.releases)
    return frozenset(_triple(triple) for triple in triples)


def _triple(values: Iterable[str]) -> Release:
    return tuple(bytes.fromhex(value) for value in values)


def check_policy(policy: Policy, document: Document, name: str, nonce: bytes | None, at: int) -> UserData:
    """Step 6 for a genuine document: the statement it makes. ``name``: common name of its leaf. Raises Refusal."""
    if not policy.root or not policy.releases or policy.expected is None:
        raise Refusal(Reason.EMPTY_POLICY, "the policy names no root, no release or no statement")
    age = at - document.timestamp
    demand(age <= MAX_AGE, Reason.STALE, f"{age // 1000} s old")
    demand(age >= -MAX_AHEAD, Reason.FUTURE, f"{-age // 1000} s ahead")
    demand(document.nonce == nonce, Reason.NONCE, "not the nonce of this challenge")
    demand(document.public_key == policy.public_key, Reason.PUBLIC_KEY, "not the key in use")
    demand(not document.debug, Reason.DEBUG, "PCR0, PCR1 or PCR2 is zero")
    demand(document.release in policy.releases, Reason.RELEASE, f"PCR0 {document.release[0].hex()[:16]}...")
    demand(_names_module(name, document.module_id), Reason.MODULE, "the leaf is another module's")
    return _check_statement(policy, policy.expected, decode_user_data(document.user_data))


def _names_module(name: str, module_id: str) -> bool:
    """Whether the leaf's common name is module_id.region.aws."""
    prefix, suffix = module_id + ".", ".aws"
    region = name.removeprefix(prefix).removesuffix(suffix)
    return name == prefix + region + suffix and bool(REGION.fullmatch(region))


def _check_statement(policy: Policy, expected: Expected, statement: UserData | None) -> UserData:
    if statement is None:
        raise Refusal(Reason.USER_DATA, "no statement of this project")
    demand(statement.purpose == expected.purpose, Reason.PURPOSE, f"made for {statement.purpose}")
    demand(statement.terms_digest == expected.terms_digest, Reason.TERMS, f"{statement.terms_digest.hex()[:16]}...")
    demand(statement.attempt == expected.attempt, Reason.ATTEMPT, f"attempt {statement.attempt}")
    demand(statement.party == expected.party, Reason.PARTY, f"party {statement.party}")
    enrolled = expected.identity_keys is None or statement.identity_key in expected.identity_keys
    demand(enrolled, Reason.IDENTITY_KEY, "not an enrolled key")
    demand(statement.sealing == expected.sealing, Reason.SEALING, "another key or policy")
    demand(statement.root == policy.root, Reason.OTHER_BUILD, f"it accepts root {statement.root.hex()[:16]}...")
    return statement
