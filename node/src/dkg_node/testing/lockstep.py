"""Lock-step simulator: the real protocol coroutines, no clock, a rushing adversary, everything from one seed.

All parties run in one thread. A slot is delivered when every running party stands in it; the adversary sees all honest
messages to its parties before it chooses its own. A party that ended or crashed is silent.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg_node.protocols.session import Exchange, Group, Role, Session, Tag

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Generator, Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

T = TypeVar("T")
Outgoing = dict[Role, bytes]


@dataclass(frozen=True, slots=True)
class Move:
    """A corrupt party's turn in one slot, after all honest parties have spoken (rushing)."""

    tag: Tag
    slot: str
    """Name of the slot."""
    sender: Role
    honest: Outgoing
    """What its honest code would send."""
    seen: Mapping[Role, Mapping[Role, bytes]]
    """``seen[p][q]``: what honest p sends to corrupt q in this slot."""


class Adversary:
    """Controls the ``corrupt`` parties. They run the honest code; this class changes what leaves them."""

    corrupt: frozenset[Role] = frozenset()

    def send(self, move: Move) -> Outgoing:
        """What a corrupt sender sends in a slot; the default is what its honest code would."""
        return move.honest

    def serve(self, server: Role, asker: Role, digest: bytes, body: bytes | None) -> bytes | None:
        """What corrupt ``server`` answers when ``asker`` pulls a body."""
        return body


@dataclass(slots=True)
class Traffic:
    """Bytes sent to other parties, by sender and slot name (without trailing round number)."""

    sent: dict[tuple[Role, str], int] = field(default_factory=dict)

    def add(self, sender: Role, slot: str, size: int) -> None:
        """Count ``size`` payload bytes."""
        key = (sender, slot.split(".", maxsplit=1)[0])
        self.sent[key] = self.sent.get(key, 0) + size

    def of(self, slot: str) -> dict[Role, int]:
        """Bytes each party sent in slots of that name."""
        return {sender: size for (sender, name), size in self.sent.items() if name == slot}


@dataclass(frozen=True, slots=True)
class Run(Generic[T]):
    """Results of the parties that ended, errors of those that raised, and the traffic."""

    results: dict[Role, T]
    errors: dict[Role, Exception]
    traffic: Traffic


class SimulatedIdentities:
    """Ed25519 keys of all parties, made from the seed."""

    def __init__(self, group: Group, seed: int) -> None:
        """One key a party."""
        self._keys = {
            role: Ed25519PrivateKey.from_private_bytes(sha256(f"identity {seed} {role}".encode()).digest())
            for role in group.roles
        }
        self._public: dict[Role, Ed25519PublicKey] = {role: key.public_key() for role, key in self._keys.items()}

    def of(self, role: Role) -> _Identity:
        """The identity of one party."""
        return _Identity(self._keys[role], self._public)


@dataclass(frozen=True, slots=True)
class _Identity:
    key: Ed25519PrivateKey
    public: Mapping[Role, Ed25519PublicKey]

    def sign(self, purpose: str, message: bytes) -> bytes:
        return self.key.sign(b"dkg/v1/" + purpose.encode() + b"\0" + message)

    def verify(self, role: Role, purpose: str, message: bytes, signature: bytes) -> bool:
        try:
            self.public[role].verify(signature, b"dkg/v1/" + purpose.encode() + b"\0" + message)
        except (InvalidSignature, KeyError):
            return False
        return True


@dataclass(slots=True)
class _Call:
    """What a coroutine hands up to the driver when it awaits."""

    request: Any

    def __await__(self) -> Generator[_Call, Any, Any]:
        return (yield self)


@dataclass(frozen=True, slots=True)
class _Parallel:
    bodies: Sequence[Callable[[], Awaitable[Any]]]
    window: int


