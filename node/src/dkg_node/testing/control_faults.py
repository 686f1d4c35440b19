"""Faulty parties of the control runs: the honest code whose messages an adversary drops, changes and adds to."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Literal

from dkg_node.algebra.encoding import enc
from dkg_node.ceremony.book import KINDS, Statement
from dkg_node.ceremony.chain import (
    ERA_LIMIT,
    GO_PURPOSE,
    SEGMENT_PURPOSE,
    Core,
    Position,
    decode_chain,
    encode_chain,
    go_bytes,
)
from dkg_node.ceremony.letters import Say, Sign, encode
from dkg_node.ceremony.mailbox import TOPICS
from dkg_node.protocols.broadcast import HEAD, SIGNATURE, Relay, decode_relays, encode_relays
from dkg_node.protocols.decoding import decoded
from dkg_node.protocols.session import SEGMENTS
from dkg_node.protocols.state import PublicState
from dkg_node.testing.simnet import Faults, Parcel, SimNetwork
from dkg_node.testing.toy_segments import BAD, LIE, WORD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dkg_node.protocols.session import Exchange, Group, Role
    from dkg_node.testing.toy_segments import Shape

Behaviour = Literal[
    "honest", "silent", "select", "phase", "phasesel", "forge", "hide", "late",
    "mute", "vanish", "flood", "replay", "feed", "wrong",
]  # fmt: skip
BEHAVIOURS: tuple[Behaviour, ...] = (
    "silent",
    "honest",
    "select",
    "phase",
    "phasesel",
    "select",
    "phasesel",
    "forge",
    "hide",
    "late",
    "late",
    "mute",
    "mute",
    "mute",
    "vanish",
    "flood",
    "replay",
    "feed",
    "wrong",
)
TWISTED = frozenset({"select", "phase", "phasesel", "forge", "hide", "late"})
LAG = 6.0
"""Most that a late party waits: more than a slot."""
KEPT = 0.6
"""How many of its messages a selective party sends."""
PHASE = 23.0
"""Length of a stretch in which a phased party is silent or not."""
CONTROL = bytes([TOPICS.index("control")])
"""In front of the control layer's letters."""
OLD_LETTERS = 300
FLOOD = 10
"""Letters a slot."""


@dataclass(frozen=True, slots=True)
class Aim:
    """Whom colluders want to leave behind, and how: n-t-1 honest ones and they certify without the victims."""

    victims: frozenset[Role]
    segments: frozenset[int]
    first: int
    last: int
    """Slots whose messages to victims are withheld."""
    ends: Mapping[int, int]
    """The last slot in use by segment: what is withheld if ``first`` is negative."""
    unhelpful: bool
    """Whether victims get no answers when they catch up."""
    until: int
    """Segment after whose certificate those who vanish do."""
    uncalled: frozenset[Role] = frozenset()
    """Who hears no ``go`` of colluders: others start with it."""

    @classmethod
    def draw(cls, random: Random, group: Group, faulty: frozenset[Role], shape: Shape) -> Aim:
        """From a seed."""
        honest = [role for role in group.roles if role not in faulty]
        count = len(shape.stages)
        segments = random.choice(([0], range(count), [random.randrange(count)], [shape.batches]))
        ends = {segment: shape.last_slot(segment, group.t) for segment in range(count)}
        first = random.choice((-1, -1, random.randrange(6)))
        return cls(
            victims=frozenset(random.sample(honest, random.randint(1, group.t))),
            segments=frozenset(segments),
            first=first,
            last=random.choice((first, 1 << 16)),
            ends=ends,
            unhelpful=random.random() < 0.7,
            until=random.randrange(count),
            uncalled=frozenset(random.sample(honest, random.choice((0, len(honest) - 1)))),
        )

    def hits(self, receiver: Role, parcel: Parcel) -> bool:
        """Whether this message is withheld."""
        if parcel.kind == "post":
            words = (decoded(parcel.body[1:]) or ())[:1]
            answer = self.unhelpful and receiver in self.victims and words in {("contents",), ("reply",)}
            return answer or (receiver in self.uncalled and words == ("go",))
        if receiver not in self.victims:
            return False
        if parcel.kind != "slot" or parcel.tag.segment not in self.segments:
            return False
        if self.first < 0:
            return parcel.tag.slot == self.ends[parcel.tag.segment]
        return self.first <= parcel.tag.slot <= self.last


