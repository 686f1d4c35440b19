"""The one root that this build accepts. There is no way to name another: no option, variable, file or term."""

from __future__ import annotations

from typing import Final

NITRO_ROOT: Final = bytes.fromhex("641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b")
"""SHA-256 of the DER of the AWS Nitro Enclaves root certificate G1, as AWS publishes it."""
