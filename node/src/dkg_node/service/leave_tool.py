"""`leave order|check|finish`: an organisation gives up its party's share for good (03, "Leaving").

`order` lets the enclave erase what it sealed. `finish`, by a person with break-glass credentials, believes the
enclave's receipt only after the checks of `check`, and then ends the KMS key, which answers for copies of the blobs.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dkg_api.certificate import parse_certificate
from dkg_api.enrolment import EnrolmentError, Keyring, parse_enrolment
from dkg_api.errors import ApiError
from dkg_api.kms_policy import key_arn_problem, kms_policy, sealing_digest
from dkg_api.leave import order_erasure, parse_erase_order, parse_receipt
from dkg_node.attestation.receipts import Leaver, judge_receipt
from dkg_node.errors import UsageError
from dkg_node.sealing.files import write_atomic
from dkg_node.sealing.leave import receipt_nonce
from dkg_node.service.clock import milliseconds
from dkg_node.service.command import DONE, NegativeVerdict
from dkg_node.service.credentials import read_credentials
from dkg_node.service.evidence_tool import instant_of
from dkg_node.service.key_tool import load_key
from dkg_node.service.successor_tool import current_terms
from dkg_node.service.verify import judge, read_file, read_signed_terms

if TYPE_CHECKING:
    import argparse

    from dkg_api.enrolment import Enrolment
    from dkg_api.leave import EraseOrder, EraseReceipt
    from dkg_api.successor import Custody
    from dkg_api.terms import Terms

DAYS = 7
"""Until KMS deletes the key, the least it takes. It is disabled at once, and the policy lets nobody turn back."""
ENDED = ("PendingDeletion", "no_key")
"""States of an enrolled key that opens nothing any more: to be deleted, and deleted."""
OTHERS = 0o077
"""Rights of everybody but the owner."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `leave`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="order|check|finish")
    order = actions.add_parser("order", help="sign the order by which the enclave of your party erases all it sealed")
    order.add_argument("--serial", type=int, required=True, metavar="N", help="number of the order, from 1")
    order.add_argument("--party", type=int, required=True, metavar="I", help="whose objects")
    order.add_argument("--key", type=Path, required=True, metavar="FILE", help="the organisation key")
    order.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the order goes")
    check = actions.add_parser("check", help="check the enclave's receipt")
    finish = actions.add_parser("finish", help="check the receipt, then disable the KMS key and have it deleted")
    finish.add_argument(
        "--credentials", type=Path, required=True, metavar="FILE",
        help="of the break-glass role, as `aws configure export-credentials --format process` prints them",
    )  # fmt: skip
    for action in (check, finish):
        action.add_argument("--order", type=Path, required=True, metavar="FILE", help="the order")
        action.add_argument("--receipt", type=Path, required=True, metavar="FILE", help="the enclave's receipt for it")
        action.add_argument(
            "--enrolment", type=Path, nargs="+", required=True, metavar="FILE", help="all that you signed for the party"
        )
    for action in (order, check, finish):
        action.add_argument("terms", type=Path, metavar="TERMS", help="the first terms, signed by all organisations")
        action.add_argument(
            "--after",
            type=Path,
            nargs="+",
            default=[],
            metavar="FILE",
            help="leave what followed: successor terms, in order",
        )
        action.add_argument(
            "--certificate", type=Path, metavar="FILE", help="of the key set; its enrolments count too; with --after"
        )  # fmt: skip
    for action in (check, finish):
        action.add_argument("--key-arn", metavar="ARN", help="with --after: the party's key under the last of them")


def run(options: argparse.Namespace) -> int:
    """Do the action. NegativeVerdict, Refusal or SealingRefusal for a receipt that proves nothing; no key ends then."""
    terms = read_signed_terms(options.terms)
    options.edition.check(terms.attestation, "leave")
    current = _current(options, terms)
    if options.action == "order":
        return _order(options, current)
    departure = _read(options, terms, current)
    made = departure.check(options.edition.root)
    lines = [*terms.notices, f"erased {departure.receipt.erased} object versions by {instant_of(made)}"]
    sys.stdout.write("\n".join(lines) + "\n")
    return _finish(options, departure) if options.action == "finish" else DONE


