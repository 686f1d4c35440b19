"""Credentials of the enclave role as the parent hands them over: AWS's own JSON, read again for every request.

They sign requests and open nothing: what KMS answers to is the attestation document (03, "Sealing with AWS KMS").
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from dkg_node.sealing.aws import AwsCredentials
from dkg_node.service.command import EnvironmentFault

if TYPE_CHECKING:
    from pathlib import Path

NAMES: Final = ("AccessKeyId", "SecretAccessKey", "Token")
"""As instance metadata and container agents spell them."""
LONGEST: Final = 16 * 1024


def read_credentials(path: Path) -> AwsCredentials:
    """Those of the moment. EnvironmentFault, which quotes nothing of the file, when there are none."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(LONGEST))
    except OSError as error:
        raise EnvironmentFault(f"have the parent write credentials to {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        found = None
    values = [found.get(name) for name in NAMES] if isinstance(found, dict) else []
    match values:
        case [str() as access_key, str() as secret_key, str() as token] if (
            access_key.isascii() and access_key.isalnum()
        ):
            return AwsCredentials(access_key, secret_key, token)
    raise EnvironmentFault(f"have the parent write {', '.join(NAMES)} to {path}: it holds something else")
