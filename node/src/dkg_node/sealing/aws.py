"""The one way to make AWS clients: what they do follows from values given here, and from nothing on the machine.

The host of an enclave writes its environment and answers its DNS. So (03, "Sealing with AWS KMS"): the endpoint is
computed from the terms, the roots are those of the measured image, no proxy is used, configuration and credential
files are never read, service models come from the package, and no variable has any effect while a client is made.
Credentials come from the parent and are worth nothing without attestation.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import boto3
import botocore.session
from botocore.config import Config
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES, ConfigValueStore, ConstantProvider
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader

from dkg_node.errors import UsageError
from dkg_node.sealing.reasons import Reason, SealingRefusal

SUFFIXES: Final = {"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn", "aws-us-gov": "amazonaws.com"}
"""Of host names, by partition."""
FILES: Final = frozenset({"config_file", "credentials_file", "data_path", "ca_bundle"})
"""Settings of a session that name files."""
CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 30
ATTEMPTS: Final = 4
CODE: Final = re.compile(r"[A-Za-z.]{1,60}")


@dataclass(frozen=True, slots=True)
class AwsCredentials:
    """What signs requests: the enclave role's, from the parent. They sign, and open nothing by themselves."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


CredentialSource = Callable[[], AwsCredentials]
"""Asked before each request: the parent's credentials live for hours, a node for longer."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """One region of AWS as this build reaches it."""

    region: str
    endpoints: Mapping[str, str]
    """URL by service: kms, s3."""
    roots: Path
    """PEM file of the certificates that may vouch for the endpoints."""
    path_style: bool = False
    """S3 buckets in the path instead of the host name, for endpoints without a name for each bucket."""


def amazon(partition: str, region: str) -> Surroundings:
    """AWS itself, from the terms' partition and region: what production uses, without any way to say otherwise."""
    endpoints = {service: f"https://{service}.{region}.{SUFFIXES[partition]}" for service in ("kms", "s3")}
    return Surroundings(region, endpoints, Path(str(files("dkg_node.sealing") / "amazon_roots.pem")))


def client(service: str, surroundings: Surroundings, source: CredentialSource) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time; ``KmsApi`` and ``S3Api`` say what is used of them
    """A boto3 client of ``kms`` or ``s3``. Make it before other threads start: the environment is empty meanwhile."""
    config = Config(
        ignore_configured_endpoint_urls=True,
        proxies={},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        s3={"addressing_style": "path" if surroundings.path_style else "virtual"},
    )
    region, url, roots = surroundings.region, surroundings.endpoints[service], str(surroundings.roots)
    with _empty_environment():
        session = boto3.Session(botocore_session=_session(source))
        return session.client(service, region_name=region, endpoint_url=url, verify=roots, config=config)


def call(what: str, function: Callable[..., Any], **request: Any) -> Any:  # noqa: ANN401 - an API's request and answer
    """One request. SealingRefusal for whatever goes wrong: ``what`` and the service's error code, nothing it wrote."""
    try:
        return function(**request)
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        shown = code if CODE.fullmatch(code) else "an unreadable error"
        raise SealingRefusal(REFUSALS.get(code, Reason.UNREACHABLE), f"{what}: {shown}") from None
    except (BotoCoreError, OSError, ValueError) as error:
        raise SealingRefusal(Reason.UNREACHABLE, f"{what}: {type(error).__name__}") from None
    except (AttributeError, KeyError, IndexError, TypeError, RecursionError):
        # what botocore's parsers raise for an answer that is not of the service's own shape
        raise SealingRefusal(Reason.UNREACHABLE, f"{what}: an unreadable answer") from None


REFUSALS: Final = {
    "AccessDeniedException": Reason.DENIED,
    "DisabledException": Reason.DISABLED,
    "KMSInvalidStateException": Reason.DISABLED,
    "NotFoundException": Reason.NO_KEY,
    "InvalidArnException": Reason.NO_KEY,
    "IncorrectKeyException": Reason.OTHER_KEY,
    "InvalidCiphertextException": Reason.CONTEXT,
    "UnrecognizedClientException": Reason.CREDENTIALS,
    "ExpiredTokenException": Reason.CREDENTIALS,
    "InvalidSignatureException": Reason.CREDENTIALS,
    "InvalidAccessKeyId": Reason.CREDENTIALS,
    "ExpiredToken": Reason.CREDENTIALS,
    "SignatureDoesNotMatch": Reason.CREDENTIALS,
    "AccessDenied": Reason.STORE,
    "NoSuchBucket": Reason.STORE,
}
"""By error code of KMS and S3."""


class _Given(Credentials):  # type: ignore[misc]  # botocore has no types
    """In place of botocore's chain of places to look for credentials: those of the moment, for each request."""

    def __init__(self, source: CredentialSource) -> None:
        super().__init__("", "")
        self._source = source
        self._last: AwsCredentials | None = None

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """SealingRefusal when there never were any: a file that is being written leaves the last ones."""
        try:
            self._last = self._source()
        except UsageError as error:
            if self._last is None:
                raise SealingRefusal(Reason.CREDENTIALS, str(error)) from None
        now = self._last
        return ReadOnlyCredentials(now.access_key, now.secret_key, now.token)

    def load_credentials(self) -> _Given:
        return self


def _session(source: CredentialSource) -> Any:  # noqa: ANN401 - botocore has no types
    """A session whose settings are botocore's defaults as constants, and which knows no file but its own models."""
    session = botocore.session.Session()
    defaults = {name: None if name in FILES else row[2] for name, row in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()}
    constants = {name: ConstantProvider(value) for name, value in defaults.items()}
    session.register_component("config_store", ConfigValueStore(mapping=constants))
    session.register_component("data_loader", _models())
    session.register_component("credential_provider", _Given(source))
    return session


@cache
def _models() -> Any:  # noqa: ANN401 - botocore has no types
    """The package's service models and no others, read once: a client costs 100 ms of parsing without it."""
    return Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)


@contextmanager
def _empty_environment() -> Iterator[None]:
    """Botocore reads more variables than it has settings: plugins to import, a file for TLS keys, proxies."""
    before = dict(os.environ)
    os.environ.clear()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
