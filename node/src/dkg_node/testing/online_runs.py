"""Key generation in lock-step: the online phase on ideal preprocessing, or the whole of it from setup to the key."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from dkg_node.algebra.encoding import digest as hash_of
from dkg_node.algebra.kernel import Secret
from dkg_node.keygen.online import Task, confirm_digest, online_slots, run_key
from dkg_node.keygen.plan import plan_of
from dkg_node.keygen.preprocessing import Held
from dkg_node.offline.batch import batch_slots, run_batch
from dkg_node.protocols.prss import setup, setup_slots
from dkg_node.protocols.state import PublicState
from dkg_node.protocols.store import MemoryStore
from dkg_node.testing.lockstep import run_lockstep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dkg_node.algebra.kernel import Keys
    from dkg_node.keygen.online import Sink
    from dkg_node.keygen.parameters import ParameterSet
    from dkg_node.keygen.preprocessing import KeyShares, Preprocessing
    from dkg_node.protocols.session import Session, Tag
    from dkg_node.sharing.sets import Group, Role
    from dkg_node.testing.ideal import Ideal
    from dkg_node.testing.lockstep import Adversary, Run


@dataclass(slots=True)
class MemorySink:
    """Bodies in memory."""

    parts: dict[str, bytearray] = field(default_factory=dict)

    def write(self, key: str, data: bytes) -> None:
        """See Sink."""
        self.parts.setdefault(key, bytearray()).extend(data)

    @property
    def bodies(self) -> dict[str, bytes]:
        """By key name."""
        return {name: bytes(part) for name, part in self.parts.items()}


@dataclass(frozen=True, slots=True)
class OnlineResult:
    """All keys are opened and agreed on."""

    seed: bytes
    """The public XOF seed of all masks, 16 bytes little endian."""
    digest: bytes
    """Hash of seed and bodies that n-t parties agree on."""
    bodies: Mapping[str, bytes]
    """SHA-256 of the bodies of every key."""
    liars: frozenset[Role]
    share: KeyShares


@dataclass(frozen=True, slots=True)
class OnlineRun:
    """What came of it: results, errors and traffic, and every party's bodies."""

    run: Run[OnlineResult]
    sinks: dict[Role, MemorySink]
    preprocessing: Mapping[Role, Preprocessing]


async def run_online(
    session: Session, params: ParameterSet, keys: Keys, preprocessing: Preprocessing, sink: Sink
) -> OnlineResult:
    """All keys, a segment each from that of ``session`` on, agreed on one after another.

    Raises QuorumLost when an opening can't be decoded (more than t parties silent or wrong) or no digest has n-t
    senders; ProtocolError when this party alone has other bodies than n-t parties agree on.
    """
    plan = plan_of(params)
    task, seed = Task.of(params, plan, preprocessing), b""
    liars: frozenset[Role] = frozenset()
    bodies: dict[str, bytes] = {}
    digest = b""
    for index, spec in enumerate(params.keys):
        slots = online_slots(session.group, plan, spec, first=index == 0)
        entered = session.enter(session.segment + index, slots)
        made = await run_key(entered, task, spec, seed or keys, sink)
        seed, bodies[made.name], liars = made.seed, made.digest, liars | made.liars
        digest = hash_of("keyset", params.name, seed, [[name, bodies[name]] for name in sorted(bodies)])
        await confirm_digest(entered, digest)
    return OnlineResult(seed, digest, bodies, liars, task.share)


def online_in_lockstep(
    group: Group,
    params: ParameterSet,
    dealt: Ideal,
    adversary: Adversary | None = None,
    stop_at: Callable[[Role, Tag], bool] | None = None,
) -> OnlineRun:
    """Run the whole online phase of a set at every party."""
    sinks = {role: MemorySink() for role in group.roles}

    async def program(session: Session) -> OnlineResult:
        me = session.me
        return await run_online(session.enter(1, ()), params, dealt.keys[me], dealt.preprocessing[me], sinks[me])

    return OnlineRun(run_lockstep(group, program, adversary, stop_at=stop_at), sinks, dealt.preprocessing)


def keygen_in_lockstep(group: Group, params: ParameterSet, seed: int) -> OnlineRun:
    """Setup, every batch of the plan, online: the real protocols from the parties' own randomness to the key."""
    plan = plan_of(params)
    sinks = {role: MemorySink() for role in group.roles}
    made: dict[Role, Preprocessing] = {}
    store = MemoryStore()  # public bodies by digest: one copy will do for all parties

    async def program(session: Session) -> OnlineResult:
        me, state = session.me, PublicState()
        draws = Secret.from_bytes(sha256(f"party {me} of run {seed}".encode()).digest())
        keys = (await setup(session.enter(0, setup_slots(group)), draws)).keys
        done = []
        for batch in plan.batches:
            segment = session.enter(1 + batch.index, batch_slots(group, batch))
            done.append(await run_batch(segment, keys, batch, store, state))
        held = made[me] = Held.of(done)
        last = session.enter(1 + len(plan.batches), ())
        return await run_online(state.bind(last), params, keys, held, sinks[me])

    return OnlineRun(run_lockstep(group, program, seed=seed), sinks, made)
