"""What every step of a batch needs, and what is kept while a round runs (01 section 4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg_node.errors import OpeningLost
from dkg_node.offline import labels
from dkg_node.offline.values import draw
from dkg_node.protocols.store import fetched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node.algebra.kernel import Keys
    from dkg_node.offline.chunk import Batch, Chunk
    from dkg_node.offline.king import Post
    from dkg_node.offline.labels import Place
    from dkg_node.offline.values import Drawn
    from dkg_node.offline.votes import Canonical
    from dkg_node.protocols.session import Role, Session
    from dkg_node.protocols.store import ObjectStore

WINDOW = 8
"""Chunks in flight: enough to keep the processor busy over a slow link; each holds its base values in memory."""

NEAR = 1 << 28
"""Bytes of the senders' signed y that a king keeps in memory in a round; what is more lies in the store."""


@dataclass(frozen=True, slots=True)
class Work:
    """The batch, its generation and keys, the store for V."""

    batch: Batch
    generation: int
    keys: Keys
    store: ObjectStore

    @classmethod
    def of(cls, place: Place, keys: Keys, batch: Batch, generation: int, store: ObjectStore) -> Work:
        """``keys`` are the PRSS keys r_A."""
        return cls(batch, generation, labels.batch_keys(place, keys, batch, generation), store)

    def keys_of(self, place: Place, chunk: Chunk) -> Keys:
        """Chunk keys."""
        return labels.chunk_keys(place, self.keys, chunk, self.generation)

    def prefix(self, place: Place, post: Post) -> bytes:
        """What stands before V in the body that is voted on."""
        return labels.opened_prefix(place, self.batch, self.generation, post)

    def stored_v(self, session: Session, c: Canonical) -> bytes:
        """V of a canonical chunk from the store, or as it was pulled in this segment.

        OpeningLost when both lost or changed it. Peers serve in a segment only who had no V when it voted, so this
        party sits the segment out, like one that crashed, and gets the certified V by hash afterwards.
        """
        body = self.held(session, c.digest)
        v = None if body is None else labels.opened_value(self.prefix(session, c.post), body)
        if v is None:
            where = f"batch {self.batch.index} chunk {c.post.chunk}"
            raise OpeningLost(f"{where}: the stored V is lost or damaged; check the disk (peers have it)")
        return v

    def held(self, session: Session, digest: bytes) -> bytes | None:
        """A body of the store, or as it was offered or pulled in this segment; None when neither has it whole."""
        body = fetched(self.store, digest)
        return session.link.held(digest) if body is None else body


@dataclass(slots=True)
class Desk:
    """One party's working memory of one round."""

    work: Work
    kept: dict[int, dict[Role, bytes]] = field(default_factory=dict)
    """As a king: the signed y of all senders, by chunk, until the round's list is judged; what ``NEAR`` lets in."""
    parked: dict[int, dict[Role, bytes]] = field(default_factory=dict)
    """The digests of the others, in the store."""
    _near: int = 0
    _drawn: dict[int, Drawn] = field(default_factory=dict)

    def hold(self, chunk: Chunk, drawn: Drawn) -> None:
        """Keep what was drawn, of the last ``WINDOW`` chunks: children that wait for a silent party may be many."""
        self._drawn[chunk.index] = drawn
        while len(self._drawn) > WINDOW:
            del self._drawn[min(self._drawn)]

    def drawn(self, place: Place, chunk: Chunk) -> Drawn:
        """What was drawn for a chunk, drawn again where it was not kept."""
        held = self._drawn.pop(chunk.index, None)
        return draw(chunk, self.work.keys_of(place, chunk)) if held is None else held

    def forget(self, chunk: Chunk) -> None:
        """The chunk got no V in time."""
        self._drawn.pop(chunk.index, None)

    def keep(self, post: Post, messages: Mapping[Role, bytes]) -> None:
        """Keep the senders' signed messages of a chunk: masked, so they may lie outside secret memory."""
        size = sum(map(len, messages.values()))
        if self._near + size <= NEAR:
            self._near += size
            self.kept[post.chunk] = dict(messages)
        else:
            self.parked[post.chunk] = {sender: self.work.store.put(message) for sender, message in messages.items()}

    def shown(self, chunk: int) -> dict[Role, bytes] | None:
        """The signed messages of a chunk again; None where one is lost."""
        if chunk in self.kept:
            return self.kept[chunk]
        found = {sender: fetched(self.work.store, digest) for sender, digest in self.parked.get(chunk, {}).items()}
        whole = {sender: message for sender, message in found.items() if message is not None}
        return whole if whole and len(whole) == len(found) else None

    def clear(self) -> None:
        """The list is judged: the signed messages are needed no more."""
        for digest in [digest for row in self.parked.values() for digest in row.values()]:
            self.work.store.drop(digest)
        self.kept.clear()
        self.parked.clear()
        self._near = 0
