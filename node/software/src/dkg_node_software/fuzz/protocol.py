"""Fuzz targets of the protocols: what peers say in slots, and the codecs below."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from dkg_node.algebra import kernel, merkle
from dkg_node.algebra.encoding import Item, Mask, enc
from dkg_node.algebra.kernel import Contributions, Keys, Secret, Shares
from dkg_node.errors import ProtocolError
from dkg_node.keygen.online import agree_digest, digest_slots
from dkg_node.offline.batch import run_batch
from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.offline.king import Post, read_y, spread
from dkg_node.offline.labels import opened_body, opened_value
from dkg_node.offline.slots import batch_slots
from dkg_node.offline.values import Drawn, draw, finish
from dkg_node.offline.votes import Vote, decide, decode_votes, encode_votes
from dkg_node.protocols.broadcast import Relay, broadcast, broadcast_slots, decode_relays, encode_relays
from dkg_node.protocols.coin import coin, coin_slot
from dkg_node.protocols.decoding import decoded
from dkg_node.protocols.opening import opening_slot, robust_open
from dkg_node.protocols.prss import ANSWER, ENTRY, answer, fill, read_table, setup, setup_slots
from dkg_node.protocols.session import Slot
from dkg_node.protocols.state import PublicState
from dkg_node.protocols.state_codec import decode_state, encode_state
from dkg_node.protocols.store import MemoryStore
from dkg_node.sharing.sets import contains, sets_of
from dkg_node_software.fuzz.registry import target
from dkg_node_software.fuzz.world import GROUP, ME, MIRROR, SID, cut, finished, mirrors, session

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

LIMIT = 64
MANY = 100
"""More pieces than a protocol takes."""
CHUNK = Chunk(0, "noise", 64, width=3, groups=2)
BATCH = Batch(0, "noise", 64, (CHUNK,))
POST = Post(0, 0, 2, (1, 2, 3))
EMPTY = PublicState()
OTHERS = (2, 3, 4)
KEYS_HELD = sum(contains(mask, ME) for mask in sets_of(GROUP))


def _ends(coroutine: Coroutine[Any, Any, object]) -> object:
    """Run a protocol whose peers may all lie: a result, or the one error that says so."""
    try:
        return finished(coroutine)
    except ProtocolError:
        return None


def _items() -> list[bytes]:
    deep: Item = ()
    for _ in range(8):
        deep = (deep,)
    return [enc(b"bytes", "text", 7, Mask(5), [1, [b"", "x"]]), enc(deep), enc(*range(20))]


@target(_items, memory=256)
def items(data: bytes) -> None:
    """Items: None, or what encodes to the same bytes."""
    found = decoded(data)
    assert found is None or enc(*found) == data


def _states() -> list[bytes]:
    state = PublicState(
        frozenset({1}),
        frozenset({2}),
        frozenset({3}),
        frozenset({4}),
        frozenset({(1, 2), (1, 3)}),
        benches=frozenset({(1, 1, 2)}),
    )
    return [encode_state(EMPTY), encode_state(state)]


@target(_states, memory=256)
def public_state(data: bytes) -> None:
    """A public state out of a certificate: None, or one that can be asked and encodes to the same bytes."""
    state = decode_state(GROUP, data)
    if state is not None:
        assert encode_state(state) == data
        assert len(state.digest()) == 32
        assert set(state.eligible(GROUP)) <= state.active(GROUP) <= set(GROUP.roles)
        assert set(state.kings(GROUP)) <= set(state.eligible(GROUP))
        assert state.in_dispute(1, 2) in {True, False}
        assert state.generation(0) >= 0


def _relay(sender: int, *signers: int) -> Relay:
    return Relay(sender, bytes(32), {signer: bytes(64) for signer in signers})


@target(lambda: [encode_relays([_relay(1, 1, 2), _relay(2, 2)]), encode_relays([_relay(4)])])
def relays(data: bytes) -> None:
    """Relayed digests: None, or what encodes to the same bytes."""
    found = decode_relays(data, GROUP.n)
    if found is not None:
        assert encode_relays(found) == data
        assert all(signer in GROUP.roles for relay in found for signer in (relay.sender, *relay.chain))


def _broadcasts() -> list[bytes]:
    stamp = session(b"", broadcast_slots("b", GROUP, LIMIT)).stamp()
    good = bytes(64) + stamp + bytes(2) + b"said"
    relayed = encode_relays([_relay(2, 2, 3)])
    return [
        cut(good, good, None, relayed, relayed, relayed),
        cut(good, good, good),
        cut(b"", bytes(64), bytes(200)),
        mirrors(MANY),
    ]


@target(_broadcasts, memory=256)
def broadcast_rounds(data: bytes) -> None:
    """All rounds of a Broadcast: an entry a party, or QuorumLost or StateDiverged."""
    running = session(data, broadcast_slots("b", GROUP, LIMIT))
    got = _ends(broadcast(running, "b", b"own", limit=LIMIT))
    if isinstance(got, dict):
        assert set(got) == set(GROUP.roles)
        assert all(body is None or isinstance(body, bytes) for body in got.values())


def _setups() -> list[bytes]:
    # Two of a party's sets contain any one peer; three members a set.
    rho, table = bytes(32 * (KEYS_HELD - 1)), bytes(32 * KEYS_HELD * GROUP.quorum)
    stamp = session(b"", setup_slots(GROUP)).stamp()
    said = bytes(64) + stamp + bytes(2) + table
    ask = b"".join(mask.to_bytes(2, "little") + b"\x01" for mask in sets_of(GROUP))
    tell = b"".join(mask.to_bytes(2, "little") + b"\x02" + bytes(32) for mask in sets_of(GROUP))
    agreed = bytes(64) + stamp + bytes(2) + bytes([7]) * len(table)
    return [
        cut(rho, rho, rho, said, said, said, None, None, None, ask, ask, ask, tell, tell, tell),
        cut(rho, rho, rho, agreed, agreed, agreed, None, None, None, ask, ask, ask, tell, tell, tell),
        cut(rho[:-1], b"", None, said),
        cut(rho, rho, rho) + mirrors(MANY),
    ]


@target(_setups, memory=1024)
def prss_setup(data: bytes) -> None:
    """The setup's four steps - shares, tables, questions, answers -: keys, or the error that says who is missing."""
    _ends(setup(session(data, setup_slots(GROUP)), Secret.from_bytes(bytes(32))))


