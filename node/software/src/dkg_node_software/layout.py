"""Where a local ceremony keeps its files (07, "Files in OUT")."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SOCKET_LIMIT = 100
"""Longest path of a Unix socket that Linux takes is 107 bytes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below OUT."""

    out: Path

    @property
    def public(self) -> Path:
        """Key files for everybody."""
        return self.out / "public"

    @property
    def terms(self) -> Path:
        """{terms, signatures}."""
        return self.out / "terms.json"

    @property
    def certificate(self) -> Path:
        """Signed by n-t parties or more."""
        return self.out / "certificate.json"

    @property
    def report(self) -> Path:
        """What was measured."""
        return self.out / "report.json"

    @property
    def objects(self) -> Path:
        """Content-addressed public values, one directory a machine."""
        return self.out / "objects"

    @property
    def double(self) -> Path:
        """State of the AWS double: the parties' KMS keys."""
        return self.out / "aws-double"

    def transcript(self, party: int) -> Path:
        """A party's transcript."""
        return self.out / "transcript" / f"{party}.jsonl"

    def party(self, party: int) -> Path:
        """A party's own directory."""
        return self.out / "parties" / str(party)

    def desired_state(self, party: int) -> Path:
        """The one input of a node."""
        return self.party(party) / "desired-state.json"

    def log(self, party: int) -> Path:
        """Stdout and stderr of a node."""
        return self.party(party) / "node.log"

    def make(self, parties: int) -> None:
        """All directories."""
        for directory in (self.public, self.objects, self.out / "transcript"):
            directory.mkdir(parents=True, exist_ok=True)
        for party in range(1, parties + 1):
            self.party(party).mkdir(parents=True, exist_ok=True, mode=0o700)
