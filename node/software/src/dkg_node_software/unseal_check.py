"""`dkg-software unseal-check`: whether each party of a local ceremony could open its share, and if not, why."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_node.errors import SealingError, UsageError
from dkg_node.service.command import DONE, NEGATIVE

if TYPE_CHECKING:
    import argparse

    from dkg_api.terms import Terms
    from dkg_node.ceremony.ports import Attester
    from dkg_node.sealing.cms import Recipient
    from dkg_node.sealing.sealer import KmsSealer
    from dkg_node_software.layout import Layout

SHARE = "share"
FINAL = 0
DOUBLE = "aws-double"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `unseal-check`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="directory of a finished local ceremony")
    parser.add_argument("--party", type=int, metavar="I", help="only this one")
    parser.add_argument("--json", action="store_true", help="one object a party instead of lines")


def run(options: argparse.Namespace) -> int:
    """Check them; 1 when one stays shut."""
    from dkg_node.sealing.cms import Recipient  # noqa: PLC0415 - keeps --help quick
    from dkg_node_software.double.running import running_double  # noqa: PLC0415 - the same
    from dkg_node_software.layout import Layout  # noqa: PLC0415 - the same
    from dkg_node_software.measure import measure  # noqa: PLC0415 - the same
    from dkg_node_software.nsm import software_attester  # noqa: PLC0415 - the same
    from dkg_node_software.outputs import read_terms  # noqa: PLC0415 - the same

    layout = Layout(options.out.absolute())
    terms = read_terms(layout)
    if options.party is not None and not 1 <= options.party <= terms.n:
        raise UsageError(f"give --party from 1 to {terms.n}")
    enclave = Enclave(layout, terms, software_attester(measure()), Recipient.fresh())
    with running_double(layout.out / DOUBLE):
        parties = range(1, terms.n + 1) if options.party is None else (options.party,)
        verdicts = [enclave.check(party) for party in parties]
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


@dataclass(frozen=True, slots=True)
class Enclave:
    """This installation's code in the place of each party's enclave."""

    layout: Layout
    terms: Terms
    attester: Attester
    recipient: Recipient

    def check(self, party: int) -> Verdict:
        """Open the party's share and let it go again."""
        from dkg_node.sealing.check import unseal_check  # noqa: PLC0415 - keeps --help quick
        from dkg_node.sealing.reasons import SealingRefusal  # noqa: PLC0415 - the same
        from dkg_node.service.keeping import newest_share  # noqa: PLC0415 - the same

        try:
            sealer = self._sealer(party)
            unseal_check(sealer, self.terms, SHARE, FINAL, newest_share(self.layout.transcript(party)))
        except SealingRefusal as refusal:
            return Verdict(party, refusal.reason.code, str(refusal))
        except SealingError as error:
            return Verdict(party, "sealing", str(error))
        return Verdict(party)

    def _sealer(self, party: int) -> KmsSealer:
        from dkg_api.user_data import UserData  # noqa: PLC0415 - keeps --help quick
        from dkg_node.sealing.stores import DirectoryBlobs  # noqa: PLC0415 - the same
        from dkg_node_software.agreement import ATTEMPT  # noqa: PLC0415 - the same
        from dkg_node_software.custody import DoubleParty  # noqa: PLC0415 - the same
        from dkg_node_software.root import SOFTWARE_ROOT  # noqa: PLC0415 - the same

        side = DoubleParty(self.layout.out / DOUBLE, self.terms, party)
        said = UserData(
            purpose="kms", terms_digest=self.terms.digest, attempt=ATTEMPT, party=party, boot_id=os.urandom(16),
            boot_number=time.time_ns(), root=SOFTWARE_ROOT,
        )  # fmt: skip
        service = side.key_service(enrolled_arn(self.layout, party), self.attester, self.recipient, said)
        return side.sealer(service, DirectoryBlobs(self.layout.party(party)), ATTEMPT)


def enrolled_arn(layout: Layout, party: int) -> str:
    """ARN of the key that the party's last enrolment names. SealingError when none does."""
    from dkg_api.desired_state import parse_desired_state  # noqa: PLC0415 - keeps --help quick
    from dkg_api.errors import ApiError  # noqa: PLC0415 - the same

    try:
        state = parse_desired_state(layout.desired_state(party).read_bytes())
    except (OSError, ApiError) as error:
        raise SealingError(f"can't read the enrolments of party {party}: {error}; put the file back") from None
    arns = [enrolment.key_arn for enrolment in state.enrolments if enrolment.party == party]
    if not arns or arns[-1] is None:
        raise SealingError(f"run the ceremony with KMS sealing: party {party} is enrolled without a key")
    return arns[-1]
