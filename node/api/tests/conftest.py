from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.enrolment import Enrolment, enrol
from dkg_api.signatures import public_bytes, sign_terms
from dkg_api.terms import Terms, parse_terms

N, T = 4, 1
KEY_ARN = "arn:aws:kms:eu-central-1:000000000000:key/00000000-0000-0000-0000-000000000001"


@pytest.fixture(scope="session")
def organization_keys() -> dict[int, Ed25519PrivateKey]:
    return {i: Ed25519PrivateKey.from_private_bytes(bytes([i]) * 32) for i in range(1, 14)}


@pytest.fixture(scope="session")
def identity_keys() -> dict[int, Ed25519PrivateKey]:
    return {i: Ed25519PrivateKey.from_private_bytes(bytes([100 + i]) * 32) for i in range(1, 14)}


@pytest.fixture
def make_terms(organization_keys: dict[int, Ed25519PrivateKey]) -> Callable[..., dict[str, Any]]:
    """A good terms object of n parties, with changes of top-level fields."""

    def make(n: int = N, t: int = T, **changes: object) -> dict[str, Any]:
        parties = [
            {
                "index": i,
                "organization": f"Organisation {i}",
                "organizationKey": public_bytes(organization_keys[i]).hex(),
                "sealing": {
                    "partition": "aws",
                    "region": "eu-central-1",
                    "account": "000000000000",
                    "enclaveRole": "enclave",
                    "operatorRole": "operator",
                    "breakGlassRole": "break-glass",
                },
            }
            for i in range(1, n + 1)
        ]
        terms: dict[str, Any] = {
            "schemaVersion": 1,
            "ceremony": "00" * 16,
            "protocolVersion": 1,
            "parameterSet": "test",
            "threshold": t,
            "attestation": "software",
            "parties": parties,
            "releases": [{"pcr0": "01" * 48, "pcr1": "02" * 48, "pcr2": "03" * 48}],
            "startGrace": 5000,
            "roundTimeout": 20000,
            "minRate": 1000000,
            "minSpeed": 100,
            "notBefore": "2026-01-01T00:00:00Z",
            "deadline": "2036-01-01T00:00:00Z",
        }
        return {**terms, **changes}

    return make


@pytest.fixture
def terms(make_terms: Callable[..., dict[str, Any]]) -> Terms:
    return parse_terms(make_terms())


@pytest.fixture
def enrolments(
    terms: Terms, organization_keys: dict[int, Ed25519PrivateKey], identity_keys: dict[int, Ed25519PrivateKey]
) -> list[Enrolment]:
    return [enrol(terms.digest, i, public_bytes(identity_keys[i]), organization_keys[i]) for i in range(1, N + 1)]


@pytest.fixture
def make_desired_state(
    terms: Terms, organization_keys: dict[int, Ed25519PrivateKey], enrolments: list[Enrolment]
) -> Callable[..., dict[str, Any]]:
    """A good desired state of party 1, with changes of top-level fields."""

    def make(**changes: object) -> dict[str, Any]:
        state: dict[str, Any] = {
            "terms": terms.as_json(),
            "signatures": [sign_terms(terms, i, organization_keys[i]).model_dump() for i in range(1, N + 1)],
            "party": 1,
            "attempt": 1,
            "keyArn": KEY_ARN,
            "peers": [
                {"index": i, "host": "127.0.0.1", "peerPort": 17001 + 10 * i, "attestPort": 17000 + 10 * i}
                for i in range(1, N + 1)
            ],
            "enrolments": [enrolment.model_dump() for enrolment in enrolments],
        }
        return {**state, **changes}

    return make
