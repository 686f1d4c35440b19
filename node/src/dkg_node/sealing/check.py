"""Whether a party could open what it sealed, and if not, why: the core of `unseal-check` and of the mode ``check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_node.sealing.readback import read_back
from dkg_node.sealing.reasons import Reason, SealingRefusal

if TYPE_CHECKING:
    from dkg_api.kms_policy import KeyTerms
    from dkg_node.sealing.kms import KeyService
    from dkg_node.sealing.sealer import KmsSealer


def unseal_check(
    sealer: KmsSealer, service: KeyService, terms: KeyTerms, name: str, epoch: int, newest: str | None
) -> None:
    """Read the key back, then open a vector of shares and let it go again. SealingRefusal with the first reason.

    ``service``: the sealer's own. ``newest``: SHA-256 in hex of the blob that the party sealed last, as its peers or
    its transcript have it; None when nobody knows, so that an older blob can't be told from the newest.
    """
    read_back(service.api, service.key_arn, terms, sealer.context.party)
    found = sealer.fingerprint(name).hex()
    if not found:
        raise SealingRefusal(Reason.MISSING, name)
    sealer.unseal_shares(name, epoch)  # first: another party's object is not called an older one
    if newest is not None and found != newest:
        raise SealingRefusal(Reason.OLDER, f"{name} is {found[:16]}..., the newest is {newest[:16]}...")