@dataclass(frozen=True, slots=True)
class Departure:
    """An order, its receipt, and what they are held against."""

    first: Terms
    """Whose enrolments say which identity keys are the party's."""
    terms: Terms | Custody
    """Under which it sealed."""
    enrolments: tuple[Enrolment, ...]
    order: EraseOrder
    receipt: EraseReceipt
    new_key: str | None
    """Its key under successor terms."""
    between: tuple[Path, ...]
    """Successor terms before the last: its keys under them stand nowhere here."""

    @property
    def party(self) -> int:
        """Who leaves."""
        return self.order.party

    @property
    def key_arns(self) -> tuple[str, ...]:
        """The keys that end, in order of enrolment."""
        return self.enrolled if self.new_key is None else (self.new_key,)

    @property
    def enrolled(self) -> tuple[str, ...]:
        """The keys under which it may have sealed under the first terms."""
        return tuple(dict.fromkeys(e.key_arn for e in self.enrolments if e.key_arn is not None))

    def check(self, root: bytes) -> int:
        """When the enclave signed that nothing is left, ms since 1970. NegativeVerdict or Refusal if that is not so."""
        problem = self.order.problem(self.terms, self.party)
        if problem is not None:
            raise NegativeVerdict(problem)
        try:
            keyring = Keyring.of(self.first, self.enrolments, judge(self.first, root))
        except EnrolmentError as error:
            raise NegativeVerdict(str(error)) from None
        problem = self.receipt.problem(self.order, keyring)
        if problem is not None:
            raise NegativeVerdict(problem)
        if self.receipt.document is None:
            raise NegativeVerdict("receipt: get one from an enclave: it has no attestation document")
        own = next(e for e in self.enrolments if e.identity_key == self.receipt.identity_key)
        key_arn = own.key_arn if self.new_key is None else self.new_key
        sealing = None if key_arn is None else sealing_digest(key_arn, kms_policy(self.terms, self.party))
        leaver = Leaver(self.terms, self.party, bytes.fromhex(own.identity_key), sealing)
        return judge_receipt(
            b64decode(self.receipt.document), root, leaver, receipt_nonce(self.order), milliseconds()
        )  # fmt: skip


def confirm(organization: str, what: str) -> None:
    """Have a person write the organisation's name. UsageError for any other text: nothing was done."""
    sys.stdout.write(f"{what} This is final.\nWrite the name of the organisation to go on: ")
    sys.stdout.flush()
    if sys.stdin.readline().rstrip("\r\n") != organization:
        raise UsageError(f"write {organization} to go on: another name was given, and nothing was done")


def _current(options: argparse.Namespace, terms: Terms) -> Terms | Custody:
    """What the party leaves: the terms, or the last of what followed them. NegativeVerdict if those don't follow."""
    if options.certificate is not None:
        return current_terms(options, terms)[0]
    if options.after:
        raise UsageError("give --certificate: successor terms are of one key set")
    return terms


def _order(options: argparse.Namespace, terms: Terms | Custody) -> int:
    key = load_key(options.key)
    try:
        organization = terms.party(options.party).organization
        order = order_erasure(terms, options.party, options.serial, key)
    except KeyError:
        raise UsageError(f"choose a party of the terms, 1 to {terms.n}, not {options.party}") from None
    except ApiError as error:
        raise UsageError(str(error)) from None
    except ValueError:
        raise UsageError("give --serial as a number from 1 up") from None
    confirm(organization, f"Whoever has the order can erase all that party {options.party} sealed.")
    write_atomic(options.out, json.dumps(order.model_dump(mode="json"), indent=1).encode() + b"\n")
    sys.stdout.write(f"order {options.serial} for party {options.party}\n")
    return DONE


