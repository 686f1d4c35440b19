"""An AWS double in a process of its own, for tests, and plain botocore clients of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import botocore.session
from botocore.config import Config

from dkg_node.sealing.kms import KeyService
from dkg_node.sealing.sealer import KmsSealer

ACCOUNT: Final = "000000000000"
REGION: Final = "eu-central-1"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/"
KEYS: Final = {
    "enclave": "AKIAENCLAVE000000001",
    "operator": "AKIAOPERATOR00000001",
    "break-glass": "AKIABREAKGLASS000001",
    "admin": "AKIAADMIN00000000001",
    "stranger": "AKIASTRANGER00000001",
}
"""Access key by who holds it."""
_NOBODY: Final = {"create": False, "administrator": False, "prefixes": []}
PRINCIPALS: Final[Mapping[str, Mapping[str, object]]] = {
    KEYS["enclave"]: {**_NOBODY, "arn": ROLE + "enclave", "prefixes": ["shares/1/"]},
    KEYS["operator"]: {**_NOBODY, "arn": ROLE + "operator", "create": True},
    KEYS["break-glass"]: {**_NOBODY, "arn": ROLE + "break-glass"},
    KEYS["admin"]: {**_NOBODY, "arn": f"arn:aws:iam::{ACCOUNT}:user/admin", "administrator": True},
    KEYS["stranger"]: {**_NOBODY, "arn": "arn:aws:iam::111111111111:role/enclave"},
}


@dataclass(frozen=True, slots=True)
class RunningDouble:
    """A double that listens."""

    state: Path
    process: subprocess.Popen[str]
    url: str

    clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def client(self, service: str, who: str) -> Any:
        """A plain botocore client, as anybody would make one; it checks no request before it is sent."""
        if (service, who) not in self.clients:
            self.clients[service, who] = self._client(service, KEYS.get(who, who))
        return self.clients[service, who]

    def _client(self, service: str, access_key: str) -> Any:
        settings = Config(
            retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, parameter_validation=False
        )  # fmt: skip
        return botocore.session.Session().create_client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            verify=str(self.state / "ca.pem"),
            aws_access_key_id=access_key,
            aws_secret_access_key="none",  # noqa: S106 - the double checks no signatures
            config=settings,
        )

    def stop(self) -> None:
        """End it as a launcher does. AssertionError when it ends badly."""
        self.process.communicate(timeout=60)
        if self.process.returncode:
            raise AssertionError(f"the double ended with {self.process.returncode}")

    def end(self) -> None:
        """End it whatever its state."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def start_double(state: Path) -> RunningDouble:
    """A double over the state in this directory, which it makes."""
    state.mkdir(parents=True, exist_ok=True)
    (state / "principals.json").write_text(json.dumps(PRINCIPALS))
    command = [str(Path(sys.executable).parent / "dkg-software"), "aws-double", "--state", str(state), "--until-eof"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    lines = [process.stdout.readline(), process.stdout.readline()] if process.stdout else []
    if len(lines) != 2 or not lines[0].startswith("AWS DOUBLE"):
        raise AssertionError(f"the double did not start: {lines}")
    return RunningDouble(state, process, lines[1].strip())


def service_of(sealer: KmsSealer) -> KeyService:
    """The KMS key behind a sealer. TypeError when there is another service."""
    if not isinstance(sealer.service, KeyService):
        raise TypeError("take a sealer over KMS")
    return sealer.service
