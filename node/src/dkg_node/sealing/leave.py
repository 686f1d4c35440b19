"""Leaving: erase what the party sealed, look again, sign that nothing is left (03, "Leaving").

The receipt proves what the enclave did. For copies that somebody made of the blobs, the disabled key answers.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from dkg_api.leave import sign_receipt
from dkg_api.signatures import public_bytes
from dkg_node.sealing.reasons import Reason, SealingRefusal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from dkg_api.leave import EraseOrder, EraseReceipt
    from dkg_api.successor import Custody
    from dkg_api.terms import Terms
    from dkg_api.user_data import UserData
    from dkg_node.ceremony.ports import Attester
    from dkg_node.sealing.stores import BlobStore


IDENTITY: Final = "identity"
"""Name of the sealed identity key, as in ``service.identity``."""


@dataclass(frozen=True, slots=True)
class Leaver:
    """A party that can leave: its identity key is unsealed already, for afterwards nothing can be."""

    terms: Terms | Custody
    identity: Ed25519PrivateKey
    attester: Attester
    statement: UserData

    def obey(self, order: EraseOrder, store: BlobStore) -> EraseReceipt:
        """Erase every version of every object, prove that none is left, sign. Doing it twice erases nothing more.

        The sealed identity key goes last, when all else is gone: what breaks off before can be done again.
        SealingRefusal for an order that does not bind this party, and when something stays.
        """
        erased = erase(order, self.terms, self.statement.party, store)
        document = self.attester.attest(self._said().encode(), receipt_nonce(order), None)
        return sign_receipt(order, erased, base64.b64encode(document).decode(), self.identity)

    def _said(self) -> UserData:
        return replace(self.statement, purpose="receipt", identity_key=public_bytes(self.identity))


def erase(order: EraseOrder, terms: Terms | Custody, party: int, store: BlobStore) -> int:
    """Erase everything, the identity key last; how many object versions there were.

    SealingRefusal for an order that does not bind the party, when it breaks off, and when something stays.
    """
    problem = order.problem(terms, party)
    if problem is not None:
        raise SealingRefusal(Reason.ORDER, problem)
    erased = store.clear(IDENTITY)
    left = store.left()
    if left:
        raise SealingRefusal(Reason.NOT_EMPTY, f"{len(left)} object versions")
    return erased


def receipt_nonce(order: EraseOrder) -> bytes:
    """What the receipt's document answers: SHA-256 of the order, 32 bytes, so that it is no older order's."""
    return sha256(order.content()).digest()
