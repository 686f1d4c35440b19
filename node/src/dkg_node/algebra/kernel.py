"""The one door to the kernel: secret vectors behind handles and what may be done with them (01 sections 3 to 5).

Everything is documented in the kernel's stub file. ``dkg_node.algebra.twin`` has the same names in readable Python for
tests; production never falls back to it.
"""

from dkg_kernel import (
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

__all__ = [
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
