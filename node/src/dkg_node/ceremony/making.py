"""The segments of a key generation as the control layer runs them: setup, batches, online; what is kept of each.

Results are keyed by the digest of the contents that a certificate names, and sealed before the certificate is signed: a
restart, or an era that takes another chain, finds exactly those that the chain in force names.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from dkg_node.algebra.encoding import digest as hash_of
from dkg_node.ceremony import contents as written
from dkg_node.ceremony.chain import Certificate, Chain, results
from dkg_node.ceremony.checkpoint import Made, flat, split
from dkg_node.ceremony.program import Outcome
from dkg_node.ceremony.progress import VALUE_SLOTS, MeteredLink
from dkg_node.ceremony.setup import SetupKeeper
from dkg_node.ceremony.verdicts import Docket
from dkg_node.errors import ProtocolError
from dkg_node.keygen.online import Task, agree_digest, open_seed, run_key
from dkg_node.keygen.preprocessing import Held, key_shares
from dkg_node.offline.batch import WINDOW, restored, run_batch
from dkg_node.offline.work import Work as BatchWork
from dkg_node.protocols.store import fetched

if TYPE_CHECKING:
    from dkg_node.algebra.kernel import Keys, Shares
    from dkg_node.ceremony.phases import Segment
    from dkg_node.ceremony.program import Peers, Setting
    from dkg_node.ceremony.run import Findings, Party, Work
    from dkg_node.keygen.preprocessing import Preprocessing
    from dkg_node.offline.chunk import Batch
    from dkg_node.protocols.session import Role, Session, Slot
    from dkg_node.protocols.state import PublicState

FINAL = 0
"""Epoch of objects that are sealed once."""
SHARE, PRSS = "share", "prss"
NAMED = 16
"""Hex digits of a digest in the name of a sealed object."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a certified batch was made."""

    sid: bytes
    era: int
    segment: int


