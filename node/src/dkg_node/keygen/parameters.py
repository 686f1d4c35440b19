"""The parameter sets and the public keys each of them has, in normative mask-stream order (02).

Everything derived - rows, samples, random bits, products, mask offsets - is computed from the few numbers of a set, so
that it can be compared with the tables of the design and with what the bridge reads out of tfhe-rs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

from dkg_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

SEGMENTS = ("encryption", "lwe", "glwe", "compression", "sns", "sns_compression", "oprf")
"""Names of the secret keys, in the order of the final share and of a key-bits file."""


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Gadget of ``level`` digits of ``base_log`` bits."""

    base_log: int
    level: int

    def factors(self, word_bits: int) -> tuple[int, ...]:
        """2^(W - base*level) for every level, finest (level l) first, as all keys are stored."""
        return tuple(1 << (word_bits - self.base_log * level) for level in range(self.level, 0, -1))


@dataclass(frozen=True, slots=True)
class Shape:
    """k polynomials of N coefficients. An LWE key of dimension n is the shape (n, 1)."""

    dimension: int
    size: int

    @property
    def coefficients(self) -> int:
        """k*N: bits of a key of this shape; coefficient j of polynomial r is number r*N + j."""
        return self.dimension * self.size


@dataclass(frozen=True, slots=True)
class Noisy:
    """A key's shape with the w of the TUniform(w) noise under it."""

    shape: Shape
    width: int


@dataclass(frozen=True, slots=True)
class Packing:
    """Compression of a list: the key that packs, its gadget, and for the ordinary one the gadget of the way back."""

    key: Noisy
    gadget: Decomposition
    unpack: Decomposition | None = None


@dataclass(frozen=True, slots=True)
class Squashing:
    """Noise squashing mod 2^128: GLWE key, BSK gadget, zeros of its drift modulus switch (0: none)."""

    key: Noisy
    gadget: Decomposition
    zeros: int = 0


