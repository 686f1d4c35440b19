"""The command `dkg-software`: everything over the software root, which proves nothing to anybody."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from dkg_node.service.command import Parser, run_command

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "run-local": ("run_local", "run a whole ceremony on this machine, one process a party"),
    "node": ("node_command", "be one party"),
    "reconstruct": ("reconstruct", "put the secret key together from all development shares (ends its secrecy)"),
    "verify": ("verify_command", "check what a ceremony left, offline"),
    "drain": ("drain_command", "end the nodes that a run with --keep left"),
    "bench": ("bench_command", "measure kernel, wire and ceremony"),
}
"""Command -> module with ``add_options(parser)`` and ``run(options) -> int``; only the wanted one is imported."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(_main, arguments)


def _main(arguments: Sequence[str]) -> int:
    parser = Parser(
        prog="dkg-software",
        description="A distributed key generation without enclaves. SOFTWARE ATTESTATION: PROVES NOTHING.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n" + "\n".join(f"  {name:12} {text}" for name, (_, text) in COMMANDS.items()),
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    chosen = parser.parse_args(arguments[:1]).command
    module = import_module(f"dkg_node_software.{COMMANDS[chosen][0]}")
    command = Parser(prog=f"dkg-software {chosen}", description=COMMANDS[chosen][1])
    module.add_options(command)
    code: int = module.run(command.parse_args(arguments[1:]))
    return code


if __name__ == "__main__":
    sys.exit(main())
