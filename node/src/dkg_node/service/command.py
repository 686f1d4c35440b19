"""How every command line of the project behaves: exit codes, one line on stderr, never a traceback (07, "Commands")."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

from dkg_node.errors import (
    AttestationError,
    DkgError,
    ProtocolError,
    QuorumLost,
    SealingError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DONE, NEGATIVE, USAGE, LOST, ENVIRONMENT = range(5)
INTERRUPTED = 130
"""Ended by Ctrl-C, as shells have it."""


class EnvironmentFault(DkgError):
    """The machine lacks something: a tool, a port, room on the disk, memory."""


class NegativeVerdict(DkgError):
    """A check said no: what was looked at is not what it claims to be."""


EXIT_CODES: tuple[tuple[type[DkgError], int], ...] = (
    (UsageError, USAGE),
    (EnvironmentFault, ENVIRONMENT),
    (QuorumLost, LOST),
    (NegativeVerdict, NEGATIVE),
    (SealingError, NEGATIVE),
    (AttestationError, NEGATIVE),
    (ProtocolError, NEGATIVE),
)


def exit_code_of(error: DkgError) -> int:
    """The exit code of an error, the most special one first."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), NEGATIVE)


class Parser(argparse.ArgumentParser):
    """Argument errors are one line that says what to do, with exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments."""
        text = message.replace("the following arguments are required", "give")
        raise UsageError(f"{self.prog}: {text}; see {self.prog} --help")


def run_command(main: Callable[[Sequence[str]], int], arguments: Sequence[str] | None = None) -> int:
    """Run a command's body; returns the exit code. What it raises on purpose, and a full disk, becomes one line."""
    try:
        return main(sys.argv[1:] if arguments is None else arguments)
    except DkgError as error:
        say_error(str(error))
        return exit_code_of(error)
    except KeyboardInterrupt:
        say_error("interrupted: nothing unfinished was taken as done")
        return INTERRUPTED
    except OSError as error:
        say_error(str(as_fault(error)))
        return ENVIRONMENT


def as_fault(error: OSError) -> EnvironmentFault:
    """A full disk, a missing right and the like, in one line."""
    place = f" with {error.filename}" if error.filename else ""
    return EnvironmentFault(f"can't go on{place}: {error.strerror or error}; put that right and start again")


def say_error(message: str) -> None:
    """One line on stderr."""
    sys.stderr.write("error: " + " ".join(message.split()) + "\n")
