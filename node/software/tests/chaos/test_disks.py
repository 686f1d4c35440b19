"""Real processes whose disk is emptied or put back while they are away, and a second copy of one (03 "Epoch")."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from dkg_api.desired_state import Bucket
from dkg_node.ceremony.phases import segments_of
from dkg_node.keygen.parameters import parameter_set
from dkg_node.keygen.plan import plan_of
from dkg_node.protocols.session import Group, Role
from dkg_node.sealing.files import write_atomic
from dkg_node.service.command import NEGATIVE
from dkg_node.service.control_client import ControlClient
from dkg_node_software.agreement import Pace
from dkg_node_software.chaos.harness import Setting, Stage, close, make_stage, play
from dkg_node_software.chaos.nodes import POLL, Nodes, free_base
from dkg_node_software.chaos.schedule import Fault, Schedule, Step, steps_of
from dkg_node_software.custody import BUCKET, DoubleParty
from dkg_node_software.double.running import running_double
from dkg_node_software.measure import measure
from dkg_node_software.preflight import attest_port, peer_port

pytestmark = pytest.mark.long
GROUP = Group(4, 1)
LIMIT = 240.0
PACE = Pace(start_grace=2_000, round_timeout=2_000)
SLOW = Pace(start_grace=6_000, round_timeout=6_000)
"""S3 takes a tenth of a second for what a disk does in a few ms."""
HURT, COPIED = 3, 4
KEPT = {"identity.sealed", "desired-state.json", "node.log", "chaos.jsonl"}
"""Of an emptied disk: who the party is, what the harness needs."""
Between = Callable[[Stage], Coroutine[None, None, None]]


def step(phase: str, slot: str) -> Step:
    params = parameter_set("test")
    steps = steps_of(segments_of(GROUP, params, plan_of(params)))
    return next(one for one in steps if (one.phase, one.slot) == (phase, slot))


def wipe(home: Path) -> None:
    for path in home.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in KEPT:
            path.unlink()


def events(stage: Stage) -> list[dict[str, object]]:
    lines = (stage.layout.party(HURT) / "transcript.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def run(work: Path, faults: Sequence[Fault], beside: Between, pace: Pace = PACE) -> Stage:
    """One run to its end, ``beside`` beside it."""
    stage = make_stage(Setting(GROUP, "test", measure(), work, LIMIT, pace), Schedule(tuple(faults), lost=False), "run")

    async def main() -> None:
        task = asyncio.create_task(beside(stage))
        try:
            await play(stage)
            await task
        finally:
            task.cancel()
            await close(stage, keep=True)

    asyncio.run(main())
    return stage


def hurt(monkeypatch: pytest.MonkeyPatch, tamper: Callable[[Path], None]) -> None:
    """What happens to the disk while the process is away."""
    again = Nodes.again

    async def tampered(self: Nodes, party: Role, traps: Sequence[str]) -> None:
        self.running[party].wait()
        tamper(self.layout.party(party))
        await again(self, party, traps)

    monkeypatch.setattr(Nodes, "again", tampered)


async def nothing(_stage: Stage) -> None:
    """Beside a run that needs no more."""


@pytest.mark.parametrize("place", [("setup", "digests.1"), ("batch noise", "V")], ids=["setup", "batch"])
def test_an_emptied_disk_is_lost_and_the_party_regains_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: tuple[str, str]
) -> None:
    hurt(monkeypatch, wipe)
    stage = run(tmp_path, [Fault("restart", HURT, step(*place), "during", 0.1)], nothing)
    assert stage.done == {1, 2, 3, 4}
    found = events(stage)
    boots = [entry["how"] for entry in found if entry["event"] == "boot"]
    assert boots == ["lost disk"]
    assert {"event": "adopted", "segment": 0}.items() <= next(e for e in found if e["event"] == "adopted").items()
    spoke = [entry["silent"] for entry in found if entry["event"] == "segment"]
    assert spoke[0] == 1, "silent where it may have spoken"
    assert not (stage.layout.party(HURT) / "setup-draws.sealed").exists()


def test_an_old_copy_of_the_sealed_state_is_found_out_and_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old: list[bytes] = []

    async def take_copy(stage: Stage) -> None:
        path = stage.layout.party(HURT) / "control.sealed"
        while not path.exists():  # noqa: ASYNC110 - a file
            await asyncio.sleep(POLL)
        old.append(path.read_bytes())

    def put_back(home: Path) -> None:
        (home / "control.sealed").write_bytes(old[0])

    hurt(monkeypatch, put_back)
    stage = run(tmp_path, [Fault("restart", HURT, step("batch noise", "V"), "during", 0.1)], take_copy)
    assert stage.done == {1, 2, 3, 4}
    found = events(stage)
    (aside,) = [entry for entry in found if entry["event"] == "set aside"]
    assert "old copy" in str(aside["reason"])
    assert [entry["how"] for entry in found if entry["event"] == "boot"] == ["lost disk"]
    after = found[found.index(aside) :]
    assert next(entry["silent"] for entry in after if entry["event"] == "segment") == 1
    assert list(stage.layout.party(HURT).glob("control.set-aside-*"))


def test_damaged_checkpoints_are_replaced_before_the_public_key_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bend(home: Path) -> None:
        checkpoints = [*home.glob("batch-*.sealed"), *home.glob("setup-keys-*.sealed")]
        assert len(checkpoints) > 1
        for path in checkpoints:
            good = path.read_bytes()
            path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))

    hurt(monkeypatch, bend)
    stage = run(tmp_path, [Fault("restart", HURT, step("online", "open"), "before", 0.1)], nothing)
    assert stage.done == {1, 2, 3, 4}
    found = events(stage)
    assert [entry["how"] for entry in found if entry["event"] == "boot"] == ["restart"]
    adopted = [entry["segment"] for entry in found if entry["event"] == "adopted"]
    assert adopted[:2] == [0, 1]


def use_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every party's sealed objects lie in S3, as those of an enclave do."""
    tell = Nodes._tell

    def told(self: Nodes, party: Role) -> None:
        side = DoubleParty(self.layout.double, self.agreement.terms, party)
        operator, region = side.api("s3", "operator"), side.surroundings.region
        with suppress(operator.exceptions.BucketAlreadyOwnedByYou):
            operator.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": region})
            operator.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        tell(self, party)
        path = self.layout.desired_state(party)
        bucket = {"name": BUCKET, "prefix": f"{party}/software/"}
        write_atomic(path, json.dumps({**json.loads(path.read_bytes()), "bucket": bucket}).encode())

    monkeypatch.setattr(Nodes, "_tell", told)


