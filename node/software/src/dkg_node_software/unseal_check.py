"""`dkg-software unseal-check`: whether each party of a local ceremony could open its share, and if not, why."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_node.errors import SealingError, UsageError
from dkg_node.service.command import DONE, NEGATIVE

if TYPE_CHECKING:
    import argparse

    from dkg_node_software.custody import Enclaves

SHARE = "share"
FINAL = 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `unseal-check`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="directory of a finished local ceremony")
    parser.add_argument("--party", type=int, metavar="I", help="only this one")
    parser.add_argument("--json", action="store_true", help="one object a party instead of lines")


def run(options: argparse.Namespace) -> int:
    """Check them; 1 when one stays shut."""
    from dkg_node_software.custody import Enclaves  # noqa: PLC0415 - keeps --help quick
    from dkg_node_software.double.running import running_double  # noqa: PLC0415 - the same
    from dkg_node_software.layout import Layout  # noqa: PLC0415 - the same
    from dkg_node_software.outputs import read_terms  # noqa: PLC0415 - the same

    layout = Layout(options.out.absolute())
    terms = read_terms(layout)
    if options.party is not None and not 1 <= options.party <= terms.n:
        raise UsageError(f"give --party from 1 to {terms.n}")
    enclaves = Enclaves.of(layout, terms)
    with running_double(layout.double):
        parties = range(1, terms.n + 1) if options.party is None else (options.party,)
        verdicts = [check(enclaves, party) for party in parties]
    for verdict in verdicts:
        sys.stdout.write((json.dumps(verdict.as_json()) if options.json else verdict.line) + "\n")
    return DONE if all(verdict.opens for verdict in verdicts) else NEGATIVE


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out for one party."""

    party: int
    reason: str = ""
    text: str = ""

    @property
    def opens(self) -> bool:
        """Whether its share opened."""
        return not self.text

    @property
    def line(self) -> str:
        """For a person."""
        return f"party {self.party}: " + ("its share opens" if self.opens else f"{self.reason}: {self.text}")

    def as_json(self) -> dict[str, object]:
        """For a program."""
        return {"party": self.party, "opens": self.opens, "reason": self.reason or None, "text": self.text or None}


def check(enclaves: Enclaves, party: int) -> Verdict:
    """Open the party's share and let it go again."""
    from dkg_node.sealing.check import unseal_check  # noqa: PLC0415 - keeps --help quick
    from dkg_node.sealing.reasons import SealingRefusal  # noqa: PLC0415 - the same
    from dkg_node.service.keeping import newest_share  # noqa: PLC0415 - the same

    try:
        service = enclaves.service(party)
        newest = newest_share(enclaves.layout.transcript(party))
        unseal_check(enclaves.sealer(party, service), service, enclaves.terms, SHARE, FINAL, newest)
    except SealingRefusal as refusal:
        return Verdict(party, refusal.reason.code, str(refusal))
    except SealingError as error:
        return Verdict(party, "sealing", str(error))
    return Verdict(party)
