"""Typed surface of the kernel: arithmetic over R = GR(2^K, 4) on secret vectors behind handles.

Conventions, fixed here once (design 01 sections 1, 3, 4):

- K is 64 or 128. An element of R is four coordinates of K bits (X^0 first), each little endian: 4*K/8 bytes.
- Parties are 1-based. Party i sits at alpha_i, the bits of i as a 0/1 polynomial (bit 0 is X^0).
- A set A of parties is a 16-bit mask: bit i-1 stands for party i. Sets of size n-t are ordered by increasing mask.
- ``label`` is bytes already encoded by ``dkg_node.algebra.encoding``.
- KDF(key, label) = HMAC-SHA256(key, label), 32 bytes; an AES-128 key is the first 16 bytes of it.
- An AES-CTR stream starts at block counter 0; the counter block is the 16-byte little-endian counter.
- ``weights`` lists the bit weights of one group of four samples: element m has weight ``weights[m % len(weights)]``.
  ``trim`` of an element of weight i keeps K-i bits a coordinate in ceil((K-i)/8) bytes; with ``bits=True`` an opened
  value V is v/2 and takes ceil((K-i-1)/8) bytes. Products have weights [0] and bits=False: all K bits.
- A party's misuse (wrong length, other K, unequal length) raises ValueError. Bytes that come from peers never raise:
  functions that read them return None or False.
- Handles (Secret, Keys, Contributions, Shares, Spectrum) are wiped on drop, print as redacted, cannot be compared,
  copied or pickled. All long calls release the GIL (those of Contributions are short and keep it).
"""

from collections.abc import Mapping, Sequence
from typing import Self, TypeAlias, final

__all__ = [
    "Buffer",
    "Contributions",
    "Keys",
    "Secret",
    "Shares",
    "Spectrum",
    "beaver",
    "bits_from_openings",
    "canonical",
    "check_shares",
    "inner",
    "king_share",
    "king_sum",
    "lies_on",
    "mask_stream",
    "negacyclic",
    "noise_from_openings",
    "products",
    "products_from_openings",
    "prss",
    "prss_constants",
    "przs",
    "robust_open",
    "square_plus",
]

Buffer: TypeAlias = bytes | bytearray | memoryview

@final
class Secret:
    """32 secret bytes."""

    @staticmethod
    def random() -> Secret:
        """Draw from the operating system."""
    @staticmethod
    def from_bytes(data: Buffer) -> Secret:
        """Take 32 bytes; ValueError for another length."""
    def derive(self, label: bytes) -> Secret:
        """KDF(self, label)."""
    def sealed(self, key: Secret, aad: bytes) -> bytes:
        """AES-256-GCM in frames of 16 MiB (see Shares.sealed)."""
    @staticmethod
    def unsealed(key: Secret, aad: bytes, blob: Buffer) -> Secret:
        """Open ``sealed``; ValueError when blob, aad or key do not belong together."""

@final
class Contributions:
    """One party's view of the setup randomness rho_{A,i} (32 bytes each) of every set A it is in (01 section 3).

    Own values are KDF(seed, enc("rho", A, i)); others arrive from peers.
    """

    def __new__(cls, n: int, t: int, party: int, seed: Secret) -> Self: ...
    @staticmethod
    def empty(n: int, t: int, party: int) -> Contributions:
        """Nothing held, not even own values: what a party without memory fills from other members."""
    def message_for(self, peer: int) -> bytes:
        """Own rho of every set that contains both, increasing mask, 32 bytes each. The bytes are secret.

        ValueError when own values are not held (see ``empty``).
        """
    def receive(self, peer: int, message: Buffer) -> bool:
        """Store the peer's rho; False (nothing stored) when the length is wrong."""
    def digests(self, sid: bytes) -> bytes:
        """H("prss"|sid|A|i|rho) for every own A and i in A (both increasing), 32 bytes each; zeros where absent."""
    def rho(self, mask: int, contributor: int) -> bytes | None:
        """One stored value, for a member of A that asked; None also for a place that does not exist. Secret bytes."""
    def fill(self, sid: bytes, mask: int, contributor: int, rho: Buffer, digest: bytes) -> bool:
        """Store rho if it has 32 bytes and hashes to the certified digest; False also for a place there is not."""
    def keys(self, sid: bytes, era: int, counted: Mapping[int, Sequence[int]]) -> Keys:
        """r_A = H("r"|sid|E|A|i1|rho1|i2|rho2...) of the counted contributors of each own A, in increasing order.

        ValueError when one is missing or a set has none.
        """
    def sealed(self, key: Secret, aad: bytes) -> bytes:
        """AES-256-GCM (see Shares.sealed) of all values held: mask (2 bytes), contributor (1), rho, in that order."""
    @staticmethod
    def unsealed(n: int, t: int, party: int, key: Secret, aad: bytes, blob: Buffer) -> Contributions: ...

