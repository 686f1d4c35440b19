"""The command `dkg-node`: one party of a ceremony whose code is proven by Nitro attestation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_node.attestation.root import NITRO_ROOT
from dkg_node.errors import AttestationError
from dkg_node.service.build import refuse_other
from dkg_node.service.command import Parser, run_command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from dkg_api.kms_policy import KeyTerms
    from dkg_api.terms import Terms
    from dkg_node.ceremony.phases import Segment
    from dkg_node.ceremony.ports import Attester, Entropy, Network
    from dkg_node.service.build import Build
    from dkg_node.service.cloud import Aws

MODES = ("party", "check", "leave", "hand-over", "take-over")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of a node, the same in both distributions."""
    parser.add_argument("--desired-state", type=Path, required=True, metavar="FILE", help="the node's one input")
    parser.add_argument("--mode", choices=MODES, default=MODES[0], help="what to do (default: be a party)")
    parser.add_argument("--home", type=Path, metavar="DIR", help="the party's files (default: where FILE is)")
    parser.add_argument("--objects", type=Path, metavar="DIR", help="public values (default: DIR/objects)")
    parser.add_argument("--control", type=Path, metavar="SOCKET", help="control (default: DIR/control.sock)")
    parser.add_argument("--listen", metavar="HOST:PORT", help="peers (default: every address, port of FILE)")
    parser.add_argument("--attest-listen", metavar="HOST:PORT", help="handshakes (default: the same)")


def run_node(build: Build, options: argparse.Namespace) -> int:
    """Run a party until it is drained; returns the exit code. Raises DkgError for what can't work."""
    if options.mode != MODES[0]:
        from dkg_node.service.modes import run_mode  # noqa: PLC0415 - loads boto3, which a party does without

        return run_mode(build, options)
    # Read once when gRPC's core is loaded: with ECDSA certificates this leaves TLS 1.3 only, also for who dials.
    os.environ["GRPC_SSL_CIPHER_SUITES"] = "AES128-GCM-SHA256"
    from dkg_node.service.node import Node, NodeOptions  # noqa: PLC0415 - after the line above
    from dkg_node.service.wire import Paths  # noqa: PLC0415 - the same

    state = options.desired_state.absolute()
    home = (options.home or state.parent).absolute()
    paths = Paths(home, (options.objects or home / "objects").absolute())
    control = (options.control or home / "control.sock").absolute()
    return Node(build, NodeOptions(state, paths, control, options.listen, options.attest_listen)).run()


@dataclass(frozen=True, slots=True)
class NitroBuild:
    """The production distribution."""

    credentials: Path
    """File with those of the enclave role, which the parent keeps fresh."""
    program: str = "dkg-node"
    root: bytes = NITRO_ROOT
    attestation: str = "nitro"
    other: str = "dkg-software node"

    def attester(self) -> Attester:
        """The enclave's module."""
        from dkg_node.attestation.nsm import NsmAttester  # noqa: PLC0415 - keeps --help quick

        return NsmAttester()

    def check_terms(self, terms: Terms) -> None:
        """Refuse software terms, a machine that is no enclave, and terms that do not list this image."""
        from dkg_node.attestation.document import read_document  # noqa: PLC0415 - keeps --help quick

        refuse_other(terms, self.attestation, self.other)
        own = tuple(value.hex() for value in read_document(self.attester().attest(b"", None, None)).release)
        if own not in [(release.pcr0, release.pcr1, release.pcr2) for release in terms.releases]:
            raise AttestationError(f"run an image that the terms list: pcr0 of this one is {own[0][:16]}...")

    def aws(self, terms: KeyTerms, party: int) -> Aws:
        """AWS itself, where the terms say that the party's key lives."""
        from dkg_node.sealing.aws import amazon  # noqa: PLC0415 - keeps --help quick
        from dkg_node.service.cloud import Aws  # noqa: PLC0415 - the same
        from dkg_node.service.credentials import read_credentials  # noqa: PLC0415 - the same

        sealing, source = terms.party(party).sealing, partial(read_credentials, self.credentials)
        source()  # what is wrong with them is said here, not at the first request
        return Aws(amazon(sealing.partition, sealing.region), source, sealing.account)

    def network(self, network: Network, segments: Sequence[Segment]) -> Network:
        """Itself."""
        del segments
        return network

    def entropy(self, party: int) -> Entropy:
        """The enclave's operating system."""
        from dkg_node.service.adapters import SystemEntropy  # noqa: PLC0415 - keeps --help quick

        del party
        return SystemEntropy()


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(_main, arguments)


def _main(arguments: Sequence[str]) -> int:
    parser = Parser(prog="dkg-node", description="One party of a distributed key generation.")
    add_options(parser)
    parser.add_argument(
        "--credentials", type=Path, required=True, metavar="FILE", help="the enclave role's, kept fresh by the parent"
    )
    options = parser.parse_args(arguments)
    return run_node(NitroBuild(options.credentials.absolute()), options)
