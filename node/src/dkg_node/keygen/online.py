"""The online phase: every public key from shared randomness, and a share of every secret key (01 section 5).

Source: 01 section 5 and 02; bodies are linear in shares. Secure against t corrupt of n = 3t+1: what is opened are
one-time padded key bits, one public seed, and the public key itself; degree-t openings correct t wrong or missing
shares in one slot. What must hold before: the batches are certified, and nothing else was ever used online under these
keys. Every key is a segment of its own: one that ends without a certificate is opened again, alone, in a later era, on
the same inputs, and comes out the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from dkg_node.algebra import kernel
from dkg_node.algebra.encoding import enc
from dkg_node.errors import ProtocolError, QuorumLost
from dkg_node.keygen.bodies import Material, body_share, masked_inputs, masked_values, material
from dkg_node.keygen.masks import SEED, blocks
from dkg_node.keygen.parameters import Family
from dkg_node.keygen.preprocessing import key_shares
from dkg_node.protocols.broadcast import broadcast, broadcast_slots
from dkg_node.protocols.opening import opening_slot, robust_open

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from hashlib import _Hash

    from dkg_node.algebra.kernel import Keys
    from dkg_node.keygen.masks import Block
    from dkg_node.keygen.parameters import KeySpec, ParameterSet
    from dkg_node.keygen.plan import Plan
    from dkg_node.keygen.preprocessing import KeyShares, Preprocessing
    from dkg_node.protocols.session import Group, Role, Session, Slot

WINDOW = 4
"""Blocks of bodies under way at once: one is computed while others are on the wire."""
DIGEST = 32
SEED_LABEL = "seed"
SEED_VALUES = 4
NOBODY: frozenset[int] = frozenset()


class Sink(Protocol):
    """Where opened bodies go: for every key its bytes in storage order, words little endian."""

    def write(self, key: str, data: bytes) -> None:
        """Append to the bodies of that key. Bodies are public."""
        ...


@dataclass(frozen=True, slots=True)
class KeyResult:
    """One public key is opened: SHA-256 of its bodies, and who sent wrong shares of anything opened for it."""

    name: str
    seed: bytes
    """The public XOF seed of all masks, 16 bytes little endian."""
    digest: bytes
    liars: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Task:
    """What every step of the online phase works on."""

    params: ParameterSet
    plan: Plan
    share: KeyShares
    preprocessing: Preprocessing

    @classmethod
    def of(cls, params: ParameterSet, plan: Plan, preprocessing: Preprocessing) -> Task:
        """Take the key bits out of the preprocessing."""
        return cls(params, plan, key_shares(params, plan, preprocessing), preprocessing)


# --- Slots -----------------------------------------------------------------------------------------------------------


def seed_slot(group: Group) -> Slot:
    """The opening of the public-mask seed: one element."""
    return opening_slot("seed", group, 128, 1)


def key_slots(group: Group, plan: Plan, spec: KeySpec) -> tuple[Slot, ...]:
    """Slots of one key: its masked inputs, where it has products, and its bodies (blocks are parts of that slot)."""
    bodies = opening_slot(f"bodies.{spec.name}", group, spec.word_bits, sum(len(b.groups) for b in blocks(spec)))
    bodies = replace(bodies, work=bodies.work + _work(spec))
    if spec.family is not Family.BOOTSTRAP:
        return (bodies,)
    values = masked_values(plan.products[spec.name])
    return opening_slot(f"inputs.{spec.name}", group, spec.word_bits, values // 4), bodies


def digest_slots(group: Group) -> tuple[Slot, ...]:
    """The Broadcast of digests."""
    return broadcast_slots("digests", group, DIGEST)


def online_slots(group: Group, plan: Plan, spec: KeySpec, *, first: bool) -> tuple[Slot, ...]:
    """The segment of one public key: masked inputs, seed (``first`` key only), bodies, digests (01 section 2)."""
    *inputs, bodies = key_slots(group, plan, spec)
    seed = [seed_slot(group)] if first else []
    return *inputs, *seed, bodies, *digest_slots(group)


def _work(spec: KeySpec) -> float:
    """Core-seconds of a key's products with its masks, twice what one AVX2 core was measured to take."""
    if spec.row_bodies == 1:
        return 5e-9 * spec.rows * spec.row_masks
    return (4e-7 if spec.word_bits == 64 else 5e-7) * spec.rows * spec.row_masks


# --- Steps -----------------------------------------------------------------------------------------------------------


