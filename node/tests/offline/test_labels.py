"""Nothing is derived, hashed or signed twice alike: every fact a name binds changes it (01 section 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

import pytest

from dkg_node.algebra import kernel
from dkg_node.algebra.kernel import Keys
from dkg_node.errors import ProtocolError
from dkg_node.offline import labels
from dkg_node.offline.batch import Work
from dkg_node.offline.chunk import Batch, Chunk, Kind
from dkg_node.offline.king import Post, YPlace
from dkg_node.offline.values import draw
from dkg_node.offline.votes import Canonical
from dkg_node.protocols.session import Group, Session, Slot
from dkg_node.protocols.store import MemoryStore
from dkg_node.testing.batches import base_values, dealt_keys
from dkg_node.testing.lockstep import Lockstep

GROUP = Group(4, 1)
SLOTS = (Slot("y", 0, 0.0), Slot("V", 0, 0.0))
SESSION = replace(Lockstep[None](GROUP).sessions[1].enter(3, SLOTS), era=1)


def chunks(kind: Kind, k: int) -> tuple[Chunk, ...]:
    shape = {"rows": 1, "cols": 4} if kind == "product" else {"groups": 1}
    return tuple(Chunk(i, kind, k, **shape) for i in range(3))


@dataclass(frozen=True)
class Facts:
    session: Session = SESSION
    kind: Kind = "bits"
    k: int = 64
    index: int = 2
    generation: int = 1
    chunk: int = 1
    attempt: int = 1
    king: int = 1
    senders: tuple[int, ...] = (1, 2, 3)
    coin: bytes = b"c" * 64
    listing: bytes = b"l" * 32

    @property
    def batch(self) -> Batch:
        return Batch(self.index, self.kind, self.k, chunks(self.kind, self.k))

    @property
    def post(self) -> Post:
        return Post(self.chunk, self.attempt, self.king, self.senders)

    @property
    def keys(self) -> Keys:
        of_batch = labels.batch_keys(self.session, dealt_keys(GROUP, 1), self.batch, self.generation)
        return labels.chunk_keys(self.session, of_batch, self.batch.chunks[self.chunk], self.generation)


BASE = Facts()
OTHER: dict[str, Facts] = {
    "sid": replace(BASE, session=replace(SESSION, sid=b"other" * 6)),
    "era": replace(BASE, session=replace(SESSION, era=2)),
    "segment": replace(BASE, session=replace(SESSION, segment=4)),
    "state": replace(BASE, session=replace(SESSION, state=b"s" * 32)),
    "kind": replace(BASE, kind="product"),
    "k": replace(BASE, k=128),
    "batch": replace(BASE, index=3),
    "generation": replace(BASE, generation=2),
    "chunk": replace(BASE, chunk=2),
    "try": replace(BASE, attempt=2),
    "king": replace(BASE, king=2),
    "senders": replace(BASE, senders=(1, 2, 4)),
    "coin": replace(BASE, coin=b"d" * 64),
    "listing": replace(BASE, listing=b"m" * 32),
}
PLACE = {"sid", "era", "kind", "k", "batch", "generation"}
NAMES: dict[str, tuple[Callable[[Facts], bytes], set[str]]] = {
    "signature": (
        lambda f: YPlace.of(f.session).signed(f.batch, f.generation, f.post, b"r" * 32),
        PLACE | {"segment", "state", "chunk", "try", "king", "senders"},
    ),
    "hash of V": (
        lambda f: labels.opened_prefix(f.session, f.batch, f.generation, f.post),
        PLACE | {"chunk", "try", "king", "senders"},
    ),
    "list": (
        lambda f: labels.list_digest(f.session, f.batch, f.generation, [(f.chunk, f.coin)]),
        PLACE | {"segment", "chunk", "coin"},
    ),
    "coin": (
        lambda f: labels.coin_label(f.session, f.batch, f.generation, f.attempt, f.listing),
        PLACE | {"try", "listing"},
    ),
    "digits": (lambda f: labels.chi_key(f.coin, f.listing, f.batch.chunks[f.chunk]), {"coin", "listing", "chunk"}),
    "zero": (lambda f: labels.zero_label(f.coin, f.listing), {"coin", "listing"}),
    "state of W": (
        lambda f: labels.judged_state(b"w" * 32, f.listing, f.coin, f.session.state),
        {"state", "listing", "coin"},
    ),
    "the same": (
        lambda f: labels.judged_state(f.session.state, f.listing, f.coin, b"y" * 32),
        {"state", "listing", "coin"},
    ),
    "values": (
        lambda f: kernel.prss(f.keys, labels.PSI, 128, 0, 1).to_wire(),
        {"sid", "era", "kind", "k", "batch", "generation", "chunk"},
    ),
}


def cases() -> Iterator[tuple[str, str, bool]]:
    for name, (_, binding) in NAMES.items():
        for fact in OTHER:
            yield name, fact, fact in binding


@pytest.mark.parametrize(("name", "fact", "bound"), list(cases()))
def test_a_name_changes_with_every_fact_it_binds_and_no_other(name: str, fact: str, bound: bool) -> None:  # noqa: FBT001
    derive = NAMES[name][0]
    assert (derive(BASE) != derive(OTHER[fact])) is bound


def test_the_values_of_a_chunk_never_depend_on_king_senders_or_try() -> None:
    assert not NAMES["values"][1] & {"try", "king", "senders"}


def test_the_body_behind_a_vote_gives_back_its_opening_and_no_other_one() -> None:
    prefix = NAMES["hash of V"][0](BASE)
    body = labels.opened_body(prefix, b"opening")
    assert labels.opened_value(prefix, body) == b"opening"
    assert labels.opened_value(NAMES["hash of V"][0](OTHER["try"]), body) is None
    for bad in (body[:-1], body + b"\0", b"", prefix):
        assert labels.opened_value(prefix, bad) is None


def test_rows_columns_and_masks_of_a_product_are_different_values() -> None:
    chunk = Chunk(0, "product", 64, rows=5, cols=12)
    drawn = {role: draw(chunk, dealt_keys(GROUP, role)) for role in GROUP.roles}
    x = base_values(GROUP, {role: d.x for role, d in drawn.items() if d.x is not None})
    y = base_values(GROUP, {role: d.y for role, d in drawn.items() if d.y is not None})
    stream = {
        role: kernel.prss(dealt_keys(GROUP, role), labels.PSI, 64, 0, 5 + 12 + 5 * 12).slice(5 + 12, 5 + 12 + 5 * 12)
        for role in GROUP.roles
    }
    masks = base_values(GROUP, stream)
    assert len({*x, *y, *masks}) == 5 + 12 + 5 * 12
    assert all(d.a.to_wire() == stream[role].pack().to_wire() for role, d in drawn.items())


def test_a_damaged_store_is_a_clear_error_and_no_other_value() -> None:
    class Damaged(MemoryStore):
        def get(self, digest: bytes) -> bytes | None:
            body = super().get(digest)
            return None if body is None else body[:-1] + bytes([body[-1] ^ 1])

    for store in (Damaged(), MemoryStore()):
        work = Work.of(SESSION, dealt_keys(GROUP, 1), BASE.batch, 1, store)
        body = labels.opened_body(work.prefix(SESSION, BASE.post), b"opening")
        entry = Canonical(BASE.post, sha256(body).digest(), frozenset({1, 2, 3}))
        if isinstance(store, Damaged):
            store.put(body)
        with pytest.raises(ProtocolError, match="batch 2 chunk 1: the stored V is lost or damaged"):
            work.stored_v(SESSION, entry)
