"""Reading what a ceremony left in OUT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_node.service.build import refuse_other
from dkg_node.service.verify import read_signed_terms

if TYPE_CHECKING:
    from dkg_api.terms import Terms
    from dkg_node_software.layout import Layout


def read_terms(layout: Layout) -> Terms:
    """The terms of OUT, signed by all, of a software ceremony."""
    terms = read_signed_terms(layout.terms)
    refuse_other(terms, "software", "dkgctl")
    return terms
