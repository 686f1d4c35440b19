"""Why a channel is refused: codes both sides know, and for people one line that says what to do.

A refusal is told to the other side by its code alone. It comes before anything is proven, so it is a hint for a
person's eye and changes nothing.
"""

from __future__ import annotations

from enum import Enum

from dkg_node.attestation.reasons import Reason, Refusal
from dkg_node.errors import AttestationError


class Obstacle(Enum):
    """What is wrong beside the documents, in the order of the handshake."""

    MALFORMED = "malformed", "use a node of this project on both sides: that is no message of the handshake"
    ORDER = "order", "begin the handshake again: this message was not due"
    VERSION = "version", "use the same protocol version on both sides"
    TERMS = "terms", "start both parties with the same terms"
    ATTEMPT = "attempt", "start both parties in the same attempt"
    ROLES = "roles", "dial from the higher index to the lower, each under its own index"
    REFLECTED = "reflected", "look who sits in between: one's own nonce came back"
    CERTIFICATE = "certificate", "show a certificate that can be pinned: of one party, signed by itself, CA:FALSE"
    ENROLMENT = "enrolment", "enrol the enclave's identity key under these terms, with its document"
    SIGNATURE = "signature", "speak with the enrolled identity key: the signature is not by it"
    BOOT = "boot", "run each party once, and start it with a greater boot number: a newer start of it is known"
    BINDING = "binding", "attest again: the TLS connection is not the one that was agreed on"
    BUSY = "busy", "try again later: too many handshakes at once"

    def __init__(self, code: str, advice: str) -> None:
        """``code`` never changes; ``advice`` may."""
        self.code = code
        self.advice = advice


EVIDENCE = "evidence."
"""Before a ``Reason``: the document made for this channel is refused."""
ENROLLED = "enrolment."
"""The same of the document in the enrolment."""
CODES = {
    **{obstacle.code: obstacle.advice for obstacle in Obstacle},
    **{f"{kind}{reason.code}": reason.advice for kind in (EVIDENCE, ENROLLED) for reason in Reason},
}
"""All codes that are ever told, with their advice."""


class ChannelRefused(AttestationError):
    """No channel with this peer; ``code`` is one of CODES."""

    def __init__(self, code: str, detail: str) -> None:
        """``detail`` says what was found, in a few words, never with the peer's own text in it."""
        self.code = code
        super().__init__(f"{CODES[code]} ({detail})")

    @classmethod
    def by(cls, obstacle: Obstacle, detail: str) -> ChannelRefused:
        """Of an obstacle."""
        return cls(obstacle.code, detail)

    @classmethod
    def of(cls, kind: str, refusal: Refusal) -> ChannelRefused:
        """Of a refused document; ``kind``: EVIDENCE or ENROLLED."""
        detail = str(refusal).removeprefix(refusal.reason.advice).strip(" ()")
        return cls(kind + refusal.reason.code, detail)


def require(holds: bool, obstacle: Obstacle, detail: str) -> None:  # noqa: FBT001 - reads as require(this holds, ...)
    """One check. Raises ChannelRefused unless it holds."""
    if not holds:
        raise ChannelRefused.by(obstacle, detail)