@dataclass(slots=True)
class LockstepLink:
    """The Link of one simulated party: every await is answered by the driver."""

    bodies: dict[bytes, bytes] = field(default_factory=dict)
    skipped: dict[int, list[int]] = field(default_factory=dict)
    """By segment, in the order that they fell away."""
    used: dict[int, set[int]] = field(default_factory=dict)
    """By segment: slots that have begun."""

    async def exchange(self, request: Exchange) -> Mapping[Role, bytes | None]:
        """Hand the slot to the driver."""
        tag = request.tag
        if tag.slot in self.skipped.get(tag.segment, []):
            raise ValueError(f"use no slot that fell away: {tag}")
        self.used.setdefault(tag.segment, set()).add(tag.slot)
        answer: Mapping[Role, bytes | None] = await _Call(request)
        return answer

    async def parallel(self, bodies: Sequence[Callable[[], Awaitable[T]]], window: int) -> list[T]:
        """Hand the children to the driver."""
        answer: list[T] = await _Call(_Parallel(bodies, window))
        return answer

    def offer(self, digest: bytes, body: bytes) -> None:
        """Hold a body."""
        self.bodies[digest] = body

    def held(self, digest: bytes) -> bytes | None:
        """A body held."""
        return self.bodies.get(digest)

    def skip(self, segment: int, slots: Collection[int]) -> None:
        """There are no deadlines; but what fell away must not have begun."""
        if min(slots) <= max(self.used.get(segment, ()), default=-1):
            raise ValueError(f"skip slots before they begin: not {sorted(slots)} of segment {segment}")
        self.skipped.setdefault(segment, []).extend(sorted(slots))


@dataclass(slots=True)
class _Task:
    role: Role
    coroutine: Coroutine[Any, Any, Any]
    parent: _Task | None = None
    index: int = 0
    waiting: deque[tuple[int, Callable[[], Awaitable[Any]]]] = field(default_factory=deque)
    results: dict[int, Any] = field(default_factory=dict)
    children: int = 0


