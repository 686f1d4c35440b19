"""More than 10,000 changed documents, made of the real ones, of which not one is genuine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations, permutations
from pathlib import Path
from random import Random
from typing import Any

import cbor2
import pytest

from dkg_api.cbor import encoded
from dkg_node.attestation import chain
from dkg_node.attestation.reasons import Refusal
from dkg_node.attestation.root import NITRO_ROOT
from dkg_node.attestation.verifier import authenticate

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "nitro"
MANIFEST: list[dict[str, Any]] = json.loads((VECTORS / "manifest.json").read_text())
ORDER = int("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16)
"""Of P-384."""
LEAST = 2_750
"""Changed documents of each of the four."""
Parts = list[Any]


def parts_of(document: bytes) -> Parts:
    parts: Parts = cbor2.loads(document)
    return parts


def with_payload(document: bytes, payload: bytes) -> bytes:
    protected, unprotected, _, signature = parts_of(document)
    return encoded([protected, unprotected, payload, signature])


def with_fields(document: bytes, fields: dict[Any, Any]) -> bytes:
    return with_payload(document, cbor2.dumps(fields))


def with_signature(document: bytes, r: int, s: int) -> bytes:
    signature = (r % 2**384).to_bytes(48, "big") + (s % 2**384).to_bytes(48, "big")
    return encoded([*parts_of(document)[:3], signature])


def flips(document: bytes, rng: Random) -> Iterator[bytes]:
    """Every bit of the envelope's head, of the first names and of the signature's ends; others by chance."""
    size = len(document)
    places = [bit for byte in (*range(24), *range(size - 100, size - 90), *range(size - 4, size)) for bit in
              range(8 * byte, 8 * byte + 8)]  # fmt: skip
    places += rng.sample(range(8 * size), 1300)
    for place in places:
        changed = bytearray(document)
        changed[place // 8] ^= 1 << place % 8
        yield bytes(changed)


def cuts(document: bytes, rng: Random) -> Iterator[bytes]:
    """Truncated at either end, parts taken out, put in twice, overwritten."""
    for place in (*range(20), *rng.sample(range(20, len(document)), 280)):
        yield document[:place]
        yield document[place + 1 :]
    for _ in range(250):
        first, second = sorted(rng.sample(range(len(document)), 2))
        piece = document[first : first + rng.randint(1, 8)]
        yield document[:first] + document[second:]
        yield document[:second] + piece + document[second:]
        yield document[:second] + piece + document[second + len(piece) :]
    for more in (b"\x00", b"\xf6", document[-96:], document):
        yield document + more


def envelopes(document: bytes, _: Random) -> Iterator[bytes]:
    """Other tags, other ways to write the same lengths, other places for the same parts."""
    parts = parts_of(document)
    yield from (bytes([0xC0 | tag]) + document for tag in range(24) if tag != 18)
    yield from (bytes([0xD8, tag]) + document for tag in (18, 24, 61, 97, 98))
    yield b"\xd2\xd2" + document
    yield from (bytes([0x98, 4]) + document[1:], b"\x99\x00\x04" + document[1:], b"\x9f" + document[1:] + b"\xff")
    yield from (encoded(list(order)) for order in permutations(parts) if list(order) != parts)
    for place in range(len(parts)):
        substitutes: Parts = [
            None,
            b"",
            "",
            {},
            [],
            0,
            True,
            [parts[place]],
            {1: -35},
            {1: -7},
            b"\xa0",
            b"\xa1\x01\x26",
        ]
        for other in substitutes:
            yield encoded([*parts[:place], other, *parts[place + 1 :]])
        yield encoded([*parts[:place], *parts[place + 1 :]])
        yield encoded([*parts[: place + 1], *parts[place:]])


def fields(document: bytes, rng: Random) -> Iterator[bytes]:
    """Fields of other documents, left out, renamed, in another order; PCRs exchanged; another kind of map."""
    payload = parts_of(document)[2]
    own = cbor2.loads(payload)
    others = [cbor2.loads(parts_of((VECTORS / entry["file"]).read_bytes())[2]) for entry in MANIFEST]
    for name in own:
        yield from (with_fields(document, {**own, name: other[name]}) for other in others)
        substitutes: Parts = [None, b"", "", 0, True, [], {}, [b""]]
        yield from (with_fields(document, {**own, name: value}) for value in substitutes)
        yield with_fields(document, {key: value for key, value in own.items() if key != name})
        yield with_fields(document, {key.upper() if key == name else key: value for key, value in own.items()})
    for i, j in combinations(sorted(own["pcrs"]), 2):
        yield with_fields(document, {**own, "pcrs": {**own["pcrs"], i: own["pcrs"][j], j: own["pcrs"][i]}})
    for i in own["pcrs"]:
        yield with_fields(document, {**own, "pcrs": {**own["pcrs"], i: bytes([1] * 48)}})
        yield with_fields(document, {**own, "pcrs": {**own["pcrs"], i: bytes(48)}})
    for _ in range(40):
        yield with_fields(document, dict(rng.sample(list(own.items()), len(own))))
        yield with_fields(document, {**own, "timestamp": own["timestamp"] + rng.randint(-9_000_000, 9_000_000)})
    body = encoded(own)[1:]
    yield from (with_payload(document, head + body) for head in (b"\xa9", b"\xb8\x09"))
    yield with_payload(document, b"\xbf" + cbor2.dumps(own)[1:] + b"\xff")
    yield with_payload(document, payload + b"\x00")


def certificates(document: bytes, rng: Random) -> Iterator[bytes]:
    """Reordered, left out, twice, of another document."""
    own = cbor2.loads(parts_of(document)[2])
    path = [*own["cabundle"], own["certificate"]]
    for order in permutations(path):
        yield with_fields(document, {**own, "cabundle": list(order[:-1]), "certificate": order[-1]})
    for place in range(len(path)):
        for bundle in (path[:place] + path[place + 1 :], path[: place + 1] + path[place:]):
            yield with_fields(document, {**own, "cabundle": bundle[:-1], "certificate": bundle[-1]})
    for entry in MANIFEST:
        other = cbor2.loads(parts_of((VECTORS / entry["file"]).read_bytes())[2])
        their = [*other["cabundle"], other["certificate"]]
        for _ in range(12):
            mixed = [rng.choice(pair) for pair in zip(path, their, strict=True)]
            yield with_fields(document, {**own, "cabundle": mixed[:-1], "certificate": mixed[-1]})


def signatures(document: bytes, rng: Random) -> Iterator[bytes]:
    """What is done to ECDSA signatures; (r, -s) has a test of its own."""
    signature = parts_of(document)[3]
    r, s = int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big")
    pairs = [(s, r), (-r, s), (ORDER - r, s), (ORDER - r, ORDER - s), (r + ORDER, s), (r, s + ORDER), (0, 0), (0, s)]
    pairs += [(r, 0), (r, ORDER), (ORDER, s), (1, 1), (r, 1), (1, s), (r, r), (s, s), (r, 2 * s), (2 * r, s)]
    pairs += [(r + d, s) for d in range(1, 40)] + [(r, s + d) for d in range(1, 40)]
    pairs += [(rng.randrange(ORDER), rng.randrange(ORDER)) for _ in range(40)]
    yield from (with_signature(document, *pair) for pair in pairs)
    for entry in MANIFEST:
        yield encoded([*parts_of(document)[:3], parts_of((VECTORS / entry["file"]).read_bytes())[3]])
    for changed in (signature[:95], signature + b"\x00", b"\x00" + signature, signature[:64], signature[::-1]):
        yield encoded([*parts_of(document)[:3], changed])


KINDS: tuple[Callable[[bytes, Random], Iterator[bytes]], ...] = (
    flips, cuts, envelopes, fields, certificates, signatures,
)  # fmt: skip


def genuine(document: bytes, at: int) -> bool:
    """Whether it is accepted; whatever is not a Refusal fails the test."""
    try:
        authenticate(document, NITRO_ROOT, at)
    except Refusal:
        return False
    return True


@pytest.fixture
def each_signature_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair of certificates that was judged before is not computed again: it is the same answer, ten times quicker."""
    judge = chain.check_issued

    @cache
    def verdict(certificate: object, issuer: object, place: int) -> Refusal | None:
        try:
            judge(certificate, issuer, place)  # type: ignore[arg-type]
        except Refusal as refusal:
            return refusal
        return None

    def check(certificate: object, issuer: object, place: int) -> None:
        refusal = verdict(certificate, issuer, place)
        if refusal is not None:
            raise refusal.with_traceback(None)

    monkeypatch.setattr(chain, "check_issued", check)


