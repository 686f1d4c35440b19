"""How production finds its KMS: the place from the terms, the credentials from the parent's file of the moment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dkg_api.terms import parse_terms
from dkg_node.errors import UsageError
from dkg_node.sealing.aws import AwsCredentials
from dkg_node.sealing.readback import read_back
from dkg_node.sealing.reasons import Reason, SealingRefusal
from dkg_node.service.credentials import read_credentials
from dkg_node.service.node_main import NitroBuild

GOOD = {
    "Version": 1, "AccessKeyId": "AKIA0123456789ABCDEF", "SecretAccessKey": "secret/+", "SessionToken": "token",
    "Expiration": "x",
}  # fmt: skip


def write(path: Path, value: object) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_what_the_parent_wrote_last_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "credentials.json", GOOD)
    assert read_credentials(path) == AwsCredentials("AKIA0123456789ABCDEF", "secret/+", "token")
    write(path, {**GOOD, "SessionToken": "newer"})
    assert read_credentials(path).token == "newer"  # noqa: S105 - nobody's
    assert "secret" not in repr(read_credentials(path))


@pytest.mark.parametrize(
    "value",
    ["", "{", "[]", "1", "[" * 16_000, {}, {**GOOD, "SessionToken": 5}, {**GOOD, "AccessKeyId": "A\nB"},
     {**GOOD, "AccessKeyId": "\u0661\u0662"}, {**GOOD, "SecretAccessKey": 5}],
)  # fmt: skip
def test_a_file_without_credentials_is_refused_in_one_line_that_quotes_nothing(tmp_path: Path, value: object) -> None:
    with pytest.raises(UsageError, match="export-credentials") as refused:
        read_credentials(write(tmp_path / "credentials.json", value))
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_the_production_build_asks_kms_where_the_terms_say_and_nothing_without_credentials(
    tmp_path: Path, terms_json: dict[str, Any]
) -> None:
    """Before any connection: who has no credentials asks nobody."""
    terms = parse_terms({**terms_json, "attestation": "nitro"})
    path = write(tmp_path / "credentials.json", GOOD)
    api: Any = NitroBuild(path).aws(terms, 1).kms()
    assert api.meta.endpoint_url == "https://kms.eu-central-1.amazonaws.com"
    path.unlink()
    arn = "arn:aws:kms:eu-central-1:000000000000:key/00000000-0000-0000-0000-000000000001"
    with pytest.raises(SealingRefusal, match=r"credentials\.json") as refused:
        read_back(api, arn, terms, 1)
    assert refused.value.reason is Reason.CREDENTIALS


def test_a_file_caught_while_it_is_written_leaves_the_last_credentials(
    tmp_path: Path, terms_json: dict[str, Any]
) -> None:
    path = write(tmp_path / "credentials.json", GOOD)
    api: Any = NitroBuild(path).aws(parse_terms({**terms_json, "attestation": "nitro"}), 1).kms()
    given = api._request_signer._credentials
    assert given.get_frozen_credentials().token == "token"  # noqa: S105 - nobody's
    write(path, "{")
    assert given.get_frozen_credentials().token == "token"  # noqa: S105 - the same
    write(path, {**GOOD, "SessionToken": "newer"})
    assert given.get_frozen_credentials().token == "newer"  # noqa: S105 - the same