async def open_seed(session: Session, keys: Keys) -> tuple[bytes, frozenset[Role]]:
    """Open the public-mask seed: 16 bytes, and who lied. Slot ``seed``; call it only when the key bits exist.

    One PRSS element of a fixed label, in no era: it can only ever have one value. Two seeds with one noise would be two
    bodies whose difference gives the key away.
    """
    values = kernel.prss(keys.derive(enc(SEED_LABEL, session.sid)), enc("psi"), 128, 0, SEED_VALUES)
    opening = await robust_open(session, "seed", values.pack())
    return opening.values[:SEED], opening.liars


async def open_inputs(session: Session, task: Task, spec: KeySpec) -> tuple[bytes, frozenset[Role]]:
    """Open s_i - x_i and S_j - y_j of all product tiles of a bootstrapping key: the words, and who lied.

    x and y are uniform and used for this once, so the opened words say nothing about the key. Slot ``inputs.<key>``.
    """
    masked = masked_inputs(spec, task.plan.products[spec.name], task.share, task.preprocessing)
    opening = await robust_open(session, f"inputs.{spec.name}", masked)
    return opening.values, opening.liars


async def open_bodies(session: Session, prepared: Material, sink: Sink) -> KeyResult:
    """Open all bodies of a key, block by block, and write them in order. Slot ``bodies.<key>``, one part a block.

    A 64-bit body is opened from shares mod 2^64 (K is in the type): in a larger ring the opened word would be <A,S> + e
    over the integers, and least squares would give the key.
    """
    spec = prepared.spec
    writer = _InOrder(spec.name, sink)

    def one(block: Block) -> Callable[[Session], Awaitable[frozenset[Role]]]:
        async def run(child: Session) -> frozenset[Role]:
            opening = await robust_open(child, f"bodies.{spec.name}", body_share(block, prepared))
            writer.put(block.index, opening.values[: block.body_bytes])
            return opening.liars

        return run

    liars = await session.parallel([one(block) for block in blocks(spec)], WINDOW)
    return KeyResult(spec.name, prepared.seed, writer.digest(), NOBODY.union(*liars))


async def agree_digest(session: Session, digest: bytes) -> bytes:
    """Broadcast a 32-byte digest; return the one that n-t parties have. Slots ``digests``.

    Raises QuorumLost naming the silent ones when no digest has n-t senders. It may not be this party's own.
    """
    got = await broadcast(session, "digests", digest, limit=DIGEST)
    counts = Counter(body for body in got.values() if body is not None and len(body) == DIGEST)
    agreed, most = counts.most_common(1)[0] if counts else (b"", 0)
    if most < session.group.quorum:
        silent = [role for role, body in got.items() if body is None]
        raise QuorumLost(f"only {most} parties have one digest of the key set: bring the others back", silent)
    return agreed


async def confirm_digest(session: Session, own: bytes) -> None:
    """Broadcast a digest, see that n-t parties have this party's. Slots ``digests``.

    QuorumLost as with ``agree_digest``; ProtocolError when the others agree on another one: only this party's machine
    can be wrong, and it must not seal or sign what nobody else has.
    """
    if await agree_digest(session, own) != own:
        raise ProtocolError("this party's result differs from the one agreed on: check its disk and its dkg-bridge")


async def run_key(session: Session, task: Task, spec: KeySpec, seed: bytes | Keys, sink: Sink) -> KeyResult:
    """Open one public key: masked inputs, the seed if it is not open yet, bodies.

    ``seed``: the seed that an earlier key's certificate names, or, for the first key, the PRSS keys. Raises QuorumLost
    when an opening can't be decoded: more than t parties silent or wrong.
    """
    words, liars = b"", NOBODY
    if spec.family is Family.BOOTSTRAP:
        words, liars = await open_inputs(session, task, spec)
    if not isinstance(seed, bytes):
        seed, wrong = await open_seed(session, seed)
        liars |= wrong
    prepared = material(spec, task.plan, task.share, task.preprocessing, seed, words)
    result = await open_bodies(session, prepared, sink)
    return replace(result, liars=result.liars | liars)


@dataclass(slots=True)
class _InOrder:
    """Writes blocks in storage order, whatever order they come in.

    Holds what came early: no more than the window's blocks while parties send in order.
    """

    name: str
    sink: Sink
    next: int = 0
    early: dict[int, bytes] = field(default_factory=dict)
    hasher: _Hash = field(default_factory=sha256)

    def put(self, index: int, data: bytes) -> None:
        """Take one block."""
        self.early[index] = data
        while self.next in self.early:
            ready = self.early.pop(self.next)
            self.hasher.update(ready)
            self.sink.write(self.name, ready)
            self.next += 1

    def digest(self) -> bytes:
        """SHA-256 of all that was written."""
        return self.hasher.digest()
