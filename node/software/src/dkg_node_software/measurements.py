"""measurements.json as another party's node gives it: up to t of them may give rubbish."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dkg_api.report import PartyReport, Phase
from dkg_node.errors import ProtocolError

Roles = Annotated[tuple[Annotated[int, Field(ge=1, le=13)], ...], Field(max_length=13)]


class Measurements(BaseModel):
    """What a party says of itself and of others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    party: PartyReport
    phases: Annotated[tuple[Phase, ...], Field(max_length=10_000)]
    wrong_shares: Roles
    missing: Roles


def read_measurements(text: bytes, party: int) -> Measurements:
    """Pydantic's ValidationError unless it has that form; ProtocolError unless it is that party's."""
    found = Measurements.model_validate_json(text)
    if found.party.index != party:
        raise ProtocolError(f"party {party} gives the measurements of another")
    return found
