"""Bind: the first message each way of a stream says which certificates its sender shows and sees (03 "Channel").

It is part of the stream and not a call before it: gRPC has no name for a connection, so that a call of its own would
bind some connection and leave open whether the stream came over the same one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dkg_node.errors import AttestationError
from dkg_node.transport.streams import StreamEnd

if TYPE_CHECKING:
    from dkg_node.transport.streams import Pipe
    from dkg_node.transport.tls import Pin

MAGIC: Final = b"dkgb"
BIND_BYTES: Final = len(MAGIC) + 32
DIALS, LISTENS = "dials", "listens"


async def bind_dialled(pipe: Pipe, pin: Pin) -> None:
    """The caller's side; it sees the one certificate it trusts. StreamEnd unless the listener is that of the pin."""
    if pin.attested is None:
        return
    own, bond = pin.attested.own.der, pin.attested.bond
    await pipe.write(MAGIC + bond.mac(DIALS, own, pin.der))
    answer = _mac(await pipe.read(), pin)
    try:
        bond.check(answer, LISTENS, pin.der, own)
    except AttestationError as error:
        raise StreamEnd(f"party {pin.role} is refused: {error}", damaged=True) from None


async def bind_served(pipe: Pipe, pins: tuple[Pin, ...]) -> Pin:
    """The listener's side: of the pins with the certificate it sees, the one that the caller has bound."""
    if pins[0].attested is None:
        return pins[0]
    mac = _mac(await pipe.read(), pins[0])
    for pin in pins:
        if pin.attested is None:
            continue
        own, bond = pin.attested.own.der, pin.attested.bond
        try:
            bond.check(mac, DIALS, pin.der, own)
        except AttestationError:
            continue
        await pipe.write(MAGIC + bond.mac(LISTENS, own, pin.der))
        return pin
    raise StreamEnd(f"party {pins[0].role} is refused: its connection is not the one that was attested", damaged=True)


def _mac(data: bytes | None, pin: Pin) -> bytes:
    if data is None:
        raise StreamEnd(f"party {pin.role} ended the stream before it bound it")
    if len(data) != BIND_BYTES or not data.startswith(MAGIC):
        raise StreamEnd(f"party {pin.role} is refused: it does not bind the stream", damaged=True)
    return data.removeprefix(MAGIC)