class Making:
    """One party's Program."""

    def __init__(self, work: Work, party: Party, findings: Findings) -> None:
        """``findings`` takes what this party alone finds out."""
        self._work, self._party, self._findings = work, party, findings
        self._setup = SetupKeeper(work.group, party.me, work.sid, party.sealer, party.entropy)
        self._made: dict[bytes, Made] = {}
        self._docket = Docket(party.transcript)
        self._share: Shares | None = None

    def prepare(self) -> None:
        """Before a fresh start is sealed: what it will name, the setup draws."""
        self._setup.draw()

    @property
    def segments(self) -> int:
        """Setup, batches, online."""
        return len(self._work.segments)

    def schedule(self, segment: int, state: PublicState) -> tuple[Slot, ...]:  # noqa: ARG002 - see there
        """See Program. The plan's: deadlines do not depend on who is king how often."""
        return self._work.segments[segment].schedule

    async def run(self, session: Session, setting: Setting) -> Outcome:
        """See Program."""
        segment = self._work.segments[setting.position.segment]
        names = [slot.name for slot in segment.schedule]
        session = replace(session, link=MeteredLink(session.link, self._party.meter, names, _is_progress))
        if segment.kind == "setup":
            return Outcome(await self._setup.run(session, setting), setting.state)
        if segment.batch is not None:
            return await self._batch(session, setting, segment.batch)
        return await self._online(session, setting)

    # --- the segments

    async def _batch(self, session: Session, setting: Setting, batch: Batch) -> Outcome:
        """One batch of bits, noise or products."""
        keys = self._keys_of(setting.chain)
        result = await run_batch(session, keys, batch, self._party.store, setting.state, self._docket)
        body = written.encode_batch(result.generation, result.opened)
        self._made[_digest(body)] = Made(batch, result.results)
        self._findings.missing |= result.silent
        return Outcome(body, result.state)

    async def _online(self, session: Session, setting: Setting) -> Outcome:
        """Seed, every public key, the files for tfhe-rs, and the agreement on their hashes."""
        work, party, findings = self._work, self._party, self._findings
        party.sink.close()
        task = Task.of(work.params, work.plan, self._held(setting.chain))
        seed, liars = await open_seed(session, self._keys_of(setting.chain))
        findings.liars |= liars
        for spec in work.params.keys:
            party.meter.phase(f"online {spec.name}")
            made = await run_key(session, task, spec, seed, party.sink)
            findings.liars |= made.liars
            party.transcript.add("key", name=made.name, bodies_sha256=made.digest.hex())
        party.meter.phase("assembly")
        party.sink.close()
        digests = await party.assembler.assemble(party.bodies, seed, party.public)
        party.meter.phase("digests")
        own = hash_of("files", *(item for pair in sorted(digests.items()) for item in pair))
        agreed = await agree_digest(session, own)
        if agreed != own:
            raise ProtocolError("this party's key files differ from those agreed on: check its disk and its dkg-bridge")
        if isinstance(session.link, MeteredLink):
            findings.missing |= session.link.silent("digests.1")
        self._share = task.share.all
        return Outcome(written.encode_online(digests), setting.state)

    # --- what is kept

    def durable(self, setting: Setting, outcome: Outcome) -> None:
        """See Program. V lies in the store already. ProtocolError for a batch that this party called faulty."""
        segment = self._work.segments[setting.position.segment]
        table = None if segment.batch is None else written.decode_batch(outcome.contents)
        if segment.batch is not None and table is not None:
            self._docket.check(setting.position.era, segment.batch.index, table[0])
        self._keep(segment, outcome.contents)

    def _keep(self, segment: Segment, body: bytes) -> None:
        """Seal the fresh results that these contents name, then the contents themselves."""
        party, digest = self._party, _digest(body)
        if segment.kind == "setup":
            self._setup.keep(digest)
        elif segment.batch is not None:
            party.sealer.seal_shares(_name(segment, digest), FINAL, flat(self._made[digest]))
        elif self._share is not None:
            sealed = party.sealer.seal_shares(SHARE, FINAL, self._share)
            party.transcript.add("sealed", share_sha256=sealed)
        party.archive.keep(digest, body)

    def holds(self, certificate: Certificate) -> bool:
        """See Program. Once the final PRSS keys are sealed the checkpoints are gone, and all is held."""
        party, digest = self._party, certificate.core.contents
        if party.sealer.has(PRSS):
            return party.archive.get(digest) is not None
        segment = self._segment_of(certificate)
        held = self._setup.holds(digest) if segment.kind == "setup" else party.sealer.has(_name(segment, digest))
        return held and party.archive.get(digest) is not None

    def contents(self, digest: bytes) -> bytes | None:
        """See Program: also every V."""
        held = self._party.archive.get(digest)
        return held if held is not None else fetched(self._party.store, digest)

    def reply(self, role: Role, question: bytes) -> bytes | None:
        """See Program: setup contributions, for members of their sets."""
        return self._setup.reply(role, question)

    async def adopt(self, certificate: Certificate, chain: Chain, contents: bytes, peers: Peers) -> None:
        """See Program: from hash table and V by hash; PRSS keys by asking members; the key share from the batches."""
        segment, digest = self._segment_of(certificate), certificate.core.contents
        if segment.batch is not None:
            self._made[digest] = await self._again(certificate, chain, contents, peers)
        elif segment.kind == "online":
            self._share = key_shares(self._work.params, self._work.plan, self._held(chain)).all
        else:
            await self._setup.adopt(certificate.position.era, digest, contents, peers)
        self._keep(segment, contents)
        self._party.transcript.add("adopted", segment=segment.index)

    async def _again(self, certificate: Certificate, chain: Chain, contents: bytes, peers: Peers) -> Made:
        """A certified batch's results from keys, hash table and V; the loop gets its turn after every chunk."""
        segment, table = self._segment_of(certificate), written.decode_batch(contents)
        if segment.batch is None or table is None:
            raise ProtocolError(f"n-t parties certified an unreadable table for {segment.name}: they run another build")
        generation, opened = table
        spot = Spot(self._work.sid, *certificate.position)
        work = BatchWork.of(spot, self._keys_of(chain), segment.batch, generation, self._party.store)
        made = []
        for start in range(0, len(opened), WINDOW):
            window = opened[start : start + WINDOW]
            bodies = await asyncio.gather(*(self._opening(one.digest, peers) for one in window))
            for one, body in zip(window, bodies, strict=True):
                made.append(restored(spot, work, one, body))
                await asyncio.sleep(0)
        return Made(segment.batch, tuple(made))

    async def _opening(self, digest: bytes, peers: Peers) -> bytes:
        """A certified V with its prefix: the store's, or where that lost or damaged it, the peers'."""
        body = fetched(self._party.store, digest)
        if body is None:
            body = await peers.fetch(digest)
            self._party.store.put(body)
        return body

    def finish(self, chain: Chain) -> None:
        """The key certificate is there: PRSS keys and share stay sealed, draws and checkpoints go."""
        sealer = self._party.sealer
        if not sealer.has(PRSS):
            sealer.seal_keys(PRSS, FINAL, self._keys_of(chain))
        self._setup.finish()
        for certificate in results(chain)[1:]:
            name = _name(self._segment_of(certificate), certificate.core.contents)
            if name != SHARE:
                sealer.erase(name)
        self._made.clear()

    # --- results of a chain

    def _segment_of(self, certificate: Certificate) -> Segment:
        return self._work.segments[certificate.position.segment]

    def _keys_of(self, chain: Chain) -> Keys:
        """The PRSS keys that the chain's setup certificate names."""
        return self._setup.keys(results(chain)[0].core.contents)

    def _held(self, chain: Chain) -> Preprocessing:
        """The shares of all batches."""
        return Held.of(
            [self._made_of(certificate) for certificate in results(chain)[1:] if self._is_batch(certificate)]
        )

    def _is_batch(self, certificate: Certificate) -> bool:
        return self._segment_of(certificate).batch is not None

    def _made_of(self, certificate: Certificate) -> Made:
        segment, digest = self._segment_of(certificate), certificate.core.contents
        if segment.batch is None:
            raise ValueError(f"{segment.name} is no batch")
        if digest not in self._made:
            name = _name(segment, digest)
            self._made[digest] = split(segment.batch, self._party.sealer.unseal_shares(name, FINAL))
        return self._made[digest]


def _digest(body: bytes) -> bytes:
    return sha256(body).digest()


def _name(segment: Segment, digest: bytes) -> str:
    """Of a sealed object: the key share has one value in the life of a ceremony, all else goes by its certificate."""
    if segment.kind == "online":
        return SHARE
    return f"{segment.kind}-{segment.index}-{digest.hex()[:NAMED]}"


def _is_progress(slot: str) -> bool:
    return slot in VALUE_SLOTS or slot.startswith("bodies.")
