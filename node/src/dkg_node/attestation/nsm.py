"""Attester over the Nitro Secure Module: one CBOR request to /dev/nsm, one answer (the kernel's uapi header nsm.h).

The software module answers the same requests, so that requests and answers have one form and one test.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dkg_api.cbor import CborError, encoded, plain_value
from dkg_node.errors import AttestationError

DEVICE: Final = "/dev/nsm"
REQUEST_BYTES: Final = 0x1000
ANSWER_BYTES: Final = 0x3000
LIMITS: Final = {"user_data": 512, "nonce": 512, "public_key": 1024}

Exchange = Callable[[bytes], bytes]
"""Request in, answer out. OSError when there is no module."""


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    _fields_ = (("request", _Iovec), ("answer", _Iovec))


NSM_IOCTL: Final = (3 << 30) | (ctypes.sizeof(_Message) << 16) | (0x0A << 8)
"""_IOWR(0x0A, 0, struct nsm_message)."""


def exchange_with_device(request: bytes) -> bytes:
    """One request to the module of this enclave. The driver writes the answer and its length."""
    sent = ctypes.create_string_buffer(request, len(request))
    answer = ctypes.create_string_buffer(ANSWER_BYTES)
    message = _Message(_Iovec(ctypes.addressof(sent), len(request)), _Iovec(ctypes.addressof(answer), ANSWER_BYTES))
    device = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(device, NSM_IOCTL, message)
    finally:
        os.close(device)
    return answer.raw[: message.answer.length]


@dataclass(frozen=True, slots=True)
class NsmAttester:
    """Documents about this process, from a module (see ``ports.Attester``)."""

    exchange: Exchange = exchange_with_device

    def attest(self, user_data: bytes, nonce: bytes | None, public_key: bytes | None) -> bytes:
        """A fresh document. AttestationError when the module has none to give."""
        fields = {"user_data": user_data, "nonce": nonce, "public_key": public_key}
        for name, value in fields.items():
            if value is not None and len(value) > LIMITS[name]:
                raise AttestationError(f"ask for less: {name} has {len(value)} bytes of at most {LIMITS[name]}")
        try:
            answer = plain_value(self.exchange(encoded({"Attestation": fields})))
        except OSError as error:
            raise AttestationError(
                f"run this inside an enclave: {DEVICE} does not answer: {error.strerror or error}"
            ) from None
        except CborError:
            raise AttestationError("start the enclave again: its module answered with something unreadable") from None
        return _document(answer)


def _document(answer: object) -> bytes:
    """{"Attestation": {"document": bytes}}; anything else is an error of the module."""
    inner = answer.get("Attestation") if isinstance(answer, dict) else None
    document = inner.get("document") if isinstance(inner, dict) else None
    if not isinstance(document, bytes):
        error = answer.get("Error") if isinstance(answer, dict) else None
        what = error if isinstance(error, str) and error.isalpha() else "no document"
        raise AttestationError(f"start the enclave again: its module answered: {what}")
    return document
