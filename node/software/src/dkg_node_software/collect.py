"""What the parties made, brought out by Fetch and compared: all digests must be equal."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dkg_api.certificate import Certificate, CertificateError, parse_certificate, verify_certificate
from dkg_api.errors import problem_lines
from dkg_api.transcript import verify_lines
from dkg_node.errors import DkgError
from dkg_node.sealing.files import write_atomic
from dkg_node.service.command import NegativeVerdict
from dkg_node.service.fault_records import openings_of
from dkg_node_software.measurements import Measurements, read_measurements

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dkg_api.terms import Terms
    from dkg_node.service.control_client import ControlClient
    from dkg_node_software.layout import Layout

KEY_FILES = ("keyset", "public_key", "server_key")
FETCHED = ("transcript.fetched", "certificate.fetched", "measurements.fetched")
MADE = (
    "certificate.json",
    "measurements.json",
    "transcript.jsonl",
    "identity.json",
    "control.sealed",
    "peer-epochs.sealed",
)
LARGEST = 64 << 20
"""Most bytes of a transcript, a certificate or measurements."""
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Collected:
    """What came out, checked against each other."""

    certificate: Certificate
    measured: Mapping[int, Measurements]
    refused: Mapping[int, str]
    """Parties whose artefacts are missing or no good, and why."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One party's part."""

    certificate: Certificate
    measured: Measurements


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
    refused |= await _key_files(layout, best, {party: clients[party] for party in pieces})
    write_atomic(layout.certificate, json.dumps(best.as_json(), indent=1).encode() + b"\n")
    return Collected(best, {party: piece.measured for party, piece in pieces.items()}, refused)


async def _key_files(layout: Layout, certificate: Certificate, clients: Mapping[int, ControlClient]) -> dict[int, str]:
    """The public files, from the first party whose bytes are the certified ones; returns who gave others."""
    refused: dict[int, str] = {}
    for name in KEY_FILES:
        for party, client in clients.items():
            problem = await _key_file(layout, name, certificate.digests.get(name, ""), client)
            if problem is None:
                break
            refused[party] = problem
        else:
            raise NegativeVerdict(f"no party gives the certified {name}.bin: start again")
    return refused


async def _key_file(layout: Layout, name: str, digest: str, client: ControlClient) -> str | None:
    """Fetch one file; it gets its final name only when it is the certified one."""
    arrived = layout.public / f".{name}.arrived"
    try:
        if (await client.fetch(f"public/{name}.bin", arrived)).hex() != digest:
            return f"its {name}.bin is not the certified one"
        arrived.replace(layout.public / f"{name}.bin")
    except DkgError as error:
        return str(error)
    finally:
        arrived.unlink(missing_ok=True)
    return None


async def _judged(layout: Layout, terms: Terms, party: int, client: ControlClient) -> Piece | str:
    """A party's part, or what is wrong with it: up to t parties may give rubbish or nothing."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await _one(layout, terms, party, client)
    except (DkgError, CertificateError) as error:
        return str(error)
    except ValidationError as error:
        return problem_lines(error, f"measurements of party {party}")[0]
    except TimeoutError:
        return f"party {party} does not give its results"


async def _one(layout: Layout, terms: Terms, party: int, client: ControlClient) -> Piece:
    """One party's certificate and measurements; its transcript is checked and kept."""
    home = layout.party(party)
    await client.fetch("transcript.jsonl", home / "transcript.fetched", LARGEST)
    problem = _chain_problem(home / "transcript.fetched")
    if problem is not None:
        raise NegativeVerdict(f"party {party}: {problem}")
    (home / "transcript.fetched").replace(layout.transcript(party))
    await client.fetch("certificate.json", home / "certificate.fetched", LARGEST)
    certificate = parse_certificate((home / "certificate.fetched").read_bytes())
    problems = verify_certificate(certificate, terms)
    if problems:
        raise NegativeVerdict(f"party {party} has no good certificate: {problems[0]}")
    await client.fetch("measurements.json", home / "measurements.fetched", LARGEST)
    return Piece(certificate, read_measurements((home / "measurements.fetched").read_bytes(), party))


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
    """Remove what only the run needed: bodies, each party's copy of the public files, parked public values.

    Wrong openings stay: the fault records of the transcripts prove nothing without them.
    """
    for party in range(1, parties + 1):
        home = layout.party(party)
        shutil.rmtree(home / "work", ignore_errors=True)
        for name in (*FETCHED, *MADE):
            (home / name).unlink(missing_ok=True)
    kept = openings_of(sorted((layout.out / "transcript").glob("*.jsonl")))
    for entry in layout.objects.iterdir():
        if entry.name not in kept:
            entry.unlink()
