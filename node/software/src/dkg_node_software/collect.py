"""What the parties made, brought out by Fetch and compared: all digests must be equal."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_api.certificate import Certificate, parse_certificate, verify_certificate
from dkg_api.transcript import verify_lines
from dkg_node.sealing.files import write_atomic
from dkg_node.service.command import NegativeVerdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from dkg_api.terms import Terms
    from dkg_node_software.control_client import ControlClient
    from dkg_node_software.layout import Layout

KEY_FILES = ("keyset", "public_key", "server_key")


@dataclass(frozen=True, slots=True)
class Collected:
    """What came out, checked against each other."""

    certificate: Certificate
    measured: Mapping[int, dict[str, Any]]
    """measurements.json by party."""


async def collect(layout: Layout, terms: Terms, clients: Mapping[int, ControlClient]) -> Collected:
    """Fetch certificates, transcripts and measurements of all, key files of one. NegativeVerdict when they differ."""
    got = await asyncio.gather(*(_one(layout, terms, party, client) for party, client in clients.items()))
    certificates = {party: certificate for party, (certificate, _) in zip(clients, got, strict=True)}
    if len({certificate.content() for certificate in certificates.values()}) != 1:
        raise NegativeVerdict("the parties certify different keys: do not use any of them and report this")
    best = max(certificates.values(), key=lambda certificate: len(certificate.signatures))
    client = next(iter(clients.values()))
    for name in KEY_FILES:
        digest = await client.fetch(f"public/{name}.bin", layout.public / f"{name}.bin")
        if digest.hex() != best.digests.get(name):
            raise NegativeVerdict(f"{name}.bin is not the file of the certificate: start again")
    write_atomic(layout.certificate, json.dumps(best.as_json(), indent=1).encode() + b"\n")
    return Collected(best, {party: measured for party, (_, measured) in zip(clients, got, strict=True)})


async def _one(layout: Layout, terms: Terms, party: int, client: ControlClient) -> tuple[Certificate, dict[str, Any]]:
    """One party's certificate and measurements; its transcript is checked and kept."""
    home = layout.party(party)
    await client.fetch("transcript.jsonl", layout.transcript(party))
    with layout.transcript(party).open("rb") as lines:
        problem = verify_lines(lines)
    if problem is not None:
        raise NegativeVerdict(f"party {party}: {problem}")
    await client.fetch("certificate.json", home / "certificate.json")
    await client.fetch("measurements.json", home / "measurements.json")
    certificate = parse_certificate((home / "certificate.json").read_bytes())
    problems = verify_certificate(certificate, terms)
    if problems:
        raise NegativeVerdict(f"party {party} has no good certificate: {problems[0]}")
    measured: dict[str, Any] = json.loads((home / "measurements.json").read_bytes())
    return certificate, measured


def keep_transcript(layout: Layout, party: int) -> None:
    """The transcript of a party that stopped, as far as it got: whole lines only."""
    source = layout.party(party) / "transcript.jsonl"
    if source.exists():
        lines = source.read_bytes().splitlines(keepends=True)
        write_atomic(layout.transcript(party), b"".join(line for line in lines if line.endswith(b"\n")))


def tidy(layout: Layout, parties: int) -> None:
    """Remove what only the run needed: bodies, each party's copy of the public files, parked public values."""
    for party in range(1, parties + 1):
        home = layout.party(party)
        shutil.rmtree(home / "work", ignore_errors=True)
        for name in ("certificate.json", "measurements.json", "transcript.jsonl", "identity.json"):
            (home / name).unlink(missing_ok=True)
    for entry in layout.objects.iterdir():
        entry.unlink()
