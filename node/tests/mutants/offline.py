"""Broken thresholds and comparisons of broadcast, opening, check, votes and fault code: tests must see each.

``python node/tests/mutants/offline.py [WORD ...]`` applies every mutant (whose name has a word) to a copy of the
package, runs the tests that must fail, and prints a table; without words it also writes ``offline.md`` beside itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

NODE = Path(__file__).resolve().parents[2]
PACKAGE = NODE / "src" / "dkg_node"
TESTS = NODE / "tests"
AT_ONCE = 2


@dataclass(frozen=True)
class Mutant:
    """In ``file`` the one place that reads ``old`` becomes ``new``; ``tests`` (files, then words for -k) must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: str


BROADCAST = "protocols/test_relays.py protocols/test_broadcast.py"
CHECK = "attacks/test_offline_check.py offline/test_check.py"
VOTES = "offline/test_votes.py"
BENCH = "offline/test_bench.py offline/test_king.py"
REVEAL = "attacks/test_fault_reveal.py"
OPENINGS = "attacks/test_fault_openings.py"
EVIDENCE = "offline/test_evidence.py"

MUTANTS = [
    Mutant(
        "relay with one signature less",
        "protocols/broadcast.py",
        "len(valid) >= number and",
        "len(valid) >= number - 1 and",
        BROADCAST,
    ),
    Mutant(
        "relay without its sender's signature",
        "protocols/broadcast.py",
        "len(valid) >= number and relay.sender in valid",
        "len(valid) >= number",
        BROADCAST,
    ),
    Mutant(
        "two bodies are one",
        "protocols/broadcast.py",
        "if len(bodies) == 1 else None",
        "if len(bodies) >= 1 else None",
        BROADCAST,
    ),
    Mutant(
        "one slot less",
        "protocols/broadcast.py",
        "for number in range(2, session.group.t + 2):",
        "for number in range(2, session.group.t + 1):",
        BROADCAST,
    ),
    Mutant(
        "any stamp",
        "protocols/broadcast.py",
        "body[:DIGEST] == stamp",
        "len(stamp) == DIGEST",
        BROADCAST + " attacks/test_offline_check.py",
    ),
    Mutant(
        "t absent parties are too many",
        "protocols/broadcast.py",
        "len(session.present) > group.t",
        "len(session.present) >= group.t",
        BROADCAST,
    ),
    Mutant(
        "opening with 2t shares",
        "protocols/opening.py",
        "len(usable) < session.group.degree2_quorum",
        "len(usable) < session.group.degree2_quorum + 1",
        "protocols/test_opening_and_coin.py",
    ),
    Mutant(
        "check with n-t-1 shares",
        "offline/check.py",
        "len(spoken) < group.quorum",
        "len(spoken) < group.quorum - 1",
        CHECK,
    ),
    Mutant(
        "check needs n-t+1 shares",
        "offline/check.py",
        "len(spoken) < group.quorum",
        "len(spoken) <= group.quorum",
        CHECK,
    ),
    Mutant(
        "check of degree 2t+1",
        "offline/check.py",
        "kernel.lies_on(group.n, 2 * group.t, k, spoken)",
        "kernel.lies_on(group.n, 2 * group.t + 1, k, spoken)",
        CHECK,
    ),
    Mutant(
        "canonical with one vote less", "offline/votes.py", "count >= group.quorum", "count >= group.quorum - 1", VOTES
    ),
    Mutant("canonical with one vote more", "offline/votes.py", "count >= group.quorum", "count > group.quorum", VOTES),
    Mutant("a king may miss itself", "offline/votes.py", "role != post.king and not", "not", VOTES),
    Mutant(
        "a disputed sender excuses again",
        "offline/votes.py",
        "role != post.king and not state.in_dispute(role, post.king)",
        "role != post.king",
        VOTES,
    ),
    Mutant(
        "strangers excuse a king",
        "offline/votes.py",
        "role in post.senders and role != post.king",
        "role != post.king",
        VOTES,
    ),
    Mutant(
        "n-t votes are too few",
        "offline/votes.py",
        "len(votes) < group.quorum",
        "len(votes) <= group.quorum",
        VOTES + " attacks/test_offline_check.py",
    ),
    Mutant(
        "n-t-1 votes are enough",
        "offline/votes.py",
        "len(votes) < group.quorum",
        "len(votes) < group.quorum - 1",
        VOTES,
    ),
    Mutant(
        "no excuse benches no king",
        "offline/votes.py",
        "if isinstance(decision, Kingless):",
        "if isinstance(decision, Disputed):",
        BENCH,
    ),
    Mutant(
        "t disputes bench",
        "protocols/state.py",
        "for entry in state.disputes) > group.t",
        "for entry in state.disputes) >= group.t",
        BENCH,
    ),
    Mutant(
        "t+1 disputes do not bench",
        "protocols/state.py",
        "for entry in state.disputes) > group.t",
        "for entry in state.disputes) > group.t + 1",
        BENCH,
    ),
    Mutant("benches grow by one", "protocols/state.py", "batch + (1 << (times - 1))", "batch + times", BENCH),
    Mutant("benches end a batch later", "protocols/state.py", "if end <= batch", "if end < batch", BENCH),
    Mutant(
        "a bench settles no dispute",
        "protocols/state.py",
        "frozenset(entry for entry in self.disputes if role not in entry)",
        "self.disputes",
        BENCH,
    ),
    Mutant(
        "kings need 2t senders",
        "offline/king.py",
        "if len(senders) == group.degree2_quorum:",
        "if len(senders) >= group.degree2_quorum - 1:",
        BENCH,
    ),
    Mutant("disputed senders serve", "offline/king.py", "if not state.in_dispute(king, role)]", "]", BENCH),
    Mutant(
        "help from t holders",
        "offline/fetch.py",
        "around[: group.t + 1]",
        "around[: group.t]",
        "attacks/test_offline_openings.py",
    ),
    Mutant(
        "reveal on n-t-1 signatures",
        "offline/fault.py",
        "if len(signers(got)) < session.group.quorum:",
        "if len(signers(got)) < session.group.quorum - 1:",
        REVEAL,
    ),
    Mutant(
        "reveal needs n-t+1 signatures",
        "offline/fault.py",
        "if len(signers(got)) < session.group.quorum:",
        "if len(signers(got)) <= session.group.quorum:",
        REVEAL,
    ),
    Mutant(
        "any bytes sign a fault",
        "offline/fault.py",
        "if data is not None and session.identity.verify(r, PURPOSE, signed, data)",
        "if data is not None",
        REVEAL,
    ),
    Mutant("no vow", "offline/fault.py", "    guard.vow(session.era, work.batch.index, work.generation)\n", "", REVEAL),
    Mutant("keys of any length", "offline/fault.py", "if len(one.content) == limit}", "if one.content}", REVEAL),
    Mutant("a key on t reports", "offline/judge.py", "if count > group.t:", "if count >= group.t:", EVIDENCE),
    Mutant(
        "a key needs t+2 reports",
        "offline/judge.py",
        "if count > group.t:",
        "if count > group.t + 1:",
        EVIDENCE + " " + REVEAL,
    ),
    Mutant("key liars go free", "offline/judge.py", "if other != key}", "if not other}", REVEAL),
    Mutant(
        "lying check shares go free",
        "offline/judge.py",
        "if said.content != truth.w[role])",
        "if not said.content)",
        REVEAL,
    ),
    Mutant(
        "a sender's wrong block goes free",
        "offline/judge.py",
        'convictions.add(Conviction(sender, "sender"))',
        "pass",
        OPENINGS,
    ),
    Mutant("a king's wrong sum goes free", "offline/judge.py", "!= wrong.v[start:stop]:", "== b'':", OPENINGS),
    Mutant(
        "blocks need no path",
        "offline/judge.py",
        "merkle.verify_path(shown.root, size, index, block, path)",
        "True",
        REVEAL,
    ),
    Mutant(
        "roots need no signature",
        "offline/judge.py",
        "return verify(\n        sender, PURPOSE, charge.y.signed(batch, charge.generation, wrong.post, shown.root), "
        "shown.signature\n    ) and all(",
        "return all(",
        REVEAL,
    ),
    Mutant(
        "the sum keeps the lowest bit",
        "offline/showing.py",
        "(total >> int(chunk.opens_bits))",
        "(total >> 1 << 1 >> 0)",
        OPENINGS,
    ),
    Mutant(
        "a showing may be longer",
        "offline/showing.py",
        "if position == len(data) else None",
        "if position <= len(data) else None",
        REVEAL,
    ),
    Mutant(
        "silent kings stay kings", "offline/judge.py", "            silent.add(king)\n", "            pass\n", REVEAL
    ),
    Mutant("a fault keeps accepted chunks", "offline/batch.py", "        self.accepted.clear()\n", "", REVEAL),
    Mutant(
        "a fault keeps its generation",
        "protocols/state.py",
        "self.generation(batch) + 1)",
        "self.generation(batch))",
        REVEAL,
    ),
    Mutant(
        "W without its list",
        "offline/round.py",
        "replace(session, state=labels.judged_state(session.state, listing, tossed.values, y_place.state))",
        "session",
        "attacks/test_offline_check.py",
    ),
    Mutant(
        "strangers trust n-t-1 shares",
        "offline/verify.py",
        "len(shares) >= group.quorum",
        "len(shares) >= group.quorum - 1",
        EVIDENCE,
    ),
    Mutant(
        "strangers believe what a record claims",
        "service/fault_records.py",
        "head.proves == claims",
        "head.proves",
        "service/test_verify_faults.py",
    ),
    Mutant(
        "records of any ceremony",
        "service/fault_records.py",
        "== charge.sid for attempt",
        "for attempt",
        "service/test_verify_faults.py",
    ),
    Mutant(
        "lines may name others than records",
        "service/fault_records.py",
        "if not found.problem and entry.convicted",
        "if found.problem and entry.convicted",
        "service/test_verify_faults.py",
    ),
    Mutant(
        "certified culprits need no record",
        "service/verify_faults.py",
        "for fault in certificate.faults} - proven",
        "for fault in certificate.faults} & proven",
        "service/test_verify_faults.py",
    ),
    Mutant(
        "vows are forgotten",
        "ceremony/verdicts.py",
        "if not self.may_sign(era, batch, generation):",
        "if not era >= 0:",
        "ceremony/test_verdicts.py",
    ),
    Mutant(
        "evidence waits for the batch",
        "offline/batch.py",
        "        guard.witness(course.batch.index, fault)\n",
        "",
        "ceremony/test_verdicts.py",
    ),
    Mutant(
        "the certificate blames the Absent",
        "ceremony/verdicts.py",
        "certificate.core.state.corrupt",
        "certificate.core.state.absent",
        "ceremony/test_verdicts.py",
    ),
    Mutant(
        "batch keys forget the era",
        "offline/labels.py",
        "batch.kind, batch.k, batch.index, place.era, generation))",
        "batch.kind, batch.k, batch.index, 0, generation))",
        "attacks/test_batch_restarts.py",
    ),
    Mutant(
        "damaged openings are used",
        "protocols/store.py",
        "if body is not None and sha256(body).digest() == digest else None",
        "if body is not None else None",
        "offline/test_broken_disk.py",
    ),
    Mutant(
        "wrong openings are not kept",
        "offline/judge.py",
        "            self._openings.append(digest)\n",
        "",
        "service/test_verify_faults.py",
    ),
    Mutant(
        "no W vouches for the state of y",
        "offline/labels.py",
        "state, listing, coin, signed_under)",
        "state, listing, coin)",
        "offline/test_bent_records.py",
    ),
    Mutant("strangers trust any coin", "offline/verify.py", "one.stamp == stamp and ", "", EVIDENCE),
    Mutant(
        "strangers trust any slot",
        "offline/verify.py",
        "charge.y.where != _where(charge, charge.w_slot - group.t - 5)",
        "not charge.y.where",
        EVIDENCE,
    ),
    Mutant(
        "places are all that counts",
        "transport/window.py",
        "            self._run.pace(deadline)",
        "            pass",
        "offline/test_window.py",
    ),
]


