from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dkg_node.algebra.kernel import Contributions, Keys, Secret, Shares
from dkg_node.errors import SealingError
from dkg_node.sealing.files import write_atomic
from dkg_node.sealing.kms import MAX_WRAPPED, Context, DataKey
from dkg_node.sealing.reasons import Reason, SealingRefusal
from dkg_node.sealing.sealer import MAGIC, KmsSealer
from dkg_node.sealing.stores import DirectoryBlobs
from dkg_node.testing.plain_keys import PlainKeys

CONTEXT = Context("ab" * 16, bytes(range(32)), 3, 1)
WIRE = bytes(range(256)) * 4


@pytest.fixture
def sealer(tmp_path: Path) -> KmsSealer:
    return KmsSealer(DirectoryBlobs(tmp_path), PlainKeys(), CONTEXT)


def other(sealer: KmsSealer, **changes: object) -> KmsSealer:
    """The same store, seen by another, or by another boot."""
    return KmsSealer(sealer.store, PlainKeys(), replace(CONTEXT, **changes))  # type: ignore[arg-type]


def test_what_was_sealed_comes_back(sealer: KmsSealer) -> None:
    sealer.seal_shares("share", 0, Shares.from_wire(128, WIRE))
    sealer.seal_bytes("identity", 0, bytes(range(32)))
    sealer.seal_secret("draws", 0, Secret.from_bytes(bytes(32)))
    sealer.seal_keys("prss", 0, Keys.from_bytes(4, 1, 3, bytes(3 * 32)))
    assert sealer.unseal_shares("share", 0).to_wire() == WIRE
    assert sealer.unseal_bytes("identity", 0) == bytes(range(32))
    assert sealer.unseal_secret("draws", 0).derive(b"x") is not None
    assert sealer.unseal_keys("prss", 0, 4, 1).party == 3


def test_setup_contributions_come_back_for_their_party_alone(sealer: KmsSealer) -> None:
    held = Contributions(4, 1, 3, Secret.from_bytes(bytes(32)))
    sealer.seal_contributions("held", 0, held)
    assert sealer.unseal_contributions("held", 0, 4, 1).digests(b"sid") == held.digests(b"sid")
    stranger = other(sealer, party=1)
    with pytest.raises(SealingError, match="damaged, or was sealed as another"):
        stranger.unseal_contributions("held", 0, 4, 1)


def test_what_goes_by_its_prefix_goes_with_what_was_set_aside_and_nothing_else(sealer: KmsSealer) -> None:
    for name in ("setup-draws", "setup-held-1", "setup-held-2", "a-1"):
        sealer.seal_secret(name, 0, Secret.from_bytes(bytes(32)))
    sealer.set_aside("setup-draws", 7)
    for prefix in ("setup-draws", "setup-held-"):
        sealer.erase_all(prefix)
    assert sealer.store.left() == ("a-1.sealed",)


def test_the_file_says_what_it_is_and_shows_nothing_of_the_secret(sealer: KmsSealer, tmp_path: Path) -> None:
    sealer.seal_shares("share", 0, Shares.from_wire(128, WIRE))
    blob = (tmp_path / "share.sealed").read_bytes()
    assert blob.startswith(MAGIC)
    assert WIRE[:16] not in blob
    assert (tmp_path / "share.sealed").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "changes",
    [
        {"party": 4},
        {"attempt": 2},
        {"ceremony": "cd" * 16},
        {"terms_digest": bytes(32)},
    ],
)
def test_a_share_of_another_party_attempt_ceremony_or_terms_does_not_open(
    sealer: KmsSealer, changes: dict[str, object]
) -> None:
    sealer.seal_shares("share", 0, Shares.from_wire(128, WIRE))
    blob = sealer.store.get("share")
    assert blob is not None
    sealer.store.put("share.a2", blob)
    stranger = other(sealer, **changes)
    with pytest.raises(SealingError, match="damaged, or was sealed as another"):
        stranger.unseal_shares("share", 0)


