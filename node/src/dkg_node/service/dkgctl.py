"""The command `dkgctl`: what people of an organisation do, over the Nitro root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_node.attestation.root import NITRO_ROOT
from dkg_node.service.command import run_command
from dkg_node.service.editions import Command, Edition, dispatch

if TYPE_CHECKING:
    from collections.abc import Sequence

TOOLS = {
    "key": Command("dkg_node.service.key_tool", "make an organisation key"),
    "terms": Command("dkg_node.service.terms_tool", "write, sign, merge, check and show the terms"),
    "enrol": Command("dkg_node.service.enrol_tool", "sign for the identity key of your party's enclave"),
    "leave": Command("dkg_node.service.leave_tool", "give up your party's share and end its key, for good", cloud=True),
    "release": Command("dkg_node.service.release_tool", "measure the installed code"),
    "verify": Command("dkg_node.service.verify_tool", "check what a ceremony left, offline"),
    "evidence": Command("dkg_node.service.evidence_tool", "show an attestation document and judge it"),
    "report": Command("dkg_node.service.report_tool", "show what a ceremony took"),
    "fetch": Command("dkg_node.service.fetch_tool", "bring the public artefacts of a node out"),
}
"""Tools of both families."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    edition = Edition("nitro", "dkgctl", "dkg-software", NITRO_ROOT)
    description = "Tools for the organisations of a distributed key generation."
    return run_command(lambda given: dispatch(edition, description, TOOLS, given), arguments)
