"""The key policy of a party's KMS key: one renderer for who creates the key, who reads it back and who evaluates it.

Design 03, "Sealing with AWS KMS". Nobody can loosen the policy: nobody may change it, and no statement hands the
decision to the account; so the key is created with BypassPolicyLockoutSafetyCheck. The encryption context says under
which terms and for which party a data key was made; object and epoch stand in the associated data of the payload.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, Protocol

from dkg_api.canonical import CanonicalError, canonical, parse
from dkg_api.errors import ApiError
from dkg_api.terms import Release, SealingTerms

READ: Final = ("kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants")
USE: Final = ("kms:Decrypt", "kms:GenerateDataKey")
END: Final = ("kms:DisableKey", "kms:ScheduleKeyDeletion")
ATTESTED_ONLY: Final = ("kms:Decrypt", "kms:GenerateDataKey*")
NEVER: Final = (
    "kms:CreateGrant", "kms:Encrypt", "kms:GenerateDataKeyPair*", "kms:ImportKeyMaterial", "kms:PutKeyPolicy",
    "kms:ReEncrypt*", "kms:ReplicateKey", "kms:UpdatePrimaryRegion",
)  # fmt: skip
"""What would let the secret, or the right to it, out of the policy."""
ATTESTATION: Final = "kms:RecipientAttestation:PCR"
CONTEXT: Final = "kms:EncryptionContext:"
ROLE: Final = re.compile(r"[A-Za-z0-9+=,.@_/-]{1,512}")
"""Name of an IAM role, with its path if it has one. No wildcards, no ARN: the account is the terms'."""
KEY_ID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
"""Identifiers of multi-region keys begin with mrk- and don't fit."""

Statement = dict[str, object]


class PartySealing(Protocol):
    """Where a party's key lives."""

    @property
    def sealing(self) -> SealingTerms:
        """Account, region, roles."""
        ...


class KeyTerms(Protocol):
    """What a key policy says, of terms or of terms that succeed them."""

    @property
    def ceremony(self) -> str:
        """32 hex digits."""
        ...

    @property
    def digest(self) -> bytes:
        """32 bytes."""
        ...

    @property
    def releases(self) -> tuple[Release, ...]:
        """Who may use the key."""
        ...

    def party(self, index: int) -> PartySealing:
        """KeyError for a party there is not."""
        ...


class KmsPolicyError(ApiError):
    """The terms describe no key policy that KMS could hold."""


def encryption_context(terms_digest: bytes, ceremony: str, party: int) -> dict[str, str]:
    """The part of the encryption context that the policy demands. ``ceremony``: hex as in the terms."""
    return {"ceremony": ceremony, "party": str(party), "terms": terms_digest.hex()}


def kms_policy(terms: KeyTerms, party: int) -> str:
    """The policy of the party's key as canonical JSON.

    KeyError for a party there is not, KmsPolicyError for a role that is no role's name.
    """
    sealing = terms.party(party).sealing
    roles = (sealing.enclave_role, sealing.operator_role, sealing.break_glass_role)
    enclave, _, break_glass = arns = [_role(sealing.partition, sealing.account, role) for role in roles]
    context = encryption_context(terms.digest, terms.ceremony, party)
    exact = {f"{CONTEXT}{name}": value for name, value in context.items()}
    releases = [
        _statement(
            f"Release{number}", enclave, USE,
            {"StringEquals": {
                **exact, f"{ATTESTATION}0": release.pcr0, f"{ATTESTATION}1": release.pcr1,
                f"{ATTESTATION}2": release.pcr2,
            }},
        )
        for number, release in enumerate(terms.releases, start=1)
    ]  # fmt: skip
    statements = [
        *releases,
        _statement("Read", sorted(set(arns)), READ),
        _statement("BreakGlass", break_glass, END),
        _denial("OnlyAttested", ATTESTED_ONLY, {"Null": {f"{ATTESTATION}0": "true"}}),
        _denial("Never", NEVER),
    ]
    return canonical({"Id": "dkg-v1", "Statement": statements, "Version": "2012-10-17"}).decode()


def same_policy(expected: str, found: str) -> bool:
    """Whether KMS holds the expected policy, principals included. Never raises for what was found.

    KMS may give one text for a list of one and another order of lists, which change no meaning. It gives the unique id
    of a role that was deleted instead of its ARN: that is another policy, also when a role of that name is there again.
    """
    try:
        return _normal(parse(expected, "policy")) == _normal(parse(found, "policy"))
    except CanonicalError:
        return False


def key_arn_problem(arn: str, terms: KeyTerms, party: int) -> str | None:
    """Why this can't be the ARN of the party's key under these terms; None if it can."""
    sealing = terms.party(party).sealing
    prefix = f"arn:{sealing.partition}:kms:{sealing.region}:{sealing.account}:key/"
    if re.fullmatch(re.escape(prefix) + KEY_ID, arn):
        return None
    return f"use the ARN of a single-region key in {sealing.region} of account {sealing.account}: {prefix}..."


def sealing_digest(arn: str, policy: str) -> bytes:
    """SHA-256(ARN | policy), 32 bytes, for field 10 of user_data. An ARN has no brace, a policy begins with one."""
    return hashlib.sha256(arn.encode() + policy.encode()).digest()


def _role(partition: str, account: str, role: str) -> str:
    if not ROLE.fullmatch(role):
        raise KmsPolicyError(f"write the name of an IAM role, not {role[:40]!r}, in the terms' sealing")
    return f"arn:{partition}:iam::{account}:role/{role}"


def _statement(
    sid: str, principals: str | list[str], actions: tuple[str, ...], condition: dict[str, object] | None = None
) -> Statement:
    statement: Statement = {
        "Sid": sid, "Effect": "Allow", "Principal": {"AWS": principals}, "Action": list(actions), "Resource": "*",
    }  # fmt: skip
    return statement if condition is None else {**statement, "Condition": condition}


def _denial(sid: str, actions: tuple[str, ...], condition: dict[str, object] | None = None) -> Statement:
    """For everybody, also for principals of other accounts and services."""
    return {**_statement(sid, "*", actions, condition), "Effect": "Deny", "Principal": "*"}


def _normal(value: object) -> object:
    """A list as the sorted texts of its members, a single value as a list of one, an object member by member."""
    if isinstance(value, dict):
        return {name: _normal(part) for name, part in value.items()}
    return sorted({_text(part) for part in (value if isinstance(value, list) else [value])})


def _text(part: object) -> str:
    return canonical(_normal(part) if isinstance(part, (dict, list)) else part).decode()
