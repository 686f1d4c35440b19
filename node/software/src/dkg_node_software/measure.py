"""The release that software nodes claim to be: the code measured as `release measure` shows it."""

from __future__ import annotations

from dkg_node.service.measure import measure

__all__ = ["measure"]
