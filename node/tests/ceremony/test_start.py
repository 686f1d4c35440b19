from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg_node.ceremony.start import Kind, Position, Starter, Statement, decode, encode, signed_bytes
from dkg_node.errors import QuorumLost
from dkg_node.protocols.session import Group
from dkg_node.testing.stage import Letter, Stage, play

SID = bytes(range(32))
GRACE = 5.0
FAR = 1e6


def starter(stage: Stage, role: int, sid: bytes = SID) -> Starter:
    network = stage.mailboxes[role].network
    return Starter(stage.group, role, sid, stage.identity(role), stage.mailboxes[role], network.now, GRACE)


def statement(stage: Stage, role: int, kind: Kind, segment: int = 0, era: int = 0, sid: bytes = SID) -> bytes:
    made = Statement(kind, era, segment)
    return encode(made, stage.identity(role).sign("go", signed_bytes(sid, made)))


@pytest.mark.parametrize("t", [1, 2, 4])
def test_all_start_at_once_when_everybody_is_ready(t: int) -> None:
    async def scene(stage: Stage) -> list[float]:
        starters = [starter(stage, role) for role in stage.group.roles]
        return list(await asyncio.gather(*(one.start(0, FAR) for one in starters)))

    starts = play(scene, t)
    assert max(starts) - min(starts) == 0
    assert max(starts) < 1000 + GRACE


@pytest.mark.parametrize("t", [1, 2, 4])
def test_t_silent_parties_cost_the_grace_and_no_more(t: int) -> None:
    silent = list(range(1, t + 1))

    async def scene(stage: Stage) -> list[float]:
        awake = [starter(stage, role) for role in stage.group.roles if role not in silent]
        return list(await asyncio.gather(*(one.start(0, FAR) for one in awake)))

    assert set(play(scene, t, silent)) == {1000 + GRACE}


def test_more_than_t_silent_parties_are_named_at_the_deadline() -> None:
    async def scene(stage: Stage) -> None:
        await asyncio.gather(*(starter(stage, role).start(3, 2000.0) for role in (2, 4)))

    with pytest.raises(QuorumLost) as lost:
        play(scene, 1, [1, 3])
    assert lost.value.culprits == {1, 3}


def test_a_party_that_is_late_itself_starts_with_the_others() -> None:
    async def scene(stage: Stage) -> float:
        early = [asyncio.create_task(starter(stage, role).start(0, FAR)) for role in (1, 2, 3)]
        late = starter(stage, 4)
        await asyncio.gather(*early)
        return await late.start(0, FAR)

    assert play(scene) == 1000 + GRACE


def test_segments_follow_one_another_with_statements_kept_until_their_turn() -> None:
    async def one(stage: Stage, role: int) -> None:
        mine = starter(stage, role)
        for segment in range(5):
            await mine.start(segment, FAR)

    async def scene(stage: Stage) -> None:
        await asyncio.gather(*(one(stage, role) for role in stage.group.roles))

    play(scene)


@pytest.mark.parametrize(
    "forgery",
    [
        lambda stage: statement(stage, 2, "go", era=1),
        lambda stage: statement(stage, 2, "go", segment=1),
        lambda stage: statement(stage, 2, "go", sid=bytes(32)),
        lambda stage: statement(stage, 3, "go"),
        lambda stage: statement(stage, 2, "ready"),
        lambda stage: statement(stage, 2, "go")[:-1],
        lambda _: bytes(73),
        lambda _: b"",
    ],
    ids=["other era", "other segment", "other session", "another's", "only ready", "cut", "zeros", "empty"],
)
def test_what_is_no_go_of_the_sender_for_the_position_does_not_count_as_one(forgery: Callable[[Stage], bytes]) -> None:
    async def scene(stage: Stage) -> set[int]:
        mine = starter(stage, 1)
        mine.take(2, forgery(stage))
        return mine._position(0).go

    assert play(scene) == set()


def test_one_party_repeating_itself_is_one_party() -> None:
    async def scene(stage: Stage) -> Position:
        mine = starter(stage, 1)
        for _ in range(9):
            mine.take(2, statement(stage, 2, "go"))
            mine.take(2, statement(stage, 2, "ready"))
        return mine._position(0)

    position = play(scene)
    assert position.go == position.ready == {2}
    assert not position.started


def test_a_new_boot_of_a_peer_gets_the_statements_again() -> None:
    async def scene(stage: Stage) -> int:
        waiting = asyncio.create_task(starter(stage, 1).start(0, FAR))
        await asyncio.sleep(1)
        before = stage.office.sent
        stage.office.queues[1].put_nowait(Letter(2, None))
        await asyncio.sleep(1)
        waiting.cancel()
        return stage.office.sent - before

    assert play(scene) == 1


@given(st.binary(max_size=100))
def test_bytes_of_a_peer_never_raise(data: bytes) -> None:
    decoded = decode(data)
    assert decoded is None or encode(*decoded) == data


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(1, 13), st.sampled_from(["ready", "go"]), st.floats(0, 100)), max_size=60),
    st.floats(0, 50),
)
def test_go_is_said_only_with_n_minus_t_ready_or_one_honest_go(
    t: int, heard: list[tuple[int, Kind, float]], grace: float
) -> None:
    group = Group(3 * t + 1, t)
    position = Position(group)
    now = 0.0
    for role, kind, wait in heard:
        if role in group.roles:
            now += wait
            position.heard(role, kind, now)
    if position.should_go(now, grace):
        assert len(position.go) > t or len(position.ready) >= group.quorum
    if len(position.ready) == group.n:
        assert position.should_go(now, grace)
    assert position.started == (len(position.go) >= group.quorum)


def test_a_peer_that_floods_with_wrong_signatures_is_not_listened_to_for_long() -> None:
    async def scene(stage: Stage) -> int:
        checked = 0
        mine = starter(stage, 1)

        class Counting:
            def sign(self, purpose: str, message: bytes) -> bytes:
                return stage.identity(1).sign(purpose, message)

            def verify(self, role: int, purpose: str, message: bytes, signature: bytes) -> bool:
                nonlocal checked
                checked += 1
                return stage.identity(1).verify(role, purpose, message, signature)

        mine.identity = Counting()
        for _ in range(1000):
            mine.take(2, statement(stage, 3, "go"))
        for segment in range(1000):
            mine.take(3, statement(stage, 3, "go", segment=mine.last + 1 + segment))
        for _ in range(1000):
            mine.take(4, statement(stage, 4, "go"))
        return checked

    assert play(scene) < 20
