"""Sealed blobs open with what belongs to them and with nothing else, whatever byte or frame was touched."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest

from dkg_node.algebra import kernel, twin

KEY, OTHER = b"K" * 32, b"O" * 32
AAD = b"checkpoint 3"
FRAME = 16 << 20
TAG = 16
SALT = 32
REFUSED = "belong together|use K"


class Kind:
    """How to make, seal and open one kind of handle."""

    def __init__(
        self, make: Callable[[ModuleType], Any], unsealed: Callable[[ModuleType, Any, bytes, bytes], Any]
    ) -> None:
        self.make, self.unsealed = make, unsealed


KINDS = {
    "secret": Kind(
        lambda impl: impl.Secret.from_bytes(bytes(range(32))),
        lambda impl, key, aad, blob: impl.Secret.unsealed(key, aad, blob),
    ),
    "keys": Kind(
        lambda impl: impl.Keys.from_bytes(4, 1, 2, bytes(range(96))),
        lambda impl, key, aad, blob: impl.Keys.unsealed(4, 1, 2, key, aad, blob),
    ),
    "contributions": Kind(
        lambda impl: impl.Contributions(4, 1, 2, impl.Secret.from_bytes(bytes(range(32)))),
        lambda impl, key, aad, blob: impl.Contributions.unsealed(4, 1, 2, key, aad, blob),
    ),
    "no contributions": Kind(
        lambda impl: impl.Contributions.empty(4, 1, 2),
        lambda impl, key, aad, blob: impl.Contributions.unsealed(4, 1, 2, key, aad, blob),
    ),
    "shares64": Kind(
        lambda impl: impl.Shares.from_wire(64, bytes(range(96))),
        lambda impl, key, aad, blob: impl.Shares.unsealed(key, aad, blob),
    ),
    "shares128": Kind(
        lambda impl: impl.Shares.from_wire(128, bytes(range(64)) * 2),
        lambda impl, key, aad, blob: impl.Shares.unsealed(key, aad, blob),
    ),
    "no shares": Kind(
        lambda impl: impl.Shares.zeros(64, 0), lambda impl, key, aad, blob: impl.Shares.unsealed(key, aad, blob)
    ),
}


def look(impl: ModuleType, handle: Any) -> bytes:  # noqa: ANN401 - handles of two implementations
    """Something public that depends on all of the handle's content."""
    if hasattr(handle, "to_wire"):
        return bytes([handle.k]) + bytes(handle.to_wire())
    if hasattr(handle, "digests"):
        return bytes(handle.digests(b"look"))
    if hasattr(handle, "party"):
        return bytes(impl.prss(handle, b"look", 128, 0, 2).to_wire())
    return bytes(impl.Contributions(4, 1, 1, handle).digests(b"look"))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def test_what_was_sealed_opens_again(impl: ModuleType, kind: Kind) -> None:
    key, handle = impl.Secret.from_bytes(KEY), kind.make(impl)
    blob = handle.sealed(key, AAD)
    assert look(impl, kind.unsealed(impl, key, AAD, blob)) == look(impl, handle)


@pytest.mark.parametrize(("maker", "opener"), [(twin, kernel), (kernel, twin)], ids=["twin-kernel", "kernel-twin"])
def test_the_format_is_one_and_the_same(maker: ModuleType, opener: ModuleType, kind: Kind) -> None:
    blob = kind.make(maker).sealed(maker.Secret.from_bytes(KEY), AAD)
    opened = kind.unsealed(opener, opener.Secret.from_bytes(KEY), AAD, blob)
    assert look(opener, opened) == look(opener, kind.make(opener))


def test_a_changed_bit_in_any_byte_is_refused(impl: ModuleType, kind: Kind) -> None:
    """Every byte: the mark of K, the salt, the content, the tag."""
    key = impl.Secret.from_bytes(KEY)
    blob = kind.make(impl).sealed(key, AAD)
    for at in range(len(blob)):
        for bit in (0, 7):
            bad = bytearray(blob)
            bad[at] ^= 1 << bit
            with pytest.raises(ValueError, match=REFUSED):
                kind.unsealed(impl, key, AAD, bytes(bad))


def test_a_shortened_or_lengthened_blob_is_refused(impl: ModuleType, kind: Kind) -> None:
    key = impl.Secret.from_bytes(KEY)
    blob = kind.make(impl).sealed(key, AAD)
    for broken in [*(blob[:size] for size in range(len(blob))), blob + b"\0", b"\0" + blob, blob + bytes(TAG)]:
        with pytest.raises(ValueError, match=REFUSED):
            kind.unsealed(impl, key, AAD, broken)


def test_another_key_or_associated_data_is_refused(impl: ModuleType, kind: Kind) -> None:
    key, other = impl.Secret.from_bytes(KEY), impl.Secret.from_bytes(OTHER)
    blob = kind.make(impl).sealed(key, AAD)
    for wrong_key, aad in [(other, AAD), (key, b""), (key, AAD + b"\0"), (key, AAD[:-1])]:
        with pytest.raises(ValueError, match=REFUSED):
            kind.unsealed(impl, wrong_key, aad, blob)


