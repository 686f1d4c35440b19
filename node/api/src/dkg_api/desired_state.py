"""The node's one input file: terms, consent, addresses, enrolments; read again on every change (design 04)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from dkg_api.enrolment import Enrolment, EnrolmentError, KeyArn, Keyring
from dkg_api.errors import DocumentError
from dkg_api.kms_policy import key_arn_problem
from dkg_api.leave import EraseOrder
from dkg_api.model import CamelModel, parse_model
from dkg_api.session import LAST_ATTEMPT
from dkg_api.signatures import SignatureMissing, TermsSignature, require_all_signatures
from dkg_api.successor import SuccessorTerms
from dkg_api.terms import Terms

MAX_SUCCESSIONS = 16
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:_-]{1,253}$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class DesiredStateError(DocumentError):
    """The node can't start from this file; each problem names the field, what is wrong and what to do."""


class PeerEntry(CamelModel):
    """Where a party listens. Courier data: only evidence and enrolments make it trusted."""

    index: int = Field(description="role number")
    host: Host = Field(description="name or address")
    peer_port: Port = Field(description="TCP port of the peer service")
    attest_port: Port | None = Field(default=None, description="TCP port of the handshakes; null: not known yet")


class Bucket(CamelModel):
    """Where in S3 the party's sealed objects lie. Every release has a prefix of its own: leaving clears a whole one."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] = Field(
        description="name of the bucket, which is in the party's region and account"
    )
    prefix: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9._-]{1,100}/){1,8}$")] = Field(
        description="what the keys of all objects begin with; ends with a slash"
    )


class Succession(CamelModel):
    """Successor terms with the consent of the organisations, and where this party carries on under them."""

    terms: SuccessorTerms = Field(description="the successor terms")
    signatures: tuple[TermsSignature, ...] = Field(description="of all organisations")
    key_arn: KeyArn = Field(description="the party's new KMS key")
    host: Host = Field(description="name or address of the enclave that takes over")
    port: Port = Field(description="TCP port where it takes over")


class DesiredState(CamelModel):
    """What this node shall take part in."""

    terms: Terms = Field(description="the terms")
    signatures: tuple[TermsSignature, ...] = Field(description="of all organisations")
    party: int = Field(description="which party this node is")
    attempt: Annotated[int, Field(ge=1, le=LAST_ATTEMPT)] = Field(description="number of the attempt, from 1")
    key_arn: KeyArn = Field(description="the party's KMS key; the node reads its policy back before it trusts it")
    peers: tuple[PeerEntry, ...] = Field(description="one entry a party, this one too; may grow")
    enrolments: tuple[Enrolment, ...] = Field(default=(), description="of all parties; append-only")
    bucket: Bucket | None = Field(default=None, description="where sealed objects lie; null: the party's directory")
    erase_order: EraseOrder | None = Field(default=None, description="what the mode leave obeys; written once")
    successions: Annotated[tuple[Succession, ...], Field(max_length=MAX_SUCCESSIONS)] = Field(
        default=(), description="what followed the terms, in order; the last one is what holds; append-only"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> DesiredState:
        n = self.terms.n
        if not 1 <= self.party <= n:
            raise ValueError(f"party: {self.party} is not in the terms: use 1 to {n}")
        problem = key_arn_problem(self.key_arn, self.terms, self.party)
        if problem is not None:
            raise ValueError(f"keyArn: {problem}")
        counts = Counter(peer.index for peer in self.peers)
        wrong = sorted(index for index in counts if not 1 <= index <= n or counts[index] > 1)
        if wrong:
            raise ValueError(f"peers: index {wrong[0]} is unknown or stands twice: use each of 1 to {n} once")
        try:
            require_all_signatures(self.terms, self.signatures)
            Keyring.of(self.terms, self.enrolments)
        except (SignatureMissing, EnrolmentError) as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def keyring(self) -> Keyring:
        """The enrolled keys."""
        return Keyring.of(self.terms, self.enrolments)

    def peer(self, index: int) -> PeerEntry | None:
        """The entry of a party, if there is one."""
        return next((peer for peer in self.peers if peer.index == index), None)

    def missing(self) -> tuple[int, ...]:
        """Parties that can't be talked to yet: no address or no enrolled key."""
        keyring = self.keyring
        known = {peer.index for peer in self.peers if peer.attest_port is not None}
        return tuple(i for i in range(1, self.terms.n + 1) if i not in known or i in keyring.missing())

    def as_json(self) -> dict[str, object]:
        """The JSON object (camelCase names; enrolments as in the certificate)."""
        return self.model_dump(mode="json")


def parse_desired_state(source: bytes | str | Mapping[str, object]) -> DesiredState:
    """Desired state from a JSON text or object, signatures and enrolments checked. Raises DesiredStateError."""
    return parse_model(DesiredState, source, "desired state", DesiredStateError)
