"""All parties of a local ceremony against one double: each seals under its own key, and opens nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dkg_api.terms import Terms
from dkg_api.user_data import UserData
from dkg_node.algebra.kernel import Shares
from dkg_node.sealing.cms import Recipient
from dkg_node.sealing.readback import read_back
from dkg_node.sealing.reasons import Reason, SealingRefusal
from dkg_node.sealing.sealer import KmsSealer
from dkg_node.sealing.stores import DirectoryBlobs
from dkg_node.testing.aws_double import RunningDouble
from dkg_node_software.custody import DoubleParty, write_table
from dkg_node_software.nsm import software_attester
from dkg_node_software.root import SOFTWARE_ROOT


def test_each_party_seals_under_its_own_key_and_opens_no_other(
    start: Callable[[Path], RunningDouble], terms: Terms, tmp_path: Path
) -> None:
    state = tmp_path / "aws-double"
    start(state)
    write_table(state, terms, terms.n)  # handed out while the double runs
    release = terms.releases[0].model_dump()
    recipient, attester = Recipient.fresh(), software_attester(release)
    keys, sealers = {}, {}
    for party in range(1, terms.n + 1):
        side = DoubleParty(state, terms, party)
        keys[party] = side.make_key()
        read_back(side.api("kms"), keys[party], terms, party)
        said = UserData(
            purpose="kms", terms_digest=terms.digest, attempt=1, party=party, boot_id=bytes(16), boot_number=1,
            root=SOFTWARE_ROOT,
        )  # fmt: skip
        home = tmp_path / str(party)
        home.mkdir()
        service = side.key_service(keys[party], attester, recipient, said)
        sealers[party] = side.sealer(service, DirectoryBlobs(home), 1)
        sealers[party].seal_shares("share", 0, Shares.from_wire(64, bytes([party]) * 32))
    assert len(set(keys.values())) == terms.n
    for party, sealer in sealers.items():
        assert sealer.unseal_shares("share", 0).to_wire() == bytes([party]) * 32
        blob = sealers[party % terms.n + 1].store.get("share")
        assert blob is not None
        sealer.store.put("swapped", blob)
        fresh = KmsSealer(sealer.store, sealer.service, sealer.context)
        with pytest.raises(SealingRefusal) as refusal:
            fresh.unseal_shares("swapped", 0)
        assert refusal.value.reason is Reason.OTHER_KEY
