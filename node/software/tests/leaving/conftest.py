from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dkg_api.certificate import Certificate, CertificateSignature
from dkg_api.enrolment import Enrolment, enrol
from dkg_api.session import session_id
from dkg_api.signatures import public_bytes, sign
from dkg_api.successor import Custody, parse_successor
from dkg_api.terms import Terms
from dkg_api.user_data import UserData
from dkg_node.algebra.kernel import Shares
from dkg_node.protocols.session import Group
from dkg_node.sealing.cms import Recipient
from dkg_node.sealing.readback import read_back
from dkg_node.sealing.sealer import KmsSealer
from dkg_node.sealing.stores import BlobStore, DirectoryBlobs, S3Blobs
from dkg_node_software.agreement import ATTEMPT, Agreement, Pace, agree
from dkg_node_software.custody import BUCKET, SECRET, DoubleParty, access_key, write_table
from dkg_node_software.double.running import running_double
from dkg_node_software.main import main
from dkg_node_software.measure import measure
from dkg_node_software.nsm import software_attester
from dkg_node_software.root import SOFTWARE_ROOT

GROUP = Group(4, 1)
WIRE = bytes(range(256)) * 4
RECIPIENT = Recipient.fresh()
CODE = measure()
ATTESTER = software_attester(CODE)
TERMS = agree("test", GROUP, [CODE], Pace(), seed=None).terms
Parties = dict[int, Ed25519PrivateKey]


@cache
def client_of(state: Path, service: str, kind: str, party: int) -> Any:  # noqa: ANN401 - made by boto3
    """To make one takes longer than to use it."""
    return DoubleParty(state, TERMS, party).api(service, kind)


class Side(DoubleParty):
    """One that makes every client once."""

    def api(self, service: str, kind: str = "enclave") -> Any:  # noqa: ANN401 - made by boto3
        return client_of(self.state, service, kind, self.party)


@dataclass(frozen=True)
class Organisations:
    """All of a ceremony that has ended, as far as sealing is concerned; files of people lie in ``place``."""

    place: Path
    double: Path
    agreement: Agreement
    identities: Parties
    arns: dict[int, str]
    enrolments: tuple[Enrolment, ...]

    @property
    def terms(self) -> Terms:
        return self.agreement.terms

    def home(self, party: int) -> Path:
        return self.place / "parties" / str(party)

    def side(self, party: int, terms: Terms | Custody | None = None) -> Side:
        return Side(self.double, self.terms if terms is None else terms, party)

    def sealer(self, party: int, attempt: int, store: BlobStore | None = None) -> KmsSealer:
        """The party's enclave, in a fresh boot."""
        side = self.side(party)
        said = statement(self.terms, party, read_back(side.api("kms"), self.arns[party], self.terms, party))
        service = side.key_service(self.arns[party], ATTESTER, RECIPIENT, said)
        return side.sealer(service, DirectoryBlobs(self.home(party)) if store is None else store, attempt)

    def seal(self, party: int, store: BlobStore | None = None) -> None:
        """What a party has at the end of a ceremony."""
        identity = self.identities[party].private_bytes_raw()
        self.sealer(party, 0, store).seal_bytes("identity", 0, identity)
        digest = self.sealer(party, ATTEMPT, store).seal_shares("share", 0, Shares.from_wire(128, WIRE))
        line = json.dumps({"event": "sealed", "share_sha256": digest})
        (self.home(party) / "transcript.jsonl").write_text(line + "\n")

    def write_state(self, party: int, **changes: object) -> Path:
        """The desired state of a party's node."""
        state = {
            **json.loads((self.place / "terms.json").read_text()), "party": party, "attempt": ATTEMPT, "peers": [],
            "keyArn": self.arns[party],
            "enrolments": [enrolment.model_dump(mode="json") for enrolment in self.enrolments],
        }  # fmt: skip
        path = self.home(party) / "desired-state.json"
        path.write_text(json.dumps({**state, **changes}))
        return path

    def node(self, mode: str, party: int, *more: str) -> int:
        """Run a node's mode here; its exit code."""
        state = str(self.home(party) / "desired-state.json")
        return main(["node", "--mode", mode, "--desired-state", state, "--aws-double", str(self.double), *more])

    def leave(self, action: str, *arguments: str) -> int:
        """Run the organisation's tool; its exit code."""
        return main(["leave", "--aws-double", str(self.double), action, str(self.place / "terms.json"), *arguments])

    def order(self, party: int, serial: int = 1, *more: str) -> int:
        """Sign an erase order."""
        out, key = self.place / f"order-{party}.json", self.place / f"{party}.pem"
        return self.leave(
            "order", "--party", str(party), "--serial", str(serial), "--key", str(key), "--out", str(out), *more
        )  # fmt: skip

    def ordered(self, party: int) -> dict[str, Any]:
        """The order as it stands in the desired state."""
        value: dict[str, Any] = json.loads((self.place / f"order-{party}.json").read_text())
        return value

    def papers(self, party: int) -> list[str]:
        """What `check` and `finish` look at."""
        paths = {
            "--order": self.place / f"order-{party}.json", "--receipt": self.home(party) / "receipt.json",
            "--enrolment": self.place / f"enrolment-{party}.json",
        }  # fmt: skip
        return [text for option, path in paths.items() for text in (option, str(path))]

    def successor(self, step: str, *arguments: str) -> int:
        """Run `terms successor`; its exit code."""
        terms = str(self.place / "terms.json")
        return main(["terms", "successor", step, terms, *arguments])

    def succeed(self, releases: list[dict[str, str]]) -> Path:
        """Successor terms for these releases, signed by all through the tool."""
        (self.place / "draft.json").write_text(json.dumps({"releases": releases}))
        certificate = ["--certificate", str(self.place / "certificate.json")]
        path = self.place / "successor.json"
        assert self.successor("new", str(self.place / "draft.json"), *certificate, "--out", str(path)) == 0
        for party in GROUP.roles:
            key = ["--party", str(party), "--key", str(self.place / f"{party}.pem")]
            assert self.successor("sign", str(path), *certificate, *key, "--out", str(path)) == 0
        return path

    def certificate(self, keyset: str) -> str:
        """A good one for a key set of that hash."""
        return json.dumps(certificate_of(self, keyset).as_json())

    def take_up(self, party: int, path: Path, port: int) -> Path:
        """The new enclave's directory; both enclaves' desired states name the successor terms of ``path``."""
        value = json.loads(path.read_text())
        custody = Custody(self.terms, parse_successor(value["successor"]))
        key = self.side(party, custody).make_key()
        succession = {
            "terms": value["successor"], "signatures": value["signatures"], "keyArn": key, "host": "127.0.0.1",
            "port": port,
        }  # fmt: skip
        state = self.write_state(party, successions=[succession])
        home = self.place / "new" / str(party)
        home.mkdir(parents=True)
        for file in (state, self.home(party) / "certificate.json"):
            (home / file.name).write_bytes(file.read_bytes())
        return home

    def key_state(self, party: int) -> str:
        found = self.side(party).api("kms", "operator").describe_key(KeyId=self.arns[party])
        return str(found["KeyMetadata"]["KeyState"])


