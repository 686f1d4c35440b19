"""Fuzz targets of what tells starts of a party apart: epoch statements and their letters, refusals of older starts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dkg_node.algebra.encoding import enc
from dkg_node.ceremony.chain import NO_PROOF
from dkg_node.ceremony.epochs import Epochs, Home
from dkg_node.ceremony.mailbox import Mailbox
from dkg_node.ceremony.statements import PURPOSE, Asking, EpochStatement, Place, Stamp, decode_statement
from dkg_node.transport.channel import Channel
from dkg_node.transport.frames import Boot, Refusal, decode_refusal, encode_refusal
from dkg_node_software.fuzz.registry import target
from dkg_node_software.fuzz.world import GROUP, ME, SID, EasyIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg_node.ceremony.chain import Chain, EraProof
    from dkg_node.ceremony.ports import Network
    from dkg_node.ceremony.statements import Kept
    from dkg_node.protocols.session import Role

MEMORY = 512
OWN_BOOT = 7
STAMP = Stamp(Place(OWN_BOOT, 1), bytes(32))
SEEN = EpochStatement(Stamp(Place(3, 4), bytes(32)), bytes(64))


class _Forgetful:
    """A disk that keeps nothing, and a network that takes letters."""

    def keep(self, place: Place, proof: EraProof, chain: Chain, *, blind: bool) -> bytes:
        del place, proof, chain, blind
        return STAMP.digest

    def read(self) -> Kept | None:
        return None

    def set_aside(self, mark: int) -> None:
        del mark

    def keep_statements(self, statements: Mapping[Role, EpochStatement]) -> None:
        del statements

    def statements(self) -> Mapping[Role, EpochStatement]:
        return {}

    def post(self, role: int, payload: bytes) -> None:
        del role, payload


def _letters() -> list[bytes]:
    kept = enc("kept", STAMP.place.boot, STAMP.place.epoch, STAMP.digest)
    return [enc("which"), enc("epoch", SEEN.encode()), enc("newest", b""), enc("newest", SEEN.encode()), kept]


@target(lambda: [SEEN.encode()], memory=MEMORY)
def epoch_statement(data: bytes) -> None:
    """A statement: None, or what encodes to the same bytes."""
    found = decode_statement(data)
    if found is not None:
        assert found.encode() == data
        assert found.holds(EasyIdentity(), SID, 2) == EasyIdentity().verify(2, PURPOSE, b"", found.signature)


@target(_letters, memory=MEMORY)
def epoch_letter(data: bytes) -> None:
    """A letter about epochs: never an error, no letter of one peer makes a statement count."""

    async def scene() -> None:
        network: Network = _Forgetful()  # type: ignore[assignment]  # of the network only ``post`` is used
        box, home = Mailbox(GROUP, ME, network), Home(GROUP, ME, SID, EasyIdentity())
        epochs = Epochs(home, _Forgetful(), box, OWN_BOOT, Asking(GROUP, ME, 1.0, 1.0))
        epochs.ask()
        epochs.take(2, data)
        epochs.keep(NO_PROOF, ())
        epochs.take(2, data)
        assert not epochs.remembered()
        epochs.close()

    asyncio.run(scene())


@target(lambda: [encode_refusal(Refusal(SID, 2, ME, Boot(9, b"b" * 16)))])
def refusal(data: bytes) -> None:
    """What a peer says to an older start: None, or what encodes to the same bytes and is heeded or not."""
    found = decode_refusal(data)
    if found is not None:
        assert encode_refusal(found) == data
        channel = Channel(ME, 2, SID, Boot(OWN_BOOT, bytes(16)), 100)
        assert channel.superseded(found) <= (found.boot.number >= OWN_BOOT)