def _contributions() -> Contributions:
    return Contributions(GROUP.n, GROUP.t, ME, Secret.from_bytes(bytes(32)))


def _places() -> list[bytes]:
    places = [(mask, role) for mask in sets_of(GROUP) for role in (1, 2, 5)]
    asked = b"".join(mask.to_bytes(2, "little") + bytes([role]) for mask, role in places)
    return [asked, asked[1:], answer(GROUP, ME, _contributions(), 2, asked)]


@target(_places)
def setup_taken_over(data: bytes) -> None:
    """A question for contributions, or the answer to one: of sets with both, and by certified hash alone."""
    member = session(b"", setup_slots(GROUP))
    held, lost = _contributions(), Contributions.empty(GROUP.n, GROUP.t, ME)
    told = answer(GROUP, ME, held, 2, data)
    for start in range(0, len(told), ANSWER):
        mask = int.from_bytes(told[start : start + 2], "little")
        assert contains(mask, ME)
        assert contains(mask, 2)
        assert held.rho(mask, told[start + 2]) == told[start + ENTRY : start + ANSWER]
    digests = {(mask, role): digest for mask, role, digest in read_table(GROUP, ME, held.digests(SID))}
    wanted = {place: digest for place, digest in digests.items() if place[1] == ME}
    fill(member, lost, wanted, data)
    for mask, role in digests:
        found = lost.rho(mask, role)
        assert (found is not None) is (role == ME and (mask, role) not in wanted)
        assert found is None or found == held.rho(mask, role)


@target(lambda: [cut(bytes(64), bytes(64), bytes(64)), cut(bytes(63), None, bytes(64))])
def openings(data: bytes) -> None:
    """A RobustOpen and a coin: values of the right length, or QuorumLost."""
    slots = (opening_slot("o", GROUP, 128, 1), coin_slot("coin", GROUP))
    opened = _ends(robust_open(session(data, slots), "o", Shares.from_wire(128, bytes(64))))
    assert opened is None or len(getattr(opened, "values", b"")) == 64
    keys = Keys.from_bytes(GROUP.n, GROUP.t, ME, bytes(32 * KEYS_HELD))
    _ends(coin(session(data, slots), "coin", keys, b"label"))


def _digests() -> list[bytes]:
    stamp = session(b"", digest_slots(GROUP)).stamp()
    good = bytes(64) + stamp + bytes(2) + b"d" * 32
    return [cut(good, good, good), cut(good, good[:-1], None), mirrors(MANY)]


