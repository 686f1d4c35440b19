"""An unfinished run found in OUT: what of it the launcher needs to start the nodes again (`--resume`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_api.signatures import missing_organizations
from dkg_node.errors import UsageError
from dkg_node.service.config import read_state
from dkg_node.service.verify import read_terms_file

if TYPE_CHECKING:
    from dkg_api.enrolment import Enrolment
    from dkg_api.signatures import TermsSignature
    from dkg_api.terms import Terms
    from dkg_node_software.layout import Layout


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What was agreed on before the interruption. The secrets stay with the nodes."""

    terms: Terms
    signatures: tuple[TermsSignature, ...]
    enrolments: tuple[Enrolment, ...]


def read_unfinished(layout: Layout) -> Unfinished:
    """UsageError in words of its own when OUT holds no run that can go on."""
    out = layout.out
    if not layout.terms.exists():
        raise UsageError(f"{out} holds no run to resume: leave out --resume (RESUME=1)")
    if layout.certificate.exists() and layout.report.exists():
        raise UsageError(f"the run in {out} has ended well, nothing is left to resume: choose another OUT")
    terms, signatures = read_terms_file(layout.terms)
    unsigned = missing_organizations(terms, signatures)
    states = [layout.desired_state(party) for party in range(1, terms.n + 1)]
    if unsigned or not all(path.exists() for path in states):
        raise UsageError(f"the run in {out} was interrupted before it began: choose an empty OUT")
    state = read_state(states[0])
    if state.terms.digest != terms.digest:
        raise UsageError(f"{states[0]} has other terms than {layout.terms}: choose an empty OUT")
    if state.missing():
        raise UsageError(f"the run in {out} was interrupted before its parties were enrolled: choose an empty OUT")
    return Unfinished(terms, signatures, tuple(state.enrolments))
