"""Attacks on the openings, followed to the verdict: right results, the liars named and nobody else (01 section 6)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.offline.king import SIGNATURE
from dkg_node.offline.votes import Vote, decode_votes, encode_votes
from dkg_node.protocols.session import Group, Role
from dkg_node.protocols.state import PublicState
from dkg_node.testing.batches import judged, kinds_of, simulate_batch
from dkg_node.testing.liars import Liars, add_to_elements, moved, plus, vanishing

if TYPE_CHECKING:
    from dkg_node.offline.batch import BatchResult
    from dkg_node.testing.lockstep import Move, Outgoing

GROUPS = [Group(4, 1), Group(7, 2), Group(13, 4)]


def bits(chunks: int) -> Batch:
    return Batch(5, "bits", 64, tuple(Chunk(i, "bits", 64, groups=1) for i in range(chunks)))


def noise(chunks: int, groups: int = 2) -> Batch:
    return Batch(5, "noise", 64, tuple(Chunk(i, "noise", 64, 3, groups) for i in range(chunks)))


def colluders(group: Group) -> range:
    """The first t: kings of the first chunks and senders of each other."""
    return range(1, group.t + 1)


def run(group: Group, batch: Batch, liars: Liars) -> BatchResult:
    return judged(group, simulate_batch(group, batch, liars), liars.corrupt)


def assert_named(result: BatchResult, kinds: set[tuple[Role, str]], events: int = 1) -> None:
    assert kinds_of(result) == kinds
    assert result.state.corrupt == {role for role, _ in kinds}
    assert len(result.faults) == result.generation == events


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_all_kings_that_add_to_their_openings_are_named_in_one_event(group: Group) -> None:
    liars = Liars(*colluders(group))
    for role in colluders(group):
        liars.add_to_v(role, role)
    assert_named(run(group, noise(group.t + 1), liars), {(role, "king") for role in colluders(group)})


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_all_senders_that_add_to_their_shares_are_named_in_one_event(group: Group) -> None:
    """They add different amounts to one honest king's sum."""
    liars = Liars(*range(group.t + 2, 2 * group.t + 2))
    for role in liars.corrupt:
        liars.add_to_y(role, 2 * role)
    assert_named(run(group, bits(1), liars), {(role, "sender") for role in liars.corrupt})


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_a_king_and_its_senders_that_collude_are_named_by_what_the_senders_signed(group: Group) -> None:
    """The king's sum fits its senders' signed lies: it proves nothing against the king, whose own y is right."""
    liars = Liars(*colluders(group))
    for role in list(colluders(group))[1:] or [1]:
        liars.add_to_y(role, 4)
    if group.t == 1:
        liars.add_to_v(1, 2)
        assert_named(run(group, bits(1), liars), {(1, "king")})
    else:
        assert_named(run(group, bits(1), liars), {(role, "sender") for role in list(colluders(group))[1:]})