def test_a_blob_of_one_kind_opens_as_no_other(impl: ModuleType) -> None:
    key = impl.Secret.from_bytes(KEY)
    for sealed in KINDS.values():
        handle = sealed.make(impl)
        for kind in KINDS.values():
            if type(kind.make(impl)) is not type(handle):
                with pytest.raises(ValueError, match=REFUSED):
                    kind.unsealed(impl, key, AAD, handle.sealed(key, AAD))


@pytest.mark.parametrize("shape", [(4, 1, 1), (4, 1, 3), (7, 2, 2)])
def test_keys_open_for_their_own_party_only(impl: ModuleType, shape: tuple[int, int, int]) -> None:
    key = impl.Secret.from_bytes(KEY)
    blob = KINDS["keys"].make(impl).sealed(key, AAD)
    with pytest.raises(ValueError, match=REFUSED):
        impl.Keys.unsealed(*shape, key, AAD, blob)


@pytest.mark.parametrize("shape", [(4, 1, 1), (4, 1, 3), (7, 2, 2)])
def test_contributions_open_for_their_own_party_only(impl: ModuleType, shape: tuple[int, int, int]) -> None:
    key = impl.Secret.from_bytes(KEY)
    blob = KINDS["contributions"].make(impl).sealed(key, AAD)
    with pytest.raises(ValueError, match=REFUSED):
        impl.Contributions.unsealed(*shape, key, AAD, blob)


def test_received_contributions_are_sealed_with_ones_own(impl: ModuleType) -> None:
    key = impl.Secret.from_bytes(KEY)
    one, two = (impl.Contributions(4, 1, i, impl.Secret.from_bytes(bytes([i]) * 32)) for i in (1, 2))
    one.receive(2, two.message_for(1))
    again = impl.Contributions.unsealed(4, 1, 1, key, AAD, one.sealed(key, AAD))
    assert again.digests(b"sid") == one.digests(b"sid")
    assert (again.rho(0b0111, 2), again.rho(0b0111, 3)) == (one.rho(0b0111, 2), None)


def test_equal_content_is_sealed_to_different_bytes(impl: ModuleType, kind: Kind) -> None:
    key = impl.Secret.from_bytes(KEY)
    one, other = kind.make(impl).sealed(key, AAD), kind.make(impl).sealed(key, AAD)
    assert one != other
    mark = 1 if hasattr(kind.make(impl), "to_wire") else 0
    assert one[mark : mark + SALT] != other[mark : mark + SALT]


class Frames:
    """A blob of two whole frames and a short one, in its parts."""

    def __init__(self, impl: ModuleType) -> None:
        self.impl = impl
        self.key = impl.Secret.from_bytes(KEY)
        self.shares = impl.Shares.zeros(128, 2 * FRAME // 64 + 1)
        self.parts = self.cut(self.shares.sealed(self.key, AAD))

    @staticmethod
    def cut(blob: bytes) -> list[bytes]:
        """Head, frame, frame, rest."""
        marks = [0, 1 + SALT, 1 + SALT + FRAME + TAG, 1 + SALT + 2 * (FRAME + TAG), len(blob)]
        return [blob[a:b] for a, b in pairwise(marks)]

    def opens(self, *order: int) -> bool:
        try:
            opened = self.impl.Shares.unsealed(self.key, AAD, b"".join(self.parts[i] for i in order))
        except ValueError:
            return False
        return len(opened) == len(self.shares) and not any(opened.to_wire())


@pytest.fixture(scope="module")
def frames(impl: ModuleType) -> Frames:
    return Frames(impl)


def test_a_long_vector_goes_in_frames_of_16_mib(frames: Frames) -> None:
    assert [len(part) for part in frames.parts] == [1 + SALT, FRAME + TAG, FRAME + TAG, 64 + TAG]
    assert frames.opens(0, 1, 2, 3)


@pytest.mark.parametrize(
    "order",
    [
        (0, 2, 1, 3),
        (0, 1, 3, 2),
        (0, 1, 2),
        (0, 1),
        (0, 2, 3),
        (0, 1, 3),
        (0, 3),
        (0,),
        (0, 1, 1, 3),
        (0, 1, 2, 3, 3),
        (),
    ],
    ids=lambda order: "-".join(map(str, order)) or "nothing",
)
def test_frames_swapped_dropped_repeated_or_cut_off_are_refused(frames: Frames, order: str) -> None:
    assert not frames.opens(*map(int, order))


def test_a_frame_of_another_blob_under_the_same_key_is_refused(frames: Frames) -> None:
    own = frames.parts
    other = frames.cut(frames.shares.sealed(frames.key, AAD))
    try:
        frames.parts = [own[0], other[1], *own[2:]]
        assert not frames.opens(0, 1, 2, 3)
    finally:
        frames.parts = own


def test_a_vector_of_exactly_one_frame_has_no_empty_frame_behind_it(impl: ModuleType) -> None:
    key = impl.Secret.from_bytes(KEY)
    shares = impl.Shares.zeros(128, FRAME // 64)
    blob = shares.sealed(key, AAD)
    assert len(blob) == 1 + SALT + FRAME + TAG
    assert len(impl.Shares.unsealed(key, AAD, blob)) == len(shares)
