"""The public keys: a segment each, then their files; how a party that missed one gets it (01 sections 2 and 5).

Online must never run on two different inputs: two bodies with one noise give the key away by subtraction. With a
segment a key that holds for each of them alone. n-t `ready` for the first online segment mean that t+1 honest parties
have sealed the chain up to the last batch, and every later resume hears n-t chains, one of those among them: whatever
chain is taken from then on has these batches, with these certificates. So a key that is opened again, in a later era,
since its segment got no certificate, is opened from the same shares, the same noise and the same products, and every
word comes out the same. The seed is a function of the PRSS keys and a fixed label, opened in the first key's segment;
later keys take it from that certificate.

Bodies are public. A certificate names them by hash, block by block, so that a party which missed the segment fetches
them from its peers (shares would be of no use to it: it has its own only), and makes the key files of them itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from dkg_node.algebra.encoding import digest as hash_of
from dkg_node.ceremony import contents as written
from dkg_node.ceremony.contents import BLOCK, OpenedKey
from dkg_node.ceremony.progress import MeteredLink
from dkg_node.errors import ProtocolError
from dkg_node.keygen.online import Task, confirm_digest, run_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dkg_node.algebra.kernel import Keys
    from dkg_node.ceremony.phases import Segment
    from dkg_node.ceremony.ports import Bodies
    from dkg_node.ceremony.program import Peers
    from dkg_node.ceremony.run import Findings, Party, Work
    from dkg_node.keygen.parameters import KeySpec
    from dkg_node.keygen.preprocessing import Preprocessing
    from dkg_node.protocols.session import Session

ASKED = 4
"""Blocks that are fetched at once."""
READ = 1 << 20
DIGESTS = "digests.1"


@dataclass(slots=True)
class Blocks:
    """A Sink that also hashes what it passes on, block by block."""

    sink: Bodies
    done: list[bytes] = field(default_factory=list)
    rest: bytearray = field(default_factory=bytearray)

    def write(self, key: str, data: bytes) -> None:
        """See Sink."""
        self.sink.write(key, data)
        self.rest += data
        whole = len(self.rest) - len(self.rest) % BLOCK
        self.done += [sha256(self.rest[start : start + BLOCK]).digest() for start in range(0, whole, BLOCK)]
        del self.rest[:whole]

    def hashes(self) -> tuple[bytes, ...]:
        """Of all blocks; call it when all is written."""
        return (*self.done, sha256(self.rest).digest()) if self.rest else tuple(self.done)


class Keyset:
    """One party's public keys: bodies and files. Nothing in here is secret."""

    def __init__(self, work: Work, party: Party, findings: Findings) -> None:
        """``findings`` takes what this party alone finds out."""
        self._work, self._party, self._findings = work, party, findings
        self._places: dict[bytes, tuple[str, int]] = {}
        """By hash of a block: its key, and where it begins."""
        self._whole: set[bytes] = set()
        """Digests of contents whose bodies or files this boot has made, fetched or found whole."""

    # --- the segments

    async def open(self, session: Session, spec: KeySpec, held: Preprocessing, seed: bytes | Keys) -> bytes:
        """Open one key's bodies and agree on them; the contents of the certificate."""
        party, findings = self._party, self._findings
        party.sink.close(spec.name)
        sink = Blocks(party.sink)
        made = await run_key(session, Task.of(self._work.params, self._work.plan, held), spec, seed, sink)
        party.sink.close(spec.name)
        findings.liars |= made.liars
        party.transcript.add("key", name=made.name, bodies_sha256=made.digest.hex())
        body = written.encode_key(OpenedKey(spec.name, made.seed, sink.hashes()))
        await confirm_digest(session, sha256(body).digest())
        self._note_silence(session)
        return body

    async def assemble(self, session: Session, seed: bytes) -> bytes:
        """Make the key files of all bodies and agree on them; the contents of the certificate."""
        digests = await self._files(seed)
        await confirm_digest(session, hash_of("files", *(item for pair in sorted(digests.items()) for item in pair)))
        self._note_silence(session)
        return written.encode_files(digests)

    def _note_silence(self, session: Session) -> None:
        if isinstance(session.link, MeteredLink):
            self._findings.missing |= session.link.silent(DIGESTS)

    async def _files(self, seed: bytes) -> Mapping[str, str]:
        party = self._party
        return await party.assembler.assemble(party.bodies, seed, party.public)

    # --- what is kept

    def seed(self, contents: bytes) -> bytes:
        """The seed that the contents of any key's certificate name. ProtocolError for a digest that is not held."""
        body = self._party.archive.get(contents)
        opened = None if body is None else written.decode_key(body)
        if opened is None:
            raise ProtocolError("the certified public seed is lost: check the disk")
        return opened.seed

    def made(self, body: bytes) -> None:
        """What these contents name was made or fetched just now: peers may have it."""
        self._whole.add(sha256(body).digest())
        opened = written.decode_key(body)
        if opened is not None:
            self._serve(opened)

    def holds(self, contents: bytes) -> bool:
        """Whether this boot has made, fetched or found what a certificate names."""
        return contents in self._whole

    async def found(self, segment: Segment, contents: bytes) -> bool:
        """Whether an earlier boot left what a certificate names whole. Reads all of it, other tasks in between."""
        body = self._party.archive.get(contents)
        if body is None or not await (self._has_bodies(body) if segment.key is not None else self._has_files(body)):
            return False
        self._whole.add(contents)
        return True

    async def _has_bodies(self, body: bytes) -> bool:
        opened = written.decode_key(body)
        if opened is None or await self._lacking(opened):
            return False
        self._serve(opened)
        return True

    def _serve(self, opened: OpenedKey) -> None:
        self._places.update({block: (opened.name, i * BLOCK) for i, block in enumerate(opened.blocks)})

    async def _has_files(self, body: bytes) -> bool:
        digests = written.decode_files(body)
        if digests is None:
            return False
        for name, digest in digests.items():
            if await _file_digest(self._party.public / f"{name}.bin") != digest:
                return False
        return True

    def block(self, digest: bytes) -> bytes | None:
        """A block of certified bodies, for a peer that lacks it."""
        place = self._places.get(digest)
        data = None if place is None else self._party.sink.read(*place, BLOCK)
        return data if data is not None and sha256(data).digest() == digest else None

    async def _lacking(self, opened: OpenedKey) -> dict[bytes, list[int]]:
        """Where the blocks lie that are not here, by hash. A segment may be running: it gets its turn at each block."""
        lacking: dict[bytes, list[int]] = {}
        for start, block in zip(range(0, BLOCK * len(opened.blocks), BLOCK), opened.blocks, strict=True):
            if sha256(self._party.sink.read(opened.name, start, BLOCK)).digest() != block:
                lacking.setdefault(block, []).append(start)
            await asyncio.sleep(0)
        return lacking

    # --- adoption

    async def adopt(self, segment: Segment, body: bytes, seed: bytes, peers: Peers) -> None:
        """Get what these contents name: bodies from peers; files from the bodies of all keys, under ``seed``.

        ProtocolError when n-t parties certified what this build can't read, or other files than it makes.
        """
        if segment.key is not None:
            await self._fetch(segment.key, written.decode_key(body), peers)
            return
        certified = written.decode_files(body)
        if certified is None or (not await self._has_files(body) and await self._files(seed) != certified):
            raise ProtocolError("this party's key files differ from those certified: check its disk and its dkg-bridge")

    async def _fetch(self, spec: KeySpec, opened: OpenedKey | None, peers: Peers) -> None:
        size = spec.seeded_bytes
        if opened is None or opened.name != spec.name or len(opened.blocks) != -(-size // BLOCK):
            raise ProtocolError(f"n-t parties certified an unreadable table for {spec.name}: they run another build")
        sink = self._party.sink
        sink.close(spec.name)
        sink.resize(spec.name, size)

        async def one(block: bytes, starts: list[int]) -> None:
            data = await peers.fetch(block)
            for start in starts:
                sink.patch(spec.name, start, data)

        lacking = list((await self._lacking(opened)).items())
        for first in range(0, len(lacking), ASKED):
            await asyncio.gather(*(one(*item) for item in lacking[first : first + ASKED]))
        sink.close(spec.name)


async def _file_digest(path: Path) -> str | None:
    """SHA-256 of a file, hex; None where there is none. Other tasks get their turn after every ``READ`` bytes."""
    hasher = sha256()
    try:
        with path.open("rb") as file:
            while data := file.read(READ):
                hasher.update(data)
                await asyncio.sleep(0)
    except OSError:
        return None
    return hasher.hexdigest()