@pytest.mark.usefixtures("each_signature_once")
@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["file"])
def test_no_changed_document_is_genuine(entry: dict[str, Any]) -> None:
    document, at = (VECTORS / entry["file"]).read_bytes(), entry["timestamp_ms"]
    assert genuine(document, at)
    rng = Random(entry["sha256"])
    changed = {made for kind in KINDS for made in kind(document, rng)} - {document}
    assert len(changed) >= LEAST
    accepted = [made.hex() for made in changed if genuine(made, at)]
    assert not accepted


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["file"])
def test_two_spellings_of_a_document_say_the_same(entry: dict[str, Any]) -> None:
    """COSE's own tag, and (r, -s): nobody can forbid them, since the NSM writes s in both halves. So nothing may ever
    be concluded from a document's hash but which bytes were shown."""
    document, at = (VECTORS / entry["file"]).read_bytes(), entry["timestamp_ms"]
    signature = parts_of(document)[3]
    r, s = int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big")
    own = authenticate(document, NITRO_ROOT, at)
    assert authenticate(b"\xd2" + document, NITRO_ROOT, at) == own
    twin = authenticate(with_signature(document, r, ORDER - s), NITRO_ROOT, at)
    assert (twin.name, twin.document.signed) == (own.name, own.document.signed)
