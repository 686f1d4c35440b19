"""`terms successor`: from a draft to successor terms that all signed, each refusal in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

NEGATIVE, USAGE = 1, 2
Capture = pytest.CaptureFixture[str]
OTHER = {"pcr0": "1a" * 48, "pcr1": "1b" * 48, "pcr2": "1c" * 48}
THIRD = {"pcr0": "2a" * 48, "pcr1": "2b" * 48, "pcr2": "2c" * 48}


class Organisations(Protocol):
    """See conftest."""

    place: Path

    def successor(self, step: str, *arguments: str) -> int: ...
    def succeed(self, releases: list[dict[str, str]]) -> Path: ...


Refused = Callable[[int, int, str], None]


@pytest.fixture
def refused(capsys: Capture) -> Refused:
    def check(found: int, expected: int, words: str) -> None:
        errors = capsys.readouterr().err
        assert found == expected, errors
        assert errors.startswith("error: ")
        assert errors.count("\n") == 1
        assert words in errors

    return check


@pytest.fixture
def certificate(organisations: Organisations) -> list[str]:
    return ["--certificate", str(organisations.place / "certificate.json")]


def test_signed_by_all_they_count_and_may_be_succeeded(
    organisations: Organisations, certificate: list[str], capsys: Capture
) -> None:
    first = organisations.succeed([OTHER])
    capsys.readouterr()
    assert organisations.successor("check", str(first), *certificate) == 0
    assert "signed by all 4" in capsys.readouterr().out
    (organisations.place / "draft.json").write_text(json.dumps({"releases": [THIRD]}))
    second = organisations.place / "second.json"
    draft = [str(organisations.place / "draft.json"), *certificate, "--after", str(first), "--out", str(second)]
    assert organisations.successor("new", *draft) == 0
    one, two = (json.loads(path.read_text())["successor"] for path in (first, second))
    assert two["predecessor"] != one["predecessor"]
    assert two["sealing"] == one["sealing"]


def test_people_see_all_of_it_before_they_sign(organisations: Organisations, capsys: Capture) -> None:
    path = organisations.succeed([OTHER])
    value = json.loads(path.read_text())
    path.write_text(json.dumps({**value, "signatures": value["signatures"][:3]}))
    capsys.readouterr()
    assert organisations.successor("show", str(path)) == 0
    shown = capsys.readouterr().out
    texts = [*OTHER.values(), *value["successor"]["sealing"][0].values(), value["successor"]["certificate"]]
    assert all(text in shown for text in texts)
    assert "local organisation 4: NOT SIGNED" in shown
    assert "PROVES NOTHING" in shown


def test_signatures_of_each_are_brought_together(
    organisations: Organisations, certificate: list[str], refused: Refused
) -> None:
    path = organisations.succeed([OTHER])
    value = json.loads(path.read_text())
    parts = []
    for number in range(4):
        part = organisations.place / f"part-{number}.json"
        part.write_text(json.dumps({**value, "signatures": value["signatures"][number : number + 1]}))
        parts.append(str(part))
    out = str(organisations.place / "merged.json")
    assert organisations.successor("merge", *parts[:3], "--out", out) == 0
    refused(organisations.successor("check", out, *certificate), NEGATIVE, "local organisation 4")
    assert organisations.successor("merge", *parts, "--out", out) == 0
    assert organisations.successor("check", out, *certificate) == 0
    other = organisations.place / "other.json"
    changed = {**value["successor"], "releases": [THIRD]}
    other.write_text(json.dumps({**value, "successor": changed}))
    refused(organisations.successor("merge", out, str(other), "--out", out), USAGE, "other successor terms")
    refused(organisations.successor("check", str(other), *certificate), NEGATIVE, "local organisation 1")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["the bad one last", "the bad one first"])
def test_an_invalid_signature_takes_no_valid_ones_place(
    organisations: Organisations, certificate: list[str], order: tuple[int, int]
) -> None:
    path = organisations.succeed([OTHER])
    value = json.loads(path.read_text())
    bad = organisations.place / "bad-signature.json"
    bad.write_text(json.dumps({**value, "signatures": [{"party": 1, "signature": "ab" * 64}]}))
    files, out = [str(path), str(bad)], str(organisations.place / "merged.json")
    assert organisations.successor("merge", *(files[number] for number in order), "--out", out) == 0
    assert organisations.successor("check", out, *certificate) == 0


def test_nobody_signs_for_another_or_for_what_does_not_follow(
    organisations: Organisations, certificate: list[str], refused: Refused
) -> None:
    path = organisations.succeed([OTHER])
    value = json.loads(path.read_text())
    out = organisations.place / "out.json"
    mine = ["--party", "1", "--key", str(organisations.place / "1.pem"), "--out", str(out)]
    refused(
        organisations.successor("sign", str(path), *certificate, *mine, "--party", "2"), USAGE, "key of party 2"
    )  # fmt: skip
    for field, words in (("predecessor", "another predecessor"), ("certificate", "another certificate")):
        path.write_text(json.dumps({"successor": {**value["successor"], field: "cd" * 32}, "signatures": []}))
        refused(organisations.successor("sign", str(path), *certificate, *mine), USAGE, words)
    assert not out.exists()


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        ({}, "releases"),
        ({"releases": []}, "releases"),
        ({"releases": [OTHER, OTHER]}, "stands twice"),
        ({"releases": [{**OTHER, "pcr0": "00" * 48}]}, "all zero"),
        ({"releases": [OTHER], "sealing": []}, "each of the 4 parties"),
        ({"releases": [OTHER], "threshold": 1}, "is not known"),
        ([], "no draft"),
    ],
)
def test_a_draft_that_can_never_count_is_refused(
    organisations: Organisations, certificate: list[str], refused: Refused, draft: object, words: str
) -> None:
    path, out = organisations.place / "draft.json", organisations.place / "out.json"
    path.write_text(json.dumps(draft))
    refused(organisations.successor("new", str(path), *certificate, "--out", str(out)), USAGE, words)
    assert not out.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"successor": {}, "signatures": []}', '{"a": NaN}'])
def test_what_is_no_file_of_successor_terms_is_refused(
    organisations: Organisations, certificate: list[str], refused: Refused, text: str
) -> None:
    path = organisations.place / "bad.json"
    path.write_text(text)
    refused(organisations.successor("check", str(path), *certificate), USAGE, "bad.json")
