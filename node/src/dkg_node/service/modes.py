"""What a node does that is no party of a running ceremony: `check`, `leave`, `hand-over`, `take-over` (03, "Sealing").

Each runs once and ends: 0 done, 1 refused with one reason, 2 a wrong input, 4 AWS or the machine can't be reached.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from dkg_api.errors import ApiError
from dkg_api.leave import parse_receipt
from dkg_node.errors import UsageError
from dkg_node.sealing.files import write_atomic
from dkg_node.sealing.leave import Leaver, erase
from dkg_node.sealing.reasons import Reason, SealingRefusal
from dkg_node.sealing.sealer import LONG_LIVED
from dkg_node.service.build import refuse_other
from dkg_node.service.command import DONE, EnvironmentFault, NegativeVerdict
from dkg_node.service.config import read_state
from dkg_node.service.keeping import check_share, home_of, identity_of, keeper_of, newest_share, standings
from dkg_node.service.succession import run_hand_over, run_take_over

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from dkg_api.desired_state import DesiredState
    from dkg_api.leave import EraseOrder, EraseReceipt
    from dkg_node.service.build import Build
    from dkg_node.service.keeping import Keeper, Standing

RECEIPT = "receipt.json"


def run_mode(build: Build, options: argparse.Namespace) -> int:
    """Do what the mode says. Raises DkgError; EnvironmentFault where a service can't be reached."""
    state = read_state(options.desired_state.absolute())
    refuse_other(state.terms, build.attestation, build.other)
    sys.stdout.write("".join(f"{notice}\n" for notice in state.terms.notices))
    known = standings(state, home_of(options), build.root)
    try:
        return MODES[options.mode](build, options, state, known)
    except SealingRefusal as refusal:
        if refusal.reason is Reason.UNREACHABLE:
            raise EnvironmentFault(str(refusal)) from None
        raise NegativeVerdict(f"{refusal.reason.code}: {refusal}") from None  # the code is for programs


def _check(build: Build, options: argparse.Namespace, state: DesiredState, known: tuple[Standing, ...]) -> int:
    """Open the identity key and the share, and let them go again."""
    newest = newest_share(home_of(options) / "transcript.jsonl") if len(known) == 1 else None
    check_share(state, keeper_of(build, options, state, known[-1]), newest)
    sys.stdout.write(f"party {state.party}: its share opens\n")
    return DONE


def _leave(build: Build, options: argparse.Namespace, state: DesiredState, known: tuple[Standing, ...]) -> int:
    """Erase all, and give the receipt. Done again it finds the receipt of the first time, or carries on."""
    standing = known[-1]
    order, receipt_file = state.erase_order, home_of(options) / RECEIPT
    if order is None:
        raise UsageError("put the order of `leave order` into the desired state as eraseOrder: there is none")
    problem = order.problem(standing.terms, state.party)
    if problem is not None:
        raise SealingRefusal(Reason.ORDER, problem)
    keeper = keeper_of(build, options, state, standing)
    receipt = None if keeper.store.left() else _receipt(receipt_file, state, order)
    if receipt is None:
        receipt = _erased(state, order, keeper)
    sys.stdout.write(f"{json.dumps(receipt.model_dump(mode='json'))}\n")  # first: it can't be had twice
    sys.stdout.flush()
    write_atomic(receipt_file, json.dumps(receipt.model_dump(mode="json"), indent=1).encode() + b"\n")
    sys.stdout.write(f"party {state.party}: {receipt.erased} object versions erased, none is left\n{receipt_file}\n")
    return DONE


def _erased(state: DesiredState, order: EraseOrder, keeper: Keeper) -> EraseReceipt:
    """Erase all for a receipt. Without an identity key all goes too: SealingRefusal says that there is no receipt."""
    terms = keeper.standing.terms
    try:
        identity = identity_of(state, keeper)
    except SealingRefusal as refusal:
        if refusal.reason is not Reason.MISSING:
            raise
        erased = erase(order, terms, state.party, keeper.store)
        raise SealingRefusal(Reason.NO_RECEIPT, f"{erased} object versions erased, none is left") from None
    leaver = Leaver(terms, identity, keeper.service.attester, keeper.statement("receipt", LONG_LIVED))
    return leaver.obey(order, keeper.store)


def _receipt(path: Path, state: DesiredState, order: EraseOrder) -> EraseReceipt | None:
    """The receipt for this order that was given before, if it was."""
    try:
        receipt = parse_receipt(path.read_bytes())
    except (OSError, ApiError):
        return None
    return receipt if receipt.problem(order, state.keyring) is None else None


Mode = Callable[["Build", "argparse.Namespace", "DesiredState", "tuple[Standing, ...]"], int]
MODES: Final[Mapping[str, Mode]] = {
    "check": _check, "leave": _leave, "hand-over": run_hand_over, "take-over": run_take_over,
}  # fmt: skip
