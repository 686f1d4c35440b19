"""Leaving: the order to erase a party's sealed objects, and the enclave's receipt for it (design 03, "Leaving").

Leaving is final. The order is one of the three things an organisation key signs; the receipt is signed by the identity
key that the pod unsealed last, and its document vouches for the code that did it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field

from dkg_api.canonical import canonical
from dkg_api.enrolment import Document, Keyring
from dkg_api.errors import ApiError, DocumentError
from dkg_api.model import LARGEST_INTEGER, Hex32, Hex64, Model, parse_model
from dkg_api.signatures import public_bytes, sign, verify
from dkg_api.successor import Custody
from dkg_api.terms import Terms

Serial = Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]


class LeaveError(DocumentError):
    """The text is no erase order, or no receipt."""


class EraseOrder(Model):
    """An organisation says: erase all that my party sealed under these terms."""

    schema_version: Literal[1]
    terms_digest: Hex32
    party: int
    serial: Serial
    """Number of the order: a receipt answers one order."""
    signature: Hex64

    def content(self) -> bytes:
        """What the organisation signs (purpose ``erase``)."""
        return canonical(self.model_dump(mode="json", exclude={"signature"}))

    def problem(self, terms: Terms | Custody, party: int) -> str | None:
        """Why that party must not obey under these terms; None if it must."""
        if self.terms_digest != terms.digest.hex():
            return "erase order: sign one for these terms: it belongs to others"
        if self.party != party or not 1 <= party <= terms.n:
            return f"erase order: sign one for party {party}: it is for party {self.party}"
        key = bytes.fromhex(terms.party(party).organization_key)
        if not verify(key, "erase", self.content(), bytes.fromhex(self.signature)):
            return f"erase order: get it signed by {terms.party(party).organization}: its signature does not fit"
        return None


class EraseReceipt(Model):
    """A party says: I erased every version of what lay in the store that I was given, looked again, and found none."""

    schema_version: Literal[1]
    terms_digest: Hex32
    party: int
    serial: Serial
    """Of the order it answers."""
    erased: Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
    """Object versions deleted."""
    identity_key: Hex32
    document: Document | None = None
    """Attestation document (purpose ``receipt``), base64; none from a build without attestation."""
    signature: Hex64

    def content(self) -> bytes:
        """What the party signs (purpose ``receipt``)."""
        return canonical(self.model_dump(mode="json", exclude={"signature"}))

    def problem(self, order: EraseOrder, keyring: Keyring) -> str | None:
        """Why it is no receipt for that order; None if it is. The document is for whoever has a root."""
        if (self.terms_digest, self.party, self.serial) != (order.terms_digest, order.party, order.serial):
            return "receipt: get the one for this order: it answers another"
        key = bytes.fromhex(self.identity_key)
        if key not in keyring.keys.get(self.party, ()):
            return f"receipt: get it from party {self.party}: it is by a key that is not enrolled for it"
        if not verify(key, "receipt", self.content(), bytes.fromhex(self.signature)):
            return "receipt: get it again: its signature does not fit"
        return None


def order_erasure(terms: Terms | Custody, party: int, serial: int, organization_key: Ed25519PrivateKey) -> EraseOrder:
    """Make an order. KeyError for a party there is not, ApiError if the key is not the one the terms name for it."""
    if public_bytes(organization_key).hex() != terms.party(party).organization_key:
        raise ApiError(f"sign with the key of party {party}: this one is not the organizationKey of the terms")
    fields = {"schema_version": 1, "terms_digest": terms.digest.hex(), "party": party, "serial": serial}
    return EraseOrder.model_validate({**fields, "signature": sign(organization_key, "erase", canonical(fields)).hex()})


def sign_receipt(order: EraseOrder, erased: int, document: str | None, identity: Ed25519PrivateKey) -> EraseReceipt:
    """Make a receipt for an order. ``document``: base64."""
    fields: dict[str, object] = {
        "schema_version": 1, "terms_digest": order.terms_digest, "party": order.party, "serial": order.serial,
        "erased": erased, "identity_key": public_bytes(identity).hex(), "document": document,
    }  # fmt: skip
    return EraseReceipt.model_validate({**fields, "signature": sign(identity, "receipt", canonical(fields)).hex()})


def parse_erase_order(source: bytes | str | Mapping[str, object]) -> EraseOrder:
    """Order from a JSON text or object, signature not checked. Raises LeaveError."""
    return parse_model(EraseOrder, source, "erase order", LeaveError)


def parse_receipt(source: bytes | str | Mapping[str, object]) -> EraseReceipt:
    """Receipt from a JSON text or object, signature not checked. Raises LeaveError."""
    return parse_model(EraseReceipt, source, "receipt", LeaveError)
