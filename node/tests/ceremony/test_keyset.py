"""Public keys, a segment each: opened twice they are the same, and who missed one gets it from the others."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from dkg_node.ceremony import keyset
from dkg_node.ceremony.contents import KEY_FILES, OpenedKey, decode_key, encode_files, encode_key
from dkg_node.ceremony.keyset import Keyset
from dkg_node.ceremony.phases import segments_of
from dkg_node.ceremony.run import Findings
from dkg_node.errors import ProtocolError
from dkg_node.keygen.plan import plan_of
from dkg_node.protocols.session import Group, Role, Session
from dkg_node.service.adapters import BodyFiles
from dkg_node.testing.ideal import ideal
from dkg_node.testing.lockstep import run_lockstep
from dkg_node.testing.small_sets import TOY

if TYPE_CHECKING:
    from dkg_node.ceremony.phases import Segment
    from dkg_node.ceremony.program import Peers
    from dkg_node.ceremony.run import Party, Work

GROUP = Group(4, 1)
PLAN = plan_of(TOY)
SEGMENTS = segments_of(GROUP, TOY, PLAN)
KEYS = [segment for segment in SEGMENTS if segment.key is not None]
FILES = SEGMENTS[-1]
CERTIFIED = (*KEYS, FILES)
DEALT = ideal(GROUP, TOY, PLAN, 61)
SMALL = 64
"""Bytes of a block in these tests: every key has several."""


class Assembler:
    """Key files that depend on every body and the seed."""

    async def assemble(self, bodies: Path, seed: bytes, out: Path) -> dict[str, str]:
        whole = b"".join((bodies / f"{spec.name}.bodies").read_bytes() for spec in TOY.keys)
        for name in KEY_FILES:
            (out / f"{name}.bin").write_bytes(name.encode() + seed + whole)
        return {name: sha256((out / f"{name}.bin").read_bytes()).hexdigest() for name in KEY_FILES}


class Archive(dict[bytes, bytes]):
    """In memory."""

    def keep(self, body: bytes) -> bytes:
        digest = sha256(body).digest()
        self[digest] = body
        return digest


class Home:
    """One party's directories; ``boot`` is a Keyset that has seen nothing yet."""

    def __init__(self, directory: Path) -> None:
        self.bodies, self.public = directory / "bodies", directory / "public"
        for path in (self.bodies, self.public):
            path.mkdir(parents=True)
        self.archive = Archive()

    def boot(self, sink: BodyFiles | None = None) -> Keyset:
        party = SimpleNamespace(
            sink=sink or BodyFiles(self.bodies),
            bodies=self.bodies,
            public=self.public,
            archive=self.archive,
            assembler=Assembler(),
            transcript=SimpleNamespace(add=lambda *_, **__: None),
        )
        return Keyset(cast("Work", SimpleNamespace(params=TOY, plan=PLAN)), cast("Party", party), Findings())


class OthersBlocks:
    """Peers: blocks of one other party, counted."""

    def __init__(self, other: Keyset) -> None:
        self.other, self.asked = other, 0

    async def fetch(self, digest: bytes) -> bytes:
        self.asked += 1
        block = self.other.block(digest)
        assert block is not None
        return block


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "BLOCK", SMALL)


def opened(homes: dict[Role, Home], boots: dict[Role, Keyset], era: int = 0) -> list[bytes]:
    """All segments run at all parties; the contents of their certificates, kept by all."""
    found: list[bytes] = []
    for segment in CERTIFIED:

        async def program(session: Session, segment=segment) -> bytes:  # type: ignore[no-untyped-def]  # noqa: ANN001
            entered = replace(session, era=era).enter(segment.index, segment.schedule)
            boot = boots[session.me]
            seed = boot.seed(sha256(found[0]).digest()) if found else b""
            if segment.key is None:
                return await boot.assemble(entered, seed)
            given = DEALT.preprocessing[session.me]
            return await boot.open(entered, segment.key, given, seed or DEALT.keys[session.me])

        run = run_lockstep(GROUP, program)
        assert run.errors == {}
        assert len(set(run.results.values())) == 1
        found.append(run.results[1])
        for role, home in homes.items():
            home.archive.keep(found[-1])
            boots[role].made(found[-1])
    return found


