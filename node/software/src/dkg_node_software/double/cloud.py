"""AWS of the software distribution: a double on this machine, and the CA that vouches for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dkg_node.errors import UsageError
from dkg_node.service.command import EnvironmentFault

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
        return double_surroundings(options.aws_double.absolute(), sealing.region)


def double_surroundings(state: Path, region: str) -> Surroundings:
    """Of the double in ``state``. EnvironmentFault when there is none."""
    from dkg_node.sealing.aws import Surroundings  # noqa: PLC0415 - keeps --help quick

    try:
        url = (state / "endpoint").read_text().strip()
    except OSError as error:
        what = f"{state} has no endpoint: {error.strerror}"
        raise EnvironmentFault(f"start the double first, dkg-software aws-double --state DIR: {what}") from None
    return Surroundings(region, {"kms": url, "s3": url}, state / "ca.pem", path_style=True)
