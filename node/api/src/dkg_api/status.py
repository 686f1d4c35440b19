"""A status item of a node: what its operator, a launcher or a person reads of it (design 04, "Node and operator")."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from dkg_api.errors import DocumentError
from dkg_api.model import LARGEST_INTEGER, Hex32, Model, parse_model

Count = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]


class StatusContent(Model):
    """The content of a StatusItem. A newer node may say more: fields that are not known are passed over."""

    model_config = ConfigDict(extra="ignore")

    party: Count
    terms_digest: Hex32
    attempt: Count
    notices: tuple[str, ...]
    number: Count
    state: str
    phase: str
    percent: Annotated[int, Field(ge=0, le=100)]
    bits: Count
    bits_per_second: Count
    eta_seconds: Count | None
    sent_bytes: Count
    received_bytes: Count
    message: str
    artefacts: tuple[str, ...]


def read_status(content: bytes) -> StatusContent | None:
    """The item behind a valid signature; None if it is none: a node that lies must not end who looks at it."""
    try:
        return parse_model(StatusContent, content, "status")
    except DocumentError:
        return None
