"""What can go wrong, as types. A message says what is wrong and what to do; culprits are roles, never guesses."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class DkgError(Exception):
    """Base of every error this package raises on purpose; its text is one line for a person."""


class UsageError(DkgError):
    """The caller gave something that can never work: arguments, terms, files, environment."""


class ProtocolError(DkgError):
    """The protocol can't go on: more than t parties failed, or a step did not get what it needs."""

    def __init__(self, message: str, culprits: Iterable[int] = ()) -> None:
        """Name the parties the failure is about (missing or proven wrong), possibly none."""
        self.culprits = frozenset(culprits)
        super().__init__(message)


class QuorumLost(ProtocolError):
    """Fewer than the needed parties answered; ``culprits`` are the missing ones (01 section 2)."""


class OpeningLost(QuorumLost):
    """This party's store lost a V that it held: for it the era ends; the certified ones come from peers by hash."""


class StateDiverged(ProtocolError):
    """n-t parties agree on a public state unlike this party's: it acts as a restarted one (01 section 2)."""


class SetupIncomplete(ProtocolError):
    """A set of parties ended without one counted contribution, so its key would be public (01 section 3)."""


class BatchFault(ProtocolError):
    """The check of a batch failed or a chunk got no canonical opening; ``where`` says which (01 section 4)."""

    def __init__(self, message: str, where: str, culprits: Iterable[int] = ()) -> None:
        """``where`` reads like ``batch 3 chunk 17``."""
        self.where = where
        super().__init__(message, culprits)


class AttestationError(DkgError):
    """A peer could not prove who it is or what code it runs."""


class SealingError(DkgError):
    """A sealed object can't be written, opened, or is not what it claims to be."""


class SealedStateRolledBack(SealingError):
    """What is sealed is older than what this party is known to have sealed: an old copy was put back (03 "Epoch")."""


class Superseded(DkgError):
    """A newer start of the same party lives: this one must end (03, "One live boot per party")."""