def certificate_of(made: Organisations, keyset: str = "ab" * 32) -> Certificate:
    """Signed by n-t parties."""
    terms = made.terms
    bare = Certificate(
        notices=terms.notices, terms_digest=terms.digest.hex(), sid=session_id(terms.digest, ATTEMPT).hex(), era=0,
        digests={"keyset": keyset}, enrolments=made.enrolments,
    )  # fmt: skip
    signatures = tuple(
        CertificateSignature(
            party=party, key=public_bytes(key).hex(), signature=sign(key, "certificate", bare.content()).hex()
        )
        for party, key in sorted(made.identities.items())[:3]
    )
    return bare.model_copy(update={"signatures": signatures})


def statement(terms: Terms | Custody, party: int, sealing: bytes) -> UserData:
    return UserData(
        purpose="kms", terms_digest=terms.digest, attempt=0, party=party, boot_id=os.urandom(16),
        boot_number=time.time_ns(), root=SOFTWARE_ROOT, sealing=sealing,
    )  # fmt: skip


def write_credentials(path: Path, kind: str, party: int) -> None:
    """As `aws configure export-credentials --format process` prints them."""
    value = {"Version": 1, "AccessKeyId": access_key(kind, party), "SecretAccessKey": SECRET}
    path.write_text(json.dumps(value))
    path.chmod(0o600)


def establish(place: Path, double: Path, agreement: Agreement) -> Organisations:
    """Keys and enrolments with documents; the double listens."""
    terms = agreement.terms
    identities = {party: Ed25519PrivateKey.generate() for party in GROUP.roles}
    made = Organisations(place, double, agreement, identities, {}, ())
    arns = {party: made.side(party).make_key() for party in GROUP.roles}
    enrolments = []
    for party, key in identities.items():
        made.home(party).mkdir(parents=True)
        sealing = read_back(made.side(party).api("kms"), arns[party], terms, party)
        said = replace(statement(terms, party, sealing), purpose="enrol", identity_key=public_bytes(key))
        document = ATTESTER.attest(said.encode(), None, None)
        enrolments.append(
            enrol(terms.digest, party, public_bytes(key), agreement.keys[party], document, arns[party])
        )  # fmt: skip
    return replace(made, arns=arns, enrolments=tuple(enrolments))


def write_files(made: Organisations) -> None:
    """What people and parents write."""
    terms = {
        "terms": made.terms.as_json(), "signatures": [s.model_dump(mode="json") for s in made.agreement.signatures],
    }  # fmt: skip
    (made.place / "terms.json").write_text(json.dumps(terms))
    certificate = json.dumps(certificate_of(made).as_json())
    (made.place / "certificate.json").write_text(certificate)
    for party, key in made.agreement.keys.items():
        (made.home(party) / "certificate.json").write_text(certificate)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (made.place / f"{party}.pem").write_bytes(pem)
        enrolment = made.enrolments[party - 1].model_dump(mode="json")
        (made.place / f"enrolment-{party}.json").write_text(json.dumps(enrolment))
        write_credentials(made.place / f"break-glass-{party}.json", "break-glass", party)
        made.write_state(party)


@pytest.fixture(scope="session")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """State of a double that listens, for all tests: each makes keys of its own."""
    state = tmp_path_factory.mktemp("double") / "aws-double"
    write_table(state, TERMS, GROUP.n)
    with running_double(state):
        yield state


@pytest.fixture
def organisations(double: Path, tmp_path: Path) -> Organisations:
    """Parties 1 to 3 have sealed what a ceremony leaves."""
    made = establish(tmp_path, double, agree("test", GROUP, [CODE], Pace(), seed=None))
    write_files(made)
    for party in (1, 2, 3):
        made.seal(party)
    return made


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What the person at the terminal writes."""

    def write(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))

    return write


@pytest.fixture
def bucket(organisations: Organisations) -> S3Blobs:
    """Party 1's prefix of a bucket that keeps versions."""
    operator = organisations.side(1).api("s3", "operator")
    region = organisations.terms.party(1).sealing.region
    with suppress(operator.exceptions.BucketAlreadyOwnedByYou):
        operator.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": region})
    operator.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    account = organisations.terms.party(1).sealing.account
    return S3Blobs(organisations.side(1).api("s3"), BUCKET, f"1/{organisations.place.name}/", account)
