"""Up to t parties may hand out rubbish after a good ceremony: the rest of the results stand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.certificate import Certificate, CertificateSignature
from dkg_api.enrolment import enrol
from dkg_api.session import session_id
from dkg_api.signatures import public_bytes, sign
from dkg_api.terms import Terms
from dkg_node.protocols.session import Group
from dkg_node.service.command import NegativeVerdict
from dkg_node.service.control_client import ControlClient
from dkg_node_software import collect, report
from dkg_node_software.agreement import Pace, agree
from dkg_node_software.layout import Layout

GROUP = Group(4, 1)
FILES = {name: name.encode() for name in collect.KEY_FILES}
Change = Callable[[dict[str, bytes]], None]


@dataclass
class Node:
    """Hands out files, some of them perhaps changed."""

    files: dict[str, bytes] = field(default_factory=dict)

    async def fetch(self, name: str, target: Path, limit: int = 1 << 30) -> bytes:
        assert limit > 0
        target.write_bytes(self.files[name])  # noqa: ASYNC240 - a few bytes
        return sha256(self.files[name]).digest()


def measured(party: int) -> dict[str, Any]:
    sent = {"offline": 4, "online": 1, "setup": 1, "k64": 1, "k128": 1, "fixed": 1}
    own = {
        "index": party,
        "offline_seconds": 1.0,
        "online_seconds": 1.0,
        "cpu_seconds": {"offline": 1.0, "online": 1.0},
        "peak_rss_bytes": 1,
        "sent_bytes": sent,
        "received_bytes": 1,
    }
    return {"party": own, "phases": [], "wrong_shares": [], "missing": []}


@pytest.fixture
def scene(tmp_path: Path) -> tuple[Layout, Terms, dict[int, Node]]:
    """Four nodes with a good certificate."""
    agreed = agree("test", GROUP, [dict.fromkeys(("pcr0", "pcr1", "pcr2"), "01" * 48)], Pace(), None)
    terms = agreed.terms
    keys = {party: Ed25519PrivateKey.from_private_bytes(bytes([party]) * 32) for party in GROUP.roles}
    draft = Certificate(
        notices=terms.notices,
        terms_digest=terms.digest.hex(),
        sid=session_id(terms.digest, 1).hex(),
        era=0,
        digests={name: sha256(data).hexdigest() for name, data in FILES.items()},
        enrolments=tuple(enrol(terms.digest, i, public_bytes(keys[i]), agreed.keys[i]) for i in GROUP.roles),
    )
    signatures = tuple(
        CertificateSignature(
            party=i, key=public_bytes(key).hex(), signature=sign(key, "certificate", draft.content()).hex()
        )
        for i, key in keys.items()
    )
    certificate = json.dumps(draft.model_copy(update={"signatures": signatures}).as_json()).encode()
    layout = Layout(tmp_path)
    layout.make(GROUP.n)
    public = {f"public/{name}.bin": data for name, data in FILES.items()}
    return (
        layout,
        terms,
        {
            party: Node(
                {
                    **public,
                    "transcript.jsonl": b"",
                    "certificate.json": certificate,
                    "measurements.json": json.dumps(measured(party)).encode(),
                }
            )
            for party in GROUP.roles
        },
    )


def run(scene: tuple[Layout, Terms, dict[int, Node]]) -> collect.Collected:
    layout, terms, nodes = scene
    return asyncio.run(collect.collect(layout, terms, cast("dict[int, ControlClient]", nodes)))


def spoil(name: str, data: bytes) -> Change:
    return lambda files: files.update({name: data})


RUBBISH = {
    "no measurements": spoil("measurements.json", b""),
    "measurements without fields": spoil("measurements.json", b"{}"),
    "measurements of another": spoil("measurements.json", json.dumps(measured(2)).encode()),
    "measurements with odd findings": spoil(
        "measurements.json", json.dumps({**measured(1), "wrong_shares": [[1]]}).encode()
    ),
    "certificate that is none": spoil("certificate.json", b"\xff"),
    "certificate of nobody": spoil("certificate.json", b"{}"),
    "transcript that is none": spoil("transcript.jsonl", b"hello\n"),
    "wrong key set": spoil("public/keyset.bin", b"other"),
    "wrong server key": spoil("public/server_key.bin", b""),
}


@pytest.mark.parametrize("change", RUBBISH.values(), ids=list(RUBBISH))
def test_one_party_giving_rubbish_is_named_and_the_results_of_the_others_stand(
    scene: tuple[Layout, Terms, dict[int, Node]], change: Change
) -> None:
    layout, _, nodes = scene
    change(nodes[1].files)
    found = run(scene)
    assert set(found.refused) == {1}
    assert "\n" not in found.refused[1]
    assert {path.name: path.read_bytes() for path in layout.public.iterdir()} == {
        f"{name}.bin": data for name, data in FILES.items()
    }
    assert layout.certificate.exists()


def test_key_files_that_nobody_certified_never_get_their_name(scene: tuple[Layout, Terms, dict[int, Node]]) -> None:
    layout, _, nodes = scene
    for node in nodes.values():
        node.files["public/keyset.bin"] = b"other"
    with pytest.raises(NegativeVerdict, match=r"no party gives the certified keyset\.bin"):
        run(scene)
    assert list(layout.public.iterdir()) == []
    assert not layout.certificate.exists()


def test_more_than_t_parties_giving_rubbish_is_a_negative_verdict(scene: tuple[Layout, Terms, dict[int, Node]]) -> None:
    for party in (1, 2):
        scene[2][party].files["certificate.json"] = b""
    with pytest.raises(NegativeVerdict, match="only 2 parties have good results"):
        run(scene)


def test_one_party_alone_accuses_nobody_however_often_it_says_so(scene: tuple[Layout, Terms, dict[int, Node]]) -> None:
    accusing = {**measured(4), "wrong_shares": [1] * 5, "missing": [2] * 5}
    scene[2][4].files["measurements.json"] = json.dumps(accusing).encode()
    assert report.faults(GROUP.t, run(scene).measured, report.Left({}, {})) == ()


def test_what_t_plus_1_parties_report_is_a_finding(scene: tuple[Layout, Terms, dict[int, Node]]) -> None:
    for party in (1, 3):
        scene[2][party].files["measurements.json"] = json.dumps({**measured(party), "wrong_shares": [2]}).encode()
    [fault] = report.faults(GROUP.t, run(scene).measured, report.Left({}, {}))
    assert (fault.party, fault.kind) == (2, "wrong-share")