def test_an_object_under_another_name_or_epoch_does_not_open(sealer: KmsSealer) -> None:
    sealer.seal_shares("share", 0, Shares.from_wire(128, WIRE))
    with pytest.raises(SealingError):
        sealer.unseal_shares("share", 1)
    sealer.store.put("checkpoint", sealer.store.get("share") or b"")
    with pytest.raises(SealingError):
        sealer.unseal_shares("checkpoint", 0)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_file_is_refused_in_one_line(
    sealer: KmsSealer,
    tmp_path: Path,
    where: float,
    flip: int,
    cut: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    sealer.seal_shares("share", 0, Shares.from_wire(128, WIRE))
    path = tmp_path / "share.sealed"
    blob = bytearray(path.read_bytes())
    index = int(where * len(blob))
    blob[index] ^= flip
    path.write_bytes(blob[:index] if cut else blob)
    with pytest.raises(SealingError) as refused:
        sealer.unseal_shares("share", 0)
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_one_that_is_something_else_are_refused(sealer: KmsSealer) -> None:
    with pytest.raises(SealingError, match="put the object back"):
        sealer.unseal_shares("share", 0)
    for content in (b"hello", MAGIC, MAGIC + b"\x05\x00key"):
        sealer.store.put("share", content)
        with pytest.raises(SealingError, match="no sealed object"):
            other(sealer).unseal_shares("share", 0)


class Counted(PlainKeys):
    """Notes what it is asked, and refuses where it is told to."""

    def __init__(self, refusal: Reason | None = None) -> None:
        self.made, self.opened, self.refusal = 0, [], refusal  # type: ignore[var-annotated]  # of bytes

    def new_key(self, context: Context) -> DataKey:
        self.made += 1
        wrapped = bytes([self.made]) * 16
        return DataKey(super().open_key(wrapped, context), wrapped)

    def open_key(self, wrapped: bytes, context: Context) -> Secret:
        self.opened.append(wrapped)
        if self.refusal is not None:
            raise SealingRefusal(self.refusal, "for a test")
        return super().open_key(wrapped, context)


def test_the_next_attempt_finds_nothing_of_the_one_before_and_leaves_it_alone(sealer: KmsSealer) -> None:
    """Prefix and directory are the same for all attempts of a party."""
    sealer.seal_shares("control", 0, Shares.from_wire(128, WIRE))
    later = other(sealer, attempt=2)
    assert not later.has("control")
    later.ready("")
    later.seal_shares("control", 0, Shares.from_wire(128, bytes(1024)))
    later.set_aside("control", 7)
    later.seal_shares("control", 0, Shares.from_wire(128, bytes(1024)))
    assert other(sealer, attempt=2).unseal_shares("control", 0).to_wire() == bytes(1024)
    later.erase_all("control")
    assert other(sealer).unseal_shares("control", 0).to_wire() == WIRE
    assert not later.has("control")


def test_what_a_boot_sealed_and_the_host_hides_is_missed_and_not_made_anew(sealer: KmsSealer) -> None:
    sealer.seal_secret("draws", 0, Secret.from_bytes(bytes(32)))
    sealer.store.erase("draws")
    assert sealer.has("draws"), "who asks whether to draw is told that it did"
    with pytest.raises(SealingRefusal) as refusal:
        sealer.unseal_secret("draws", 0)
    assert refusal.value.reason is Reason.MISSING


@pytest.mark.parametrize("looked", [True, False], ids=["after a look", "after it was sealed"])
def test_an_older_object_put_in_place_of_the_one_that_was_seen_stays_shut(sealer: KmsSealer, *, looked: bool) -> None:
    sealer.seal_secret("draws", 0, Secret.from_bytes(bytes(32)))
    old = sealer.store.get("draws")
    assert old is not None
    sealer.seal_secret("draws", 0, Secret.from_bytes(bytes(range(32))))
    boot = other(sealer) if looked else sealer
    seen = boot.fingerprint("draws")
    boot.store.put("draws", old)
    assert boot.fingerprint("draws") == seen
    with pytest.raises(SealingRefusal) as refusal:
        boot.unseal_secret("draws", 0)
    assert refusal.value.reason is Reason.OLDER


def test_a_boot_asks_for_one_data_key_and_opens_each_older_one_once(sealer: KmsSealer) -> None:
    for name in ("a", "b"):
        sealer.seal_shares(name, 0, Shares.from_wire(128, WIRE))
    keys = Counted()
    boot = KmsSealer(sealer.store, keys, CONTEXT)
    boot.ready("")
    assert (keys.made, len(keys.opened)) == (1, 1)
    boot.seal_shares("c", 0, boot.unseal_shares("a", 0))
    assert boot.unseal_shares("b", 0).to_wire() == WIRE
    assert boot.unseal_shares("c", 0).to_wire() == WIRE
    assert (keys.made, len(keys.opened)) == (1, 1), "after that the service is asked for nothing"


def test_a_boot_is_not_ready_while_the_service_refuses_its_own_keys(sealer: KmsSealer) -> None:
    sealer.seal_shares("a", 0, Shares.from_wire(128, WIRE))
    for reason in (Reason.UNREACHABLE, Reason.DENIED, Reason.DISABLED, Reason.ANSWER):
        with pytest.raises(SealingRefusal) as refusal:
            KmsSealer(sealer.store, Counted(reason), CONTEXT).ready("")
        assert refusal.value.reason is reason


def test_another_partys_object_keeps_nobody_from_being_ready_and_stays_shut(sealer: KmsSealer) -> None:
    sealer.seal_shares("a", 0, Shares.from_wire(128, WIRE))
    boot = KmsSealer(sealer.store, Counted(Reason.OTHER_KEY), CONTEXT)
    boot.ready("")
    with pytest.raises(SealingRefusal) as refusal:
        boot.unseal_shares("a", 0)
    assert refusal.value.reason is Reason.OTHER_KEY


def test_a_wrapped_key_longer_than_any_is_damage_and_never_sent(sealer: KmsSealer) -> None:
    long = MAX_WRAPPED + 1
    sealer.store.put("a", MAGIC + long.to_bytes(2, "little") + bytes(long + 64))
    keys = Counted()
    boot = KmsSealer(sealer.store, keys, CONTEXT)
    boot.ready("")
    with pytest.raises(SealingRefusal, match="no sealed object"):
        boot.unseal_shares("a", 0)
    assert keys.opened == []


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


def test_a_share_that_cant_be_written_is_a_sealing_error(sealer: KmsSealer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SealingError, match="No space left on device"):
        sealer.seal_shares("share", 0, Shares.from_wire(128, WIRE))
    assert not sealer.has("share")