@final
class Keys:
    """PRSS keys of one party: 32 bytes for every set of n-t parties that contains it."""

    @staticmethod
    def from_bytes(n: int, t: int, party: int, data: Buffer) -> Keys:
        """Keys in order of increasing mask, 32 bytes each."""
    @property
    def n(self) -> int: ...
    @property
    def t(self) -> int: ...
    @property
    def party(self) -> int: ...
    def derive(self, label: bytes) -> Keys:
        """KDF(k_A, label) for every A."""
    def reveal(self) -> bytes:
        """Inverse of ``from_bytes``: leaves secret memory. Only for keys of a batch that is thrown away (01, 4.7)."""
    def sealed(self, key: Secret, aad: bytes) -> bytes: ...
    @staticmethod
    def unsealed(n: int, t: int, party: int, key: Secret, aad: bytes, blob: Buffer) -> Keys: ...

@final
class Shares:
    """A vector of shares: elements of R with K bits a coordinate."""

    @property
    def k(self) -> int: ...
    def __len__(self) -> int:
        """Number of elements of R."""
    @staticmethod
    def zeros(k: int, count: int) -> Shares: ...
    @staticmethod
    def from_wire(k: int, data: Buffer) -> Shares:
        """From 4*K/8 bytes an element; ValueError for a broken length."""
    @staticmethod
    def concat(parts: Sequence[Shares]) -> Shares: ...
    def slice(self, start: int, stop: int) -> Shares: ...
    def add(self, other: Shares) -> Shares: ...
    def sub(self, other: Shares) -> Shares: ...
    def scale(self, factor: int) -> Shares:
        """Times one public integer (taken mod 2^K, may be negative)."""
    def pack(self) -> Shares:
        """sum_j X^j s_{4m+j}: four base sharings to one element; length must be a multiple of 4."""
    def reduce64(self) -> Shares:
        """The same shares mod 2^64 (K=64)."""
    def to_wire(self) -> bytes:
        """4*K/8 bytes an element: leaves secret memory; only for what the protocol sends or opens."""
    def sealed(self, key: Secret, aad: bytes) -> bytes:
        """AES-256-GCM, 16 MiB frames, each frame bound to aad, its number and whether it is the last."""
    @staticmethod
    def unsealed(key: Secret, aad: bytes, blob: Buffer) -> Shares: ...

# --- PRSS (01 section 3) ---------------------------------------------------------------------------------------------

def prss(keys: Keys, label: bytes, k: int, start: int, count: int) -> Shares:
    """Shares of base values start..start+count-1 of the stream of ``label``: sum_A psi_A * g_A(i) (scaled constants).

    psi_A of value v = the K/8 stream bytes at v*K/8, cut in signed little-endian 16-bit limbs:
    sum_q int16(limb_q) 2^(16q).
    """

def przs(keys: Keys, label: bytes, k: int, count: int) -> Shares:
    """Degree-2t shares of zero: sum_A g_A(i) sum_{u=1..t} alpha_i^u zeta_{A,u}.

    zeta: stream order (value, u, coordinate), K/8 bytes each, unsigned little endian.
    """

def prss_constants(n: int, t: int, party: int) -> list[tuple[int, tuple[int, int, int, int]]]:
    """(mask, g_A(party)) for every A with the party, increasing mask, coordinates as signed integers. Public."""

# --- Offline (01 section 4) ------------------------------------------------------------------------------------------

def square_plus(a: Shares) -> Shares:
    """s_m = sum_j X^j (a_{4m+j}^2 + a_{4m+j}); degree 2t."""

def products(x: Shares, y: Shares, v: Shares) -> Shares:
    """D at (row i, quad c): sum_q X^q x_i * y_{4c+q} + v[i*(len(y)/4)+c]; v is packed.

    len(x)*len(y)/4 elements, degree 2t.
    """

