"""What a party finds on its disk after a crash, a loss of power, or when somebody put an old copy back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dkg_node.algebra.kernel import Secret
from dkg_node.ceremony.chain import NO_PROOF, Certificate, Core, EraProof, Position
from dkg_node.ceremony.statements import EpochStatement, Place, Stamp, judged
from dkg_node.errors import OpeningLost, SealedStateRolledBack, SealingError
from dkg_node.protocols.session import Group
from dkg_node.protocols.state import PublicState
from dkg_node.protocols.store import fetched, replace_damaged
from dkg_node.sealing.sealer import KmsSealer
from dkg_node.service import adapters
from dkg_node.service.adapters import DirectoryStore
from dkg_node.service.vault import SealedVault
from dkg_node.testing.plain_keys import plain_sealer

GROUP = Group(4, 1)
CORE = Core(Position(0, 0), bytes(32), bytes(32), PublicState())
CHAIN = (Certificate(CORE, {1: bytes(64), 2: bytes(64), 4: bytes(64)}),)
PROOF = EraProof(2, {1: bytes(64), 2: bytes(64), 3: bytes(64)})
STATEMENT = EpochStatement(Stamp(Place(7, 3), bytes(32)), bytes(64))


def sealer_in(directory: Path, party: int = 1) -> KmsSealer:
    return plain_sealer(directory, party)


def next_boot(directory: Path) -> SealedVault:
    return SealedVault(GROUP, sealer_in(directory))


@pytest.fixture
def vault(tmp_path: Path) -> SealedVault:
    return SealedVault(GROUP, sealer_in(tmp_path))


def test_what_was_kept_is_read_with_its_place_and_the_hash_of_the_file(vault: SealedVault, tmp_path: Path) -> None:
    assert vault.read() is None
    digest = vault.keep(Place(5, 9), PROOF, CHAIN, blind=True)
    kept = vault.read()
    assert kept is not None
    assert (kept.stamp, kept.proof, kept.chain) == (Stamp(Place(5, 9), digest), PROOF, CHAIN)
    assert kept.blind
    assert kept.whole
    assert digest == sealer_in(tmp_path).fingerprint("control")
    assert digest != vault.keep(Place(5, 9), PROOF, CHAIN, blind=True), "two sealed states are never the same"


def test_an_old_file_put_back_is_older_than_the_statement_about_the_new_one(vault: SealedVault, tmp_path: Path) -> None:
    vault.keep(Place(5, 1), NO_PROOF, (), blind=False)
    old = (tmp_path / "control.sealed").read_bytes()
    newest = Stamp(Place(5, 2), vault.keep(Place(5, 2), NO_PROOF, CHAIN, blind=False))
    statement = EpochStatement(newest, bytes(64))
    assert judged(vault.read(), [statement]).how == "restart"
    (tmp_path / "control.sealed").write_bytes(old)
    with pytest.raises(SealedStateRolledBack):
        judged(next_boot(tmp_path).read(), [statement])
    with pytest.raises(SealingError, match="newest object"):
        vault.read()


def test_draws_of_another_boot_are_found_out_before_setup_is_certified(vault: SealedVault, tmp_path: Path) -> None:
    sealer = sealer_in(tmp_path)
    sealer.seal_secret("setup-draws", 0, Secret.random())
    first = (tmp_path / "setup-draws.sealed").read_bytes()
    sealer.seal_secret("setup-draws", 0, Secret.random())
    vault.keep(Place(5, 1), NO_PROOF, (), blind=False)
    assert judged(vault.read(), []).how == "restart"
    (tmp_path / "setup-draws.sealed").write_bytes(first)
    with pytest.raises(SealedStateRolledBack, match="draws"):
        judged(next_boot(tmp_path).read(), [])
    (tmp_path / "setup-draws.sealed").unlink()
    with pytest.raises(SealedStateRolledBack, match="draws"):
        judged(next_boot(tmp_path).read(), [])
    next_boot(tmp_path).keep(Place(5, 2), NO_PROOF, CHAIN, blind=False)
    sealer.seal_secret("setup-draws", 0, Secret.random())
    assert judged(next_boot(tmp_path).read(), []).how == "restart", (
        "with the keys certified the draws have had their day"
    )


def test_what_is_set_aside_is_kept_for_people_and_read_by_nobody(vault: SealedVault, tmp_path: Path) -> None:
    sealer_in(tmp_path).seal_secret("setup-draws", 0, Secret.random())
    vault.keep(Place(5, 1), NO_PROOF, (), blind=False)
    vault.keep_statements({2: STATEMENT})
    vault.set_aside(77)
    assert vault.read() is None
    assert not sealer_in(tmp_path).has("setup-draws")
    aside = {path.name for path in tmp_path.glob("*set-aside*")}
    assert aside == {"control.set-aside-77.sealed", "setup-draws.set-aside-77.sealed"}
    assert vault.statements() == {2: STATEMENT}, "what it remembers of others has nothing to do with it"
    vault.set_aside(78)


def test_statements_of_peers_outlive_the_process(vault: SealedVault, tmp_path: Path) -> None:
    assert vault.statements() == {}
    vault.keep_statements({2: STATEMENT, 4: STATEMENT})
    assert SealedVault(GROUP, sealer_in(tmp_path)).statements() == {2: STATEMENT, 4: STATEMENT}


def test_another_partys_or_damaged_files_are_refused(vault: SealedVault, tmp_path: Path) -> None:
    vault.keep(Place(5, 1), NO_PROOF, CHAIN, blind=False)
    vault.keep_statements({2: STATEMENT})
    stranger = SealedVault(GROUP, sealer_in(tmp_path, party=2))
    for read in (stranger.read, stranger.statements):
        with pytest.raises(SealingError):
            read()
    for name, read in (("control", vault.read), ("peer-epochs", vault.statements)):
        path = tmp_path / f"{name}.sealed"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(SealingError):
            read()


# --- public values


@pytest.mark.parametrize("left", [b"", b"a bod", b"another bod"], ids=["empty", "cut", "longer"])
def test_a_file_that_a_loss_of_power_left_damaged_is_written_again(tmp_path: Path, left: bytes) -> None:
    store = DirectoryStore(tmp_path)
    digest = store.put(b"a body")
    store.path(digest).write_bytes(left)
    assert store.put(b"a body") == digest
    assert store.get(digest) == b"a body"


def test_a_file_of_the_right_length_that_is_damaged_is_found_when_read_and_can_be_replaced(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    digest = store.put(b"a body")
    store.path(digest).write_bytes(bytes(6))
    assert fetched(store, digest) is None
    assert store.path(digest).exists(), "who only reads, an auditor perhaps, changes nothing"
    replace_damaged(store, digest, b"a body")
    assert fetched(store, digest) == b"a body"


def test_a_whole_file_is_not_written_again(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    node = store.path(store.put(b"a body")).stat().st_ino
    assert store.path(store.put(b"a body")).stat().st_ino == node


def test_every_named_file_and_then_the_directory_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DirectoryStore(tmp_path)
    digests = [store.put(bytes([number])) for number in range(9)]
    store.put(b"nobody names this")
    synced: list[int] = []
    real = os.fsync

    def watched(handle: int) -> None:
        synced.append(os.fstat(handle).st_ino)
        real(handle)

    monkeypatch.setattr(os, "fsync", watched)
    store.durable(digests)
    assert sorted(synced[:-1]) == sorted(store.path(digest).stat().st_ino for digest in digests)
    assert synced[-1] == tmp_path.stat().st_ino


def test_a_missing_v_ends_the_era_and_a_bad_disk_the_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DirectoryStore(tmp_path)
    digest = store.put(b"a body")
    with pytest.raises(OpeningLost):
        store.durable([digest, bytes(32)])

    def broken(_path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(adapters, "sync_file", broken)
    with pytest.raises(SealingError, match="Input/output"):
        store.durable([digest])