class Family(Enum):
    """How the rows of a public key are built (``lwe`` and ``glwe`` modules)."""

    COMPACT = "compact"
    """One row of n masks and n bodies: body = mask * rev(s) + e mod X^n + 1."""
    SWITCH = "switch"
    """LWE rows [bit][level] of +s_i * factor."""
    ZEROS = "zeros"
    """LWE rows of 0 (drift modulus switch)."""
    PACKING = "packing"
    """GLWE rows [bit][level] of +s_i * factor in X^0."""
    BOOTSTRAP = "bootstrap"
    """GGSW rows [bit][level][row]: row r < k holds -s_i S_r(X) * factor, row k +s_i * factor in X^0."""


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One public key: what is opened of it, what the mask stream gives for it, which secrets it takes."""

    number: int
    """Number in 02, 1 to 12."""
    name: str
    """Also the name of its file of bodies."""
    family: Family
    word_bits: int
    target: str
    """Secret key (one of SEGMENTS) it is encrypted under."""
    noise: Noisy
    """Shape of a row under that key, and noise width."""
    rows: int
    source: str = ""
    """Secret key whose bits are encrypted; none for COMPACT and ZEROS."""
    gadget: Decomposition | None = None
    products: int = 0
    """Secret bit times secret bit products behind the bodies."""
    mask_offset: int = 0
    """First byte of its masks in the set's stream."""

    @property
    def width(self) -> int:
        """The w of TUniform(w)."""
        return self.noise.width

    @property
    def row_masks(self) -> int:
        """Mask words a row."""
        return self.noise.shape.coefficients

    @property
    def row_bodies(self) -> int:
        """Body words a row, one noise sample each."""
        return self.noise.shape.size

    @property
    def samples(self) -> int:
        """Opened body words."""
        return self.rows * self.row_bodies

    @property
    def noise_bits(self) -> int:
        """Random bits behind the noise: w + 2 a sample."""
        return self.samples * (self.width + 2)

    @property
    def seeded_bytes(self) -> int:
        """Size of the bodies."""
        return self.samples * self.word_bits // 8

    @property
    def mask_bytes(self) -> int:
        """Bytes of the mask stream it consumes."""
        return self.rows * self.row_masks * self.word_bits // 8

    @property
    def factors(self) -> tuple[int, ...]:
        """Gadget factors in storage order; none for keys without a message."""
        return self.gadget.factors(self.word_bits) if self.gadget else ()


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """The numbers of one set (02, "Parameter sets")."""

    name: str
    insecure: bool
    encryption: Noisy
    """Compact public key; its polynomial size is the dimension, its k is 1."""
    lwe: Noisy
    glwe: Noisy
    bsk: Decomposition
    ksk: Decomposition
    pksk: Decomposition
    zeros: int = 0
    """LWE zeros of the drift modulus switch; 0: the set has no modulus-switch key."""
    compression: Packing | None = None
    sns: Squashing | None = None
    sns_compression: Packing | None = None
    oprf: bool = False

    @property
    def segments(self) -> dict[str, int]:
        """Bits of every secret key, all SEGMENTS in order; 0 where the set has none."""
        return {
            "encryption": self.encryption.shape.coefficients,
            "lwe": self.lwe.shape.coefficients,
            "glwe": self.glwe.shape.coefficients,
            "compression": self.compression.key.shape.coefficients if self.compression else 0,
            "sns": self.sns.key.shape.coefficients if self.sns else 0,
            "sns_compression": self.sns_compression.key.shape.coefficients if self.sns_compression else 0,
            "oprf": self.lwe.shape.coefficients if self.oprf else 0,
        }

    @property
    def key_bits(self) -> int:
        """All secret key bits."""
        return sum(self.segments.values())

    def segment(self, name: str) -> range:
        """Where a secret key stands in the order of all key bits."""
        start = 0
        for segment, count in self.segments.items():
            if segment == name:
                return range(start, start + count)
            start += count
        raise KeyError(name)

    @property
    def keys(self) -> tuple[KeySpec, ...]:
        """Public keys in mask-stream order."""
        return _keys(self)

    def key(self, name: str) -> KeySpec:
        """The public key of that name; KeyError where the set has none."""
        for spec in self.keys:
            if spec.name == name:
                return spec
        raise KeyError(name)

    @property
    def samples(self) -> int:
        """Noise samples of all keys."""
        return sum(spec.samples for spec in self.keys)

    @property
    def noise_bits(self) -> int:
        """Random bits of all noise: the total of the design's table."""
        return sum(spec.noise_bits for spec in self.keys)

    @property
    def bits(self) -> int:
        """Random bits of the whole set: noise and key bits."""
        return self.key_bits + self.noise_bits

    @property
    def bits128(self) -> int:
        """Those needed mod 2^128; key bits are all made there."""
        return self.key_bits + sum(spec.noise_bits for spec in self.keys if spec.word_bits == 128)

    @property
    def products(self) -> int:
        """Secret products of all bootstrapping keys."""
        return sum(spec.products for spec in self.keys)

    @property
    def seeded_bytes(self) -> int:
        """Bodies of all keys."""
        return sum(spec.seeded_bytes for spec in self.keys)


@cache
def _keys(params: ParameterSet) -> tuple[KeySpec, ...]:
    """Give every key that the set has its place in the mask stream."""
    placed = []
    offset = 0
    for spec in sorted(_unplaced(params), key=lambda spec: spec.number):
        placed.append(replace(spec, mask_offset=offset))
        offset += spec.mask_bytes
    return tuple(placed)


def _unplaced(params: ParameterSet) -> Iterator[KeySpec]:
    """All keys of the set, those of every part together."""
    yield _compact(1, "compact_public_key", "encryption", params.encryption)
    yield _switch(4, "ksk", "glwe", params, params.ksk)
    yield _bootstrap(5, "bsk", "lwe", "glwe", params, params.bsk)
    if params.zeros:
        yield _zeros(6, "modulus_switch_key", params.lwe, params.zeros)
    yield _switch(9, "pksk", "encryption", params, params.pksk)
    # The GLWE key is used as an LWE key here: one polynomial of k*N coefficients.
    flat = Noisy(Shape(1, params.glwe.shape.coefficients), params.glwe.width)
    yield _compact(10, "rerandomization_key", "glwe", flat)
    if params.oprf:
        yield _bootstrap(12, "oprf_bsk", "oprf", "glwe", params, params.bsk)
    yield from _compression_keys(params)
    yield from _squashing_keys(params)


def _compression_keys(params: ParameterSet) -> Iterator[KeySpec]:
    part = params.compression
    if part is None or part.unpack is None:
        return
    yield _packing(2, "compression_packing_ksk", ("glwe", "compression"), params, part)
    yield _bootstrap(3, "decompression_bsk", "compression", "glwe", params, part.unpack)


