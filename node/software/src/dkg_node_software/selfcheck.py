"""The check of a finished local ceremony: the key, put together from the shares, computes with stock tfhe-rs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dkg_api.certificate import SelfCheck
from dkg_node.service.bridge import call_bridge
from dkg_node.service.command import NegativeVerdict
from dkg_node_software.reconstruct import write_client_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_api.terms import Terms
    from dkg_node_software.layout import Layout

CASES = {"test": 20, "core": 10, "production": 5}


async def self_check(layout: Layout, terms: Terms, say: Callable[[str], None]) -> SelfCheck:
    """Reconstruct into a directory that goes away, then run the bridge's self-test on keyset.bin."""
    cases = CASES[terms.parameter_set]
    say(f"self-check: stock tfhe-rs computes on {cases} cases under the new key")
    with TemporaryDirectory(prefix="dkg-self-check-") as directory:
        client_key = Path(directory) / "client_key.bin"
        await write_client_key(layout, client_key)
        keyset = layout.public / "keyset.bin"
        arguments = ("--keyset", str(keyset), "--client-key", str(client_key), "--cases", str(cases))
        try:
            result = await call_bridge("self-test", *arguments)
        except NegativeVerdict as verdict:
            say(f"self-check: {verdict}")
            return SelfCheck(passed=False, cases=cases, method="reconstruction")
    return SelfCheck(passed=result.get("passed") is True, cases=cases, method="reconstruction")
