from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.signatures import public_bytes


@pytest.fixture(scope="session")
def organization_keys() -> dict[int, Ed25519PrivateKey]:
    return {i: Ed25519PrivateKey.from_private_bytes(bytes([i]) * 32) for i in range(1, 5)}


@pytest.fixture
def draft(organization_keys: dict[int, Ed25519PrivateKey]) -> dict[str, Any]:
    """The fields of the terms that somebody chooses: 4 parties."""
    sealing = {
        "partition": "aws",
        "region": "eu-central-1",
        "account": "000000000000",
        "enclaveRole": "enclave",
        "operatorRole": "operator",
        "breakGlassRole": "break-glass",
    }
    return {
        "parameterSet": "core",
        "threshold": 1,
        "parties": [
            {
                "index": i,
                "organization": f"Organisation {i}",
                "organizationKey": public_bytes(key).hex(),
                "sealing": sealing,
            }
            for i, key in organization_keys.items()
        ],
        "releases": [{"pcr0": "01" * 48, "pcr1": "02" * 48, "pcr2": "03" * 48}],
        "notBefore": "2026-01-01T00:00:00Z",
        "deadline": "2096-01-01T00:00:00Z",
    }


@pytest.fixture
def terms_json(draft: dict[str, Any]) -> dict[str, Any]:
    """Whole terms of a software ceremony of 4 parties with the smallest set."""
    fixed = {"schemaVersion": 1, "protocolVersion": 1, "ceremony": "00" * 16, "attestation": "software"}
    timing = {"startGrace": 5000, "roundTimeout": 20000, "minRate": 1000000, "minSpeed": 100}
    return {**draft, **fixed, **timing, "parameterSet": "test"}