@pytest.fixture
def made(tmp_path: Path) -> tuple[dict[Role, Home], dict[Role, Keyset], list[bytes]]:
    homes = {role: Home(tmp_path / str(role)) for role in GROUP.roles}
    boots = {role: home.boot() for role, home in homes.items()}
    return homes, boots, opened(homes, boots)


Made = tuple[dict[Role, Home], dict[Role, Keyset], list[bytes]]


async def catch_up(home: Home, boot: Keyset, contents: list[bytes], peers: OthersBlocks) -> None:
    for segment, body in zip(CERTIFIED, contents, strict=True):
        seed = b"" if segment.key is not None else boot.seed(sha256(contents[0]).digest())
        await boot.adopt(segment, body, seed, cast("Peers", peers))
        home.archive.keep(body)
        boot.made(body)


def held(home: Home, contents: list[bytes]) -> list[bool]:
    """What a new boot finds whole."""
    return found(home.boot(), contents)


def found(boot: Keyset, contents: list[bytes]) -> list[bool]:
    """What a boot finds whole, and then holds."""

    async def look() -> list[bool]:
        return [await boot.found(one, sha256(body).digest()) for one, body in zip(CERTIFIED, contents, strict=True)]

    whole = asyncio.run(look())
    assert whole == [boot.holds(sha256(body).digest()) for body in contents]
    return whole


def test_a_party_that_missed_every_key_ends_with_the_same_files(made: Made, tmp_path: Path) -> None:
    homes, boots, contents = made
    late = Home(tmp_path / "late")
    asyncio.run(catch_up(late, late.boot(), contents, OthersBlocks(boots[1])))
    for name in KEY_FILES:
        assert (late.public / f"{name}.bin").read_bytes() == (homes[1].public / f"{name}.bin").read_bytes()
    assert all(held(late, contents))


def test_who_caught_up_serves_others(made: Made, tmp_path: Path) -> None:
    _, boots, contents = made
    first, second = Home(tmp_path / "first"), Home(tmp_path / "second")
    boot = first.boot()
    asyncio.run(catch_up(first, boot, contents, OthersBlocks(boots[2])))
    asyncio.run(catch_up(second, second.boot(), contents, OthersBlocks(boot)))
    assert all(held(second, contents))


def test_a_restarted_party_holds_what_it_made_and_serves_it(made: Made, tmp_path: Path) -> None:
    homes, _, contents = made
    boot = homes[3].boot()
    assert all(held(homes[3], contents))
    assert all(found(boot, contents))
    late = Home(tmp_path / "late")
    asyncio.run(catch_up(late, late.boot(), contents, OthersBlocks(boot)))
    assert all(held(late, contents))


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "append to nothing"])
def test_damaged_bodies_are_not_held_not_served_and_mended_block_by_block(made: Made, damage: str) -> None:
    homes, boots, contents = made
    opening = decode_key(contents[0])
    assert opening is not None
    path = homes[4].bodies / f"{opening.name}.bodies"
    good = path.read_bytes()
    bad = {"flip": bytes([good[0] ^ 1]) + good[1:], "cut": good[:-1], "append to nothing": bytes(len(good) + 9)}
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(bad[damage])
    boot = homes[4].boot()
    assert found(boot, contents)[0] is False
    served = [boots[4].block(block) for block in opening.blocks]
    assert served.count(None) == (1 if damage in {"flip", "cut"} else len(opening.blocks))
    peers = OthersBlocks(boots[1])
    asyncio.run(boot.adopt(KEYS[0], contents[0], b"", cast("Peers", peers)))
    assert path.read_bytes() == good
    assert peers.asked == served.count(None)