def test_an_enclave_of_which_only_the_bucket_is_left_carries_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the sealed objects in S3 outlives it: what is public comes from the peers."""
    use_buckets(monkeypatch)
    hurt(monkeypatch, wipe)
    stage = run(tmp_path, [Fault("restart", HURT, step("batch noise", "V"), "during", 0.1)], nothing, SLOW)
    assert stage.done == {1, 2, 3, 4}
    found = events(stage)
    assert [entry["how"] for entry in found if entry["event"] == "boot"] == ["restart"]
    assert not [entry for entry in found if entry["event"] == "set aside"]
    assert not list((stage.layout.out / "parties").rglob("*.sealed"))
    with running_double(stage.layout.double):
        for party in GROUP.roles:
            side = DoubleParty(stage.layout.double, stage.nodes.agreement.terms, party)
            store = side.aws().store(Bucket(name=BUCKET, prefix=f"{party}/software/"), tmp_path)
            assert {"identity", "share"} <= set(store.names())


def test_of_two_live_copies_the_first_stops_and_the_second_finishes(tmp_path: Path) -> None:
    ends: list[int] = []
    home = tmp_path / "copy"

    async def copy(stage: Stage) -> None:
        nodes = stage.nodes
        while not stage.seen or "batch" not in stage.seen[COPIED].phase:  # noqa: ASYNC110 - a status
            await asyncio.sleep(POLL)
        first = nodes.running[COPIED]
        shutil.copytree(stage.layout.party(COPIED), home, ignore=shutil.ignore_patterns("identity.json", "*.sock"))
        base, socket = free_base(GROUP.n, stage.setting.taken), stage.nodes.sockets / "copy.sock"
        command = [sys.executable, "-m", "dkg_node_software.main", "node", "--until-eof"]
        command += ["--desired-state", str(home / "desired-state.json"), "--objects", str(home / "objects")]
        command += ["--control", str(socket), "--listen", f"127.0.0.1:{peer_port(base, COPIED)}"]
        command += ["--attest-listen", f"127.0.0.1:{attest_port(base, COPIED)}"]
        command += ["--aws-double", str(stage.layout.double)]
        with (home / "node.log").open("ab") as log:
            second = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)  # noqa: ASYNC220 - our own command
        nodes.running[COPIED] = second
        nodes._retired.append(first)
        while not (home / "identity.json").exists():  # noqa: ASYNC110 - a file
            await asyncio.sleep(POLL)
        nodes.attest[COPIED] = attest_port(base, COPIED)
        nodes.tell_all()
        shutil.copy(stage.layout.desired_state(COPIED), home / "desired-state.json")
        stage.clients[COPIED] = ControlClient(socket, nodes.key(COPIED))
        ends.append(await asyncio.to_thread(first.wait))

    stage = run(tmp_path, [], copy)
    assert ends == [NEGATIVE]
    assert stage.done == {1, 2, 3, 4}
    errors = [line for line in stage.layout.log(COPIED).read_text().splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "stop all but one copy" in errors[0]
    named = [line for party in GROUP.roles for line in open_lines(stage, party) if '"corrupt":[4' in line]
    assert named == [], "nobody is blamed for it"


def open_lines(stage: Stage, party: Role) -> list[str]:
    return (stage.layout.party(party) / "transcript.jsonl").read_text().splitlines()
