"""All fuzz targets: importing this module fills the list."""

from __future__ import annotations

from dkg_node_software.fuzz import control, documents, epochs, faults, kernel, protocol, wire
from dkg_node_software.fuzz.registry import TARGETS, Target

__all__ = ["TARGETS", "Target", "control", "documents", "epochs", "faults", "kernel", "protocol", "wire"]
