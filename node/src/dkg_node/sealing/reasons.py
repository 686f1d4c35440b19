"""Every way in which a sealed object stays shut: a code for programs, and for people one line that says what to do."""

from __future__ import annotations

from enum import Enum

from dkg_node.errors import SealingError


class Reason(Enum):
    """Why."""

    UNREACHABLE = "unreachable", "let the party reach the service again, then start it: nothing was lost"
    CREDENTIALS = "credentials", "give the party fresh credentials of its role: AWS does not take these"
    DENIED = "denied", "run a release of the terms under these terms: the key's policy allows nothing else"
    DISABLED = "disabled", "ask whoever disabled the key: what it sealed can't be opened while it is off"
    NO_KEY = "no_key", "name the enrolled key: the service knows none of this name"
    OTHER_KEY = "other_key", "put the party's own object back: this one was sealed under another key"
    CONTEXT = "context", "put the party's own object back: this one belongs to other terms, another party or attempt"
    ANSWER = "answer", "ask the key service again: its answer is not a data key for this enclave"
    STORE = "store", "give the party its store back: objects can't be read or written there"
    MISSING = "missing", "put the object back: the store has none of this name"
    DAMAGED = "damaged", "put a good copy back: the object is damaged, or was sealed as another"
    OLDER = "older", "put the newest object back: this is not the one the party sealed last"
    KEY_KIND = "key_kind", "make a symmetric key of a single region with material from KMS, for this party alone"
    KEY_POLICY = "key_policy", "make a key with the policy of the terms: this one has another"
    TERMS = "terms", "start under the terms that the key was made for: it serves others"
    GRANTS = "grants", "make a key without grants: a grant goes past the policy"
    IDENTITY = "identity", "put the enrolled identity key back, or enrol this one: no enrolment counts for it"
    ORDER = "order", "get an order that the organisation signed for this party under these terms"
    RESEAL = "reseal", "hand over between enclaves of one party whose releases the two terms list"
    OCCUPIED = "occupied", "give each release a place of its own, none below another's: this one holds others' objects"
    NO_RECEIPT = (
        "no_receipt",
        "end the KMS key by hand: all is erased, but nobody can sign that without the identity key",
    )
    NOT_EMPTY = "not_empty", "delete what is left by hand: the store still holds objects of the party"

    def __init__(self, code: str, advice: str) -> None:
        """``code`` never changes; ``advice`` may."""
        self.code = code
        self.advice = advice


class SealingRefusal(SealingError):
    """A sealed object stays shut; ``reason`` says why."""

    def __init__(self, reason: Reason, detail: str) -> None:
        """``detail``: what was found where, in a few words, never an object's content."""
        self.reason = reason
        super().__init__(f"{reason.advice} ({detail})")
