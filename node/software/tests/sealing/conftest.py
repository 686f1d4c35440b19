from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.kms_policy import kms_policy
from dkg_api.signatures import public_bytes
from dkg_api.terms import Terms, parse_terms
from dkg_api.user_data import UserData
from dkg_node.attestation.nsm import NsmAttester
from dkg_node.sealing.aws import AwsCredentials, Surroundings, client
from dkg_node.sealing.cms import Recipient
from dkg_node.sealing.kms import Context, KeyService
from dkg_node.sealing.sealer import KmsSealer
from dkg_node.sealing.stores import BlobStore, DirectoryBlobs
from dkg_node.testing.aws_double import ACCOUNT, KEYS, REGION, RunningDouble, start_double
from dkg_node_software.nsm import software_attester
from dkg_node_software.root import SOFTWARE_ROOT

PCRS = {"pcr0": "0a" * 48, "pcr1": "0b" * 48, "pcr2": "0c" * 48}
RECIPIENT = Recipient.fresh()


def make_terms(**changes: object) -> Terms:
    """Terms of 4 parties that allow one release."""
    sealing = {
        "partition": "aws", "region": REGION, "account": ACCOUNT, "enclaveRole": "enclave",
        "operatorRole": "operator", "breakGlassRole": "break-glass",
    }  # fmt: skip
    parties = [
        {
            "index": i, "organization": f"Organisation {i}", "sealing": sealing,
            "organizationKey": public_bytes(organization_key(i)).hex(),
        }
        for i in range(1, 5)
    ]  # fmt: skip
    usual: dict[str, Any] = {
        "schemaVersion": 1, "ceremony": "00" * 16, "protocolVersion": 1, "parameterSet": "test", "threshold": 1,
        "attestation": "software", "parties": parties, "releases": [PCRS], "startGrace": 5000, "roundTimeout": 20000,
        "minRate": 1000000, "minSpeed": 100, "notBefore": "2026-01-01T00:00:00Z", "deadline": "2036-01-01T00:00:00Z",
    }  # fmt: skip
    return parse_terms({**usual, **changes})


def organization_key(party: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([party]) * 32)


@cache
def attester_of(pcr0: str) -> NsmAttester:
    return software_attester({**PCRS, "pcr0": pcr0})


@dataclass(frozen=True)
class World:
    """One double, and parties that seal under its keys."""

    double: RunningDouble

    @property
    def surroundings(self) -> Surroundings:
        endpoints = dict.fromkeys(("kms", "s3"), self.double.url)
        return Surroundings(REGION, endpoints, self.double.state / "ca.pem", path_style=True)

    def api(self, service: str, who: str = "enclave") -> Any:  # noqa: ANN401 - made by boto3
        return client(service, self.surroundings, lambda: AwsCredentials(KEYS[who], "none"))

    def make_key(self, terms: Terms, party: int = 1, policy: str | None = None, **more: object) -> str:
        """As an operator makes it."""
        text = kms_policy(terms, party) if policy is None else policy
        answer = self.double.client("kms", "operator").create_key(
            Policy=text, BypassPolicyLockoutSafetyCheck=True, **more
        )  # fmt: skip
        return str(answer["KeyMetadata"]["Arn"])

    def sealer(
        self, key: str, terms: Terms, store: BlobStore, *, party: int = 1, attempt: int = 1, pcr0: str = PCRS["pcr0"]
    ) -> KmsSealer:
        """A party's, of a fresh boot."""
        statement = UserData(
            purpose="kms", terms_digest=terms.digest, attempt=attempt, party=party, boot_id=bytes(16), boot_number=1,
            root=SOFTWARE_ROOT,
        )  # fmt: skip
        service = KeyService(self.api("kms"), key, attester_of(pcr0), RECIPIENT, statement)
        return KmsSealer(store, service, Context(terms.ceremony, terms.digest, party, attempt))

    def audit(self) -> list[str]:
        return (self.double.state / "audit.jsonl").read_text().splitlines()


def other(sealer: KmsSealer, **changes: object) -> KmsSealer:
    """The same store, another party's or attempt's view of it, without data keys."""
    return KmsSealer(sealer.store, sealer.service, replace(sealer.context, **changes))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    running = start_double(tmp_path_factory.mktemp("double") / "state")
    running.client("s3", "operator").create_bucket(
        Bucket="shares", CreateBucketConfiguration={"LocationConstraint": REGION}
    )  # fmt: skip
    running.client("s3", "operator").put_bucket_versioning(
        Bucket="shares", VersioningConfiguration={"Status": "Enabled"}
    )  # fmt: skip
    yield World(running)
    running.stop()


@pytest.fixture(scope="session")
def terms() -> Terms:
    return make_terms()


@pytest.fixture(scope="session")
def key(world: World, terms: Terms) -> str:
    return world.make_key(terms)


@pytest.fixture(name="make_terms")
def make_terms_fixture() -> Callable[..., Terms]:
    return make_terms


@pytest.fixture(name="other")
def other_fixture() -> Callable[..., KmsSealer]:
    return other


@pytest.fixture(name="organization_key")
def organization_key_fixture() -> Callable[[int], Ed25519PrivateKey]:
    return organization_key


@pytest.fixture
def sealer(world: World, key: str, terms: Terms, tmp_path: Path) -> KmsSealer:
    return world.sealer(key, terms, DirectoryBlobs(tmp_path))


@pytest.fixture
def start() -> Iterator[Callable[[Path], RunningDouble]]:
    """Doubles that the test starts; whatever happens, they end."""
    made: list[RunningDouble] = []

    def start_one(state: Path) -> RunningDouble:
        made.append(start_double(state))
        return made[-1]

    yield start_one
    for running in made:
        running.end()
