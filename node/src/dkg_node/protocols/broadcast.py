"""Reliable broadcast: Dolev-Strong 1983, n senders in parallel, t+1 slots (01 section 2).

Agreement: all honest parties end with the same body (or ``None``) for every sender. Validity: an honest sender's
body is everybody's output, if it came within the slot. Round 1 carries bodies, later rounds carry digests with
signatures; a body one lacks is pulled from the relayer. Security rests on signatures and on slots that end at
fixed times, on nothing else.

A body begins with the stamp of its sender's public state and the mask of the Absent parties that it saw ready again.
Each Broadcast updates the segment's ledger: whose output is None is Absent from then on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from dkg_node.algebra.encoding import digest as hash_of
from dkg_node.algebra.encoding import enc
from dkg_node.errors import QuorumLost, StateDiverged
from dkg_node.protocols.session import Slot
from dkg_node.sharing.sets import mask_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node.protocols.session import Group, Role, Session

DIGEST = 32
SIGNATURE = 64
MASK = 2
HEAD = DIGEST + MASK
"""Stamp and mask in front of every body."""
MOST_DIGESTS = 2
"""Two accepted digests of a sender prove that it signed twice: more add nothing."""

Chain = dict[int, bytes]
"""Signatures by signer on one digest."""


@dataclass(frozen=True, slots=True)
class Relay:
    """One sender's digest with the signatures that vouch for it."""

    sender: Role
    digest: bytes
    chain: Chain


@dataclass(frozen=True, slots=True)
class Signed:
    """A whole Broadcast body (stamp, mask, content) and its sender's signature: evidence for strangers."""

    body: bytes
    signature: bytes

    @property
    def stamp(self) -> bytes:
        """Under which public state and history it was said."""
        return self.body[:DIGEST]

    @property
    def content(self) -> bytes:
        """What was said."""
        return self.body[HEAD:]


@dataclass(slots=True)
class _View:
    """What one party has accepted so far: sender -> digest -> body, and the senders' own signatures."""

    accepted: dict[Role, dict[bytes, bytes]] = field(default_factory=dict)
    signatures: dict[Role, bytes] = field(default_factory=dict)
    fresh: list[Relay] = field(default_factory=list)

    def knows(self, sender: Role, digest: bytes) -> bool:
        return digest in self.accepted.get(sender, {})

    def full(self, sender: Role) -> bool:
        return len(self.accepted.get(sender, {})) >= MOST_DIGESTS

    def accept(self, relay: Relay, body: bytes) -> None:
        self.accepted.setdefault(relay.sender, {})[relay.digest] = body
        self.signatures[relay.sender] = relay.chain[relay.sender]
        self.fresh.append(relay)

    def output(self, sender: Role) -> bytes | None:
        bodies = self.accepted.get(sender, {})
        return next(iter(bodies.values())) if len(bodies) == 1 else None


def broadcast_slots(name: str, group: Group, limit: int) -> tuple[Slot, ...]:
    """The t+1 slots ``name.1`` .. ``name.<t+1>`` of one Broadcast of bodies up to ``limit`` bytes."""
    bodies = 2 * group.n * (limit + HEAD + SIGNATURE)
    relays = 2 * group.n * _relay_limit(group)
    work = 0.0002 * group.n * group.n
    return tuple(Slot(f"{name}.{r}", bodies + relays, work) for r in range(1, group.t + 2))


