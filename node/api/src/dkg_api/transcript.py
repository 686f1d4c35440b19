"""The transcript: one canonical JSON line an entry, each holding the hash of the line before it (design 07)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from dkg_api.canonical import CanonicalError, canonical, parse

START = "0" * 64
"""What the first line holds instead of a hash."""


def append(previous: bytes | None, entry: Mapping[str, object]) -> bytes:
    """The next line, with its newline: the entry and ``prev``, SHA-256 of the previous line without its newline.

    Raises CanonicalError for what has no canonical text, ValueError for an entry that brings its own ``prev``.
    """
    if "prev" in entry:
        raise ValueError("leave prev to the transcript")
    return canonical({**entry, "prev": _hash(previous)}) + b"\n"


def verify_lines(lines: Iterable[bytes]) -> str | None:
    """What is wrong with a transcript, by line number; None if its chain holds. An unfinished last line is wrong."""
    previous: bytes | None = None
    for number, line in enumerate(lines, 1):
        problem = _line_problem(previous, line)
        if problem is not None:
            return f"transcript line {number}: {problem}"
        previous = line
    return None


def _line_problem(previous: bytes | None, line: bytes) -> str | None:
    if not line.endswith(b"\n"):
        return "it is cut off"
    try:
        value = parse(line, "entry")
        if canonical(value) != line[:-1]:
            return "it is not canonical JSON"
    except CanonicalError as error:
        return str(error)
    if not isinstance(value, dict) or value.get("prev") != _hash(previous):
        return "it does not follow the line before it: something was changed, removed or put in"
    return None


def _hash(line: bytes | None) -> str:
    return START if line is None else hashlib.sha256(line.removesuffix(b"\n")).hexdigest()
