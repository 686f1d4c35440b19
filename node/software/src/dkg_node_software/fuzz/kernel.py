"""Fuzz targets of the kernel, through its Python binding: every function that reads what a peer or a disk gave."""

from __future__ import annotations

from dkg_node.algebra import kernel
from dkg_node.algebra.kernel import Contributions, Keys, Secret, Shares
from dkg_node_software.fuzz.registry import target
from dkg_node_software.fuzz.world import GROUP, ME, SID, Pieces, cut

WEIGHTS = (0, 3, 9)
COUNT = 6
KEY = bytes(32)
KEYS_HELD = 3


def _k(data: bytes) -> int:
    return 128 if data[:1] and data[0] % 2 else 64


def _trimmed(k: int, *, bits: bool) -> int:
    return sum(4 * -(-(k - weight - bits) // 8) for weight in WEIGHTS) * COUNT // len(WEIGHTS)


def _messages() -> list[bytes]:
    return [
        bytes([kind]) + bytes(_trimmed(128 if kind else 64, bits=bits)) for kind in (0, 1) for bits in (False, True)
    ]


@target(_messages)
def opened_values(data: bytes) -> None:
    """A message of trimmed elements in every function that reads one: None for all or for none."""
    k, message = _k(data), data[1:]
    for bits in (False, True):
        fits = kernel.canonical(message, k, COUNT, WEIGHTS, bits=bits)
        assert not fits or len(message) == _trimmed(k, bits=bits)
        sums = kernel.check_shares(Shares.zeros(k, COUNT), message, bytes(16), 4, WEIGHTS, bits=bits)
        assert (sums is not None) is fits
        if bits:
            a = Shares.zeros(k, 4 * COUNT)
            assert (kernel.bits_from_openings(a, message, WEIGHTS) is not None) is fits
            assert (kernel.noise_from_openings(a, message, WEIGHTS, 5) is not None) is fits
    whole = kernel.canonical(message, k, COUNT, (0,), bits=False)
    assert (kernel.products_from_openings(message, Shares.zeros(k, COUNT)) is not None) is whole


def _sums() -> list[bytes]:
    size = _trimmed(64, bits=False)
    return [b"\x00" + cut(bytes(size), bytes(size), bytes(size)), b"\x00" + cut(bytes(size), bytes(size - 1))]


@target(_sums)
def king_sum(data: bytes) -> None:
    """The senders' y at the king: a sum iff all are canonical, and then it is canonical itself."""
    k, messages = _k(data), Pieces(data[1:]).all()[:8] or [b""]  # a king asks for no sum of nothing
    good = all(kernel.canonical(message, k, COUNT, WEIGHTS, bits=False) for message in messages)
    for bits in (False, True):
        total = kernel.king_sum(messages, k, COUNT, WEIGHTS, bits=bits)
        assert (total is not None) is good
        assert total is None or kernel.canonical(total, k, COUNT, WEIGHTS, bits=bits)


def _words() -> list[bytes]:
    one, other = bytes(64), bytes([1]) * 64
    return [b"\x01" + cut(one, one, one, one), b"\x01" + cut(one, one, other, one), b"\x00" + cut(one, b"", one)]


@target(_words)
def shares_of_words(data: bytes) -> None:
    """Shares to be opened or tested: an opening only where 2t+1 agree, never an error."""
    k, pieces = _k(data), Pieces(data[1:])
    given = {role: piece for role in GROUP.roles if (piece := pieces.next()) is not None}
    sizes = {len(piece) for piece in given.values()}
    opened = kernel.robust_open(GROUP.n, GROUP.t, k, given)
    if opened is not None:
        values, wrong = opened
        assert sizes == {len(values)}
        assert wrong >> GROUP.n == 0
        if wrong == 0:
            assert kernel.robust_open(GROUP.n, GROUP.t, k, given) == opened
    for degree in (GROUP.t, 2 * GROUP.t):
        assert kernel.lies_on(GROUP.n, degree, k, given) in {True, False}


@target(lambda: [bytes(64), bytes([14, 0, 2]) + bytes(64), bytes([14, 0, 2]) + bytes(32)])
def contributions(data: bytes) -> None:
    """The setup's randomness: taken in whole or not at all, for places that exist."""
    held = Contributions(GROUP.n, GROUP.t, ME, Secret.from_bytes(KEY))
    before = held.digests(SID)
    taken = held.receive(2, data)
    assert taken is (len(data) == 64)
    assert (held.digests(SID) != before) is taken
    if len(data) >= 3:
        mask, contributor = int.from_bytes(data[:2], "little"), data[2]
        found = held.rho(mask, contributor)
        assert found is None or len(found) == 32
        assert held.fill(SID, mask, contributor, data[3:], bytes(32)) is False


def _blobs() -> list[bytes]:
    key = Secret.from_bytes(KEY)
    handles: tuple[Secret | Shares | Keys | Contributions, ...] = (
        Secret.from_bytes(KEY),
        Shares.zeros(64, 3),
        Keys.from_bytes(4, 1, ME, bytes(32 * KEYS_HELD)),
        Contributions(4, 1, ME, Secret.from_bytes(KEY)),
    )
    return [bytes([i]) + handle.sealed(key, b"aad") for i, handle in enumerate(handles)]


@target(_blobs)
def sealed_blob(data: bytes) -> None:
    """Sealed bytes of a disk: ValueError unless whole; wire forms of handles: ValueError for a broken length."""
    key, kind, blob = Secret.from_bytes(KEY), data[0] % 4 if data else 0, data[1:]
    try:
        if kind == 0:
            Secret.unsealed(key, b"aad", blob)
        elif kind == 1:
            assert Shares.unsealed(key, b"aad", blob).to_wire() == bytes(96)
        elif kind == 2:
            Keys.unsealed(GROUP.n, GROUP.t, ME, key, b"aad", blob)
        else:
            held = Contributions.unsealed(GROUP.n, GROUP.t, ME, key, b"aad", blob)
            assert held.digests(SID) == Contributions(4, 1, ME, Secret.from_bytes(KEY)).digests(SID)
    except ValueError:
        pass
    for k in (64, 128):
        try:
            assert Shares.from_wire(k, blob).to_wire() == blob
        except ValueError:
            assert len(blob) % (k // 2)
    for make in (Secret.from_bytes, lambda raw: Keys.from_bytes(GROUP.n, GROUP.t, ME, raw)):
        try:
            make(blob)
        except ValueError:
            continue
        assert len(blob) in {32, 32 * KEYS_HELD}