def _read(options: argparse.Namespace, terms: Terms, current: Terms | Custody) -> Departure:
    if (current is terms) != (options.key_arn is None):
        raise UsageError("give --key-arn with --after, and only then: enrolments name the key under the first terms")
    try:
        order = parse_erase_order(read_file(options.order, "order"))
        receipt = parse_receipt(read_file(options.receipt, "receipt"))
        enrolments = [parse_enrolment(read_file(path, "enrolment")) for path in options.enrolment]
        if options.certificate is not None:  # `_current` has checked it
            enrolments += parse_certificate(read_file(options.certificate, "certificate")).enrolments
    except ApiError as error:
        raise UsageError(str(error)) from None
    if not 1 <= order.party <= terms.n:
        raise UsageError(f"give the order of a party of the terms, 1 to {terms.n}")
    problem = None if options.key_arn is None else key_arn_problem(options.key_arn, current, order.party)
    if problem is not None:
        raise UsageError(problem)
    own = tuple(e for e in enrolments if e.party == order.party)
    return Departure(terms, current, own, order, receipt, options.key_arn, tuple(options.after[:-1]))


def _finish(options: argparse.Namespace, departure: Departure) -> int:
    """Disable and schedule deletion of each enrolled key, or of the last one. SealingRefusal when AWS does not do so.

    NegativeVerdict after the last one of successor terms when a key of before it has not ended.
    """
    from dkg_node.sealing.aws import client  # noqa: PLC0415 - keeps --help quick

    party = departure.terms.party(departure.party)
    if not departure.key_arns:
        raise UsageError(f"give the enrolment of party {departure.party} that names its KMS key: none of these does")
    if options.credentials.exists() and options.credentials.stat().st_mode & OTHERS:
        raise UsageError(f"run chmod 600 {options.credentials}: others can read it")
    credentials = read_credentials(options.credentials)
    confirm(party.organization, f"This ends {', '.join(departure.key_arns)}.")
    api = client("kms", options.edition.cloud.surroundings(options, party.sealing), lambda: credentials)
    for arn in departure.key_arns:
        sys.stdout.write(f"{arn} is disabled and will be deleted on {_end(api, arn)}\n")
    if departure.new_key is None:
        return DONE
    for path in departure.between:
        sys.stdout.write(f"{path}: the key under these terms opens the share too; see that it has ended\n")
    former = departure.first.party(departure.party).sealing
    api = client("kms", options.edition.cloud.surroundings(options, former), lambda: credentials)
    open_still = [f"{arn} ({state})" for arn in departure.enrolled if (state := _state(api, arn)) not in ENDED]
    if open_still:
        raise NegativeVerdict(f"end what opens the same share under the first terms too: {', '.join(open_still)}")
    return DONE


def _state(api: Any, arn: str) -> str:  # noqa: ANN401 - boto3 makes its classes at run time
    """Of a key that is left alone; a refusal's code where AWS does not say it."""
    from dkg_node.sealing.aws import call  # noqa: PLC0415 - keeps --help quick
    from dkg_node.sealing.reasons import SealingRefusal  # noqa: PLC0415 - the same

    try:
        metadata = call("describing the key", api.describe_key, KeyId=arn).get("KeyMetadata")
    except SealingRefusal as refusal:
        return refusal.reason.code
    return str(metadata.get("KeyState")) if isinstance(metadata, dict) and metadata.get("Arn") == arn else "unknown"


def _end(api: Any, arn: str) -> str:  # noqa: ANN401 - boto3 makes its classes at run time
    """End a key, again if it was ended before; the date of its deletion. SealingRefusal when it does not end."""
    from dkg_node.sealing.aws import call  # noqa: PLC0415 - keeps --help quick
    from dkg_node.sealing.reasons import Reason, SealingRefusal  # noqa: PLC0415 - the same

    def described() -> Any:  # noqa: ANN401 - an API's answer
        metadata = call("describing the key", api.describe_key, KeyId=arn).get("KeyMetadata")
        if not isinstance(metadata, dict) or metadata.get("Arn") != arn:
            raise SealingRefusal(Reason.NO_KEY, "the service describes another key")
        return metadata

    if described().get("KeyState") != "PendingDeletion":
        call("disabling the key", api.disable_key, KeyId=arn)
        call("having the key deleted", api.schedule_key_deletion, KeyId=arn, PendingWindowInDays=DAYS)
    metadata = described()
    if metadata.get("KeyState") != "PendingDeletion":
        raise SealingRefusal(Reason.ANSWER, f"the key is {metadata.get('KeyState')} after it was to be deleted")
    return f"{metadata['DeletionDate']:%Y-%m-%d}"
