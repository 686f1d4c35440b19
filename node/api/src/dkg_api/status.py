"""A status item of a node: what its operator, a launcher or a person reads of it (design 04, "Node and operator")."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from dkg_api.errors import DocumentError
from dkg_api.model import LARGEST_INTEGER, Hex32, Model, parse_model

Count = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
Line = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{0,500}$")]
Artefact = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}(/[a-z0-9_]{1,40})?\.[a-z]{1,8}$")]
"""A plain relative name: what is fetched is written under it."""


class StatusContent(Model):
    """The content of a StatusItem: a node's word, so every text is short and printable and every number in range.

    A newer node may say more: fields that are not known are passed over.
    """

    model_config = ConfigDict(extra="ignore")

    party: Count
    terms_digest: Hex32
    attempt: Count
    notices: tuple[Line, ...]
    number: Count
    state: Line
    phase: Line
    percent: Annotated[int, Field(ge=0, le=100)]
    bits: Count
    bits_per_second: Count
    eta_seconds: Count | None
    sent_bytes: Count
    received_bytes: Count
    message: Line
    artefacts: Annotated[tuple[Artefact, ...], Field(max_length=64)]


def read_status(content: bytes) -> StatusContent | None:
    """The item behind a valid signature; None if it is none: a node that lies must not end who looks at it."""
    try:
        return parse_model(StatusContent, content, "status")
    except DocumentError:
        return None