@target(_digests, memory=256)
def key_digests(data: bytes) -> None:
    """The digests of the key set: the one that n-t parties have, or QuorumLost."""
    agreed = _ends(agree_digest(session(data, digest_slots(GROUP)), b"d" * 32))
    assert agreed in {None, b"d" * 32} or (isinstance(agreed, bytes) and len(agreed) == 32)


def _votes() -> list[bytes]:
    votes = [Vote(bytes(32)), Vote(missing=(1, 3)), Vote()]
    return [bytes([3]) + encode_votes(votes), bytes([1]) + encode_votes(votes[:1]), bytes([0])]


@target(_votes)
def votes(data: bytes) -> None:
    """Votes on chunks: None, or what encodes to the same bytes and can be judged."""
    found = decode_votes(data[1:], data[0] % 8) if data else None
    if found is not None:
        assert encode_votes(found) == data[1:]
        posts = [Post(i, 0, 2, (1, 2, 3)) for i in range(len(found))]
        assert len(decide(GROUP, EMPTY, posts, dict.fromkeys(OTHERS, found))) == len(found)


@target(lambda: [bytes(64 + CHUNK.y_bytes), bytes([1]) + bytes(63 + CHUNK.y_bytes), bytes(CHUNK.y_bytes)])
def king_y(data: bytes) -> None:
    """A sender's y at the king: None, or the elements behind the signature."""
    running = session(b"", (Slot("y", 0, 0), Slot("V", 0, 0)))
    y = read_y(running, BATCH, 0, POST, 3, data)
    assert y is None or (data.endswith(y) and len(y) >= CHUNK.y_bytes and len(data) == 64 + CHUNK.y_bytes)


@cache
def _drawn() -> Drawn:
    return draw(CHUNK, Keys.from_bytes(GROUP.n, GROUP.t, ME, bytes(32 * KEYS_HELD)))


@target(lambda: [bytes(CHUNK.v_bytes), bytes(CHUNK.v_bytes - 1), b""])
def king_v(data: bytes) -> None:
    """A king's V, from its slot and as a body pulled by hash: taken only if it is canonical."""
    said = cut(data) if len(data) < MIRROR else cut(None)
    v = finished(spread(session(said, (Slot("y", 0, 0), Slot("V", 0, 0))), CHUNK, POST, None))
    assert v is None or (v == data and len(v) <= CHUNK.v_bytes)
    fits = kernel.canonical(data, CHUNK.k, CHUNK.elements, CHUNK.weights, bits=CHUNK.opens_bits)
    assert (finish(CHUNK, _drawn(), data) is not None) is fits
    prefix = enc("V", SID)
    inner = opened_value(prefix, data)
    assert inner is None or opened_body(prefix, inner) == data
    assert opened_value(prefix, opened_body(prefix, data)) == data


def _batches() -> list[bytes]:
    y = bytes(64 + CHUNK.y_bytes)  # party 1 is the chunk's first king, 2 and 3 its senders
    return [cut(y, y) + mirrors(MANY), cut(y, None) + mirrors(MANY), cut(None, None, b"", bytes(99), y, y)]


@target(_batches, memory=2048)
def batch_rounds(data: bytes) -> None:
    """A whole batch - openings, votes, coin, check, reveal, showing -: made, or the error that says who is missing.

    The batch never comes out right: the peers' shares are none. So it is about what is read on the way.
    """
    running = session(data, batch_slots(GROUP, BATCH))
    _ends(run_batch(running, Keys.from_bytes(GROUP.n, GROUP.t, ME, bytes(32 * KEYS_HELD)), BATCH, MemoryStore(), EMPTY))


@target(lambda: [bytes([9, 1]) + merkle.path(bytes(3 * merkle.BLOCK), 1) + bytes(merkle.BLOCK), bytes(40)], memory=8)
def merkle_path(data: bytes) -> None:
    """A block and its siblings: never more than a truth value; the true ones only."""
    message = bytes(3 * merkle.BLOCK)
    content, siblings = data[2 + 64 :], data[2 : 2 + 64]
    index = data[1] if len(data) > 1 else 0
    good = merkle.verify_path(merkle.root(message), len(message), index, content, siblings)
    assert not good or (index < 3 and content == bytes(merkle.BLOCK) and siblings == merkle.path(message, index))