class Lockstep(Generic[T]):
    """One simulated run. ``stop_at(role, tag)`` True crashes that party before the slot."""

    def __init__(
        self,
        group: Group,
        adversary: Adversary | None = None,
        *,
        seed: int = 0,
        stop_at: Callable[[Role, Tag], bool] | None = None,
    ) -> None:
        """Prepare links and identities of all parties."""
        self.group = group
        self.adversary = adversary or Adversary()
        self.stop_at = stop_at or (lambda _role, _tag: False)
        self.links = {role: LockstepLink() for role in group.roles}
        self.traffic = Traffic()
        identities = SimulatedIdentities(group, seed)
        sid = sha256(f"sid {seed}".encode()).digest()
        self.sessions = {
            role: Session.of(group, role, sid, self.links[role], identities.of(role)) for role in group.roles
        }
        self._pending: dict[Tag, dict[Role, tuple[_Task, Exchange]]] = {}
        self._results: dict[Role, T] = {}
        self._errors: dict[Role, Exception] = {}
        self._ready: deque[tuple[_Task, Any]] = deque()

    def run(self, program: Callable[[Session], Coroutine[Any, Any, T]]) -> Run[T]:
        """Run ``program`` at every party until all have ended."""
        for role in self.group.roles:
            self._ready.append((_Task(role, program(self.sessions[role])), None))
        while self._ready or self._pending:
            while self._ready:
                self._step(*self._ready.popleft())
            if self._pending:
                self._deliver(self._next_tag())
        self._compare_skips()
        return Run(self._results, self._errors, self.traffic)

    def _compare_skips(self) -> None:
        """AssertionError if honest parties that ended skipped different slots: their deadlines would be others."""
        honest = set(self._results) - self.adversary.corrupt
        seen = {str(sorted(self.links[role].skipped.items())) for role in honest}
        if len(seen) > 1:
            raise AssertionError(f"honest parties skipped different slots: {seen}")

    def _step(self, task: _Task, value: Any) -> None:
        """Run one coroutine up to its next await."""
        try:
            call = task.coroutine.send(value)
        except StopIteration as stop:
            self._finished(task, stop.value)
        except Exception as error:  # noqa: BLE001 - an error of one party is a result of the run
            self._failed(task.role, error)
        else:
            if isinstance(call.request, _Parallel):
                self._spawn(task, call.request)
            else:
                self._post(task, call.request)

    def _post(self, task: _Task, request: Exchange) -> None:
        if self.stop_at(task.role, request.tag):
            self._failed(task.role, ConnectionError("crashed by the test"))
            return
        self._pending.setdefault(request.tag, {})[task.role] = (task, request)

    def _spawn(self, task: _Task, request: _Parallel) -> None:
        if not request.bodies:
            self._ready.append((task, []))
            return
        task.waiting = deque(enumerate(request.bodies))
        task.results = {}
        task.children = len(request.bodies)
        for _ in range(min(request.window, task.children)):
            self._start_child(task)

    def _start_child(self, parent: _Task) -> None:
        index, body = parent.waiting.popleft()
        self._ready.append((_Task(parent.role, _started(body), parent, index), None))

    def _finished(self, task: _Task, value: Any) -> None:
        parent = task.parent
        if parent is None:
            self._results[task.role] = value
            return
        parent.results[task.index] = value
        if parent.waiting:
            self._start_child(parent)
        elif len(parent.results) == parent.children:
            self._ready.append((parent, [parent.results[i] for i in range(parent.children)]))

    def _failed(self, role: Role, error: Exception) -> None:
        """A party ends with its first error: none of its coroutines goes on."""
        self._errors.setdefault(role, error)
        for task, _ in self._ready:
            if task.role == role:
                task.coroutine.close()
        self._ready = deque((task, value) for task, value in self._ready if task.role != role)
        for waiting in self._pending.values():
            waiting.pop(role, None)
        self._pending = {tag: waiting for tag, waiting in self._pending.items() if waiting}

    def _next_tag(self) -> Tag:
        """A slot all running parties stand in; else the earliest, whose absent parties are silent."""
        running = set(self.group.roles) - set(self._results) - set(self._errors)
        whole = [tag for tag, waiting in self._pending.items() if set(waiting) >= running]
        return min(whole or self._pending)

    def _deliver(self, tag: Tag) -> None:
        waiting = self._pending.pop(tag)
        slot = next(iter(waiting.values()))[1].slot
        sent = {role: dict(request.outgoing) for role, (_, request) in waiting.items()}
        honest = {role: out for role, out in sent.items() if role not in self.adversary.corrupt}
        seen = {role: {q: out[q] for q in self.adversary.corrupt if q in out} for role, out in honest.items()}
        for role in sorted(set(sent) & self.adversary.corrupt):
            sent[role] = self.adversary.send(Move(tag, slot, role, sent[role], seen))
        for sender, out in sent.items():
            self.traffic.add(sender, slot, sum(len(data) for peer, data in out.items() if peer != sender))
        for role, (task, request) in waiting.items():
            got: dict[Role, bytes | None] = {}
            for peer in request.expect:
                data = sent.get(peer, {}).get(role)
                got[peer] = data if data is not None and len(data) <= request.limit else None
                if got[peer] is not None:
                    self._pull(request, role, peer, got[peer] or b"")
            self._ready.append((task, got))

    def _pull(self, request: Exchange, asker: Role, server: Role, message: bytes) -> None:
        """Pull the bodies a message names from its sender, as far as it serves them."""
        if request.names is None:
            return
        for digest in request.names(server, message):
            if self.links[asker].held(digest) is not None:
                continue
            body = self.links[server].held(digest)
            if server in self.adversary.corrupt:
                body = self.adversary.serve(server, asker, digest, body)
            if body is not None and len(body) <= request.body_limit and sha256(body).digest() == digest:
                self.traffic.add(server, "pull", len(body))
                self.links[asker].offer(digest, body)


async def _started(body: Callable[[], Awaitable[T]]) -> T:
    return await body()


def run_lockstep(
    group: Group,
    program: Callable[[Session], Coroutine[Any, Any, T]],
    adversary: Adversary | None = None,
    *,
    seed: int = 0,
    stop_at: Callable[[Role, Tag], bool] | None = None,
) -> Run[T]:
    """Run ``program`` at every party in lock-step; see ``Lockstep``."""
    return Lockstep[T](group, adversary, seed=seed, stop_at=stop_at).run(program)
