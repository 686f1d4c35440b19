"""Rules of the ceremony that are not one segment's own."""

from __future__ import annotations

import pytest

from dkg_node.ceremony.run import require_all
from dkg_node.errors import QuorumLost


def test_a_batch_in_which_somebody_was_not_heard_is_not_used() -> None:
    """Else one liar and one honest party kept away pass a forged product (t + 1 shares and a zero fit anything)."""
    with pytest.raises(QuorumLost, match=r"parties \[2, 4\] were not heard") as raised:
        require_all("batch 3", frozenset({4, 2}))
    assert raised.value.culprits == {2, 4}


def test_a_batch_in_which_everybody_was_heard_is_used() -> None:
    require_all("batch 3", frozenset())
