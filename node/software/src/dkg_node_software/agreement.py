"""The launcher in the place of n organisations: terms and signatures. Real signatures, keys that prove nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.signatures import TermsSignature, public_bytes, sign_terms
from dkg_api.terms import Terms, parse_terms
from dkg_node.ceremony.phases import longest, segments_of
from dkg_node.keygen.parameters import parameter_set
from dkg_node.keygen.plan import plan_of
from dkg_node.protocols.session import Group
from dkg_node.service.wire import timing_of

if TYPE_CHECKING:
    from collections.abc import Mapping

INSTANT = "%Y-%m-%dT%H:%M:%SZ"
FAR = "2100-01-01T00:00:00Z"
SLACK = timedelta(days=1)
ATTEMPT = 1


@dataclass(frozen=True, slots=True)
class Pace:
    """Figures of the terms that fix the deadlines (07, "Terms and timing": local defaults)."""

    start_grace: int = 20_000
    """ms"""
    round_timeout: int = 20_000
    """ms"""
    min_rate: int = 1_000_000
    """bytes a second"""
    min_speed: int = 100
    """thousandths of a core"""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Terms signed by all, and the organisation keys that sign the enrolments."""

    terms: Terms
    signatures: tuple[TermsSignature, ...]
    keys: Mapping[int, Ed25519PrivateKey]


def agree(name: str, group: Group, releases: list[dict[str, str]], pace: Pace, seed: str | None) -> Agreement:
    """Make terms for ``group`` and the parameter set ``name``. With ``seed`` the same terms come out every time."""
    keys = {party: Ed25519PrivateKey.from_private_bytes(_draw(seed, f"organisation {party}")) for party in group.roles}
    draft = _terms(name, group, keys, releases, pace, seed, FAR)
    if seed is None:
        draft = _terms(name, group, keys, releases, pace, seed, _deadline(draft))
    return Agreement(draft, tuple(sign_terms(draft, party, key) for party, key in keys.items()), keys)


def _deadline(terms: Terms) -> str:
    """A day after the last slot would end if every slot took all its time."""
    group, params = Group(terms.n, terms.threshold), parameter_set(terms.parameter_set)
    plan = longest(segments_of(group, params, plan_of(params)), timing_of(terms))
    return (datetime.now(UTC) + timedelta(seconds=plan) + SLACK).strftime(INSTANT)


def _terms(  # noqa: PLR0913, PLR0917 - the facts of the terms
    name: str,
    group: Group,
    keys: Mapping[int, Ed25519PrivateKey],
    releases: list[dict[str, str]],
    pace: Pace,
    seed: str | None,
    deadline: str,
) -> Terms:
    now = datetime.now(UTC).strftime(INSTANT) if seed is None else "2020-01-01T00:00:00Z"
    return parse_terms(
        {
            "schemaVersion": 1,
            "ceremony": _draw(seed, "ceremony")[:16].hex(),
            "protocolVersion": 1,
            "parameterSet": name,
            "threshold": group.t,
            "attestation": "software",
            "parties": [_party(party, key) for party, key in keys.items()],
            "releases": releases,
            "startGrace": pace.start_grace,
            "roundTimeout": pace.round_timeout,
            "minRate": pace.min_rate,
            "minSpeed": pace.min_speed,
            "notBefore": now,
            "deadline": deadline,
        }
    )


def _party(index: int, key: Ed25519PrivateKey) -> dict[str, object]:
    return {
        "index": index,
        "organization": f"local organisation {index}",
        "organizationKey": public_bytes(key).hex(),
        "sealing": {
            "partition": "aws",
            "region": "xx-local-1",
            "account": f"{index:012d}",
            "enclaveRole": "enclave",
            "operatorRole": "operator",
            "breakGlassRole": "break-glass",
        },
    }


def _draw(seed: str | None, label: str) -> bytes:
    """32 bytes: random, or those of the seed."""
    return os.urandom(32) if seed is None else sha256(f"agreement/{label}/{seed}".encode()).digest()
