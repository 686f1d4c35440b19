"""The two command families: the same tools over the Nitro root and over the software root (07, "Commands")."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from dkg_node.errors import UsageError
from dkg_node.service.cloud import Amazon
from dkg_node.service.command import Parser

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dkg_node.service.cloud import Cloud


@dataclass(frozen=True, slots=True)
class Edition:
    """Which family a tool runs in."""

    attestation: str
    program: str
    other: str
    """The program for the other attestation."""
    root: bytes
    """SHA-256 of the one attestation root of this build."""
    cloud: Cloud = field(default_factory=Amazon)
    """The one AWS of this build."""

    def check(self, attestation: str, command: str) -> None:
        """Refuse documents of the other attestation, naming the command to use."""
        if attestation != self.attestation:
            raise UsageError(f"this is a ceremony with attestation {attestation!r}: use {self.other} {command}")


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand: a module with ``add_options(parser)`` and ``run(options) -> int``, loaded when wanted."""

    module: str
    help: str
    cloud: bool = False
    """Whether it talks to AWS."""


def dispatch(edition: Edition, description: str, commands: Mapping[str, Command], arguments: Sequence[str]) -> int:
    """Run the subcommand that the first argument names; its options have the edition as ``edition``."""
    parser = Parser(
        prog=edition.program,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n" + "\n".join(f"  {name:12} {command.help}" for name, command in commands.items()),
    )
    parser.add_argument("command", choices=commands, metavar="COMMAND", help="one of those below")
    name = parser.parse_args(arguments[:1]).command
    module = import_module(commands[name].module)
    chosen = Parser(prog=f"{edition.program} {name}", description=commands[name].help)
    chosen.set_defaults(edition=edition)
    if commands[name].cloud:
        edition.cloud.add_options(chosen)
    module.add_options(chosen)
    code: int = module.run(chosen.parse_args(arguments[1:]))
    return code
