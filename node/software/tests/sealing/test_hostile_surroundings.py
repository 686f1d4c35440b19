"""Clients inside an enclave whose host writes the environment, answers its DNS and runs what it likes beside it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from dkg_node.sealing import aws
from dkg_node.sealing.aws import AwsCredentials, Surroundings, amazon, call, client
from dkg_node.sealing.reasons import Reason, SealingRefusal
from dkg_node.testing.aws_double import KEYS, REGION, RunningDouble

CREDENTIALS = AwsCredentials(KEYS["enclave"], "secret-of-the-parent")


def given() -> AwsCredentials:
    return CREDENTIALS


class World(Protocol):
    """See conftest."""

    double: RunningDouble

    @property
    def surroundings(self) -> Surroundings: ...


@pytest.fixture
def trap() -> Iterator[str]:
    """A port where nobody should come: it is open, and nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def hostile(tmp_path: Path, trap: str) -> dict[str, str]:
    """Each variable with a value that would change something."""
    config = f"[default]\nendpoint_url = https://{trap}\nca_bundle = {tmp_path / 'none.pem'}\nregion = us-east-1\n"
    (tmp_path / ".aws" / "models").mkdir(parents=True)
    (tmp_path / ".aws" / "config").write_text(config + "[profile evil]\n" + config)
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = EVIL\naws_secret_access_key = EVIL\n")
    for directory in (tmp_path / "data", tmp_path / ".aws" / "models"):
        (directory / "kms" / "2014-11-01").mkdir(parents=True)
        (directory / "kms" / "2014-11-01" / "service-2.json").write_text("{}")
    (tmp_path / "evil_plugin.py").write_text("def initialize_client_plugin(client):\n    pass\n")
    files = {name: str(tmp_path / "none.pem") for name in (
        "AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    )}  # fmt: skip
    proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"), f"http://{trap}")
    return {
        **files, **proxies,
        "AWS_ENDPOINT_URL": f"https://{trap}", "AWS_ENDPOINT_URL_KMS": f"https://{trap}",
        "AWS_ENDPOINT_URL_S3": f"https://{trap}", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_PROFILE": "evil", "AWS_DEFAULT_PROFILE": "nowhere", "AWS_CONFIG_FILE": str(tmp_path / ".aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"), "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "EVIL", "AWS_SECRET_ACCESS_KEY": "EVIL", "AWS_SESSION_TOKEN": "EVIL",
        "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true", "AWS_DATA_PATH": str(tmp_path / "data"),
        "AWS_RETRY_MODE": "nonsense", "AWS_MAX_ATTEMPTS": "x", "AWS_DEFAULTS_MODE": "auto",
        "AWS_CSM_ENABLED": "true", "AWS_CSM_HOST": "127.0.0.1", "AWS_SDK_UA_APP_ID": "x" * 200,
        "AWS_STS_REGIONAL_ENDPOINTS": "legacy", "AWS_ACCOUNT_ID_ENDPOINT_MODE": "nonsense",
        "AWS_SIGV4A_SIGNING_REGION_SET": "*", "AWS_BEARER_TOKEN_KMS": "EVIL", "AWS_AUTH_SCHEME_PREFERENCE": "noAuth",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "nonsense", "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES": "-1",
        "BOTOCORE_EXPERIMENTAL__PLUGINS": "evil=evil_plugin", "BOTO_CONFIG": str(tmp_path / ".aws" / "config"),
        "SSLKEYLOGFILE": str(tmp_path / "tls-keys"),
    }  # fmt: skip


ANYBODY = {"aws_access_key_id": "A", "aws_secret_access_key": "B"}
NAMES = (
    "AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS",
    "AWS_ENDPOINT_URL_S3", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "HOME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_DATA_PATH", "AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS", "AWS_DEFAULTS_MODE", "AWS_CSM_ENABLED", "AWS_CSM_HOST",
    "AWS_SDK_UA_APP_ID", "AWS_STS_REGIONAL_ENDPOINTS", "AWS_ACCOUNT_ID_ENDPOINT_MODE",
    "AWS_SIGV4A_SIGNING_REGION_SET", "AWS_BEARER_TOKEN_KMS", "AWS_AUTH_SCHEME_PREFERENCE",
    "AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "BOTOCORE_EXPERIMENTAL__PLUGINS",
    "BOTO_CONFIG", "SSLKEYLOGFILE",
)  # fmt: skip


def describe(world: World, key: str) -> str:
    kms = client("kms", world.surroundings, given)
    assert kms.meta.endpoint_url == world.double.url
    assert kms.meta.region_name == REGION
    return str(kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"])


def test_the_list_of_variables_is_whole(hostile: dict[str, str]) -> None:
    assert set(NAMES) == set(hostile)


@pytest.mark.parametrize("name", NAMES)
def test_no_variable_of_the_environment_has_any_effect(
    world: World, key: str, hostile: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.syspath_prepend(hostile["HOME"])
    monkeypatch.setenv(name, hostile[name])
    assert describe(world, key) == key
    assert "evil_plugin" not in sys.modules
    assert not Path(hostile["SSLKEYLOGFILE"]).exists()


def test_all_of_them_together_have_none_and_all_are_there_afterwards(
    world: World, key: str, hostile: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(hostile["HOME"])
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    assert describe(world, key) == key
    assert dict(os.environ) == before
    assert "evil_plugin" not in sys.modules
    assert not Path(hostile["SSLKEYLOGFILE"]).exists()


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"BOTOCORE_EXPERIMENTAL__PLUGINS", "SSLKEYLOGFILE"}))
def test_but_for_two_that_are_no_settings_none_has_an_effect_even_where_it_is_seen(
    world: World, key: str, hostile: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The second layer alone: constants for settings, no files, no proxies, own models."""
    monkeypatch.setattr(aws, "_empty_environment", nullcontext)
    monkeypatch.setenv(name, hostile[name])
    assert describe(world, key) == key


def test_service_models_in_the_home_directory_are_not_read(
    world: World, key: str, hostile: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library asks for the home directory once, when it is loaded: that is before any client is made."""
    monkeypatch.setattr(Loader, "CUSTOMER_DATA_PATH", str(Path(hostile["HOME"]) / ".aws" / "models"))
    assert describe(world, key) == key


@pytest.mark.parametrize(
    "name", ["AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_DATA_PATH", "AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS",
             "AWS_ENDPOINT_URL", "BOTOCORE_EXPERIMENTAL__PLUGINS", "SSLKEYLOGFILE"],
)  # fmt: skip
def test_a_client_that_anybody_would_make_is_moved_by_them(
    hostile: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """So the tests above could fail."""
    monkeypatch.syspath_prepend(hostile["HOME"])
    for other in ("AWS_PROFILE", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, hostile[name])
    try:
        kms = botocore.session.Session().create_client("kms", region_name=REGION, **ANYBODY)
        moved = "127.0.0.1" in kms.meta.endpoint_url or Path(hostile["SSLKEYLOGFILE"]).exists()
        moved |= sys.modules.pop("evil_plugin", None) is not None
    except Exception:  # noqa: BLE001 - each variable breaks it in its own way
        moved = True
    assert moved


def test_production_talks_to_amazon_by_its_own_roots() -> None:
    place = amazon("aws", "eu-central-1")
    assert place.endpoints == {
        "kms": "https://kms.eu-central-1.amazonaws.com", "s3": "https://s3.eu-central-1.amazonaws.com"
    }  # fmt: skip
    assert amazon("aws-cn", "cn-north-1").endpoints["kms"] == "https://kms.cn-north-1.amazonaws.com.cn"
    assert not place.path_style
    roots = x509.load_pem_x509_certificates(place.roots.read_bytes())
    assert {root.fingerprint(SHA256()).hex() for root in roots} == {
        "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
        "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
        "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
        "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
    }


def test_a_forged_kms_with_a_certificate_of_its_own_gets_no_request(
    world: World, tmp_path: Path, start: Callable[[Path], RunningDouble]
) -> None:
    """The host points the name of KMS to its own machine. What runs there is even our double, so only TLS is left."""
    forged = start(tmp_path / "forged")
    place = replace(world.surroundings, endpoints={"kms": forged.url, "s3": forged.url})
    with pytest.raises(SealingRefusal) as refusal:
        call("asking", client("kms", place, given).list_keys)
    assert refusal.value.reason is Reason.UNREACHABLE
    assert not (forged.state / "audit.jsonl").exists()


def test_amazons_roots_do_not_vouch_for_the_double(world: World) -> None:
    place = replace(world.surroundings, roots=amazon("aws", REGION).roots)
    with pytest.raises(SealingRefusal) as refusal:
        call("asking", client("kms", place, given).list_keys)
    assert refusal.value.reason is Reason.UNREACHABLE


def test_credentials_are_asked_for_before_each_request(world: World, key: str) -> None:
    """Those of the parent end after hours, and new ones come; a client lives as long as its node."""
    current = ["enclave"]
    kms = client("kms", world.surroundings, lambda: AwsCredentials(KEYS[current[0]], "x"))
    assert kms.describe_key(KeyId=key)
    current[0] = "stranger"
    with pytest.raises(ClientError, match="AccessDenied"):
        kms.describe_key(KeyId=key)


def test_credentials_are_in_no_text(world: World) -> None:
    shown = repr(CREDENTIALS) + repr(client("kms", world.surroundings, given))
    assert "secret-of-the-parent" not in shown


def test_an_error_shows_nothing_that_the_service_wrote() -> None:
    def refused(**_request: object) -> Any:  # noqa: ANN401 - it never returns
        raise ClientError({"Error": {"Code": "Evil\nline", "Message": "secret words"}}, "Decrypt")

    with pytest.raises(SealingRefusal) as refusal:
        call("opening", refused)
    assert "secret words" not in str(refusal.value)
    assert "\n" not in str(refusal.value)
