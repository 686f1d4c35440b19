"""The machine's clock as attestation counts time."""

from __future__ import annotations

import time


def milliseconds() -> int:
    """Since 1970."""
    return time.time_ns() // 1_000_000
