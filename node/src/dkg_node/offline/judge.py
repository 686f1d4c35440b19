"""Who is to blame for a failed check: a pure function of what was said and signed (01 section 4, step 7).

The revealed keys of the batch fix every y, V and W of every party. What an honest party signed is what its keys give,
so it is never named; each event names a party or takes a king's right to be one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dkg_node.algebra import merkle
from dkg_node.algebra.kernel import Keys, Shares
from dkg_node.offline import labels
from dkg_node.offline.check import DIGITS, w_of_chunk
from dkg_node.offline.evidence import Conviction
from dkg_node.offline.king import PURPOSE, add_up, own_y
from dkg_node.offline.showing import (
    Shown,
    blocks_of,
    element_in_blocks,
    first_difference,
    read_showing,
    span,
    sum_of,
)
from dkg_node.offline.slots import KEY
from dkg_node.offline.values import draw, to_open
from dkg_node.sharing.sets import contains, sets_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dkg_node.offline.chunk import Batch, Chunk
    from dkg_node.offline.evidence import Charge
    from dkg_node.offline.king import Post
    from dkg_node.protocols.session import Group, Role

Verify = Callable[[int, str, bytes, bytes], bool]
"""(party, purpose, message, signature): whether it is a signature of that party's enrolled key."""


@dataclass(frozen=True, slots=True)
class WrongOpening:
    """A king's lowest wrong chunk: the first wrong element, what was opened, what everybody should have sent."""

    post: Post
    element: int
    v: bytes
    ys: Mapping[Role, bytes]


@dataclass(frozen=True, slots=True)
class Truth:
    """What the revealed keys say: every party's W, and the lowest wrong chunk of each king with one."""

    w: Mapping[Role, bytes]
    wrong: Mapping[Role, WrongOpening]
    openings: tuple[bytes, ...] = ()
    """Hashes of all wrong V, in the order of the list."""


def majority_keys(group: Group, contents: Mapping[Role, bytes]) -> tuple[dict[int, bytes], frozenset[Role]] | None:
    """The key of every set that t+1 of its members report alike, and who reported another one. None if one has none.

    At most t of the 2t+1 members of a set are corrupt: t+1 equal reports hold an honest one, so they are right.
    ``contents`` have the right length: a key for every set that the party is in, by increasing mask.
    """
    reports: dict[int, dict[Role, bytes]] = {mask: {} for mask in sets_of(group)}
    for role, content in contents.items():
        own = [mask for mask in sets_of(group) if contains(mask, role)]
        for place, mask in enumerate(own):
            reports[mask][role] = content[place * KEY : (place + 1) * KEY]
    keys: dict[int, bytes] = {}
    liars: set[Role] = set()
    for mask, said in reports.items():
        for key, count in Counter(said.values()).most_common(1):
            if count > group.t:
                keys[mask] = key
                liars |= {role for role, other in said.items() if other != key}
    return (keys, frozenset(liars)) if len(keys) == len(reports) else None


class Recomputation:
    """Everybody's W and every king's V out of the keys by set, chunk by chunk: n times the work of the batch."""

    def __init__(
        self,
        plan: tuple[Group, Batch],
        charge: Charge,
        keys: Mapping[int, bytes],
        fetch: Callable[[bytes], bytes | None],
    ) -> None:
        """``fetch`` gives the body behind a hash; it needs no trust."""
        self._group, self._batch = plan
        self._charge, self._fetch = charge, fetch
        self._keys = {role: _keys_of(self._group, role, keys) for role in self._group.roles}
        self._sums = {role: Shares.zeros(self._batch.k, DIGITS) for role in self._group.roles}
        self._wrong: dict[Role, WrongOpening] = {}
        self._openings: list[bytes] = []
        self._s: dict[Role, Shares] = {}
        """What everybody shares of the chunk under way."""
        self._ys: dict[Role, bytes] = {}
        self._lost = False

    def steps(self) -> Iterator[Callable[[], None]]:
        """All the work in order, in pieces no longer than one party's own part of a chunk."""
        for post, digest in self._charge.opened:
            yield from (partial(self._draw, post, role) for role in self._group.roles)
            yield partial(self._judge, post, digest)

    def _draw(self, post: Post, role: Role) -> None:
        """One party's shares of a chunk, and what it should have sent."""
        chunk = self._batch.chunks[post.chunk]
        own = self._chunk_keys(role, chunk)
        self._s[role] = to_open(draw(chunk, own))
        if role in post.senders:
            self._ys[role] = own_y(chunk, own, post, self._s[role])

    def _chunk_keys(self, role: Role, chunk: Chunk) -> Keys:
        return labels.chunk_keys(self._charge, self._keys[role], chunk, self._charge.generation)

    def _judge(self, post: Post, digest: bytes) -> None:
        """Compare what was opened with what should have been, and add up everybody's W."""
        charge, chunk = self._charge, self._batch.chunks[post.chunk]
        ys, self._ys = self._ys, {}
        right = add_up(chunk, ys) or b""
        v = _opened(self._batch, charge, (post, digest), right, self._fetch)
        if v is None:
            self._lost = True
            return
        element = first_difference(chunk, v, right)
        if element is not None:
            self._openings.append(digest)
            self._wrong.setdefault(post.king, WrongOpening(post, element, v, ys))
        for role in self._group.roles:
            part = w_of_chunk(chunk, self._chunk_keys(role, chunk), self._s[role], v, charge.coin, charge.listing)
            if part is None:
                self._lost = True
            else:
                self._sums[role] = self._sums[role].add(part)

    def truth(self) -> Truth | None:
        """The result after all chunks; None when a wrong V could not be had."""
        if self._lost:
            return None
        sums = {role: shares.to_wire() for role, shares in self._sums.items()}
        return Truth(sums, self._wrong, tuple(self._openings))


