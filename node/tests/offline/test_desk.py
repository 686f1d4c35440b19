"""What a king keeps of a round: in memory up to a bound, the rest in a store that nobody trusts."""

from __future__ import annotations

from hashlib import sha256
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from hypothesis import given
from hypothesis import strategies as st

from dkg_node.offline import work as module
from dkg_node.offline.work import NEAR, Desk
from dkg_node.protocols.store import MemoryStore

if TYPE_CHECKING:
    import pytest

    from dkg_node.offline.king import Post
    from dkg_node.offline.work import Work

MESSAGES = {1: b"of one" * 50, 3: b"of three" * 50}


def post(chunk: int) -> Post:
    return cast("Post", SimpleNamespace(chunk=chunk))


def desk(store: MemoryStore) -> Desk:
    return Desk(cast("Work", SimpleNamespace(store=store)))


@given(bound=st.integers(0, 2500), chunks=st.integers(1, 4))
def test_what_was_kept_is_shown_again_wherever_it_lies_and_forgotten_at_the_end(bound: int, chunks: int) -> None:
    near, module.NEAR = NEAR, bound
    try:
        store = MemoryStore()
        king = desk(store)
        for chunk in range(chunks):
            king.keep(post(chunk), MESSAGES)
        assert sum(len(body) for row in king.kept.values() for body in row.values()) <= bound
        assert len(king.kept) + len(king.parked) == chunks
        assert all(king.shown(chunk) == MESSAGES for chunk in range(chunks))
        king.clear()
        assert not any(king.shown(chunk) for chunk in range(chunks))
        assert store.get(sha256(MESSAGES[1]).digest()) is None
    finally:
        module.NEAR = near


def test_a_message_that_the_store_lost_or_changed_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEAR", 0)
    store = MemoryStore()
    king = desk(store)
    king.keep(post(0), MESSAGES)
    store.drop(king.parked[0][3])
    assert king.shown(0) is None
    assert king.shown(1) is None
