"""The terms: what the organisations agreed on before a ceremony, immutable, signed by all (design 03, "Terms")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from dkg_api.canonical import canonical, digest
from dkg_api.errors import DocumentError
from dkg_api.model import LARGEST_INTEGER, CamelModel, Hex16, Hex32, Hex48, Instant, parse_model

PARAMETER_SETS = ("test", "core", "production")
INSECURE_SETS = ("test",)
PROTOCOL_VERSION = 1
MAX_THRESHOLD = 4

SOFTWARE_NOTICE = "SOFTWARE ATTESTATION: PROVES NOTHING"
INSECURE_NOTICE = "INSECURE PARAMETERS"

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$")]
Line = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,2048}$")]


class TermsError(DocumentError):
    """The terms can never be used; each problem names the field, what is wrong and what to do."""


def _not_zero(value: str) -> str:
    if not value.strip("0"):
        raise ValueError("is all zero, as a debug enclave has it: use the measurement of a release")
    return value


def _instant(value: str) -> str:
    datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return value


def _known_set(value: str) -> str:
    if value not in PARAMETER_SETS:
        raise ValueError(f"unknown parameter set {value[:40]!r}: use one of {', '.join(PARAMETER_SETS)}")
    return value


Pcr = Annotated[Hex48, AfterValidator(_not_zero)]
Time = Annotated[Instant, AfterValidator(_instant)]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[a-z]+)+-[0-9]{1,2}$", max_length=32)]
"""It becomes part of host names: nothing that has another meaning there, such as ``s3``."""
Milliseconds = Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]


class SealingTerms(CamelModel):
    """Where a party's KMS key lives and which roles may touch it."""

    partition: Literal["aws", "aws-cn", "aws-us-gov"] = Field(description="AWS partition")
    region: Region = Field(description="AWS region")
    account: Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")] = Field(description="AWS account, 12 digits")
    enclave_role: Line = Field(description="IAM role the enclave's parent runs under")
    operator_role: Line = Field(description="IAM role of the operator: may create and read the key")
    break_glass_role: Line = Field(description="IAM role of a person who may disable the key for good")


class PartyTerms(CamelModel):
    """One party and the organisation behind it."""

    index: Annotated[int, Field(ge=1, le=3 * MAX_THRESHOLD + 1)] = Field(description="role number, 1 to n")
    organization: Name = Field(description="name of the organisation, unique")
    organization_key: Hex32 = Field(description="its Ed25519 public key, 32 bytes in hex, unique")
    sealing: SealingTerms = Field(description="its KMS key's surroundings")


class Release(CamelModel):
    """The measurements of one release of the enclave image."""

    pcr0: Pcr = Field(description="SHA-384 of the whole image, hex")
    pcr1: Pcr = Field(description="SHA-384 of kernel and boot, hex")
    pcr2: Pcr = Field(description="SHA-384 of the application, hex")


class Terms(CamelModel):
    """Version 1 of the terms. Equal terms have one canonical text and so one digest."""

    schema_version: Literal[1] = Field(description="1")
    ceremony: Hex16 = Field(description="128 random bits in hex: tells apart ceremonies with equal terms")
    protocol_version: Literal[1] = Field(description="version of the protocol the nodes speak: 1")
    parameter_set: Annotated[str, AfterValidator(_known_set)] = Field(description="test, core or production")
    threshold: int = Field(description="t: how many parties may fail, 1 to 4")
    attestation: Literal["nitro", "software"] = Field(description="which root the parties' documents must have")
    parties: tuple[PartyTerms, ...] = Field(description="n = 3t+1 parties, indices 1 to n in order")
    releases: Annotated[tuple[Release, ...], Field(min_length=1, max_length=8)] = Field(
        description="releases of the node that may take part"
    )
    start_grace: Milliseconds = Field(description="ms waited for late parties when n-t are ready")
    round_timeout: Milliseconds = Field(description="ms granted to every slot, at least five message delays")
    min_rate: Annotated[int, Field(ge=1, le=LARGEST_INTEGER)] = Field(description="bytes a second each link carries")
    min_speed: Annotated[int, Field(ge=1, le=LARGEST_INTEGER)] = Field(
        description="computing speed of the slowest party, in thousandths of a core"
    )
    not_before: Time = Field(description="no attempt starts before, RFC 3339 UTC")
    deadline: Time = Field(description="no attempt goes on after, RFC 3339 UTC; custody has no end")

    @model_validator(mode="after")
    def _fits_together(self) -> Terms:
        problem = _roster_problem(self) or _time_problem(self)
        if problem:
            raise ValueError(problem)
        return self

    @property
    def n(self) -> int:
        """Number of parties."""
        return len(self.parties)

    @cached_property
    def canonical(self) -> bytes:
        """The canonical text, which the digest and the organisations' signatures cover."""
        return canonical(self.as_json())

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the canonical text, 32 bytes."""
        return digest(self.as_json())

    @property
    def notices(self) -> tuple[str, ...]:
        """What every output of such a ceremony must say."""
        software = (SOFTWARE_NOTICE,) if self.attestation == "software" else ()
        return software + ((INSECURE_NOTICE,) if self.parameter_set in INSECURE_SETS else ())

    def party(self, index: int) -> PartyTerms:
        """The party of that index; KeyError if there is none."""
        if not 1 <= index <= self.n:
            raise KeyError(index)
        return self.parties[index - 1]

    def as_json(self) -> dict[str, object]:
        """The JSON object (camelCase names)."""
        return self.model_dump(mode="json")


def parse_terms(source: bytes | str | Mapping[str, object]) -> Terms:
    """Terms from a JSON text or object. Raises TermsError, one line a problem."""
    return parse_model(Terms, source, "terms", TermsError)


def _roster_problem(terms: Terms) -> str | None:
    t, n = terms.threshold, len(terms.parties)
    if not 1 <= t <= MAX_THRESHOLD:
        return f"threshold: {t} is not supported: use 1 to {MAX_THRESHOLD}"
    if n != 3 * t + 1:
        return f"parties: {n} parties do not fit threshold {t}: list exactly {3 * t + 1} (3 * threshold + 1)"
    if [party.index for party in terms.parties] != list(range(1, n + 1)):
        return f"parties: give the indices 1 to {n}, each once and in order"
    names = Counter(party.organization.casefold() for party in terms.parties)
    twice = next((p.organization for p in terms.parties if names[p.organization.casefold()] > 1), None)
    if twice is not None:
        return f"parties: organization {twice!r} stands twice: each organisation is one party"
    keys = Counter(party.organization_key for party in terms.parties)
    shared = [str(p.index) for p in terms.parties if keys[p.organization_key] > 1]
    if shared:
        return f"parties: {' and '.join(shared)} have the same organizationKey: each organisation uses its own"
    return None


def _time_problem(terms: Terms) -> str | None:
    if terms.not_before >= terms.deadline:
        return "deadline: lies before notBefore: give a later deadline"
    if len({release.pcr0 for release in terms.releases}) != len(terms.releases):
        return "releases: one release stands twice: remove it"
    return None
