"""measurements.json as another party's node gives it: up to t of them may give rubbish."""

from __future__ import annotations

from pydantic import ConfigDict

from dkg_api.model import Model
from dkg_api.report import PartyReport, Phase


class Measurements(Model):
    """What of it enters the report. A newer node may say more."""

    model_config = ConfigDict(extra="ignore")

    party: PartyReport
    phases: tuple[Phase, ...]
    wrong_shares: tuple[int, ...]
    missing: tuple[int, ...]


def read_measurements(text: bytes, party: int) -> Measurements:
    """ValueError unless it has that form and is that party's."""
    found = Measurements.model_validate_json(text)
    if found.party.index != party:
        raise ValueError(f"party {party} gives the measurements of another: it does not count")
    return found
