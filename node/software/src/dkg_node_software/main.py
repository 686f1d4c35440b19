"""The command `dkg-software`: everything over the software root, which proves nothing to anybody."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dkg_node.service.command import run_command
from dkg_node.service.dkgctl import TOOLS
from dkg_node.service.editions import Command, Edition, dispatch
from dkg_node_software.double.cloud import DoubleCloud
from dkg_node_software.root import SOFTWARE_ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "run-local": Command("dkg_node_software.run_local", "run a whole ceremony on this machine, one process a party"),
    "node": Command("dkg_node_software.node_command", "be one party"),
    "reconstruct": Command("dkg_node_software.reconstruct", "put the secret key together: ends its secrecy"),
    "unseal-check": Command("dkg_node_software.unseal_check", "see whether each party could open its share"),
    "drain": Command("dkg_node_software.drain_command", "end the nodes that a run with --keep left"),
    "aws-double": Command("dkg_node_software.double_command", "be KMS and S3 for nodes of this machine"),
    "bench": Command("dkg_node_software.bench_command", "measure kernel, wire and ceremony"),
    "chaos": Command("dkg_node_software.chaos_command", "seeded faults on real processes: kills, partitions, liars"),
    **TOOLS,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    edition = Edition("software", "dkg-software", "dkgctl", SOFTWARE_ROOT, DoubleCloud())
    description = "A distributed key generation without enclaves. SOFTWARE ATTESTATION: PROVES NOTHING."
    return run_command(lambda given: dispatch(edition, description, COMMANDS, given), arguments)


if __name__ == "__main__":
    sys.exit(main())