def outcome(mutant: Mutant) -> str:
    """Name of the test that saw it, or SURVIVED."""
    with TemporaryDirectory() as directory:
        copy = Path(directory) / "dkg_node"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        file = copy / mutant.file
        file.write_text(mutated(file.read_text(), mutant))
        tests = [str(TESTS / name) for name in mutant.tests.split()]
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", "not 13", *tests]
        environment = {**os.environ, "PYTHONPATH": directory, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=NODE.parent, env=environment, capture_output=True, text=True, check=False)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    if done.returncode == 1 and failed:
        return failed[0].split(" ")[1].rpartition("::")[2].partition("[")[0]
    return "SURVIVED" if done.returncode == 0 else f"BROKEN: {done.stdout[-300:]}"


def mutated(text: str, mutant: Mutant) -> str:
    """The text with the mutant in its one place. ValueError when there is no such place, or more."""
    if text.count(mutant.old) != 1:
        raise ValueError(f"find one place for the mutant {mutant.name!r}: there are {text.count(mutant.old)}")
    return text.replace(mutant.old, mutant.new)


def main(words: list[str]) -> int:
    """Run them; 1 when one survived."""
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = list(zip(chosen, pool.map(outcome, chosen), strict=True))
    lines = [f"| {mutant.name} | {mutant.file} | {seen} |" for mutant, seen in rows]
    killed = sum(seen.startswith("test_") for _, seen in rows)
    table = "\n".join(["| mutant | file | first test that saw it |", "|---|---|---|", *lines])
    text = f"{table}\n\n{killed} of {len(rows)} killed. Made by `python node/tests/mutants/offline.py`.\n"
    sys.stdout.write(text)
    if not words:
        Path(__file__).with_suffix(".md").write_text(f"# Mutants of the offline phase\n\n{text}")
    return int(killed != len(rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
