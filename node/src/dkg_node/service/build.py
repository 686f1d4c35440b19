"""What tells one distribution of the node from the other: compiled in, no switch (03, "Two builds")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dkg_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_api.kms_policy import KeyTerms
    from dkg_api.terms import Terms
    from dkg_node.ceremony.phases import Segment
    from dkg_node.ceremony.ports import Attester, Entropy, Network
    from dkg_node.service.cloud import Aws


class Build(Protocol):
    """One distribution."""

    @property
    def program(self) -> str:
        """Name of the command, for messages."""
        ...

    @property
    def root(self) -> bytes:
        """SHA-256 of the one attestation root of this build."""
        ...

    @property
    def attestation(self) -> str:
        """What terms must say for this build."""
        ...

    @property
    def other(self) -> str:
        """The command for terms of the other attestation."""
        ...

    def attester(self) -> Attester:
        """Who vouches for this code."""
        ...

    def check_terms(self, terms: Terms) -> None:
        """Refuse terms of the other attestation, and releases that are not this code. UsageError, AttestationError."""
        ...

    def aws(self, terms: KeyTerms, party: int) -> Aws:
        """Where the party's key and objects are. EnvironmentFault or UsageError when something for it is missing."""
        ...

    def network(self, network: Network, segments: Sequence[Segment]) -> Network:
        """The network as the protocol sees it: itself, but for the adversaries of tests."""
        ...

    def entropy(self, party: int) -> Entropy:
        """Where the party's randomness comes from."""
        ...


def refuse_other(terms: Terms, attestation: str, other: str) -> None:
    """UsageError unless the terms ask for this build's attestation; ``other`` is the command to use instead."""
    if terms.attestation != attestation:
        raise UsageError(f"these terms say attestation {terms.attestation!r}: use {other} for them")
