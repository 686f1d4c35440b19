"""What is wrong with a document, in one line each, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class ApiError(ValueError):
    """Base of the errors of this package; the text is one line for a person."""


class DocumentError(ApiError):
    """A document has one or more problems; ``problems`` has one line for each, the text is the first."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        """Take at least one line."""
        self.problems = problems
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(problems[0] + more)


_ADVICE = {
    "missing": "is missing: add it",
    "extra_forbidden": "is not known: remove it",
    "int_type": "is no whole number: write one",
    "string_type": "is no text: write one",
    "bool_type": "is neither true nor false: write one of them",
}


def problem_lines(error: ValidationError, what: str) -> tuple[str, ...]:
    """One line for each problem pydantic found: document, field, what is wrong, what to do. Never the input itself."""
    return tuple(_line(dict(item), what) for item in error.errors(include_url=False, include_input=False))


def _line(item: dict[str, object], what: str) -> str:
    location = item["loc"]
    parts = location if isinstance(location, tuple) else ()
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
    text = _ADVICE.get(str(item["type"]), "")
    if not text:
        text = str(item["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
        text = f"{text[:1].lower()}{text[1:]}" if text[1:2].islower() else text
        text = text.replace("string should match pattern", "has the wrong form: write it to match")
    return " ".join(f"{what}: {where + ': ' if where else ''}{text}".split())