def test_catching_up_on_one_key_leaves_another_one_under_way_alone(made: Made, tmp_path: Path) -> None:
    """A party may adopt a key in the background while it already opens the next one."""
    _, boots, contents = made
    late = Home(tmp_path / "late")
    sink = BodyFiles(late.bodies)
    sink.write(TOY.keys[1].name, b"first half, ")
    boot = late.boot(sink)
    asyncio.run(boot.adopt(KEYS[0], contents[0], b"", cast("Peers", OthersBlocks(boots[1]))))
    sink.write(TOY.keys[1].name, b"second half")
    sink.close(TOY.keys[1].name)
    assert sink.read(TOY.keys[1].name, 0, 100) == b"first half, second half"


def test_other_tasks_get_a_turn_after_every_block_that_a_restart_reads(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment may be running: its slots do not wait until all keys are hashed."""
    monkeypatch.setattr(keyset, "READ", SMALL)
    homes, _, contents = made
    boot = homes[2].boot()
    blocks = [len(opening.blocks) for body in contents if (opening := decode_key(body)) is not None]
    files = [-(-path.stat().st_size // SMALL) for path in homes[2].public.iterdir()]

    async def turns(segment: Segment, body: bytes) -> int:
        count = 0

        async def other() -> None:
            nonlocal count
            while True:
                count += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        assert await boot.found(segment, sha256(body).digest())
        task.cancel()
        return count

    counts = [asyncio.run(turns(segment, body)) for segment, body in zip(CERTIFIED, contents, strict=True)]
    assert all(count >= least for count, least in zip(counts, [*blocks, sum(files)], strict=True))
    assert max(blocks) > 1
    assert max(files) > 1


def test_lost_key_files_are_made_again_of_the_bodies(made: Made) -> None:
    homes, boots, contents = made
    (homes[2].public / "keyset.bin").unlink()
    assert held(homes[2], contents) == [*[True] * len(KEYS), False]
    boot, peers = homes[2].boot(), OthersBlocks(boots[1])
    seed = boot.seed(sha256(contents[0]).digest())
    asyncio.run(boot.adopt(FILES, contents[-1], seed, cast("Peers", peers)))
    assert peers.asked == 0
    assert all(held(homes[2], contents))


def test_a_key_that_is_opened_again_in_a_later_era_comes_out_the_same(made: Made) -> None:
    """Two openings of one noise under different keys would give the key away: there is only one opening."""
    homes, boots, contents = made
    assert opened(homes, boots, era=7) == contents


def test_files_that_differ_from_those_certified_end_in_an_error(made: Made) -> None:
    homes, boots, contents = made
    boot = homes[1].boot()
    other = encode_files(dict.fromkeys(KEY_FILES, "00" * 32))
    seed = boot.seed(sha256(contents[0]).digest())
    with pytest.raises(ProtocolError, match="differ from those certified"):
        asyncio.run(boot.adopt(FILES, other, seed, cast("Peers", OthersBlocks(boots[2]))))


def test_contents_of_another_key_or_another_size_are_refused(made: Made) -> None:
    homes, boots, contents = made
    opening = decode_key(contents[0])
    assert opening is not None
    for wrong in (contents[1], b"rubbish", encode_key(OpenedKey(opening.name, opening.seed, opening.blocks[:-1]))):
        with pytest.raises(ProtocolError, match="another build"):
            asyncio.run(homes[1].boot().adopt(KEYS[0], wrong, b"", cast("Peers", OthersBlocks(boots[2]))))


def test_every_key_names_the_one_seed_of_all(made: Made) -> None:
    _, _, contents = made
    found = [decode_key(body) for body in contents[:-1]]
    assert len({one.seed for one in found if one is not None}) == 1
    assert [one.name for one in found if one is not None] == [spec.name for spec in TOY.keys]
