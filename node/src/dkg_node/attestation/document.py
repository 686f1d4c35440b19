"""Steps 1 and 2 of the verifier: the form of a document. COSE_Sign1 (RFC 9052) as the Nitro NSM writes it, no more.

Nothing here is proven: that is for the chain and the signature (``verifier``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg_api.cbor import CborError, encoded, plain_value
from dkg_node.attestation.reasons import Reason, Refusal, demand

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES: Final = 12 * 1024
"""An NSM's answer is no longer."""
TAG_18: Final = b"\xd2"
"""COSE_Sign1 in front of the array; the NSM leaves it out."""
ES384: Final = encoded({1: -35})
"""The protected header, the only one."""
SIGNATURE_BYTES: Final = 96
PCR_BYTES: Final = 48
MEASURED: Final = (0, 1, 2)
"""PCRs of the image: all of it; kernel and boot; the application."""

REQUIRED: Final = frozenset({"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"})
OPTIONAL: Final = {"public_key": 1024, "user_data": 512, "nonce": 512}
"""Most bytes of each."""
NEVER: Final = frozenset({"nitrotpm_pcrs"})
"""A NitroTPM measures an ordinary machine, not an enclave: no terms can allow it."""
MAX_CERTIFICATE: Final = 1024
LAST_TIME: Final = 253_402_300_799_999
"""End of the year 9999, ms: the last instant that a date can show."""
MODULE_ID: Final = re.compile(r"[A-Za-z0-9-]{1,128}")


@dataclass(frozen=True, slots=True)
class Document:
    """What a document claims."""

    module_id: str
    timestamp: int
    """Of the NSM, ms since 1970."""
    pcrs: Mapping[int, bytes]
    """48 bytes each; 0, 1 and 2 are there."""
    certificate: bytes
    """The leaf, DER."""
    cabundle: tuple[bytes, ...]
    """From the root down, DER."""
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None
    signed: bytes
    """What the signature covers (RFC 9052 section 4.4)."""
    signature: bytes
    """r and s, 48 bytes each."""

    @property
    def release(self) -> tuple[bytes, ...]:
        """PCR0, PCR1 and PCR2."""
        return tuple(self.pcrs[index] for index in MEASURED)

    @property
    def debug(self) -> bool:
        """Whether a measurement is zero, as those of an enclave in debug mode are."""
        return any(not any(value) for value in self.release)


def read_document(document: bytes, names: frozenset[str] = frozenset()) -> Document:
    """Steps 1 and 2. ``names``: further fields that the terms allow. Raises Refusal."""
    payload, signature = _open_envelope(document)
    signed = encoded(["Signature1", ES384, b"", payload])
    try:
        fields = plain_value(payload)
    except CborError:
        raise Refusal(Reason.PAYLOAD, "the payload is not one CBOR value") from None
    return _read_payload(fields, names, signed, signature)


def _open_envelope(document: bytes) -> tuple[bytes, bytes]:
    """Step 1: payload and signature. One encoding only: whoever changes a byte around them is refused."""
    demand(len(document) <= MAX_BYTES, Reason.SIZE, f"more than {MAX_BYTES} bytes")
    body = document.removeprefix(TAG_18)
    try:
        parts = plain_value(body)
    except CborError:
        raise Refusal(Reason.ENVELOPE, "not one CBOR value") from None
    if not isinstance(parts, list) or len(parts) != 4:
        raise Refusal(Reason.ENVELOPE, "no array of four")
    protected, unprotected, payload, signature = parts
    demand(protected == ES384, Reason.ALGORITHM, "the protected header is not that of ES384")
    demand(type(unprotected) is dict and not unprotected, Reason.ENVELOPE, "an unprotected header is there")
    demand(type(payload) is bytes, Reason.ENVELOPE, "the payload is no byte string")
    demand(type(signature) is bytes and len(signature) == SIGNATURE_BYTES, Reason.ENVELOPE, "no signature of 96 bytes")
    demand(encoded(parts) == body, Reason.ENVELOPE, "not in its shortest encoding")
    return payload, signature


def _read_payload(fields: object, names: frozenset[str], signed: bytes, signature: bytes) -> Document:
    """Step 2: names and types."""
    if not isinstance(fields, dict):
        raise Refusal(Reason.PAYLOAD, "no map")
    present = {name for name in fields if isinstance(name, str)}
    demand(len(present) == len(fields), Reason.PAYLOAD, "a name that is no text")
    demand(present >= REQUIRED, Reason.PAYLOAD, "a field is missing")
    demand(present <= (REQUIRED | OPTIONAL.keys() | names) - NEVER, Reason.UNKNOWN_FIELD, "a field nobody allowed")
    module_id, timestamp = fields["module_id"], fields["timestamp"]
    demand(fields["digest"] == "SHA384", Reason.PAYLOAD, "digest is not SHA384")
    demand(type(module_id) is str and bool(MODULE_ID.fullmatch(module_id)), Reason.PAYLOAD, "module_id")
    demand(type(timestamp) is int and 0 < timestamp <= LAST_TIME, Reason.PAYLOAD, "timestamp")
    certificate, bundle = fields["certificate"], fields["cabundle"]
    demand(_is_certificate(certificate), Reason.PAYLOAD, "certificate")
    demand(type(bundle) is list and all(map(_is_certificate, bundle)), Reason.PAYLOAD, "cabundle")
    optional = {name: fields.get(name) for name in OPTIONAL}
    for name, value in optional.items():
        demand(_is_optional_bytes(value, OPTIONAL[name]), Reason.PAYLOAD, name)
    pcrs = _read_pcrs(fields["pcrs"])
    return Document(
        module_id, timestamp, pcrs, certificate, tuple(bundle), **optional, signed=signed, signature=signature
    )


def _is_certificate(value: object) -> bool:
    return isinstance(value, bytes) and 0 < len(value) <= MAX_CERTIFICATE


def _is_optional_bytes(value: object, most: int) -> bool:
    return value is None or (isinstance(value, bytes) and len(value) <= most)


def _read_pcrs(pcrs: object) -> dict[int, bytes]:
    """PCRs by index 0 to 31; a bool is no index."""
    if not isinstance(pcrs, dict):
        raise Refusal(Reason.PAYLOAD, "pcrs is no map")
    for index, value in pcrs.items():
        demand(type(index) is int and 0 <= index <= 31, Reason.PAYLOAD, "index of a PCR")
        demand(type(value) is bytes and len(value) == PCR_BYTES, Reason.PAYLOAD, "a PCR is not 48 bytes")
    demand(all(index in pcrs for index in MEASURED), Reason.PAYLOAD, "PCR0, PCR1 or PCR2 is missing")
    return pcrs
