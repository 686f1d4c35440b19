"""What the parties made, brought out by Fetch and compared: all digests must be equal."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_api.certificate import Certificate, CertificateError, parse_certificate, verify_certificate
from dkg_api.transcript import verify_lines
from dkg_node.errors import DkgError
from dkg_node.sealing.files import write_atomic
from dkg_node.service.command import NegativeVerdict
from dkg_node_software.measurements import read_measurements

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from dkg_api.terms import Terms
    from dkg_node.service.control_client import ControlClient
    from dkg_node_software.layout import Layout

KEY_FILES = ("keyset", "public_key", "server_key")


@dataclass(frozen=True, slots=True)
class Collected:
    """What came out, checked against each other."""

    certificate: Certificate
    measured: Mapping[int, dict[str, Any]]
    """measurements.json by party."""
    refused: Mapping[int, str]
    """Parties whose artefacts are missing or no good, and why."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One party's part."""

    certificate: Certificate
    measured: dict[str, Any]


async def collect(layout: Layout, terms: Terms, clients: Mapping[int, ControlClient]) -> Collected:
    """Fetch certificates, transcripts and measurements of all, key files of one. NegativeVerdict when they differ."""
    got = await asyncio.gather(*(_judged(layout, terms, party, client) for party, client in clients.items()))
    pieces = {party: piece for party, piece in zip(clients, got, strict=True) if isinstance(piece, Piece)}
    refused = {party: words for party, words in zip(clients, got, strict=True) if isinstance(words, str)}
    if len(pieces) < terms.n - terms.threshold:
        raise NegativeVerdict(f"only {len(pieces)} parties have good results: {next(iter(refused.values()), 'none')}")
    if len({piece.certificate.content() for piece in pieces.values()}) != 1:
        raise NegativeVerdict("the parties certify different keys: do not use any of them and report this")
    best = max((piece.certificate for piece in pieces.values()), key=lambda one: len(one.signatures))
    await _key_files(layout, best, clients[min(pieces)])
    write_atomic(layout.certificate, json.dumps(best.as_json(), indent=1).encode() + b"\n")
    return Collected(best, {party: piece.measured for party, piece in pieces.items()}, refused)


async def _key_files(layout: Layout, certificate: Certificate, client: ControlClient) -> None:
    """The public files, each compared with the certificate."""
    for name in KEY_FILES:
        digest = await client.fetch(f"public/{name}.bin", layout.public / f"{name}.bin")
        if digest.hex() != certificate.digests.get(name):
            raise NegativeVerdict(f"{name}.bin is not the file of the certificate: start again")


async def _judged(layout: Layout, terms: Terms, party: int, client: ControlClient) -> Piece | str:
    """A party's part, or what is wrong with it: up to t parties may give rubbish or nothing."""
    try:
        return await _one(layout, terms, party, client)
    except (DkgError, CertificateError, ValueError) as error:
        return str(error)


async def _one(layout: Layout, terms: Terms, party: int, client: ControlClient) -> Piece:
    """One party's certificate and measurements; its transcript is checked and kept."""
    home = layout.party(party)
    await client.fetch("transcript.jsonl", layout.transcript(party))
    problem = _chain_problem(layout.transcript(party))
    if problem is not None:
        raise NegativeVerdict(f"party {party}: {problem}")
    await client.fetch("certificate.json", home / "certificate.json")
    await client.fetch("measurements.json", home / "measurements.json")
    certificate = parse_certificate((home / "certificate.json").read_bytes())
    problems = verify_certificate(certificate, terms)
    if problems:
        raise NegativeVerdict(f"party {party} has no good certificate: {problems[0]}")
    measured = read_measurements((home / "measurements.json").read_bytes(), party)
    return Piece(certificate, measured.model_dump(mode="json"))


def _chain_problem(path: Path) -> str | None:
    with path.open("rb") as lines:
        return verify_lines(lines)


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
        for name in ("certificate.json", "measurements.json", "transcript.jsonl", "identity.json", "control.sealed"):
            (home / name).unlink(missing_ok=True)
    for entry in layout.objects.iterdir():
        entry.unlink()
