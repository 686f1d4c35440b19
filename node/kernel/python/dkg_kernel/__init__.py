"""The kernel: arithmetic over R = GR(2^K, 4) on secret vectors behind handles (documented in the stub file)."""

from typing import TypeAlias

from dkg_kernel._kernel import (
    Contributions,
    Keys,
    Secret,
    Shares,
    Spectrum,
    beaver,
    bits_from_openings,
    canonical,
    check_shares,
    inner,
    king_share,
    king_sum,
    lies_on,
    mask_stream,
    negacyclic,
    noise_from_openings,
    products,
    products_from_openings,
    prss,
    prss_constants,
    przs,
    robust_open,
    square_plus,
)

Buffer: TypeAlias = bytes | bytearray | memoryview

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
