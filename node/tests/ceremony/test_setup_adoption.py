"""A party that setup's end left behind, or that lost its disk, regains the same PRSS keys; nobody else learns them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from dkg_node.algebra.encoding import enc
from dkg_node.algebra.kernel import Contributions, Secret
from dkg_node.ceremony import letters
from dkg_node.ceremony.contents import HASH, encode_setup
from dkg_node.ceremony.letters import QUESTION_LIMIT, REPLY_LIMIT, Inquire, Reply
from dkg_node.ceremony.setup import DRAWS, MOST
from dkg_node.offline.chunk import Batch, Chunk
from dkg_node.protocols.broadcast import HEAD, SIGNATURE
from dkg_node.protocols.prss import ANSWER, ENTRY, certify, keys_of
from dkg_node.protocols.session import SEGMENTS, Group
from dkg_node.sharing.sets import contains, sets_of
from dkg_node.testing.control_party import mac
from dkg_node.testing.setup_world import SID, Draws, Home, SetupWorld
from dkg_node.testing.simnet import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dkg_node.ceremony.letters import Letter
    from dkg_node.ceremony.setup import SetupKeeper
    from dkg_node.protocols.prss import Certified
    from dkg_node.protocols.session import Exchange, Role
    from dkg_node.testing.simnet import Parcel, SimNetwork

SMALL = Group(4, 1)
VICTIM, LIAR = 1, 4
OTHERS = (2, 3, 4)
ALL = (1, 2, 3, 4)


@dataclass(slots=True)
class Withhold(Faults):
    """Messages of these senders in these slots of setup never reach the victim."""

    senders: tuple[Role, ...]
    slots: tuple[str, ...]
    group: Group = SMALL
    lost: list[str] = field(default_factory=list)

    def sends(self, sender: Role, receiver: Role, parcel: Parcel) -> bool:
        setup = parcel.kind == "slot" and parcel.tag.segment == 0
        slot = self.group_slots[parcel.tag.slot] if setup else ""
        gone = receiver == VICTIM and sender in self.senders and slot in self.slots
        if gone:
            self.lost.append(slot)
        return not gone

    @property
    def group_slots(self) -> list[str]:
        return ["rho", *(f"digests.{number}" for number in range(1, self.group.t + 2)), "ask", "tell"]


@pytest.fixture
def world(tmp_path: Path) -> SetupWorld:
    return SetupWorld(SMALL, tmp_path)


async def everybody(world: SetupWorld) -> None:
    world.boot()
    await world.ended(*ALL)


def inquiries(world: SetupWorld, sender: Role) -> int:
    return sum(one == sender and isinstance(letter, Inquire) for one, _, letter in world.post)


def replies(world: SetupWorld, sender: Role, receiver: Role) -> list[bytes]:
    return [
        letter.body
        for one, other, letter in world.post
        if (one, other) == (sender, receiver) and isinstance(letter, Reply)
    ]


def test_nobody_asks_when_nothing_goes_wrong(world: SetupWorld) -> None:
    world.play(everybody)
    assert inquiries(world, VICTIM) == 0
    assert world.opened(*ALL)


def test_whoever_signs_the_setup_has_sealed_what_it_counted(world: SetupWorld) -> None:
    world.play(everybody)
    assert (1, "signed") in world.events
    assert world.unsealed == []


def test_one_withheld_message_does_not_cost_a_party_its_ceremony(world: SetupWorld) -> None:
    faults = world.faults = Withhold((LIAR,), ("rho", "tell"))
    world.play(everybody)
    assert faults.lost == ["rho", "tell"]
    assert world.opened(*ALL)
    asked = [letter.body[HASH:] for sender, _, letter in world.post if sender == VICTIM and isinstance(letter, Inquire)]
    contributors = {question[at + ENTRY - 1] for question in asked for at in range(0, len(question), ENTRY)}
    assert contributors == {LIAR}, "what it received before it was cut off it has"


def test_a_party_cut_off_by_the_certificate_derives_the_same_keys(world: SetupWorld) -> None:
    world.faults = Withhold(OTHERS, ("rho", "tell"))
    world.play(everybody)
    assert (VICTIM, "signed") not in world.events
    assert inquiries(world, VICTIM) > 0
    assert world.opened(*ALL)


def test_a_party_that_heard_nothing_of_the_setup_derives_the_same_keys(world: SetupWorld) -> None:
    world.faults = Withhold(OTHERS, ("rho", "digests.1", "digests.2", "ask", "tell"))
    world.play(everybody)
    assert world.opened(*ALL)


def test_an_empty_disk_regains_the_same_keys(world: SetupWorld) -> None:
    before = []

    async def scene(world: SetupWorld) -> None:
        await everybody(world)
        before.append(world.share(VICTIM))
        world.crash(VICTIM)
        world.homes[VICTIM].wipe()
        world.boot(VICTIM)
        await world.ended(VICTIM)

    world.play(scene)
    assert world.share(VICTIM) == before[0]
    assert world.opened(*ALL)
    assert world.homes[VICTIM].draws.count == 1, "it must not draw again where it has spoken"


def test_members_that_restarted_since_still_help(world: SetupWorld) -> None:
    async def scene(world: SetupWorld) -> None:
        await everybody(world)
        world.crash(*ALL)
        world.homes[VICTIM].wipe()
        world.boot()
        await world.ended(*ALL)

    world.play(scene)
    assert world.opened(*ALL)


def test_a_party_that_was_left_behind_helps_the_next(world: SetupWorld) -> None:
    world.faults = Withhold(OTHERS, ("rho", "tell"))

    async def scene(world: SetupWorld) -> None:
        await everybody(world)
        world.crash(2, LIAR)
        world.homes[2].wipe()
        world.boot(2)
        await world.ended(2)

    world.play(scene)
    assert len(replies(world, VICTIM, 2)) > 0
    assert world.opened(1, 2, 3)


def test_a_party_helps_with_a_setup_that_it_did_not_see_certified(world: SetupWorld) -> None:
    """Hashes tell whether what it received last is what counts: the name of the contents may be new to it."""

    async def scene(world: SetupWorld) -> None:
        await everybody(world)
        world.networks[3].post(2, letters.encode(Inquire(bytes(HASH) + (0b0111).to_bytes(2, "little") + b"\x02")))
        await asyncio.sleep(20)

    world.play(scene)
    assert [len(body) for body in replies(world, 2, 3)] == [ANSWER]


def test_a_restart_takes_its_own_draws_from_its_disk(world: SetupWorld) -> None:
    world.faults = Withhold(OTHERS, ("rho", "tell"))

    async def scene(world: SetupWorld) -> None:
        world.boot()
        await world.ended(*OTHERS)
        world.crash(VICTIM)
        world.boot(VICTIM)
        await world.ended(VICTIM)

    world.play(scene)
    assert world.opened(*ALL)
    assert world.homes[VICTIM].draws.count == 1


@dataclass(slots=True)
class Listen(Faults):
    """Hears what the victim says in setup; ``reached`` when its first boot comes to a slot."""

    world: SetupWorld
    slot: int
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    said: list[bytes] = field(default_factory=list)
    """By its second boot in era 0."""

    def sends(self, sender: Role, receiver: Role, parcel: Parcel) -> bool:
        if sender == VICTIM and parcel.kind == "slot" and parcel.era == 0:
            if self.world.networks[VICTIM].boot > 1:
                self.said.append(parcel.body)
            elif parcel.tag.slot == self.slot:
                self.reached.set()
        return True


@pytest.mark.parametrize("slot", range(5))
def test_a_disk_lost_in_the_middle_of_setup_draws_and_says_nothing_new(world: SetupWorld, slot: int) -> None:
    faults = world.faults = Listen(world, slot)

    async def scene(world: SetupWorld) -> None:
        world.boot()
        await faults.reached.wait()
        world.crash(VICTIM)
        world.homes[VICTIM].wipe()
        world.boot(VICTIM)
        await world.ended(*ALL)

    world.play(scene)
    assert set(faults.said) <= {b""}
    assert world.opened(*ALL)
    assert (VICTIM, "era") not in world.events
    assert world.homes[VICTIM].draws.count == 1


def wrong(letter: Letter) -> Letter:
    """Every value of a reply is another one."""
    if not isinstance(letter, Reply):
        return letter
    body = bytearray(letter.body)
    for start in range(0, len(body), ANSWER):
        body[start + ENTRY] ^= 1
    return Reply(bytes(body))


def junk(letter: Letter) -> Letter:
    """No reply at all."""
    return Reply(bytes(range(256)) * 3) if isinstance(letter, Reply) else letter


def foreign(letter: Letter) -> Letter:
    """Right values under the names of other places."""
    return Reply(letter.body[ENTRY:] + letter.body[:ENTRY]) if isinstance(letter, Reply) else letter


def mute(letter: Letter) -> Letter:
    """An empty reply."""
    return Reply(b"") if isinstance(letter, Reply) else letter


@pytest.mark.parametrize("twist", [wrong, junk, foreign, mute])
def test_a_member_that_answers_wrongly_is_ignored(world: SetupWorld, twist: Callable[[Letter], Letter]) -> None:
    before = []
    world.twists[LIAR] = twist

    async def scene(world: SetupWorld) -> None:
        await everybody(world)
        before.append(world.share(VICTIM))
        world.crash(VICTIM)
        world.homes[VICTIM].wipe()
        world.boot(VICTIM)
        await world.ended(VICTIM)

    world.play(scene)
    assert len(replies(world, LIAR, VICTIM)) > 0
    assert world.share(VICTIM) == before[0]


@pytest.mark.parametrize("wiped", [False, True])
def test_two_liars_together_keep_nobody_from_its_keys(tmp_path: Path, *, wiped: bool) -> None:
    """They withhold from the victim during setup, and afterwards answer wrongly or not at all."""
    group, liars = Group(7, 2), (6, 7)
    world = SetupWorld(group, tmp_path, faults=Withhold(liars, ("rho", "tell"), group))
    world.twists = {6: wrong, 7: mute}

    async def scene(world: SetupWorld) -> None:
        world.boot()
        await world.ended(*group.roles)
        if wiped:
            world.crash(VICTIM)
            world.homes[VICTIM].wipe()
            world.boot(VICTIM)
            await world.ended(VICTIM)

    world.play(scene)
    assert world.opened(*group.roles)
    assert world.homes[VICTIM].draws.count == 1


def test_who_is_no_member_of_a_set_learns_nothing_of_it(world: SetupWorld) -> None:
    mask = 0b0111  # {1, 2, 3}

    async def scene(world: SetupWorld) -> None:
        await everybody(world)
        digest = world.homes[LIAR].sealed.chain[0].core.contents
        places = b"".join(mask.to_bytes(2, "little") + bytes([contributor]) for contributor in (1, 2, 3))
        for role in (1, 2, 3):
            world.networks[LIAR].post(role, letters.encode(Inquire(digest + places)))
        for role in (1, 3):
            world.networks[2].post(role, letters.encode(Inquire(digest + places)))
        await asyncio.sleep(20)

    world.play(scene)
    assert [replies(world, role, LIAR) for role in (1, 2, 3)] == [[], [], []]
    for role in (1, 3):
        assert [len(body) for body in replies(world, role, 2)] == [3 * ANSWER], "a member does"


def test_the_hash_table_store_serves_no_contribution(world: SetupWorld) -> None:
    async def scene(world: SetupWorld) -> None:
        await everybody(world)
        keeper, digest = world.homes[2].keeper(), world.homes[2].sealed.chain[0].core.contents
        answer = keeper.reply(VICTIM, digest + (0b0111).to_bytes(2, "little") + b"\x02")
        assert answer is not None
        rho = answer[-32:]
        for name in (sha256(rho).digest(), rho):
            world.networks[VICTIM].post(2, letters.encode(letters.Want(name)))
        await asyncio.sleep(20)
        assert rho not in b"".join(world.homes[2].archive.bodies.values())

    world.play(scene)
    assert not any(
        isinstance(letter, letters.Contents) for sender, role, letter in world.post if (sender, role) == (2, 1)
    )


def test_replies_that_nobody_asked_for_change_nothing(world: SetupWorld) -> None:
    async def scene(world: SetupWorld) -> None:
        await everybody(world)
        before = {path.name: path.read_bytes() for path in world.homes[VICTIM].directory.iterdir()}
        digest = world.homes[VICTIM].sealed.chain[0].core.contents
        place = (0b1011).to_bytes(2, "little") + bytes([LIAR])
        for body in (b"", b"x", digest, place + bytes(32), bytes(REPLY_LIMIT), bytes(REPLY_LIMIT + 1)):
            world.networks[LIAR].post(VICTIM, letters.encode(Reply(body)))
        await asyncio.sleep(20)
        assert {path.name: path.read_bytes() for path in world.homes[VICTIM].directory.iterdir()} == before

    world.play(scene)
    assert not any(event in {"era", "quorum lost"} for _, event in world.events)


def test_questions_of_any_bytes_are_survived(world: SetupWorld) -> None:
    async def scene(world: SetupWorld) -> None:
        await everybody(world)
        keeper, digest = world.homes[2].keeper(), world.homes[2].sealed.chain[0].core.contents
        for question in (b"", digest[:-1], digest, digest + b"\xff", digest + b"\xff" * 3, bytes(QUESTION_LIMIT)):
            assert keeper.reply(LIAR, question) is None
        place = (0b1011).to_bytes(2, "little") + b"\x02"
        assert len(keeper.reply(LIAR, digest + 2000 * place) or b"") == MOST * ANSWER <= REPLY_LIMIT
        (world.homes[2].directory / f"setup-held-{digest.hex()[:16]}.sealed").write_bytes(b"damaged")
        assert world.homes[2].keeper().reply(LIAR, digest + place) is None

    world.play(scene)


def test_nothing_of_the_setup_is_left_once_everybody_has_its_share(world: SetupWorld) -> None:
    world.play(everybody)
    home, digest = world.homes[2], world.homes[2].sealed.chain[0].core.contents
    place = (0b1011).to_bytes(2, "little") + b"\x02"
    keeper = home.keeper()
    assert keeper.reply(LIAR, digest + place) is not None
    keeper.finish(everybody=False)
    assert keeper.reply(LIAR, digest + place) is not None, "somebody may still come back"
    assert home.keeper().reply(LIAR, digest + place) is not None, "also after a restart"
    keeper.forget()
    assert keeper.reply(LIAR, digest + place) is None
    assert list(home.directory.iterdir()) == []


@dataclass(slots=True)
class Misreport(Faults):
    """The liar reports a wrong digest for every contribution."""

    def twist(self, network: SimNetwork, request: Exchange) -> list[Mapping[Role, bytes]]:
        if network.me != LIAR or request.slot != "digests.1":
            return [request.outgoing]
        body = next(iter(request.outgoing.values()))[SIGNATURE:]
        made = body[:HEAD] + b"\x07" * (len(body) - HEAD)
        digest = sha256(made).digest()
        network.offer(digest, made)
        where = enc(SID, network.era, request.tag.segment % SEGMENTS, request.tag.slot)
        return [dict.fromkeys(request.outgoing, mac(0, LIAR, "broadcast", where + enc(LIAR, digest)) + made)]


@pytest.mark.parametrize("lies", [False, True], ids=["all honest", "a liar"])
def test_a_restart_during_setup_does_not_end_the_attempt_whatever_one_party_reports(
    tmp_path: Path, *, lies: bool
) -> None:
    world = SetupWorld(SMALL, tmp_path, faults=Misreport() if lies else Faults())

    async def scene(world: SetupWorld) -> None:
        world.boot()
        await world.happens(VICTIM, "start")
        world.crash(VICTIM)
        await asyncio.sleep(0.5)
        world.boot(VICTIM)
        await world.ended(VICTIM, 2, 3)

    world.play(scene)
    assert world.opened(VICTIM, 2, 3)
    assert lies == any(event == "quorum lost" for _, event in world.events), "the lie is told"


# --- with batches behind the setup

BITS = 16
BATCHES = tuple(Batch(index, "bits", 64, (Chunk(0, "bits", 64, groups=BITS // 4),)) for index in range(2))


@pytest.mark.parametrize("after", ["certificate", "start", "signed"])
def test_who_regains_its_keys_makes_the_later_batches_with_the_others(tmp_path: Path, after: str) -> None:
    world = SetupWorld(SMALL, tmp_path, BATCHES)

    async def scene(world: SetupWorld) -> None:
        world.boot()
        await world.happens(VICTIM, "certificate")
        await world.happens(VICTIM, after)
        world.crash(VICTIM)
        world.homes[VICTIM].wipe()
        world.boot(VICTIM)
        await world.ended(*ALL)

    world.play(scene)
    assert world.opened(*ALL)
    words = b"".join(world.batch(number, *ALL) for number in (1, 2))
    bits = [int.from_bytes(words[at : at + 8], "little") for at in range(0, len(words), 8 * 4)]
    assert set(bits) == {0, 1}
    assert world.homes[VICTIM].draws.count == 1


def test_a_party_without_setup_is_no_loss_to_the_batches(tmp_path: Path) -> None:
    world = SetupWorld(SMALL, tmp_path, BATCHES, Withhold(OTHERS, ("rho", "tell")))
    world.play(everybody)
    for number in (1, 2):
        assert world.batch(number, *ALL)
        assert world.signed(VICTIM, number), "it regained its keys before the batches began"


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
@pytest.mark.parametrize("what", ["setup-keys-", "setup-held-", "batch-1-", "batch-2-", ""])
def test_what_the_disk_damaged_of_a_checkpoint_is_taken_over_from_the_others(
    tmp_path: Path, what: str, damage: str
) -> None:
    world = SetupWorld(SMALL, tmp_path, BATCHES)

    async def scene(world: SetupWorld) -> None:
        world.boot()
        await world.ended(*ALL)
        world.crash(VICTIM)
        harmed = [path for path in world.homes[VICTIM].directory.glob(f"{what}*.sealed") if path.stem != DRAWS]
        assert len(harmed) == (1 if what else 4)
        for path in harmed:
            good = path.read_bytes()
            if damage == "remove":
                path.unlink()
            else:
                path.write_bytes(good[:-1] + (b"" if damage == "cut" else bytes([good[-1] ^ 1])))
        world.boot(VICTIM)
        await world.ended(VICTIM)

    world.play(scene)
    assert world.opened(*ALL)
    assert all(world.batch(number, *ALL) for number in (1, 2))
    assert inquiries(world, VICTIM) == (0 if what.startswith("batch") or what == "setup-keys-" else 3)


def test_a_restart_opens_what_is_whole_and_writes_nothing_anew(tmp_path: Path) -> None:
    world = SetupWorld(SMALL, tmp_path, BATCHES)

    async def scene(world: SetupWorld) -> None:
        world.boot()
        await world.ended(*ALL)
        world.crash(VICTIM)
        before = {path: path.stat().st_ino for path in world.homes[VICTIM].directory.iterdir()}
        world.boot(VICTIM)
        await world.ended(VICTIM)
        assert {path: path.stat().st_ino for path in world.homes[VICTIM].directory.iterdir()} == before

    world.play(scene)
    assert inquiries(world, VICTIM) == 0


# --- the keeper alone: large groups, other eras


@dataclass(slots=True)
class Members:
    """Peers that answer from their keepers at once, some of them never."""

    asker: Role
    keepers: Mapping[Role, SetupKeeper]
    mute: frozenset[Role] = frozenset()
    longest: tuple[int, int] = (0, 0)

    async def fetch(self, digest: bytes) -> bytes:
        raise AssertionError(f"nothing is fetched by its hash: {digest.hex()}")

    async def inquire(self, questions: Mapping[Role, bytes], take: Callable[[Role, bytes], bool]) -> None:
        for role, question in questions.items():
            assert letters.decode(Group(13, 4), letters.encode(Inquire(question))) is not None
            answer = None if role in self.mute else self.keepers[role].reply(self.asker, question)
            if answer is not None:
                assert letters.decode(Group(13, 4), letters.encode(Reply(answer))) is not None
                self.longest = max(self.longest, (len(question), len(answer)))
                if take(role, answer):
                    return
        raise AssertionError("the other members have it, and it can't be had")


def dealt(group: Group, directory: Path) -> tuple[dict[Role, SetupKeeper], Certified, bytes]:
    """All keepers after a setup in which everything counted; the contents of its certificate."""
    held = {role: Contributions(group.n, group.t, role, Secret.from_bytes(bytes([role]) * 32)) for role in group.roles}
    for one in group.roles:
        for other in group.roles:
            if one != other:
                held[one].receive(other, held[other].message_for(one))
    certified = certify(group, {role: draws.digests(SID) for role, draws in held.items()})
    body = encode_setup(group, certified)
    keepers = {}
    for role, draws in held.items():
        home = Home(group, role, directory / str(role), Draws(role))
        home.sealer.seal_contributions(f"setup-held-{sha256(body).hexdigest()[:16]}", 0, draws)
        keepers[role] = home.keeper()
    return keepers, certified, body


@pytest.mark.parametrize("era", [0, 3])
def test_keys_are_those_of_the_era_of_the_certificate(tmp_path: Path, era: int) -> None:
    keepers, certified, body = dealt(SMALL, tmp_path / "all")
    digest = sha256(body).digest()
    lost = Home(SMALL, VICTIM, tmp_path / "new" / "1", Draws(VICTIM)).keeper()
    asyncio.run(lost.adopt(era, digest, body, Members(VICTIM, keepers)))
    draws = keepers[VICTIM].sealer.unseal_contributions(f"setup-held-{digest.hex()[:16]}", 0, 4, 1)
    assert lost.keys(digest).reveal() == keys_of(lost, era, draws, certified).reveal()
    assert lost.keys(digest).reveal() != keys_of(lost, era + 1, draws, certified).reveal()


def test_thirteen_parties_regain_keys_by_bounded_questions_though_four_are_mute(tmp_path: Path) -> None:
    group = Group(13, 4)
    keepers, certified, body = dealt(group, tmp_path / "all")
    digest = sha256(body).digest()
    members = Members(VICTIM, keepers, mute=frozenset({2, 5, 8, 13}))
    lost = Home(group, VICTIM, tmp_path / "new" / "1", Draws(VICTIM)).keeper()
    asyncio.run(lost.adopt(0, digest, body, members))
    draws = keepers[VICTIM].sealer.unseal_contributions(f"setup-held-{digest.hex()[:16]}", 0, 13, 4)
    assert lost.keys(digest).reveal() == keys_of(lost, 0, draws, certified).reveal()
    assert sum(contains(mask, VICTIM) for mask in sets_of(group)) * (group.n - group.t) > MOST, "more than one question"
    assert members.longest[0] <= QUESTION_LIMIT
    assert members.longest[1] <= REPLY_LIMIT


def test_a_letter_that_is_too_long_is_none() -> None:
    assert letters.decode(SMALL, letters.encode(Inquire(bytes(QUESTION_LIMIT + 1)))) is None
    assert letters.decode(SMALL, letters.encode(Reply(bytes(REPLY_LIMIT + 1)))) is None
    assert letters.decode(SMALL, letters.encode(Reply(bytes(REPLY_LIMIT)))) == Reply(bytes(REPLY_LIMIT))
    assert "00" not in repr(replace(Reply(bytes(8))))