async def broadcast(
    session: Session, name: str, body: bytes, *, limit: int, signed: dict[Role, Signed] | None = None
) -> Mapping[Role, bytes | None]:
    """Broadcast ``body`` (at most ``limit`` bytes) and return every party's body, or ``None``.

    A body is ``None`` for all honest parties alike: silent or late sender, two different bodies signed, or a body made
    under another public state than this party's. Its sender is Absent from then on, in ``session.ledger``. Raises
    QuorumLost when more than t parties are Absent or Corrupt now, StateDiverged when n-t agree on another state.
    ``signed`` is filled with what a stranger needs to check the outputs.
    """
    view, stamp = _View(), session.stamp()
    head = stamp + mask_of(frozenset(session.returning)).to_bytes(MASK, "little")
    got = await session.exchange(
        f"{name}.1",
        dict.fromkeys(session.group.roles, _opening_message(session, name, head + body)),
        limit=SIGNATURE + HEAD + limit,
    )
    for sender, message in got.items():
        _accept_body(session, name, view, sender, message)
    for number in range(2, session.group.t + 2):
        await _relay_round(session, name, view, number, HEAD + limit)
    outputs = {role: view.output(role) for role in session.group.roles}
    concluded = _conclude(session, name, stamp, outputs)
    if signed is not None:
        said = {role: outputs[role] or b"" for role, content in concluded.items() if content is not None}
        signed.update({role: Signed(whole, view.signatures[role]) for role, whole in said.items()})
    return concluded


async def _relay_round(session: Session, name: str, view: _View, number: int, body_limit: int) -> None:
    """Round ``number``: send what was accepted in the round before, accept what has ``number`` signatures."""
    message = encode_relays([_endorse(session, name, relay) for relay in view.fresh])
    view.fresh = []

    def bodies_named(_: Role, data: bytes) -> list[bytes]:
        """Bodies worth pulling: a relayer may list what it likes, but only signed digests count, two a sender."""
        relays = decode_relays(data, session.group.n) or []
        named: dict[Role, list[bytes]] = {}
        for relay in relays:
            digests = named.setdefault(relay.sender, [])
            if len(digests) < MOST_DIGESTS and _vouched(session, name, view, relay, number) is not None:
                digests.append(relay.digest)
        return [digest for digests in named.values() for digest in digests]

    got = await session.exchange(
        f"{name}.{number}",
        dict.fromkeys(session.group.roles, message),
        limit=_relay_limit(session.group),
        names=bodies_named,
        body_limit=body_limit,
    )
    for data in got.values():
        for relay in decode_relays(data or b"", session.group.n) or []:
            _accept_relay(session, name, view, relay, number)


def _signed(session: Session, name: str, sender: Role, digest: bytes) -> bytes:
    """What a signature in this Broadcast covers: (sid, era, segment, first slot), sender, digest."""
    return about_body(session.where(f"{name}.1"), sender, digest)


def about_body(where: bytes, sender: Role, digest: bytes) -> bytes:
    """The same out of the prefix of the Broadcast's first slot: signed with purpose "broadcast"."""
    return where + enc(sender, digest)


def _opening_message(session: Session, name: str, body: bytes) -> bytes:
    digest = sha256(body).digest()
    session.link.offer(digest, body)
    return session.identity.sign("broadcast", _signed(session, name, session.me, digest)) + body


def _accept_body(session: Session, name: str, view: _View, sender: Role, message: bytes | None) -> None:
    """Round 1: a body counts when its sender signed its digest."""
    if message is None or len(message) < SIGNATURE:
        return
    signature, body = message[:SIGNATURE], message[SIGNATURE:]
    digest = sha256(body).digest()
    if sender == session.me or session.identity.verify(
        sender, "broadcast", _signed(session, name, sender, digest), signature
    ):
        session.link.offer(digest, body)
        view.accept(Relay(sender, digest, {sender: signature}), body)


def _accept_relay(session: Session, name: str, view: _View, relay: Relay, number: int) -> None:
    """Accept a digest with ``number`` valid signatures, the sender's among them, if its body is held."""
    body = session.link.held(relay.digest)
    if body is None:
        return
    chain = _vouched(session, name, view, relay, number)
    if chain is not None:
        view.accept(Relay(relay.sender, relay.digest, chain), body)


