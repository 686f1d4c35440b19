"""The kernel's readable twin: the same classes and functions in plain Python, to be read beside the design.

For tests and for reading only. Secrets are ordinary Python objects here: not wiped, not constant-time. Production uses
the kernel and never falls back to this; a property test holds the two equal, byte for byte.
"""

from dkg_node.algebra.twin.king import canonical, king_share, king_sum
from dkg_node.algebra.twin.offline import (
    bits_from_openings,
    check_shares,
    noise_from_openings,
    products,
    products_from_openings,
    square_plus,
)
from dkg_node.algebra.twin.online import Spectrum, beaver, inner, mask_stream, negacyclic
from dkg_node.algebra.twin.opening import lies_on, robust_open
from dkg_node.algebra.twin.prss import prss, przs
from dkg_node.algebra.twin.sets import prss_constants
from dkg_node.algebra.twin.setup import Contributions, Keys
from dkg_node.algebra.twin.shares import Secret, Shares

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
