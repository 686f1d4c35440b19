"""Connections that come at once, from strangers too, must not end a listener (ADR 0016)."""

from __future__ import annotations

import pytest

from dkg_node.testing.crowd import exit_code


@pytest.mark.parametrize("changing", [False, True], ids=["same pins", "pins change meanwhile"])
def test_handshakes_at_once_do_not_end_the_process(*, changing: bool) -> None:
    assert exit_code(changing=changing) == 0
