"""`dkg-software node`: one party over the software root, sealing by the AWS double; a test may make it an adversary."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from dkg_node.errors import AttestationError
from dkg_node.service.build import refuse_other
from dkg_node.service.node_main import MODES, run_node
from dkg_node.service.node_main import add_options as add_node_options
from dkg_node_software.modified import KIND as MODIFIED
from dkg_node_software.root import SOFTWARE_ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_api.kms_policy import KeyTerms
    from dkg_api.terms import Terms
    from dkg_node.algebra.kernel import Secret
    from dkg_node.ceremony.phases import Segment
    from dkg_node.ceremony.ports import Attester, Entropy, Network
    from dkg_node.service.cloud import Aws


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of a software node."""
    add_node_options(parser)
    parser.add_argument(
        "--aws-double", type=Path, required=True, metavar="DIR", help="state of the AWS double that has the party's key"
    )
    parser.add_argument("--seed", metavar="TEXT", help="take randomness from TEXT: for reproducible tests, INSECURE")
    parser.add_argument("--until-eof", action="store_true", help="stop when standard input ends")
    parser.add_argument("--adversary", metavar="KIND", help=argparse.SUPPRESS)
    parser.add_argument("--trap", action="append", default=[], metavar="TRAP", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Be a party until drained, or do what another mode does."""
    if options.mode == MODES[0]:
        sys.stdout.write("SOFTWARE ATTESTATION: PROVES NOTHING.\n")
        sys.stdout.flush()
    if options.until_eof:
        Thread(target=_stop_at_eof, daemon=True).start()
    home = (options.home or options.desired_state.absolute().parent).absolute()
    double, journal = options.aws_double.absolute(), home / "chaos.jsonl"
    return run_node(SoftwareBuild(double, options.seed, options.adversary, tuple(options.trap), journal), options)


def _stop_at_eof() -> None:
    """The launcher holds the other end: when it is gone, so are its nodes."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class SeededEntropy:
    """INSECURE: draws that anybody who knows the seed can repeat."""

    seed: str
    party: int

    def draw(self) -> Secret:
        """The party's draws of this seed."""
        from dkg_node.algebra.kernel import Secret  # noqa: PLC0415 - keeps --help quick

        return Secret.from_bytes(sha256(f"seeded entropy/{self.party}/{self.seed}".encode()).digest())


@dataclass(frozen=True, slots=True)
class SoftwareBuild:
    """The software distribution."""

    double: Path
    """State of the AWS double."""
    seed: str | None = None
    adversary: str | None = None
    traps: tuple[str, ...] = ()
    journal: Path = Path("chaos.jsonl")
    """Where traps say that they went off."""
    program: str = "dkg-software node"
    root: bytes = SOFTWARE_ROOT
    attestation: str = "software"
    other: str = "dkg-node"

    def attester(self) -> Attester:
        """A software module with this code's measurements."""
        from dkg_node_software.measure import measure  # noqa: PLC0415 - keeps --help quick
        from dkg_node_software.nsm import software_attester  # noqa: PLC0415 - the same

        return software_attester(measure())

    def check_terms(self, terms: Terms) -> None:
        """Refuse nitro terms, and releases that are not this code."""
        from dkg_node_software.measure import measure  # noqa: PLC0415 - keeps --help quick

        refuse_other(terms, self.attestation, self.other)
        if self.adversary == MODIFIED:
            return
        own = measure()
        if own not in [release.model_dump() for release in terms.releases]:
            raise AttestationError(
                f"this code measures pcr0 {own['pcr0'][:16]}..., which the terms do not list: use theirs"
            )

    def aws(self, terms: KeyTerms, party: int) -> Aws:
        """The double, where its state says that it listens."""
        from dkg_node_software.custody import DoubleParty  # noqa: PLC0415 - keeps --help quick

        return DoubleParty(self.double, terms, party).aws()

    def network(self, network: Network, segments: Sequence[Segment]) -> Network:
        """Itself, or what an adversary makes of it, and the traps of chaos in it."""
        if self.adversary is not None and self.adversary != MODIFIED:
            from dkg_node_software.adversaries import corrupt  # noqa: PLC0415 - outside what is measured and needed

            network = corrupt(self.adversary, network, segments)
        if self.traps:
            from dkg_node_software.chaos.trap import Trapped, parse_trap  # noqa: PLC0415 - the same

            traps = [parse_trap(text) for text in self.traps]
            return Trapped(network, traps, self.journal)  # type: ignore[return-value]  # else the network's own
        return network

    def entropy(self, party: int) -> Entropy:
        """The operating system's, or that of the seed."""
        if self.seed is not None:
            return SeededEntropy(self.seed, party)
        from dkg_node.service.adapters import SystemEntropy  # noqa: PLC0415 - keeps --help quick

        return SystemEntropy()