class Colluders(Faults):
    """All faulty parties of a run, with their keys.

    silent: never says anything; select: drops by message and receiver; phase: silent in whole stretches; phasesel: the
    same by receiver; forge: claims readiness of all kinds; hide: never serves a body; late: sends its messages of slots
    at any time in them. These four, and phase, also equivocate, vote wrongly, and inject late relays with all their
    signatures.

    mute: honest, but for what few honest parties need most (Aim), so that the others certify without these; vanish: the
    same until a certificate, then silent for ever; flood: valid letters about far positions; replay: their old letters
    again; feed: round 1 of their Broadcasts to one party alone, an Absent one if there is one; wrong: rubbish for
    parties that catch up.
    """

    def __init__(
        self,
        faulty: frozenset[Role],
        how: Behaviour,
        seed: int,
        group: Group,
        sign: Callable[[Role, str, bytes], bytes],
        shape: Shape,
    ) -> None:
        """``sign(role, purpose, message)`` makes a faulty party's signature."""
        self.faulty, self.how, self.group, self.sign = faulty, how, group, sign
        self.random = Random(seed * 31 + 7)
        self.aim = Aim.draw(Random(seed * 37 + 5), group, faulty, shape)
        self.letters: list[bytes] = []
        """What faulty parties have posted."""
        self.certified: set[Position] = set()
        """Positions with a certificate that somebody holds."""
        self.absent: frozenset[Role] = frozenset()
        self.phase_seed = self.random.random()
        self.known: dict[tuple[int, int, str], dict[tuple[Role, bytes], Relay]] = {}
        self.bodies: dict[bytes, bytes] = {}
        self.spoke: Callable[[Role, tuple[object, ...], bytes], None] = lambda *_: None
        """Hears what every party is about to say in a slot, to whom."""

    def sends(self, sender: Role, receiver: Role, parcel: Parcel) -> bool:
        """Drop by behaviour."""
        if sender not in self.faulty:
            return True
        if self.how == "replay" and parcel.kind == "post" and len(self.letters) < OLD_LETTERS:
            self.letters.append(parcel.body)
        drops: dict[Behaviour, Callable[[], bool]] = {
            "hide": lambda: parcel.kind == "body",
            "select": lambda: self.random.random() >= KEPT,
            "silent": lambda: True,
            "phase": lambda: self._phase(0),
            "phasesel": lambda: self._phase(receiver),
            "mute": lambda: self.aim.hits(receiver, parcel),
            "vanish": lambda: self._gone() or self.aim.hits(receiver, parcel),
            "feed": lambda: not self._fed(receiver, parcel),
        }
        return self.how not in drops or not drops[self.how]()

    def _phase(self, whom: Role) -> bool:
        """Whether this is a silent stretch towards somebody (0: all)."""
        stretch = (int(self.now() / PHASE), whom)
        return sha256(repr((self.phase_seed, stretch)).encode()).digest()[0] % 3 == 0

    def _gone(self) -> bool:
        return any(position.segment >= self.aim.until for position in self.certified)

    def _fed(self, receiver: Role, parcel: Parcel) -> bool:
        """Bodies of round 1 go to one party alone: slots with a signed body in it."""
        if parcel.kind != "slot" or self.random.random() < 0.3 or b"ok  " not in parcel.body[: SIGNATURE + HEAD + WORD]:
            return True
        chosen = min(self.absent - self.faulty, default=min(self.aim.victims))
        return receiver == chosen

    def lag(self, sender: Role, parcel: Parcel) -> float:
        """A late party's messages come at any time of a slot."""
        late = sender in self.faulty and self.how == "late" and parcel.kind == "slot"
        return self.random.uniform(0, LAG) if late and self.random.random() < 0.7 else 0.0

    def now(self) -> float:
        """Virtual seconds."""
        import asyncio  # noqa: PLC0415 - the only need of the loop here

        return asyncio.get_running_loop().time()

    def twist(self, network: SimNetwork, request: Exchange) -> list[Mapping[Role, bytes]]:
        """Change what a faulty party sends in a Broadcast, receiver by receiver."""
        name, _, number = request.slot.rpartition(".")
        for role, body in request.outgoing.items():
            self.spoke(network.me, (network.era, request.tag, role), body)
        if network.me in self.faulty and self.how == "flood":
            self._flood(network)
        if network.me in self.faulty and self.how == "replay" and self.letters:
            for role in self.random.sample(list(self.group.roles), self.group.t):
                network.post(role, self.random.choice(self.letters))
        if network.me not in self.faulty or self.how not in TWISTED or not name:
            return [request.outgoing]
        if self.how == "forge" and self.random.random() < 0.3:
            self._forge(network)
        if name == "chains" and number == "1":
            return [self._old_chain(network, request)]
        change = self._equivocate if number == "1" else self._inject
        return [{role: change(network, request, name, body) for role, body in request.outgoing.items()}]

    def _where(self, network: SimNetwork, request: Exchange, number: int) -> bytes:
        """(sid, era, segment, first slot of the Broadcast)."""
        return enc(bytes(32), network.era, request.tag.segment % SEGMENTS, request.tag.slot - number + 1)

    def _old_chain(self, network: SimNetwork, request: Exchange) -> Mapping[Role, bytes]:
        """In a resume, one time in two, a chain that others have left behind, to all alike."""
        body = next(iter(request.outgoing.values()), b"")[SIGNATURE:]
        chain = decode_chain(self.group, body[HEAD:])
        if not chain or self.random.random() < 0.5:
            return request.outgoing
        made = body[:HEAD] + encode_chain(chain[: self.random.randrange(len(chain))])
        digest = sha256(made).digest()
        network.offer(digest, made)
        signed = self._where(network, request, 1) + enc(network.me, digest)
        return dict.fromkeys(request.outgoing, self.sign(network.me, "broadcast", signed) + made)

    def _equivocate(self, network: SimNetwork, request: Exchange, name: str, body: bytes) -> bytes:
        """One time in four another body to this receiver, one time in five a wrong vote, rarely a provable lie."""
        if len(body) < SIGNATURE + HEAD or self.random.random() < 0.55:
            return body
        word = self.random.choice((BAD, BAD, BAD, BAD, b"eq0", b"eq1", b"eq0", b"eq1", LIE))
        made = body[SIGNATURE : SIGNATURE + HEAD] + word.ljust(WORD)
        digest = sha256(made).digest()
        network.offer(digest, made)
        signed = self._where(network, request, 1) + enc(network.me, digest)
        signature = self.sign(network.me, "broadcast", signed)
        self._remember(network, request, name, Relay(network.me, digest, {network.me: signature}), made)
        return signature + made

    def _inject(self, network: SimNetwork, request: Exchange, name: str, body: bytes) -> bytes:
        """Add to a relay what is known, with the signatures of all faulty parties."""
        number = int(request.slot.rpartition(".")[2])
        if self.random.random() < 0.3:
            return body
        if self.random.random() < 0.3:
            self._make_up(network, request, name, number)
        relays = {(relay.sender, relay.digest): relay for relay in decode_relays(body, self.group.n) or []}
        for (sender, digest), relay in self.known.get((network.era, request.tag.segment, name), {}).items():
            if self.random.random() < 0.6:
                signed = self._where(network, request, number) + enc(sender, digest)
                own = {role: self.sign(role, "broadcast", signed) for role in self.faulty}
                relays[sender, digest] = Relay(sender, digest, {**relay.chain, **own})
                network.offer(digest, self.bodies[digest])
        return encode_relays(list(relays.values()))

    def _make_up(self, network: SimNetwork, request: Exchange, name: str, number: int) -> None:
        """A body of one's own that nobody has seen in round 1."""
        place = (network.era, request.tag.segment, name)
        own = [digest for sender, digest in self.known.get(place, {}) if sender == network.me]
        if own:
            made = self.bodies[own[0]][:HEAD] + b"eq2".ljust(WORD)
            digest = sha256(made).digest()
            signature = self.sign(
                network.me, "broadcast", self._where(network, request, number) + enc(network.me, digest)
            )
            self._remember(network, request, name, Relay(network.me, digest, {network.me: signature}), made)

    def _remember(self, network: SimNetwork, request: Exchange, name: str, relay: Relay, body: bytes) -> None:
        self.bodies[relay.digest] = body
        place = (network.era, request.tag.segment, name)
        self.known.setdefault(place, {})[relay.sender, relay.digest] = relay

    def learn(self, network: SimNetwork, request: Exchange, got: Mapping[Role, bytes | None]) -> None:
        """Keep bodies of round 1, and of late relays their signatures."""
        name, _, number = request.slot.rpartition(".")
        if network.me not in self.faulty or not name or name == "chains":
            return
        for sender, data in got.items():
            if number == "1" and data is not None and len(data) >= SIGNATURE + HEAD:
                body = data[SIGNATURE:]
                relay = Relay(sender, sha256(body).digest(), {sender: data[:SIGNATURE]})
                self._remember(network, request, name, relay, body)

    def _flood(self, network: SimNetwork) -> None:
        """Letters with valid signatures about positions that nobody is near, each another one."""
        for _ in range(FLOOD):
            era = self.random.choice((0, network.era, network.era + 2, self.random.randrange(ERA_LIMIT)))
            position = Position(era, self.random.randrange(-1, ERA_LIMIT - 1))
            if self.random.random() < 0.5:
                kind = self.random.choice(KINDS)
                signature = self.sign(network.me, GO_PURPOSE, go_bytes(bytes(32), kind, position))
                letter = encode(Say(Statement(kind, position, signature)))
            else:
                core = Core(position, bytes(32), self.random.randbytes(32), PublicState())
                letter = encode(Sign(core, self.sign(network.me, SEGMENT_PURPOSE, core.signed(bytes(32)))))
            network.post(self.random.choice(self.group.roles), CONTROL + letter)

    def _forge(self, network: SimNetwork) -> None:
        """Claim to be ready for, or to have started, whatever position."""
        position = Position(network.era + self.random.choice((0, 1, 1, 2)), self.random.choice((-1, -1, 0, 1, 2, 3, 4)))
        kind = self.random.choice(KINDS)
        signature = self.sign(network.me, GO_PURPOSE, go_bytes(bytes(32), kind, position))
        for role in self.group.roles:
            if role != network.me and self.random.random() < 0.7:
                network.post(role, CONTROL + encode(Say(Statement(kind, position, signature))))
