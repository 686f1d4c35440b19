"""The key out of sealed shares: robust against t wrong ones, never silent about damage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dkg_api.terms import parse_terms
from dkg_node.algebra.kernel import Shares
from dkg_node.testing.commands import Ended, run
from dkg_node_software.custody import Enclaves
from dkg_node_software.double.running import running_double
from dkg_node_software.layout import Layout


def reconstruct(out: Path, target: Path, *more: str) -> Ended:
    return run("dkg-software", "reconstruct", str(out), "--client-key", str(target), *more)


@pytest.fixture(scope="module")
def client_key(ceremony: Ended, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    target = tmp_path_factory.mktemp("key") / "client_key.bin"
    done = reconstruct(ceremony.out, target)
    assert done.code == 0, done.errors
    assert "SOFTWARE ATTESTATION: PROVES NOTHING" in done.output
    assert target.stat().st_mode & 0o777 == 0o600
    return target.read_bytes()


def falsify(out: Path, party: int) -> None:
    """Seal another share, in good form, in the place of the party's own."""
    terms = parse_terms(json.loads((out / "terms.json").read_bytes())["terms"])
    layout = Layout(out)
    enclaves = Enclaves.of(layout, terms)
    with running_double(layout.double):
        sealer = enclaves.sealer(party, enclaves.service(party))
        share = sealer.unseal_shares("share", 0)
        sealer.seal_shares("share", 0, share.add(Shares.from_wire(128, bytes([party]) * 64 * len(share))))


@pytest.mark.parametrize("party", [1, 4])
def test_t_wrong_shares_give_the_same_key(copy: Path, tmp_path: Path, client_key: bytes, party: int) -> None:
    falsify(copy, party)
    done = reconstruct(copy, tmp_path / "key.bin")
    assert done.code == 0, done.errors
    assert (tmp_path / "key.bin").read_bytes() == client_key


def test_more_than_t_wrong_shares_give_no_key(copy: Path, tmp_path: Path) -> None:
    falsify(copy, 1)
    falsify(copy, 2)
    reconstruct(copy, tmp_path / "key.bin").check_refused(1, "contradict each other")
    assert not (tmp_path / "key.bin").exists()


def test_a_missing_share_and_one_that_is_left_out_are_done_without(
    copy: Path, tmp_path: Path, client_key: bytes
) -> None:
    (copy / "parties" / "2" / "share.sealed").unlink()
    assert reconstruct(copy, tmp_path / "a.bin").code == 0
    assert (tmp_path / "a.bin").read_bytes() == client_key
    assert reconstruct(copy, tmp_path / "b.bin", "--without", "3").code == 0
    assert (tmp_path / "b.bin").read_bytes() == client_key
    reconstruct(copy, tmp_path / "c.bin", "--without", "1,3").check_refused(1, "too few", "those of 2 parties")


def test_a_corrupt_share_file_is_refused_in_one_line_and_can_be_left_out(
    copy: Path, tmp_path: Path, client_key: bytes
) -> None:
    path = copy / "parties" / "3" / "share.sealed"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    reconstruct(copy, tmp_path / "key.bin").check_refused(1, "the share of party 3", "damaged")
    assert not (tmp_path / "key.bin").exists()
    assert reconstruct(copy, tmp_path / "key.bin", "--without", "3").code == 0
    assert (tmp_path / "key.bin").read_bytes() == client_key


def test_a_share_of_another_party_is_refused(copy: Path, tmp_path: Path) -> None:
    one, two = (copy / "parties" / str(party) / "share.sealed" for party in (1, 2))
    one.write_bytes(two.read_bytes())
    reconstruct(copy, tmp_path / "key.bin").check_refused(1, "the share of party 1", "another key")


def test_an_existing_file_is_never_overwritten(ceremony: Ended, tmp_path: Path) -> None:
    (tmp_path / "key.bin").write_bytes(b"mine")
    reconstruct(ceremony.out, tmp_path / "key.bin").check_refused(2, "exists")
    assert (tmp_path / "key.bin").read_bytes() == b"mine"


@pytest.mark.parametrize("more", [(), ("--client-key",), ("--client-key", "x", "--without", "a,b")])
def test_wrong_arguments_are_one_line(ceremony: Ended, more: tuple[str, ...]) -> None:
    run("dkg-software", "reconstruct", str(ceremony.out), *more).check_refused(2)


def test_a_directory_that_holds_no_ceremony_is_refused(tmp_path: Path) -> None:
    reconstruct(tmp_path, tmp_path / "key.bin").check_refused(2, "terms.json")
