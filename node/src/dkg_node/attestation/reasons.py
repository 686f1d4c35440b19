"""Every way in which a document is refused: a code for programs, and for people one line that says what to do."""

from __future__ import annotations

from enum import Enum

from dkg_node.errors import AttestationError

DAMAGED = "get the document again, byte for byte: it is damaged or was made by something else"
FORGED = "trust nothing in it: it was changed after it was signed, or was never signed by an enclave"


class Reason(Enum):
    """Why; in order of the verifier's steps."""

    SIZE = "size", DAMAGED
    ENVELOPE = "envelope", DAMAGED
    ALGORITHM = "algorithm", "refuse it: only ES384 is spoken here, and nothing in a document may choose otherwise"
    PAYLOAD = "payload", DAMAGED
    UNKNOWN_FIELD = "unknown_field", "use a release that knows this field, or terms that list it"
    ROOT = "root", "use the tool of the other build if this is one of its documents: this build knows one root only"
    CHAIN = "chain", "get the document again: its certificates are too few, too many or in the wrong order"
    CERTIFICATE = "certificate", "trust nothing in it: a certificate has not the form that the root's issuer gives"
    CHAIN_SIGNATURE = "chain_signature", FORGED
    EXPIRED = "expired", "get a fresh document, or judge it at its own time with --at"
    NOT_YET_VALID = "not_yet_valid", "set the clock right, or judge it at its own time with --at"
    SIGNATURE = "signature", FORGED
    EMPTY_POLICY = "empty_policy", "name releases and what the document must say: an empty policy accepts nobody"
    STALE = "stale", "get a fresh document: this one is older than five minutes"
    FUTURE = "future", "set the clock right: the document is from the future"
    NONCE = "nonce", "get a document made for this challenge: this one may be replayed"
    PUBLIC_KEY = "public_key", "get a document made for the key in use: this one vouches for another, or for none"
    DEBUG = "debug", "start the enclave without debug mode: its host can read and change everything in it"
    RELEASE = "release", "run a release that the terms list: this is other code"
    MODULE = "module", "trust nothing in it: it was signed in another enclave's name"
    USER_DATA = "user_data", "use a node of this project: the document holds no statement that it could have made"
    PURPOSE = "purpose", "get a document made for this purpose: this one was made for another"
    TERMS = "terms", "start the enclave with these terms: it runs under others"
    ATTEMPT = "attempt", "join the current attempt: the document belongs to another"
    PARTY = "party", "dial the right party: another one answers"
    IDENTITY_KEY = "identity_key", "enrol the identity key: the organisation has not signed this one for the party"
    SEALING = "sealing", "use the enrolled KMS key with the policy of the terms: the enclave uses another"
    OTHER_BUILD = "other_build", "run the same build on all sides: that enclave accepts documents of another root"

    def __init__(self, code: str, advice: str) -> None:
        """``code`` never changes; ``advice`` may."""
        self.code = code
        self.advice = advice


class Refusal(AttestationError):
    """A document is refused; ``reason`` says why."""

    def __init__(self, reason: Reason, detail: str) -> None:
        """``detail`` says what was found where, in a few words, never with the peer's own text in it."""
        self.reason = reason
        super().__init__(f"{reason.advice} ({detail})")


def demand(holds: bool, reason: Reason, detail: str) -> None:  # noqa: FBT001 - a check reads as demand(this holds, ...)
    """One check. Raises Refusal unless it holds."""
    if not holds:
        raise Refusal(reason, detail)