def _squashing_keys(params: ParameterSet) -> Iterator[KeySpec]:
    if params.sns is None:
        return
    yield _bootstrap(7, "sns_bsk", "lwe", "sns", params, params.sns.gadget)
    if params.sns.zeros:
        yield _zeros(8, "sns_modulus_switch_key", params.lwe, params.sns.zeros)
    if params.sns_compression is not None:
        yield _packing(11, "sns_compression_packing_ksk", ("sns", "sns_compression"), params, params.sns_compression)


def _wide(segment: str) -> int:
    """Noise-squashing keys live mod 2^128, all others mod 2^64."""
    return 128 if segment.startswith("sns") else 64


def _compact(number: int, name: str, target: str, noise: Noisy) -> KeySpec:
    return KeySpec(number, name, Family.COMPACT, 64, target, noise, 1)


def _zeros(number: int, name: str, noise: Noisy, count: int) -> KeySpec:
    return KeySpec(number, name, Family.ZEROS, 64, "lwe", noise, count)


def _switch(number: int, name: str, source: str, params: ParameterSet, gadget: Decomposition) -> KeySpec:
    rows = params.segments[source] * gadget.level
    return KeySpec(number, name, Family.SWITCH, 64, "lwe", params.lwe, rows, source, gadget)


def _packing(number: int, name: str, ends: tuple[str, str], params: ParameterSet, part: Packing) -> KeySpec:
    source, target = ends
    rows = params.segments[source] * part.gadget.level
    return KeySpec(number, name, Family.PACKING, _wide(target), target, part.key, rows, source, part.gadget)


def _bootstrap(
    number: int, name: str, source: str, target: str, params: ParameterSet, gadget: Decomposition
) -> KeySpec:
    noise = params.sns.key if target == "sns" and params.sns else params.glwe
    bits = params.segments[source]
    rows = bits * gadget.level * (noise.shape.dimension + 1)
    products = bits * noise.shape.coefficients
    return KeySpec(number, name, Family.BOOTSTRAP, _wide(target), target, noise, rows, source, gadget, products)


_CORE = ParameterSet(
    name="core",
    insecure=False,
    encryption=Noisy(Shape(1, 2048), 17),
    lwe=Noisy(Shape(918, 1), 45),
    glwe=Noisy(Shape(1, 2048), 17),
    bsk=Decomposition(23, 1),
    ksk=Decomposition(4, 4),
    pksk=Decomposition(4, 4),
)

_PRODUCTION = ParameterSet(
    name="production",
    insecure=False,
    encryption=_CORE.encryption,
    lwe=_CORE.lwe,
    glwe=_CORE.glwe,
    bsk=_CORE.bsk,
    ksk=_CORE.ksk,
    pksk=_CORE.pksk,
    compression=Packing(Noisy(Shape(4, 256), 43), Decomposition(4, 3), Decomposition(23, 1)),
    sns=Squashing(Noisy(Shape(2, 2048), 30), Decomposition(24, 3)),
    sns_compression=Packing(Noisy(Shape(6, 1024), 3), Decomposition(41, 2)),
    oprf=True,
)

_TEST = ParameterSet(
    name="test",
    insecure=True,
    encryption=Noisy(Shape(1, 512), 0),
    lwe=Noisy(Shape(1, 1), 0),
    glwe=Noisy(Shape(1, 256), 0),
    bsk=Decomposition(24, 1),
    ksk=Decomposition(37, 1),
    pksk=Decomposition(37, 1),
    zeros=10,
    compression=Packing(Noisy(Shape(1, 256), 0), Decomposition(27, 1), Decomposition(24, 1)),
    sns=Squashing(Noisy(Shape(1, 256), 0), Decomposition(33, 2), zeros=8),
    sns_compression=Packing(Noisy(Shape(1, 256), 3), Decomposition(61, 1)),
    oprf=True,
)

PARAMETER_SETS = {params.name: params for params in (_TEST, _CORE, _PRODUCTION)}
"""All known sets by name, smallest first."""


def parameter_set(name: str) -> ParameterSet:
    """The set of that name; UsageError naming the known ones for any other."""
    known = PARAMETER_SETS.get(name)
    if known is None:
        raise UsageError(f"unknown parameter set {name!r}: use one of {', '.join(PARAMETER_SETS)}")
    return known