def king_share(s: Shares, keys: Keys, senders: int, king: int, attempt: int, weights: Sequence[int]) -> bytes:
    """y_i = lambda_i^S s_i + sum_{j>i} F(kappa_ij) - sum_{j<i} F(kappa_ij), j in S, trimmed to K-weight bits.

    ``keys`` are the chunk keys; ``senders`` is the mask S with 2t+1 parties, ``attempt`` the try.
    kappa_ij = XOR over A containing i and j of KDF(k_A, enc("pair", i, j, king, S, try))[:16], i < j.
    F = AES-CTR stream, 4 words an element, unsigned little endian.
    """

def canonical(message: Buffer, k: int, count: int, weights: Sequence[int], *, bits: bool) -> bool:
    """True iff message is ``count`` trimmed elements (y for bits=False, V for bits=True) with no bit above the trim."""

def king_sum(messages: Sequence[Buffer], k: int, count: int, weights: Sequence[int], *, bits: bool) -> bytes | None:
    """Sum of the y of all 2t+1 senders, trimmed; with bits=True the lowest bit is dropped: V.

    None if one is not canonical.
    """

def bits_from_openings(a: Shares, v: Buffer, weights: Sequence[int]) -> Shares | None:
    """Single bits b = (r - a)/(1+2r), one element a bit in the order of a; r the even root of r^2 + r = 2V.

    A bit of weight i is right mod 2^(K-i). None if V is not canonical.
    """

def noise_from_openings(a: Shares, v: Buffer, weights: Sequence[int], width: int) -> Shares | None:
    """Packed TUniform(width) samples: group g gives sum_j X^j e_{4g+j}, e = sum_i 2^weights[i] b_i - 2^width.

    None if V is not canonical.
    """

def products_from_openings(d: Buffer, v: Shares) -> Shares | None:
    """[x_i y_j] packed = D - v (degree t). None if D is not canonical."""

def check_shares(
    s: Shares, v: Buffer, chi_key: bytes, digits: int, weights: Sequence[int], *, bits: bool
) -> Shares | None:
    """W_d = sum_m chi_{m,d} 2^weight(m) (s_m - v_m) for d < digits <= 32, without the PRZS mask (the caller adds it).

    chi: AES-128 under the 16-byte public chi_key, block counter m = element m, digit d = nibble d (low nibble of
    byte 0 first), read as a 0/1 polynomial. v_m = 2V_m with bits=True. None if V is not canonical.
    """

# --- Online (01 section 5) -------------------------------------------------------------------------------------------

def beaver(p: Shares, x: Shares, y: Shares, eps: Buffer, delta: Buffer) -> Shares:
    """Packed [s_i S_j] = p + eps_i y + delta x_i + eps_i delta_j at (row i, quad c), from p = [x_i y_j] packed.

    eps: len(x) opened words of K bits (s - x); delta: len(y) opened words (S - y); little endian, one word a value.
    """

@final
class Spectrum:
    """Number-theoretic transform of a secret polynomial's four share coordinates."""

    def __new__(cls, poly: Shares) -> Self:
        """N = len(poly), a power of two up to 4096, element i = coefficient i; negacyclic mod X^N + 1."""
    @property
    def n(self) -> int: ...
    @property
    def k(self) -> int: ...

def negacyclic(masks: Buffer, polys: Sequence[Spectrum]) -> Shares:
    """For each row of public polynomials A_p (N words of K bits each): sum_p A_p * S_p mod (X^N + 1, 2^K), exact.

    masks holds rows*len(polys)*N words; the result rows*N elements.
    """

def inner(masks: Buffer, s: Shares) -> Shares:
    """For each row of len(s) public words: sum_i a_i s_i. masks holds rows*len(s) words of K bits."""

def mask_stream(seed: bytes, offset: int, length: int) -> bytes:
    """Bytes offset..offset+length of the mask stream of the 16-byte XOF seed (02, "Layouts"). Public."""

# --- Opening (01 sections 1 and 5) -----------------------------------------------------------------------------------

def robust_open(n: int, t: int, k: int, shares: Mapping[int, Buffer]) -> tuple[bytes, int] | None:
    """Open a vector of degree-t words: shares by party, all of one length (4*K/8 bytes an element).

    Returns (secrets: 4 words an element, mask of the parties with a wrong share anywhere), or None when for some
    element no polynomial of degree t agrees with at least 2t+1 of the given shares, or lengths are broken.
    Never corrects beyond that.
    """

def lies_on(n: int, degree: int, k: int, shares: Mapping[int, Buffer]) -> bool:
    """True iff for every element all given shares lie on one polynomial of that degree with value 0 at 0."""
