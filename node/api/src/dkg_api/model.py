"""What all documents share: frozen, nothing unknown accepted, no silent conversion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from dkg_api.canonical import LARGEST, CanonicalError, canonical, parse
from dkg_api.errors import DocumentError, problem_lines

M = TypeVar("M", bound=BaseModel)

Hex16 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""128 bits, lower-case hex."""
Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""256 bits: a SHA-256 digest or an Ed25519 public key, lower-case hex."""
Hex48 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{96}$")]
"""384 bits: a platform configuration register."""
Hex64 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
"""512 bits: an Ed25519 signature."""
Instant = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
"""An instant, RFC 3339, UTC, whole seconds, one spelling: 2030-01-31T12:00:00Z."""

LARGEST_INTEGER = LARGEST


class Model(BaseModel):
    """Base of snake_case documents (certificate, report, transcript, enrolment)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class CamelModel(BaseModel):
    """Base of camelCase documents (terms, desired state): attributes are snake_case, the JSON is camelCase."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_name=True,
        serialize_by_alias=True,
    )


def parse_model(
    model: type[M], source: bytes | str | Mapping[str, object], what: str, error: type[DocumentError] = DocumentError
) -> M:
    """Check a JSON text or object against a model; raises ``error``, one line a problem, the input never quoted."""
    try:
        value = parse(source, what) if isinstance(source, (bytes, str)) else source
        text = canonical(value)
    except CanonicalError as found:
        raise error((str(found),)) from found
    try:
        return model.model_validate_json(text, by_alias=True, by_name=False)
    except ValidationError as found:
        raise error(problem_lines(found, what)) from found
