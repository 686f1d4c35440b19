"""All fuzz targets: importing this module fills the list."""

from __future__ import annotations

from dkg_node_software.fuzz import attested, control, documents, epochs, faults, kernel, protocol, sealing, wire
from dkg_node_software.fuzz.registry import TARGETS, Target

__all__ = [
    "TARGETS", "Target", "attested", "control", "documents", "epochs", "faults", "kernel", "protocol", "sealing",
    "wire",
]  # fmt: skip
