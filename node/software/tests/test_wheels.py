"""Two builds, no switch: what production installs knows nothing of the software root."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from dkg_api.user_data import UserData
from dkg_node_software.nsm import software_attester
from dkg_node_software.root import CERTIFICATE, SOFTWARE_ROOT, WORTHLESS_KEY

NODE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheels of node and api, as they are built for a release."""
    place = tmp_path_factory.mktemp("production")
    for member in (NODE, NODE / "api"):
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place / "wheels")]
        subprocess.run(build, cwd=member, check=True, capture_output=True)
    for wheel in (place / "wheels").glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(place / "site")
    return place / "site"


def test_the_software_root_occurs_nowhere_in_the_production_wheels(production: Path) -> None:
    der = x509.load_pem_x509_certificate(CERTIFICATE).public_bytes(Encoding.DER)
    lines = [line for pem in (CERTIFICATE, WORTHLESS_KEY) for line in pem.splitlines() if not line.startswith(b"-")]
    marks = [SOFTWARE_ROOT, SOFTWARE_ROOT.hex().encode(), base64.b64encode(SOFTWARE_ROOT), der, *lines]
    files = [path for path in production.rglob("*") if path.is_file()]
    assert any(path.name == "verifier.py" for path in files)
    found = [(path.name, mark) for path in files for mark in marks if mark.lower() in path.read_bytes().lower()]
    assert not found
    assert not (production / "dkg_node_software").exists()


def test_no_adversary_is_in_the_production_wheels(production: Path) -> None:
    assert (production / "dkg_node" / "protocols").is_dir()
    assert not (production / "dkg_node" / "testing").exists()
    assert not [path for path in production.rglob("*.py") if "class Adversary" in path.read_text()]


def test_production_alone_refuses_a_software_document(production: Path, tmp_path: Path) -> None:
    said = UserData(
        purpose="kms", terms_digest=bytes(32), attempt=1, party=1, boot_id=bytes(16), boot_number=1, root=bytes(32)
    )
    path = tmp_path / "document"
    path.write_bytes(software_attester({}).attest(said.encode(), None, None))
    # -S: no .pth files, so that of ours only the wheels' content can be imported; foreign packages by their directory.
    third_party = sysconfig.get_path("purelib")
    code = (
        f"import sys; sys.path[:0] = [{str(production)!r}]; sys.path.append({third_party!r})\n"
        "import importlib.util as u; assert u.find_spec('dkg_node_software') is None\n"
        "from dkg_node.service.dkgctl import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-I", "-S", "-c", code, "evidence", "show", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["reason"] == "root"
