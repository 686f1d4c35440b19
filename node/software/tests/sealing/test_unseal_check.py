"""`dkg-software unseal-check` on what a real ceremony left: it opens for this code, and says why where it does not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dkg_api.terms import Terms, parse_terms
from dkg_node.algebra.kernel import Shares
from dkg_node.protocols.session import Group
from dkg_node_software.agreement import Pace, agree
from dkg_node_software.custody import DoubleParty, Enclaves, enrolled_arn
from dkg_node_software.double.running import running_double
from dkg_node_software.layout import Layout
from dkg_node_software.measure import measure


def terms_of(layout: Layout) -> Terms:
    return parse_terms(json.loads(layout.terms.read_bytes())["terms"])


def share_file(layout: Layout, party: int) -> Path:
    return layout.party(party) / "share.sealed"


def check(out: Path, *arguments: str, code: int, **environment: str) -> dict[int, str | None]:
    """Run the command; each party's reason, None where the share opens."""
    command = [str(Path(sys.executable).parent / "dkg-software"), "unseal-check", str(out), "--json"]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    verdicts: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(verdict["opens"] == (verdict["reason"] is None) for verdict in verdicts)
    return {verdict["party"]: verdict["reason"] for verdict in verdicts}


def test_every_share_opens_for_this_code_under_these_terms(copy: Path) -> None:
    assert check(copy, code=0) == {1: None, 2: None, 3: None, 4: None}


def test_blobs_that_are_older_anothers_missing_or_damaged_have_their_reasons(copy: Path) -> None:
    layout = Layout(copy)
    enclaves = Enclaves.of(layout, terms_of(layout))
    with running_double(layout.double):
        sealer = enclaves.sealer(1, enclaves.service(1))
        sealer.seal_shares("share", 0, Shares.from_wire(64, bytes(32)))  # good, but not what the transcript names
    shutil.copy(share_file(layout, 4), share_file(layout, 2))
    share_file(layout, 3).unlink()
    blob = share_file(layout, 4).read_bytes()
    share_file(layout, 4).write_bytes(blob[:-1] + bytes([blob[-1] ^ 1]))
    assert check(copy, code=1) == {1: "older", 2: "other_key", 3: "missing", 4: "damaged"}


def test_another_attempts_blob_has_its_reason(copy: Path) -> None:
    """The party's identity key, sealed for all attempts, in the place of its share."""
    layout = Layout(copy)
    shutil.copy(layout.party(1) / "identity.sealed", share_file(layout, 1))
    assert check(copy, "--party", "1", code=1) == {1: "context"}


def test_a_disabled_key_and_a_changed_policy_have_their_reasons(copy: Path) -> None:
    layout = Layout(copy)
    side = DoubleParty(layout.double, terms_of(layout), 1)
    with running_double(layout.double):
        side.api("kms", "break-glass").disable_key(KeyId=enrolled_arn(layout, 1))
    path = layout.double / "keys.json"  # the double lets nobody change it, so the disk is edited
    rows = json.loads(path.read_text())
    changed = next(row for row in rows if row["arn"] == enrolled_arn(layout, 2))
    changed["policy"] = changed["policy"].replace("kms:ReplicateKey", "kms:ReplicateNothing")
    path.write_text(json.dumps(rows))
    assert check(copy, code=1) == {1: "disabled", 2: "key_policy", 3: None, 4: None}


def test_under_other_terms_nothing_opens(copy: Path) -> None:
    """The host puts terms of its own making, for the same code and the same keys, in the place of the agreed ones."""
    layout = Layout(copy)
    sham = agree("test", Group(4, 1), [measure()], Pace(), None)
    signatures = [signature.model_dump(mode="json") for signature in sham.signatures]
    layout.terms.write_text(json.dumps({"terms": sham.terms.as_json(), "signatures": signatures}))
    assert check(copy, code=1) == dict.fromkeys(range(1, 5), "terms")


def test_changed_code_opens_nothing(copy: Path, tmp_path: Path, change_code: Callable[[Path], dict[str, str]]) -> None:
    """Really changed: a copy of the node with one more line, which measures as something else."""
    environment = change_code(tmp_path / "changed")
    assert check(copy, code=1, **environment) == dict.fromkeys(range(1, 5), "denied")


@pytest.mark.parametrize("party", ["0", "5"])
def test_a_party_that_is_not_in_the_terms_is_refused(copy: Path, party: str) -> None:
    assert check(copy, "--party", party, code=2) == {}
