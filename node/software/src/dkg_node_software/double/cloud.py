"""AWS of the software distribution: a double on this machine, and the CA that vouches for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dkg_node.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from dkg_api.terms import SealingTerms
    from dkg_node.sealing.aws import Surroundings


class DoubleCloud:
    """See ``dkg_node.service.cloud.Cloud``."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Where the double is."""
        parser.add_argument("--aws-double", type=Path, metavar="DIR", help="state of the AWS double that listens")

    def surroundings(self, options: argparse.Namespace, sealing: SealingTerms) -> Surroundings:
        """See ``Cloud``."""
        if options.aws_double is None:
            raise UsageError("give --aws-double DIR, the state of the double that plays AWS")
        try:
            return double_surroundings(options.aws_double.absolute(), sealing.region)
        except OSError:
            raise UsageError(
                f"start dkg-software aws-double --state {options.aws_double}: none listens there"
            ) from None


def double_surroundings(state: Path, region: str) -> Surroundings:
    """Of the double in ``state``. OSError when there is none."""
    from dkg_node.sealing.aws import Surroundings  # noqa: PLC0415 - keeps --help quick

    url = (state / "endpoint").read_text().strip()
    return Surroundings(region, {"kms": url, "s3": url}, state / "ca.pem", path_style=True)