def _keys_of(group: Group, role: Role, keys: Mapping[int, bytes]) -> Keys:
    own = b"".join(keys[mask] for mask in sets_of(group) if contains(mask, role))
    return Keys.from_bytes(group.n, group.t, role, own)


def _opened(
    batch: Batch,
    charge: Charge,
    listed: tuple[Post, bytes],
    right: bytes,
    fetch: Callable[[bytes], bytes | None],
) -> bytes | None:
    """The V behind a listed hash: the right one if it has that hash, else what was kept of it."""
    post, digest = listed
    prefix = labels.opened_prefix(charge, batch, charge.generation, post)
    if labels.hash_of_body(labels.opened_body(prefix, right)) == digest:
        return right
    body = fetch(digest)
    return None if body is None or labels.hash_of_body(body) != digest else labels.opened_value(prefix, body)


def wrong_shares(charge: Charge, truth: Truth) -> frozenset[Role]:
    """Whose W of step 6 is not what its keys give, wherever it is now."""
    return frozenset(role for role, said in charge.w.items() if said.content != truth.w[role])


def judge_showing(
    batch: Batch, charge: Charge, truth: Truth, contents: Mapping[Role, bytes], verify: Verify
) -> tuple[frozenset[Conviction], frozenset[Role]]:
    """Convictions out of the kings' showing, and the kings that showed nothing. ``contents``: Broadcast outputs."""
    convictions: set[Conviction] = set()
    silent: set[Role] = set()
    for king, wrong in truth.wrong.items():
        chunk = batch.chunks[wrong.post.chunk]
        shown = read_showing(chunk, wrong.element, wrong.post, contents.get(king, b""))
        if shown is None:
            silent.add(king)
        else:
            convictions |= _judge_king(batch, charge, wrong, shown, verify)
    return frozenset(convictions), frozenset(silent)


def _judge_king(
    batch: Batch, charge: Charge, wrong: WrongOpening, shown: Mapping[Role, Shown], verify: Verify
) -> set[Conviction]:
    """A signed block that is not what its sender's keys give convicts the sender, whatever the king did.

    A block without signature or path, or a sum that is not the king's V, convicts the king.
    """
    chunk, convictions = batch.chunks[wrong.post.chunk], set()
    parts = [_element(chunk, wrong, wrong.post.king)]
    for sender, one in shown.items():
        if not _is_signed(batch, charge, (wrong, sender), one, verify):
            convictions.add(Conviction(wrong.post.king, "king"))
            continue
        if one.blocks != tuple(merkle.block(wrong.ys[sender], index) for index in blocks_of(chunk, wrong.element)):
            convictions.add(Conviction(sender, "sender"))
        parts.append(element_in_blocks(chunk, wrong.element, one.blocks))
    start, stop = span(chunk, wrong.element, int(chunk.opens_bits))
    if sum_of(chunk, wrong.element, parts) != wrong.v[start:stop]:
        convictions.add(Conviction(wrong.post.king, "king"))
    return convictions


def _element(chunk: Chunk, wrong: WrongOpening, sender: Role) -> bytes:
    start, stop = span(chunk, wrong.element)
    return wrong.ys[sender][start:stop]


def _is_signed(batch: Batch, charge: Charge, about: tuple[WrongOpening, Role], shown: Shown, verify: Verify) -> bool:
    """Whether the sender signed the root of a y with these blocks, for this chunk, try, king and set."""
    wrong, sender = about
    size = batch.chunks[wrong.post.chunk].y_bytes
    indexes = blocks_of(batch.chunks[wrong.post.chunk], wrong.element)
    return verify(
        sender, PURPOSE, charge.y.signed(batch, charge.generation, wrong.post, shown.root), shown.signature
    ) and all(
        merkle.verify_path(shown.root, size, index, block, path)
        for index, block, path in zip(indexes, shown.blocks, shown.paths, strict=True)
    )
