"""The segments of a key generation as the control layer runs them, setup to assembly; what is kept of each.

Results are keyed by the digest of the contents that a certificate names, and sealed before the certificate is signed: a
restart, or an era that takes another chain, finds exactly those that the chain in force names.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from dkg_node.ceremony import contents as written
from dkg_node.ceremony.chain import Certificate, Chain, results
from dkg_node.ceremony.checkpoint import Made, flat, split
from dkg_node.ceremony.keyset import Keyset
from dkg_node.ceremony.program import Outcome
from dkg_node.ceremony.progress import VALUE_SLOTS, MeteredLink
from dkg_node.ceremony.setup import SetupKeeper
from dkg_node.ceremony.verdicts import Docket
from dkg_node.errors import ProtocolError, SealingError
from dkg_node.keygen.preprocessing import Held, key_shares
from dkg_node.offline.batch import WINDOW, restored, run_batch
from dkg_node.offline.work import Work as BatchWork
from dkg_node.protocols.store import fetched, replace_damaged

if TYPE_CHECKING:
    from dkg_node.algebra.kernel import Keys, Shares
    from dkg_node.ceremony.phases import Segment
    from dkg_node.ceremony.program import Peers, Setting
    from dkg_node.ceremony.run import Findings, Party, Work
    from dkg_node.keygen.parameters import KeySpec
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
        self._keyset = Keyset(work, party, findings)
        self._share: Shares | None = None

    def prepare(self) -> None:
        """Before a fresh start is sealed: what it will name, the setup draws."""
        self._setup.draw()

    @property
    def segments(self) -> int:
        """Setup, batches, a public key each, assembly."""
        return len(self._work.segments)

    def schedule(self, segment: int, state: PublicState) -> tuple[Slot, ...]:  # noqa: ARG002 - see there
        """See Program. The plan's: deadlines do not depend on who is king how often."""
        return self._work.segments[segment].schedule

    def reads(self, segment: int, chain: Chain) -> Chain:
        """See Program. A batch computes with setup's keys, a public key and the assembly with everything."""
        return results(chain)[:1] if self._work.segments[segment].batch is not None else results(chain)

    async def run(self, session: Session, setting: Setting) -> Outcome:
        """See Program."""
        segment = self._work.segments[setting.position.segment]
        names = [slot.name for slot in segment.schedule]
        session = replace(session, link=MeteredLink(session.link, self._party.meter, names, _is_progress))
        if segment.kind == "setup":
            return Outcome(await self._setup.run(session, setting), setting.state)
        if segment.batch is not None:
            return await self._batch(session, setting, segment.batch)
        if segment.key is not None:
            return await self._online(session, setting, segment.key)
        return await self._assembly(session, setting)

    # --- the segments

    async def _batch(self, session: Session, setting: Setting, batch: Batch) -> Outcome:
        """One batch of bits, noise or products."""
        keys = self._keys_of(setting.chain)
        result = await run_batch(session, keys, batch, self._party.store, setting.state, self._docket)
        body = written.encode_batch(result.generation, result.opened)
        self._made[_digest(body)] = Made(batch, result.results)
        self._findings.missing |= result.silent
        return Outcome(body, result.state)

    async def _online(self, session: Session, setting: Setting, spec: KeySpec) -> Outcome:
        """One public key; the first one opens the seed of all."""
        seed = self._seed_of(setting.chain) or self._keys_of(setting.chain)
        body = await self._keyset.open(session, spec, self._held(setting.chain), seed)
        return Outcome(body, setting.state)

    async def _assembly(self, session: Session, setting: Setting) -> Outcome:
        """The key files, and this party's share of the secret keys."""
        body = await self._keyset.assemble(session, self._seed_of(setting.chain))
        self._share = self._share_of(setting.chain)
        return Outcome(body, setting.state)

    # --- what is kept

    def durable(self, setting: Setting, outcome: Outcome) -> None:
        """See Program. V lies in the store and is synced. ProtocolError for a batch that this party called faulty."""
        segment = self._work.segments[setting.position.segment]
        table = None if segment.batch is None else written.decode_batch(outcome.contents)
        if segment.batch is not None and table is not None:
            self._docket.check(setting.position.era, segment.batch.index, table[0])
            self._party.store.durable([one.digest for one in table[1]])
        self._keep(segment, outcome.contents)

    def _keep(self, segment: Segment, body: bytes) -> None:
        """Seal the fresh results that these contents name, then the contents themselves."""
        party, digest = self._party, _digest(body)
        if segment.kind == "setup":
            self._setup.keep(digest)
        elif segment.batch is not None:
            party.sealer.seal_shares(_name(segment, digest), FINAL, flat(self._made[digest]))
        elif segment.key is None and self._share is not None:
            sealed = party.sealer.seal_shares(SHARE, FINAL, self._share)
            party.transcript.add("sealed", share_sha256=sealed)
        party.archive.keep(digest, body)
        self._keyset.made(body)

    def holds(self, certificate: Certificate) -> bool:
        """See Program: whether it is sealed, and this boot has made it or opened it (``adopt``), so that it is whole.

        Once the final PRSS keys are sealed the checkpoints are gone, and all secrets are held.
        """
        party, digest = self._party, certificate.core.contents
        segment = self._segment_of(certificate)
        if segment.key is not None:
            return self._keyset.holds(digest)
        if segment.kind == "assembly":
            return party.sealer.has(SHARE) and self._keyset.holds(digest)
        if not party.sealer.has(PRSS) and not self._has(segment, digest):
            return False
        return party.archive.get(digest) is not None

    def _has(self, segment: Segment, digest: bytes) -> bool:
        """Secrets of a setup or a batch, sealed and in memory."""
        if segment.kind == "setup":
            return self._setup.holds(digest)
        return digest in self._made and self._party.sealer.has(_name(segment, digest))

    def contents(self, digest: bytes) -> bytes | None:
        """See Program: also every V, and every block of bodies."""
        held = self._party.archive.get(digest)
        held = fetched(self._party.store, digest) if held is None else held
        return self._keyset.block(digest) if held is None else held

    def reply(self, role: Role, question: bytes) -> bytes | None:
        """See Program: setup contributions, for members of their sets."""
        return self._setup.reply(role, question)

    async def adopt(self, certificate: Certificate, chain: Chain, contents: bytes, peers: Peers) -> None:
        """See Program: what an earlier boot left, if it is whole; else from others, in place of what is damaged.

        Batches by V, public keys by block; PRSS keys by asking members; key share from the batches.
        """
        segment, digest = self._segment_of(certificate), certificate.core.contents
        if await self._found(segment, digest, contents):
            return
        if segment.batch is not None:
            self._made[digest] = await self._again(certificate, chain, contents, peers)
        elif segment.kind != "setup":
            seed = b"" if segment.key is not None else self._seed_of(chain)
            await self._keyset.adopt(segment, contents, seed, peers)
            if segment.kind == "assembly" and not self._party.sealer.has(SHARE):
                self._share = self._share_of(chain)
        else:
            await self._setup.adopt(certificate.position.era, digest, contents, peers)
        self._keep(segment, contents)
        self._party.transcript.add("adopted", segment=segment.index)

    async def _found(self, segment: Segment, digest: bytes, contents: bytes) -> bool:
        """Whether an earlier boot left a segment's results whole. The loop gets its turn: some are large."""
        await asyncio.sleep(0)
        if self._party.archive.get(digest) is None:
            self._party.archive.keep(digest, contents)
        if segment.key is not None or segment.kind == "assembly":
            sealed = segment.key is not None or self._party.sealer.has(SHARE)
            return sealed and await self._keyset.found(segment, digest)
        try:
            if self._party.sealer.has(PRSS):
                return True
            if segment.kind == "setup":
                return self._setup.found(digest)
            self._unsealed(segment, digest)
        except SealingError:
            return False
        return self._has(segment, digest)

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
            replace_damaged(self._party.store, digest, body)
        return body

    def finish(self, chain: Chain, *, everybody: bool) -> None:
        """The key certificate is there: PRSS keys and share stay sealed, draws and checkpoints go.

        ``everybody``: whether all parties have signed it, so that nobody has to be helped any more (``forget``).
        """
        sealer = self._party.sealer
        if not sealer.has(PRSS):
            sealer.seal_keys(PRSS, FINAL, self._keys_of(chain))
        self._setup.finish(everybody=everybody)
        for certificate in results(chain)[1:]:
            if self._is_batch(certificate):
                sealer.erase(_name(self._segment_of(certificate), certificate.core.contents))
        self._made.clear()

    def forget(self) -> None:
        """The attempt is over, also for who has not come back: what was kept for it goes."""
        self._setup.forget()

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

    def _share_of(self, chain: Chain) -> Shares:
        """This party's share of all secret keys, out of the batches."""
        return key_shares(self._work.params, self._work.plan, self._held(chain)).all

    def _seed_of(self, chain: Chain) -> bytes:
        """The public seed that the chain's first public key names; nothing before that one is certified."""
        keys = [one.core.contents for one in results(chain) if self._segment_of(one).key is not None]
        return self._keyset.seed(keys[0]) if keys else b""

    def _is_batch(self, certificate: Certificate) -> bool:
        return self._segment_of(certificate).batch is not None

    def _made_of(self, certificate: Certificate) -> Made:
        return self._unsealed(self._segment_of(certificate), certificate.core.contents)

    def _unsealed(self, segment: Segment, digest: bytes) -> Made:
        """A batch's results. SealingError when they are not sealed, or damaged."""
        if segment.batch is None:
            raise ValueError(f"{segment.name} is no batch")
        if digest not in self._made:
            name = _name(segment, digest)
            self._made[digest] = split(segment.batch, self._party.sealer.unseal_shares(name, FINAL))
        return self._made[digest]


def _digest(body: bytes) -> bytes:
    return sha256(body).digest()


def _name(segment: Segment, digest: bytes) -> str:
    """Of a batch's sealed results: they go by its certificate; the key share has one value in a ceremony's life."""
    return f"{segment.kind}-{segment.index}-{digest.hex()[:NAMED]}"


def _is_progress(slot: str) -> bool:
    return slot in VALUE_SLOTS or slot.startswith("bodies.")
