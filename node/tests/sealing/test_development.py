from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dkg_node.algebra.kernel import Contributions, Keys, Secret, Shares
from dkg_node.errors import SealingError
from dkg_node.sealing.development import BANNER, KEY_FILE, Context, DevelopmentSealer, make_key_file, read_key_file
from dkg_node.sealing.files import write_atomic

CONTEXT = Context("ab" * 16, bytes(range(32)), 3, 1)
WIRE = bytes(range(256)) * 4


@pytest.fixture
def sealer(tmp_path: Path) -> DevelopmentSealer:
    return DevelopmentSealer(tmp_path, read_key_file(make_key_file(tmp_path)), CONTEXT)


def test_what_was_sealed_comes_back(sealer: DevelopmentSealer) -> None:
    sealer.seal_shares("share", 0, Shares.from_wire(128, WIRE))
    sealer.seal_bytes("identity", 0, bytes(range(32)))
    sealer.seal_secret("draws", 0, Secret.from_bytes(bytes(32)))
    sealer.seal_keys("prss", 0, Keys.from_bytes(4, 1, 3, bytes(3 * 32)))
    assert sealer.unseal_shares("share", 0).to_wire() == WIRE
    assert sealer.unseal_bytes("identity", 0) == bytes(range(32))
    assert sealer.unseal_secret("draws", 0).derive(b"x") is not None
    assert sealer.unseal_keys("prss", 0, 4, 1).party == 3


def test_setup_contributions_come_back_for_their_party_alone(sealer: DevelopmentSealer) -> None:
    held = Contributions(4, 1, 3, Secret.from_bytes(bytes(32)))
    sealer.seal_contributions("held", 0, held)
    assert sealer.unseal_contributions("held", 0, 4, 1).digests(b"sid") == held.digests(b"sid")
    stranger = replace(sealer, context=replace(CONTEXT, party=1))
    with pytest.raises(SealingError, match=r"held\.sealed is damaged or was sealed for another"):
        stranger.unseal_contributions("held", 0, 4, 1)


def test_what_goes_by_its_prefix_goes_with_what_was_set_aside_and_nothing_else(sealer: DevelopmentSealer) -> None:
    for name in ("setup-draws", "setup-held-1", "setup-held-2", "[a]-1", "a-1"):
        sealer.seal_secret(name, 0, Secret.from_bytes(bytes(32)))
    sealer.set_aside("setup-draws", 7)
    for prefix in ("setup-draws", "setup-held-", "[a]-"):
        sealer.erase_all(prefix)
    assert sorted(path.name for path in sealer.directory.iterdir()) == [KEY_FILE, "a-1.sealed"]


def test_the_file_says_what_it_is_and_shows_nothing_of_the_secret(sealer: DevelopmentSealer) -> None:
    sealer.seal_shares("share", 0, Shares.from_wire(128, WIRE))
    blob = sealer.path("share").read_bytes()
    assert blob.startswith(b"DEVELOPMENT SEALING")
    assert WIRE[:16] not in blob
    assert sealer.path("share").stat().st_mode & 0o777 == 0o600
    assert "DEVELOPMENT" in KEY_FILE


@pytest.mark.parametrize(
    "other",
    [
        {"party": 4},
        {"attempt": 2},
        {"ceremony": "cd" * 16},
        {"terms_digest": bytes(32)},
    ],
)
def test_a_share_of_another_party_attempt_ceremony_or_terms_does_not_open(
    sealer: DevelopmentSealer, other: dict[str, object]
) -> None:
    sealer.seal_shares("share", 0, Shares.from_wire(128, WIRE))
    stranger = replace(sealer, context=replace(CONTEXT, **other))  # type: ignore[arg-type]
    with pytest.raises(SealingError, match=r"share\.sealed is damaged or was sealed for another"):
        stranger.unseal_shares("share", 0)


def test_an_object_under_another_name_or_epoch_does_not_open(sealer: DevelopmentSealer) -> None:
    sealer.seal_shares("share", 0, Shares.from_wire(128, WIRE))
    with pytest.raises(SealingError):
        sealer.unseal_shares("share", 1)
    sealer.path("checkpoint").write_bytes(sealer.path("share").read_bytes())
    with pytest.raises(SealingError):
        sealer.unseal_shares("checkpoint", 0)


def test_another_key_file_opens_nothing(sealer: DevelopmentSealer) -> None:
    sealer.seal_shares("share", 0, Shares.from_wire(128, WIRE))
    with pytest.raises(SealingError):
        replace(sealer, key=Secret.from_bytes(bytes(32))).unseal_shares("share", 0)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_file_is_refused_in_one_line(
    sealer: DevelopmentSealer,
    where: float,
    flip: int,
    cut: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    sealer.seal_shares("share", 0, Shares.from_wire(128, WIRE))
    path = sealer.path("share")
    blob = bytearray(path.read_bytes())
    index = int(where * len(blob))
    blob[index] ^= flip
    path.write_bytes(blob[:index] if cut else blob)
    with pytest.raises(SealingError) as refused:
        sealer.unseal_shares("share", 0)
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_one_that_is_something_else_are_refused(sealer: DevelopmentSealer) -> None:
    with pytest.raises(SealingError, match="can't read"):
        sealer.unseal_shares("share", 0)
    sealer.path("share").write_bytes(b"hello")
    with pytest.raises(SealingError, match="no sealed file"):
        sealer.unseal_shares("share", 0)
    sealer.path("share").write_bytes(BANNER)
    with pytest.raises(SealingError):
        sealer.unseal_shares("share", 0)


def test_the_key_file_is_for_its_owner_and_made_once(tmp_path: Path) -> None:
    path = make_key_file(tmp_path)
    first = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert make_key_file(tmp_path).read_bytes() == first
    path.chmod(0o640)
    with pytest.raises(SealingError, match="chmod 600"):
        read_key_file(path)


@pytest.mark.parametrize("content", [b"", bytes(31), bytes(33)])
def test_a_key_file_of_another_length_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / KEY_FILE
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SealingError, match="damaged"):
        read_key_file(path)


def test_a_missing_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SealingError, match="can't read the sealing key"):
        read_key_file(tmp_path / KEY_FILE)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_share_that_cant_be_written_is_a_sealing_error(
    sealer: DevelopmentSealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SealingError, match="No space left on device; make room"):
        sealer.seal_shares("share", 0, Shares.from_wire(128, WIRE))
    assert not sealer.has("share")
