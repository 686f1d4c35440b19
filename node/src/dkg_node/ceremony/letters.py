"""Messages of the control layer, outside of slots, as bytes (01 section 2). Pure; peers' bytes never raise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg_node.algebra.encoding import enc
from dkg_node.ceremony.book import KINDS, Statement
from dkg_node.ceremony.chain import (
    ERA_LIMIT,
    HASH,
    SIGNATURE,
    Chain,
    Core,
    EraProof,
    Position,
    decode_chain,
    decode_core,
    decode_proof,
    encode_chain,
    encode_proof,
)
from dkg_node.protocols.decoding import decoded, is_integer

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_node.protocols.session import Group

QUESTION_LIMIT = 2 << 10
"""Longest body of an Inquire: who needs more asks again. An answer takes a moment of the receiver's loop."""
REPLY_LIMIT = 32 << 10
"""Longest body of a Reply."""
CONTENTS_LIMIT = 4 << 20
"""Longest body of Contents: openings of a chunk, a block of key bodies and the tables are all shorter."""
SHORT = 20 << 10
"""Bytes that the core of a certificate or the proof of an era never have."""
ITEMS = 4
"""Parts of a letter, at most."""


@dataclass(frozen=True, slots=True)
class Show:
    """The proof of the era one is in, and a chain or the end of one: each proves itself."""

    proof: EraProof
    chain: Chain


@dataclass(frozen=True, slots=True)
class Say:
    """A ``ready`` or ``go``."""

    statement: Statement


@dataclass(frozen=True, slots=True)
class Sign:
    """A party's signature on what it holds durably."""

    core: Core
    signature: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """Show me your whole chain."""


@dataclass(frozen=True, slots=True)
class Want:
    """Send me the contents behind a digest."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class Contents:
    """Contents of a certificate."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Inquire:
    """A question that only this receiver may answer: unlike contents, the answer is secret from others."""

    body: bytes
    """At most ``QUESTION_LIMIT`` bytes; the segments' programs know what it asks."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to an Inquire. Secret bytes: for the peer that asked, over its own channel, and kept nowhere."""

    body: bytes = field(repr=False)
    """At most ``REPLY_LIMIT`` bytes."""


Letter = Show | Say | Sign | Ask | Want | Contents | Inquire | Reply


def encode(letter: Letter) -> bytes:  # noqa: PLR0911 - one a kind
    """A word for the kind, then the parts."""
    match letter:
        case Show(proof, chain):
            return enc("show", encode_proof(proof), encode_chain(chain))
        case Say(Statement(kind, position, signature)):
            return enc(kind, position.era, position.segment + 1, signature)
        case Sign(core, signature):
            return enc("sign", core.encode(), signature)
        case Want(digest):
            return enc("want", digest)
        case Contents(body):
            return enc("contents", body)
        case Ask():
            return enc("ask")
        case Inquire(body):
            return enc("inquire", body)
        case Reply(body):
            return enc("reply", body)


def is_show(data: bytes) -> bool:
    """Whether bytes are a Show, if they are a letter."""
    return data.startswith(enc("show"))


def decode(  # noqa: PLR0911 - one a kind
    group: Group, data: bytes, most: Callable[[EraProof], int] = lambda _: ERA_LIMIT
) -> Letter | None:
    """Inverse of ``encode``; None for anything else.

    ``most``: how many certificates a chain may have that is shown with a proof of an era; None if it has more.
    """
    match decoded(data, 0, ITEMS):
        case ("show", bytes() as proof_bytes, bytes() as chain_bytes) if len(proof_bytes) <= SHORT:
            proof = decode_proof(group, proof_bytes)
            chain = None if proof is None else decode_chain(group, chain_bytes, most(proof))
            return None if proof is None or chain is None else Show(proof, chain)
        case ("ready" | "go" as word, int() as era, int() as place, bytes() as signature):
            fits = is_integer(era) and is_integer(place) and era < ERA_LIMIT and place < ERA_LIMIT
            kind = KINDS[0] if word == KINDS[0] else KINDS[1]
            good = fits and len(signature) == SIGNATURE
            return Say(Statement(kind, Position(era, place - 1), signature)) if good else None
        case ("sign", bytes() as core_bytes, bytes() as signature) if len(core_bytes) <= SHORT:
            core = decode_core(group, core_bytes)
            return None if core is None or len(signature) != SIGNATURE else Sign(core, signature)
        case ("want", bytes() as digest) if len(digest) == HASH:
            return Want(digest)
        case ("contents", bytes() as body) if len(body) <= CONTENTS_LIMIT:
            return Contents(body)
        case ("ask",):
            return Ask()
        case ("inquire", bytes() as body) if len(body) <= QUESTION_LIMIT:
            return Inquire(body)
        case ("reply", bytes() as body) if len(body) <= REPLY_LIMIT:
            return Reply(body)
    return None
