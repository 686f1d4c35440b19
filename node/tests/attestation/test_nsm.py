"""Requests to the NSM and its answers, as the kernel's driver passes them."""

from __future__ import annotations

import ctypes
import fcntl
from pathlib import Path

import cbor2
import pytest

from dkg_node.attestation import nsm
from dkg_node.attestation.nsm import NsmAttester
from dkg_node.ceremony.ports import Attester
from dkg_node.errors import AttestationError

DOCUMENT = b"document" * 400


def answering(answer: bytes, seen: list[bytes] | None = None) -> NsmAttester:
    def exchange(request: bytes) -> bytes:
        if seen is not None:
            seen.append(request)
        return answer

    return NsmAttester(exchange)


def test_a_request_has_the_form_of_the_nsm_and_its_answer_is_unpacked() -> None:
    seen: list[bytes] = []
    attester: Attester = answering(cbor2.dumps({"Attestation": {"document": DOCUMENT}}), seen)
    assert attester.attest(b"said", b"nonce", None) == DOCUMENT
    asked = {"Attestation": {"user_data": b"said", "nonce": b"nonce", "public_key": None}}
    assert [cbor2.loads(request) for request in seen] == [asked]


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"\xff", cbor2.dumps([]), cbor2.dumps({}), cbor2.dumps({"Attestation": {}}), cbor2.dumps("Attestation"),
        cbor2.dumps({"Attestation": {"document": "text"}}), cbor2.dumps({"Error": "InvalidArgument"}),
        cbor2.dumps({"Error": ["\n"]}), cbor2.dumps({"Attestation": DOCUMENT}), cbor2.dumps({"Error": "a\nb"}),
    ],
)  # fmt: skip
def test_any_other_answer_is_an_error_in_one_line(answer: bytes) -> None:
    with pytest.raises(AttestationError, match="start the enclave again") as error:
        answering(answer).attest(b"", None, None)
    assert "\n" not in str(error.value)


def test_an_error_of_the_module_is_named() -> None:
    with pytest.raises(AttestationError, match="InvalidArgument"):
        answering(cbor2.dumps({"Error": "InvalidArgument"})).attest(b"", None, None)


@pytest.mark.parametrize("sizes", [(513, 0, 0), (0, 513, 0), (0, 0, 1025)])
def test_more_than_the_module_takes_is_never_asked(sizes: tuple[int, int, int]) -> None:
    seen: list[bytes] = []
    with pytest.raises(AttestationError, match="ask for less"):
        answering(b"", seen).attest(*(bytes(size) for size in sizes))
    assert not seen
    assert len(cbor2.dumps({"Attestation": dict.fromkeys(nsm.LIMITS, bytes(1024))})) <= nsm.REQUEST_BYTES


def test_outside_an_enclave_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nsm, "DEVICE", str(tmp_path / "nsm"))
    with pytest.raises(AttestationError, match="inside an enclave"):
        NsmAttester().attest(b"", None, None)


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bytes]]:
    """Stands for the kernel: reads the request through struct nsm_message, writes the answer and its length."""
    device = tmp_path / "nsm"
    device.touch()
    calls: list[tuple[int, bytes]] = []

    def ioctl(handle: int, number: int, message: ctypes.Structure) -> int:
        assert Path(f"/proc/self/fd/{handle}").resolve() == device
        words = (ctypes.c_uint64 * 4).from_buffer(message)  # two iovecs: address and length each
        calls.append((number, ctypes.string_at(words[0], words[1])))
        assert words[3] == 0x3000
        answer = cbor2.dumps({"Attestation": {"document": DOCUMENT}})
        ctypes.memmove(words[2], answer, len(answer))
        words[3] = len(answer)
        return 0

    monkeypatch.setattr(nsm, "DEVICE", str(device))
    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    return calls


def test_the_device_is_asked_by_the_ioctl_of_its_driver(driver: list[tuple[int, bytes]]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert NsmAttester().attest(b"said", None, b"key") == DOCUMENT
    (call,) = driver
    assert call[0] == 0xC0200A00
    assert cbor2.loads(call[1]) == {"Attestation": {"user_data": b"said", "nonce": None, "public_key": b"key"}}
    assert len(list(Path("/proc/self/fd").iterdir())) == before
