"""One real node among peers that are not there, or are not who they should be."""

from __future__ import annotations

import json
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_api.enrolment import enrol
from dkg_api.leave import order_erasure
from dkg_api.signatures import public_bytes
from dkg_api.user_data import UserData
from dkg_node.protocols.session import Group
from dkg_node.sealing.cms import Recipient
from dkg_node.sealing.files import write_atomic
from dkg_node.sealing.stores import DirectoryBlobs
from dkg_node.testing.commands import base_port, program
from dkg_node_software import agreement
from dkg_node_software.custody import DoubleParty, write_table
from dkg_node_software.double.running import running_double
from dkg_node_software.measure import measure
from dkg_node_software.nsm import software_attester
from dkg_node_software.root import SOFTWARE_ROOT

Register = Callable[[subprocess.Popen[str]], subprocess.Popen[str]]
GROUP = Group(4, 1)
HOST = "127.0.0.1"
SECONDS = 20
"""From the start of a node to the terms' deadline."""


@dataclass(frozen=True)
class Scene:
    """Terms whose deadline is near, and peers that exist on paper only."""

    home: Path
    agreed: agreement.Agreement
    base: int
    register: Register
    identities: dict[int, bytes]
    documents: dict[int, bytes]
    arns: dict[int, str]

    @property
    def double(self) -> Path:
        return self.home / "aws-double"

    def state(self, party: int, **changes: object) -> dict[str, Any]:
        agreed = self.agreed
        peers = [
            {"index": i, "host": HOST, "peerPort": self.port(i), "attestPort": self.port(i) - 1} for i in GROUP.roles
        ]
        enrolments = [
            enrol(agreed.terms.digest, i, key, agreed.keys[i], self.documents.get(i), self.arns[i]).model_dump()
            for i, key in self.identities.items()
        ]
        value = {
            "terms": agreed.terms.as_json(),
            "signatures": [signature.model_dump() for signature in agreed.signatures],
            "party": party,
            "attempt": 1,
            "keyArn": self.arns[party],
            "peers": peers,
            "enrolments": enrolments,
        }
        return {**value, **changes}

    def port(self, party: int) -> int:
        return self.base + 10 * party + 1

    def write(self, party: int, state: dict[str, Any]) -> Path:
        path = self.home / str(party) / "desired-state.json"
        path.parent.mkdir(exist_ok=True)
        write_atomic(path, json.dumps(state).encode())
        return path

    def start(
        self, party: int, port: int | None = None, *, introduced: bool = True, **changes: object
    ) -> subprocess.Popen[str]:
        """Start a node with an incomplete state; note what it publishes of itself, if it will come to that."""
        path = self.write(party, self.state(party, enrolments=[], **changes))
        arguments = ["--desired-state", str(path), "--control", str(self.home / f"{party}.sock")]
        listen = ["--listen", f"{HOST}:{port or self.port(party)}", "--attest-listen", f"{HOST}:{self.port(party) - 1}"]
        command = [program("dkg-software"), "node", *arguments, *listen, "--aws-double", str(self.double)]
        node = self.register(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        if not introduced:
            return node
        identity = path.with_name("identity.json")
        while not identity.exists():
            assert node.poll() is None, node.communicate()
            time.sleep(0.02)
        published = json.loads(identity.read_bytes())
        self.identities[party] = bytes.fromhex(published["identity_key"])
        self.documents[party] = b64decode(published["document"])
        return node


@pytest.fixture
def scene(
    tmp_path: Path, started: Register, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    monkeypatch.setattr(agreement, "SLACK", timedelta(seconds=SECONDS))
    pace = agreement.Pace(start_grace=50, round_timeout=50, min_rate=10**10, min_speed=10**6)
    agreed = agreement.agree("test", GROUP, [measure()], pace, None)
    identities = {i: public_bytes(Ed25519PrivateKey.from_private_bytes(bytes([i]) * 32)) for i in GROUP.roles}
    home = tmp_path_factory.mktemp("n")
    assert tmp_path.exists()
    scene = Scene(home, agreed, base_port(4), started, identities, {}, {})
    write_table(scene.double, agreed.terms, GROUP.n)
    with running_double(scene.double):
        scene.arns.update({i: DoubleParty(scene.double, agreed.terms, i).make_key() for i in GROUP.roles})
        yield scene


def ended(node: subprocess.Popen[str], code: int, *words: str) -> None:
    _, errors = node.communicate(timeout=120)
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert node.returncode == code, errors
    assert len(lines) == 1
    assert "Traceback" not in errors
    for word in words:
        assert word in errors


def test_unreachable_peers_are_named_when_the_deadline_comes(scene: Scene) -> None:
    node = scene.start(1)
    scene.write(1, scene.state(1))
    ended(node, 3, "parties [2, 3, 4] could not be reached before the deadline")
    assert not (scene.home / "1" / "certificate.json").exists()
    assert not (scene.home / "1" / "share.sealed").exists()


def test_a_party_enrolled_with_another_document_than_its_own_stops_and_is_not_let_in(scene: Scene) -> None:
    nodes = {party: scene.start(party) for party in (1, 2)}
    scene.documents[2] = scene.documents[1]
    for party in (1, 2):
        scene.write(party, scene.state(party))
    ended(nodes[2], 1, "enrol this party's identity key")
    ended(nodes[1], 3, "parties [2, 3, 4] could not be reached")


def test_a_busy_port_ends_the_node_in_one_line(scene: Scene) -> None:
    first = scene.start(1)
    scene.write(1, scene.state(1))
    while not (scene.home / "1" / "transcript.jsonl").exists():
        assert first.poll() is None
        time.sleep(0.02)
    second = scene.start(3, port=scene.port(1))
    scene.write(3, scene.state(3))
    ended(second, 4, str(scene.port(1)))


def test_terms_whose_plan_outlasts_the_deadline_start_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "SLACK", timedelta(seconds=-2))
    pace = agreement.Pace(start_grace=50, round_timeout=50, min_rate=10**10, min_speed=10**6)
    short = agreement.agree("test", GROUP, [measure()], pace, None)
    arns = {i: DoubleParty(scene.double, short.terms, i).make_key() for i in GROUP.roles}
    late = Scene(scene.home, short, scene.base, scene.register, scene.identities, scene.documents, arns)
    node = late.start(1)
    late.write(1, late.state(1))
    ended(node, 2, "choose a later deadline in the terms")


def test_a_node_that_cannot_reach_kms_says_so_and_makes_nothing(scene: Scene) -> None:
    (scene.double / "endpoint").write_text(f"https://{HOST}:{scene.base}\n")  # nobody listens there
    ended(scene.start(1, introduced=False), 4, "let the party reach the service again")
    assert not list((scene.home / "1").glob("*.sealed"))
    assert not (scene.home / "1" / "identity.json").exists()


def test_a_node_without_a_double_says_what_to_start(scene: Scene) -> None:
    (scene.double / "endpoint").unlink()
    ended(scene.start(1, introduced=False), 4, "start the double first")


def test_a_node_whose_key_serves_others_makes_nothing(scene: Scene) -> None:
    """The host names a key of the same account that was made for other terms."""
    others = agreement.agree("test", GROUP, [measure()], agreement.Pace(), None)
    scene.arns[1] = DoubleParty(scene.double, others.terms, 1).make_key()
    ended(scene.start(1, introduced=False), 1, "start under the terms that the key was made for")
    assert not list((scene.home / "1").glob("*.sealed"))


def test_a_node_whose_key_was_disabled_does_not_start_again(scene: Scene) -> None:
    first = scene.start(1)
    first.terminate()
    first.communicate(timeout=60)
    side = DoubleParty(scene.double, scene.agreed.terms, 1)
    side.api("kms", "break-glass").disable_key(KeyId=scene.arns[1])
    ended(scene.start(1, introduced=False), 1, "ask whoever disabled the key")


def test_the_next_attempt_starts_over_what_the_one_before_left(scene: Scene) -> None:
    """Same directory, same identity: the sealed state of attempt 1 opens for attempt 1 alone."""
    first = scene.start(1)
    known = scene.identities[1]
    first.terminate()
    first.communicate(timeout=60)
    terms = scene.agreed.terms
    said = UserData(
        purpose="kms", terms_digest=terms.digest, attempt=1, party=1, boot_id=bytes(16), boot_number=1,
        root=SOFTWARE_ROOT,
    )  # fmt: skip
    side = DoubleParty(scene.double, terms, 1)
    service = side.key_service(scene.arns[1], software_attester(measure()), Recipient.fresh(), said)
    side.sealer(service, DirectoryBlobs(scene.home / "1"), 1).seal_bytes("control", 0, bytes(32))
    (scene.home / "1" / "identity.json").unlink()
    second = scene.start(1, attempt=2)
    assert scene.identities[1] == known
    scene.write(1, scene.state(1, attempt=2))
    ended(second, 3, "parties [2, 3, 4] could not be reached before the deadline")


def test_a_party_that_is_told_to_leave_does_not_start(scene: Scene) -> None:
    order = order_erasure(scene.agreed.terms, 1, 1, scene.agreed.keys[1]).model_dump(mode="json")
    ended(scene.start(1, introduced=False, eraseOrder=order), 2, "use --mode leave")
    assert not list((scene.home / "1").glob("*.sealed"))
