"""A software Nitro Secure Module: the requests and answers of the real one, under a root that proves nothing.

Its PCRs are hashes of the installed code (``measure``): changed code has other PCRs, as long as it wants to say so.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from dkg_api.cbor import CborError, encoded, plain_value
from dkg_node.attestation.document import ES384, PCR_BYTES
from dkg_node.attestation.nsm import LIMITS, REQUEST_BYTES, NsmAttester
from dkg_node_software.pki import LEAF_LIFE, Chain, issue, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PCRS: Final = 16


def milliseconds() -> int:
    """Since 1970, of this machine's clock."""
    return time.time_ns() // 1_000_000


def module_name() -> str:
    """Such as a real one has; a new one each boot."""
    return f"i-{os.urandom(8).hex()}0-enc{os.urandom(8).hex()}"


@dataclass(slots=True)
class SoftwareNsm:
    """One enclave's module. Call it with a request; safe to call from several threads."""

    measurements: Mapping[str, str]
    """pcr0, pcr1, pcr2 in hex; the others are zero, as they mostly are."""
    module_id: str = field(default_factory=module_name)
    clock: Callable[[], int] = milliseconds
    leaf_life: timedelta = LEAF_LIFE
    _chain: Chain | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __call__(self, request: bytes) -> bytes:
        """The answer to a request; never raises for what is asked."""
        try:
            asked = plain_value(request) if len(request) <= REQUEST_BYTES else None
        except CborError:
            asked = None
        if not isinstance(asked, dict) or set(asked) != {"Attestation"} or not isinstance(asked["Attestation"], dict):
            return encoded({"Error": "InvalidOperation"})
        fields = asked["Attestation"]
        if not set(fields) <= set(LIMITS) or not all(_fits(fields.get(name), most) for name, most in LIMITS.items()):
            return encoded({"Error": "InvalidArgument"})
        return encoded({"Attestation": {"document": self._document(fields)}})

    def _document(self, asked: Mapping[str, object]) -> bytes:
        now = self.clock()
        chain = self._leaf(now)
        values = {
            "module_id": self.module_id,
            "digest": "SHA384",
            "timestamp": now,
            "pcrs": {index: self._pcr(index) for index in range(PCRS)},
            "certificate": chain.leaf,
            "cabundle": list(chain.bundle),
            **{name: asked.get(name) for name in LIMITS},
        }
        return signed_document(encoded(values), chain)

    def _pcr(self, index: int) -> bytes:
        value = self.measurements.get(f"pcr{index}")
        return bytes(PCR_BYTES) if value is None else bytes.fromhex(value)

    def _leaf(self, now: int) -> Chain:
        """The chain in use, a new one in the last sixth of its leaf's life."""
        with self._lock:
            if self._chain is None or utc(now) > self._chain.ends - self.leaf_life / 6:
                self._chain = issue(self.module_id, utc(now), self.leaf_life)
            return self._chain


def signed_document(payload: bytes, chain: Chain) -> bytes:
    """COSE_Sign1 over a payload, by the chain's leaf."""
    signature = chain.key.sign(encoded(["Signature1", ES384, b"", payload]), ECDSA(SHA384()))
    r, s = decode_dss_signature(signature)
    return encoded([ES384, {}, payload, r.to_bytes(PCR_BYTES, "big") + s.to_bytes(PCR_BYTES, "big")])


def software_attester(measurements: Mapping[str, str]) -> NsmAttester:
    """The attester of a software node (see ``ports.Attester``)."""
    return NsmAttester(SoftwareNsm(measurements))


def _fits(value: object, most: int) -> bool:
    return value is None or (isinstance(value, bytes) and len(value) <= most)