@pytest.mark.parametrize("group", GROUPS[1:], ids=str)
def test_a_king_can_not_hide_its_own_lie_behind_a_colluding_sender(group: Group) -> None:
    """Sender 2 signs one lie, king 1 opens another: both are named, no honest sender is."""
    liars = Liars(*colluders(group)).add_to_y(2, 4).add_to_v(1, 64)
    assert_named(run(group, bits(1), liars), {(1, "king"), (2, "sender")})


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_a_wrong_opening_given_to_t_plus_one_with_colluding_votes_costs_its_king_the_office(group: Group) -> None:
    """t+1 honest holders and t votes make it canonical: the others fetch it by hash, the check fails.

    The king's vote was for what it did not keep: it can't go on and shows nothing, so it is never king again.
    """
    liars = Liars(*colluders(group))
    fooled = range(group.t + 1, 2 * group.t + 2)
    wrong: dict[int, bytes] = {}

    def equivocate(move: Move) -> Outgoing:
        if move.tag.part != 1:
            return move.honest
        wrong[0] = plus(next(iter(move.honest.values())), 1)
        return {peer: wrong[0] if peer in fooled or peer in liars.corrupt else v for peer, v in move.honest.items()}

    liars.plan(1, "V", equivocate)
    for role in list(colluders(group))[1:]:
        liars.plan(role, "V", lambda move: move.honest)
    seen = {}

    def agree(content: bytes, move: Move) -> bytes:
        """The king's vote: for what it told the fooled, as they will report it in this very slot."""
        honest = move.seen[min(fooled)][1]
        seen["vote"] = honest[SIGNATURE + 34 :][:33]
        return seen["vote"] + content[33:]

    liars.say(1, "votes", agree).only_in(lambda number: number == 0)
    result = run(group, bits(2), liars)
    assert (set(result.state.never_king), set(result.state.corrupt), result.generation) == ({1}, set(), 1)


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_an_equivocating_king_splits_nobody_and_is_benched(group: Group) -> None:
    half = group.n // 2
    liars = Liars(*colluders(group))
    for role in colluders(group):
        liars.plan(role, "V", lambda m: {peer: plus(v, peer > half) if v else v for peer, v in m.honest.items()})
    result = run(group, bits(group.t + 1), liars)
    assert (result.state.corrupt, result.faults) == (frozenset(), ())
    assert result.state.benched == liars.corrupt


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("delta", [3, -3])
def test_a_king_whose_honest_looking_sum_is_odd_is_not_named(group: Group, delta: int) -> None:
    """A sender's odd lie: the wire drops the lowest bit, and so does who judges the king's sum."""
    liar = group.t + 2
    liars = Liars(liar).add_to_y(liar, delta)
    assert_named(run(group, bits(1), liars), {(liar, "sender")})


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_an_odd_lie_that_the_wire_drops_costs_nothing(group: Group) -> None:
    """v is even, and one more changes no bit that is sent."""
    liars = Liars(group.t + 2).add_to_y(group.t + 2, 1)
    result = run(group, bits(1), liars)
    assert (result.rounds, result.faults) == (1, ())


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("kind", ["noise", "product"])
def test_a_lie_in_any_element_of_any_kind_is_found(group: Group, kind: str) -> None:
    """The last word of y: in the last Merkle block, of another weight than the first."""
    batch = noise(1, 60) if kind == "noise" else Batch(5, "product", 64, (Chunk(0, "product", 64, rows=4, cols=72),))
    liar = group.t + 2
    liars = Liars(liar).change_y(liar, lambda y: y[:-8] + bytes([y[-8] ^ 2]) + y[-7:])
    assert_named(run(group, batch, liars), {(liar, "sender")})


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_a_share_of_the_nearest_wrong_codeword_of_degree_2t_is_a_lie_like_any(group: Group) -> None:
    """The t colluders in S add lambda * c * prod (X - alpha_h) over 2t of the senders: the sum moves, no share fits."""
    liars = Liars(*range(group.t + 2, 2 * group.t + 2))
    zeros = [role for role in range(1, 2 * group.t + 2) if role not in liars.corrupt]
    for role in liars.corrupt:
        step = vanishing(role, zeros, at_zero=False)
        liars.change_y(role, partial(add_to_elements, step=step, factor=2))
    result = run(group, bits(1), liars)
    assert result.state.corrupt <= liars.corrupt
    assert result.state.corrupt


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_a_share_of_the_wrong_degree_is_a_lie_of_its_sender(group: Group) -> None:
    """What it adds is alpha_i (alpha_i - alpha_j)^2t, the share of a polynomial of degree 2t+1 that is 0 at 0."""
    liar = group.t + 2
    step = vanishing(liar, [liar % group.n + 1] * (2 * group.t))
    liars = Liars(liar).change_y(liar, partial(add_to_elements, step=step, factor=2))
    assert_named(run(group, bits(1), liars), {(liar, "sender")})


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_a_coin_moved_towards_the_nearest_wrong_codeword_of_degree_t_is_corrected(group: Group) -> None:
    """c * prod (X - alpha_h) over t honest points: distance 2t+1 leaves it t errors."""
    liars = Liars(*colluders(group))
    zeros = list(range(group.t + 1, 2 * group.t + 1))
    for role in colluders(group):
        liars.plan(
            role,
            "coin",
            lambda m: {peer: moved(share, m.sender, zeros, at_zero=False) for peer, share in m.honest.items()},
        )
    result = run(group, bits(2), liars)
    assert (result.rounds, result.state) == (1, PublicState())


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_a_share_of_an_earlier_try_is_no_share(group: Group) -> None:
    """Withheld from the first king, sent to all later ones: each calls it missing; t+1 disputes bench the sender."""
    liar = group.t + 2
    liars = Liars(liar)
    first: dict[str, bytes] = {}

    def replay(move: Move) -> Outgoing:
        for king, message in move.honest.items():
            first.setdefault("y", message)
            return {} if move.slot == "y" else {king: first["y"]}
        return {}

    result = run(group, bits(1), liars.plan(liar, "y", replay))
    assert (result.state.corrupt, result.faults, result.rounds) == (frozenset(), (), group.t + 2)
    assert result.state.benched == {liar}
    assert result.state.disputes == frozenset()


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_senders_silent_to_chosen_kings_put_nobody_honest_on_the_bench(group: Group) -> None:
    """Selective silence: each colluder is heard by half of the kings."""
    liars = Liars(*colluders(group))
    for role in colluders(group):
        liars.plan(role, "y", lambda move: {king: m for king, m in move.honest.items() if (king + move.sender) % 2})
    result = run(group, bits(group.n), liars)
    assert (result.state.corrupt, result.faults) == (frozenset(), ())
    assert result.state.benched <= liars.corrupt
    assert all(set(pair) & liars.corrupt for pair in result.state.disputes)
    assert result.rounds <= (group.t + 1) ** 2


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_kings_that_slander_honest_senders_end_on_the_bench_alone(group: Group) -> None:
    """`missing` of everybody honest, round after round: t+1 disputes bench the slanderer, t never an honest party."""
    liars = Liars(*colluders(group))

    def slander(content: bytes, _: Move) -> bytes:
        own = [role for role in group.roles if role not in liars.corrupt]
        mask = sum(1 << role - 1 for role in own)
        return b"".join(bytes([2]) + mask.to_bytes(2, "little") for _ in range(len(content) // 33)) or content

    for role in colluders(group):
        liars.silent(role, "V").say(role, "votes", slander)
    result = run(group, bits(group.n), liars)
    assert (result.state.corrupt, result.faults) == (frozenset(), ())
    assert result.state.benched == liars.corrupt
    assert result.rounds <= (group.t + 1) ** 2


@pytest.mark.parametrize("group", GROUPS[:2], ids=str)
@pytest.mark.parametrize("more", [0, 1])
def test_t_disputes_leave_a_king_in_office_and_one_more_benches_it(group: Group, more: int) -> None:
    """As king of several chunks it blames another honest sender for each, which is a valid excuse every time."""
    chunks = group.t + more
    liars = Liars(1)

    def blame(content: bytes, _: Move) -> bytes:
        votes = list(decode_votes(content, group.n * chunks) or ())
        for i in range(chunks):
            votes[group.n * i] = Vote(missing=(2 + i,))
        return encode_votes(votes)

    liars.plan(1, "V", lambda move: {} if (move.tag.part - 1) % group.n == 0 else None)
    liars.say(1, "votes", blame).only_in(lambda number: number == 0)
    result = run(group, bits(group.n * chunks), liars)
    blamed = frozenset((1, 2 + i) for i in range(chunks))
    assert (result.state.corrupt, result.faults, result.rounds) == (frozenset(), (), 2)
    assert result.state.benched == (frozenset({1}) if more else frozenset())
    assert result.state.disputes == (frozenset() if more else blamed)


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_a_crashed_party_costs_honest_kings_disputes_and_no_office(group: Group) -> None:
    """t parties fall silent as senders and as kings: only they lose anything."""
    liars = Liars(*colluders(group))
    for role in colluders(group):
        liars.silent(role, "y", "V", "coin", "votes", "W")
    result = run(group, bits(group.n), liars)
    assert (result.state.corrupt, result.faults) == (frozenset(), ())
    assert result.state.absent == liars.corrupt
    assert result.state.benched <= liars.corrupt
    assert result.rounds == 2
