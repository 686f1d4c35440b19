"""`release measure`: what the installed code measures, as the releases of software terms name it (03, "Two builds")."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from dkg_api.terms import SOFTWARE_NOTICE
from dkg_node.service.command import DONE
from dkg_node.service.measure import measure

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `release`."""
    parser.add_argument("action", choices=("measure",), help="measure the installed code; an image's stand with it")


def run(_: argparse.Namespace) -> int:
    """Print one entry for `releases` of the terms; the notice goes to stderr, for these are no enclave's."""
    sys.stderr.write(SOFTWARE_NOTICE + "\n")
    sys.stdout.write(json.dumps(measure(), indent=1) + "\n")
    return DONE