def _vouched(session: Session, name: str, view: _View, relay: Relay, number: int) -> Chain | None:
    """The valid signatures on a digest that is new, if there are ``number`` of them and the sender's is one."""
    if view.knows(relay.sender, relay.digest) or view.full(relay.sender) or relay.sender not in relay.chain:
        return None
    if relay.sender not in session.present:
        return None
    signed = _signed(session, name, relay.sender, relay.digest)
    valid = {
        signer: signature
        for signer, signature in relay.chain.items()
        if signer in session.present and session.identity.verify(signer, "broadcast", signed, signature)
    }
    return valid if len(valid) >= number and relay.sender in valid else None


def _endorse(session: Session, name: str, relay: Relay) -> Relay:
    """Add one's own signature."""
    own = session.identity.sign("broadcast", _signed(session, name, relay.sender, relay.digest))
    return Relay(relay.sender, relay.digest, {**relay.chain, session.me: own})


def _conclude(
    session: Session, name: str, stamp: bytes, outputs: Mapping[Role, bytes | None]
) -> Mapping[Role, bytes | None]:
    """Take the stamps off and note in the ledger what the outputs say about everybody."""
    valid = {
        role: body if role in session.present and body is not None and len(body) >= HEAD and body[:DIGEST] == stamp
        else None
        for role, body in outputs.items()
    }  # fmt: skip
    others = Counter(body[:DIGEST] for role, body in outputs.items() if body is not None and valid[role] is None)
    if others and others.most_common(1)[0][1] >= session.group.quorum:
        msg = f"Broadcast {name!r}: n-t parties hold another public state: take the newest certificates from them"
        raise StateDiverged(msg)
    group, ledger = session.group, session.ledger
    ledger.absent |= {role for role in session.present if valid[role] is None}
    ledger.listed = {role: _listed(group, body) for role, body in valid.items() if body is not None}
    ledger.history = hash_of(ledger.history, name, [sha256(outputs[role] or b"").digest() for role in group.roles])
    if group.n - len(session.present) > group.t:
        missing = frozenset(group.roles) - session.present
        raise QuorumLost(f"Broadcast {name!r}: nothing valid from parties {sorted(missing)}: bring them back", missing)
    return {role: None if body is None else body[HEAD:] for role, body in valid.items()}


def _listed(group: Group, body: bytes) -> frozenset[Role]:
    """Whom a body lists as ready again."""
    mask = int.from_bytes(body[DIGEST:HEAD], "little")
    return frozenset(role for role in group.roles if mask >> (role - 1) & 1)


def _relay_limit(group: Group) -> int:
    """Longest honest relay message: two digests a sender, every party's signature on each."""
    return MOST_DIGESTS * group.n * (2 + DIGEST + group.n * (1 + SIGNATURE))


def encode_relays(relays: list[Relay]) -> bytes:
    """Each: sender (1 byte), digest (32), number of signatures (1), then signer (1) and signature (64) of each."""
    return b"".join(
        bytes([relay.sender])
        + relay.digest
        + bytes([len(relay.chain)])
        + b"".join(bytes([signer]) + signature for signer, signature in sorted(relay.chain.items()))
        for relay in relays
    )


def decode_relays(data: bytes, n: int) -> list[Relay] | None:
    """Inverse of ``encode_relays``; None unless every byte is as it would be written for parties 1..n."""
    relays = []
    position = 0
    head = 2 + DIGEST
    while position < len(data):
        if position + head > len(data):
            return None
        sender, digest, count = data[position], data[position + 1 : position + head - 1], data[position + head - 1]
        end = position + head + count * (1 + SIGNATURE)
        chain = _decode_chain(data[position + head : end], count, n)
        if chain is None or not 1 <= sender <= n:
            return None
        relays.append(Relay(sender, digest, chain))
        position = end
    return relays


def _decode_chain(data: bytes, count: int, n: int) -> Chain | None:
    """Signatures in strictly increasing order of signer."""
    step = 1 + SIGNATURE
    if len(data) != count * step:
        return None
    signers = [data[i * step] for i in range(count)]
    if signers != sorted(set(signers)) or any(not 1 <= signer <= n for signer in signers):
        return None
    return {signer: data[i * step + 1 : (i + 1) * step] for i, signer in enumerate(signers)}
