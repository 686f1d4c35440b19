"""`dkg-software unseal-check` on what a ceremony left: it opens for this code, and says why where it does not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dkg_api.enrolment import enrol
from dkg_api.user_data import UserData
from dkg_node.algebra.kernel import Shares
from dkg_node.protocols.session import Group
from dkg_node.sealing.cms import Recipient
from dkg_node.sealing.stores import DirectoryBlobs
from dkg_node_software.agreement import ATTEMPT, Agreement, Pace, agree
from dkg_node_software.custody import DoubleParty, write_table
from dkg_node_software.double.running import running_double
from dkg_node_software.layout import Layout
from dkg_node_software.measure import measure
from dkg_node_software.nsm import software_attester
from dkg_node_software.root import SOFTWARE_ROOT


@dataclass(frozen=True)
class Out:
    """A directory as a finished ceremony leaves it, as far as sealing is concerned."""

    layout: Layout
    agreement: Agreement
    recipient: Recipient

    def side(self, party: int) -> DoubleParty:
        return DoubleParty(self.layout.out / "aws-double", self.agreement.terms, party)

    def seal(self, party: int, key: str, *, as_party: int | None = None) -> str:
        """Seal a share in the party's directory, or another party's share there."""
        who = party if as_party is None else as_party
        said = UserData(
            purpose="kms", terms_digest=self.agreement.terms.digest, attempt=ATTEMPT, party=who,
            boot_id=os.urandom(16), boot_number=time.time_ns(), root=SOFTWARE_ROOT,
        )  # fmt: skip
        service = self.side(who).key_service(key, software_attester(measure()), self.recipient, said)
        sealer = self.side(who).sealer(service, DirectoryBlobs(self.layout.party(party)), ATTEMPT)
        return sealer.seal_shares("share", 0, Shares.from_wire(64, bytes(32)))

    def write_transcript(self, party: int, digest: str) -> None:
        line = json.dumps({"event": "sealed", "share_sha256": digest})
        self.layout.transcript(party).write_text(line + "\n")


def make_out(out: Path) -> tuple[Out, dict[int, str]]:
    group, layout = Group(4, 1), Layout(out)
    layout.make(group.n)
    agreement = agree("test", group, [measure()], Pace(), seed=None)
    made = Out(layout, agreement, Recipient.fresh())
    terms: dict[str, Any] = {
        "terms": agreement.terms.as_json(), "signatures": [s.model_dump(mode="json") for s in agreement.signatures],
    }  # fmt: skip
    layout.terms.write_text(json.dumps(terms))
    write_table(out / "aws-double", agreement.terms, group.n)
    keys = {}
    with running_double(out / "aws-double"):
        for party in group.roles:
            keys[party] = made.side(party).make_key()
            made.write_transcript(party, made.seal(party, keys[party]))
    enrolments = [
        enrol(agreement.terms.digest, party, bytes([party]) * 32, agreement.keys[party], key_arn=key)
        for party, key in keys.items()
    ]  # fmt: skip
    for party in group.roles:
        state = {
            **terms, "party": party, "attempt": ATTEMPT, "peers": [],
            "enrolments": [enrolment.model_dump(mode="json") for enrolment in enrolments],
        }  # fmt: skip
        layout.desired_state(party).write_text(json.dumps(state))
    return made, keys


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Out, dict[int, str]]:
    return make_out(tmp_path_factory.mktemp("finished") / "out")


@pytest.fixture
def out(finished: tuple[Out, dict[int, str]], tmp_path: Path) -> Out:
    """A copy to be damaged."""
    made, _ = finished
    shutil.copytree(made.layout.out, tmp_path / "out")
    return Out(Layout(tmp_path / "out"), made.agreement, made.recipient)


def check(out: Out, *arguments: str, code: int, **environment: str) -> list[dict[str, Any]]:
    command = [str(Path(sys.executable).parent / "dkg-software"), "unseal-check", str(out.layout.out), "--json"]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def reasons(verdicts: list[dict[str, Any]]) -> dict[int, str | None]:
    return {verdict["party"]: verdict["reason"] for verdict in verdicts}


def test_every_share_opens_for_this_code_under_these_terms(out: Out) -> None:
    verdicts = check(out, code=0)
    assert [verdict["opens"] for verdict in verdicts] == [True] * 4


def test_an_older_blob_and_another_partys_and_a_missing_one_have_their_reasons(
    out: Out, finished: tuple[Out, dict[int, str]]
) -> None:
    keys = finished[1]
    with running_double(out.layout.out / "aws-double"):
        out.write_transcript(1, out.seal(1, keys[1]))
        newer = (out.layout.party(1) / "share.sealed").read_bytes()
        shutil.copy(finished[0].layout.party(1) / "share.sealed", out.layout.party(1) / "share.sealed")
        assert newer != (out.layout.party(1) / "share.sealed").read_bytes()
        out.write_transcript(2, out.seal(2, keys[3], as_party=3))
    (out.layout.party(3) / "share.sealed").unlink()
    verdicts = check(out, code=1)
    assert reasons(verdicts) == {1: "older", 2: "other_key", 3: "missing", 4: None}


def test_a_disabled_key_and_a_changed_policy_have_their_reasons(out: Out, finished: tuple[Out, dict[int, str]]) -> None:
    keys = finished[1]
    with running_double(out.layout.out / "aws-double"):
        out.side(1).api("kms", "break-glass").disable_key(KeyId=keys[1])
    path = out.layout.out / "aws-double" / "keys.json"
    rows = json.loads(path.read_text())
    changed = next(row for row in rows if row["arn"] == keys[2])
    changed["policy"] = changed["policy"].replace("kms:ReplicateKey", "kms:ReplicateNothing")
    path.write_text(json.dumps(rows))
    assert reasons(check(out, code=1)) == {1: "disabled", 2: "key_policy", 3: None, 4: None}


def test_changed_code_opens_nothing(
    out: Out, tmp_path: Path, change_code: Callable[[Path], dict[str, str]]
) -> None:  # fmt: skip
    """Really changed: a copy of the node with one more line, which measures as something else."""
    environment = change_code(tmp_path / "changed")
    verdicts = check(out, "--party", "4", code=1, **environment)
    assert reasons(verdicts) == {4: "denied"}


@pytest.mark.parametrize("party", ["0", "5"])
def test_a_party_that_is_not_in_the_terms_is_refused(out: Out, party: str) -> None:
    assert check(out, "--party", party, code=2) == []
