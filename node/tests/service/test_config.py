from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.enrolment import enrol
from dkg_api.signatures import public_bytes, sign_terms
from dkg_api.terms import parse_terms
from dkg_node.errors import UsageError
from dkg_node.service.config import read_state, settled

N = 4
OWN = public_bytes(Ed25519PrivateKey.from_private_bytes(bytes([101]) * 32))
State = Callable[..., dict[str, Any]]


@pytest.fixture
def state(organization_keys: dict[int, Ed25519PrivateKey], terms_json: dict[str, Any]) -> State:
    """A desired state of party 1; complete when ``addresses`` is true."""
    terms = parse_terms(terms_json)

    def make(*, addresses: bool, attempt: int = 1) -> dict[str, Any]:
        keys = {i: Ed25519PrivateKey.from_private_bytes(bytes([100 + i]) * 32) for i in organization_keys}
        return {
            "terms": terms.as_json(),
            "signatures": [sign_terms(terms, i, key).model_dump() for i, key in organization_keys.items()],
            "party": 1,
            "attempt": attempt,
            "keyArn": "arn:aws:kms:eu-central-1:000000000000:key/00000000-0000-0000-0000-000000000001",
            "peers": [
                {
                    "index": i,
                    "host": "127.0.0.1",
                    "peerPort": 17001 + 10 * i,
                    "attestPort": 17000 + 10 * i if addresses else None,
                }
                for i in organization_keys
            ],
            "enrolments": [
                enrol(terms.digest, i, public_bytes(keys[i]), key).model_dump() for i, key in organization_keys.items()
            ],
        }

    return make


def write(path: Path, value: object) -> None:
    new = path.with_suffix(".new")
    new.write_text(value if isinstance(value, str) else json.dumps(value))
    new.replace(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"terms": {}}', "\x00"])
def test_a_file_that_is_no_desired_state_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "desired-state.json"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        read_state(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't read the desired state"):
        read_state(tmp_path / "nothing.json")


def test_terms_that_one_organisation_did_not_sign_are_refused_and_it_is_named(tmp_path: Path, state: State) -> None:
    path = tmp_path / "desired-state.json"
    value = state(addresses=True)
    write(path, {**value, "signatures": value["signatures"][:-1]})
    with pytest.raises(UsageError, match="Organisation 4"):
        read_state(path)


def test_a_change_between_the_first_reading_and_the_watching_is_seen(tmp_path: Path, state: State) -> None:
    path = tmp_path / "desired-state.json"
    write(path, state(addresses=False))
    first = read_state(path)
    write(path, state(addresses=True))
    found = asyncio.run(asyncio.wait_for(settled(path, first, OWN), 30))
    assert found.missing() == ()


def test_unusable_versions_and_those_of_another_attempt_are_passed_over(tmp_path: Path, state: State) -> None:
    path = tmp_path / "desired-state.json"
    write(path, state(addresses=False))
    first = read_state(path)

    async def scene() -> int:
        waiting = asyncio.create_task(settled(path, first, OWN))
        for value in ("{", state(addresses=True, attempt=2), state(addresses=True)):
            await asyncio.sleep(0.25)
            write(path, value)
        return (await asyncio.wait_for(waiting, 30)).attempt

    assert asyncio.run(scene()) == 1


def test_a_party_that_lost_its_disk_waits_until_its_new_key_is_enrolled(tmp_path: Path, state: State) -> None:
    path = tmp_path / "desired-state.json"
    value = state(addresses=True)
    write(path, value)
    first = read_state(path)
    new = public_bytes(Ed25519PrivateKey.generate())

    async def scene() -> int:
        waiting = asyncio.create_task(settled(path, first, new))
        await asyncio.sleep(0.25)
        assert not waiting.done()
        organization = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
        more = enrol(first.terms.digest, 1, new, organization).model_dump()
        write(path, {**value, "enrolments": [*value["enrolments"], more]})
        return len((await asyncio.wait_for(waiting, 30)).enrolments)

    assert asyncio.run(scene()) == N + 1
