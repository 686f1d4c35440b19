"""What a stranger does with a fault record: check every signature, then judge again (`dkgctl verify --faults`)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from dkg_node.algebra.encoding import enc
from dkg_node.offline import labels
from dkg_node.offline.check import w_bytes
from dkg_node.offline.evidence import Conviction
from dkg_node.offline.judge import Recomputation, judge_showing, majority_keys, wrong_shares
from dkg_node.offline.slots import keys_limit
from dkg_node.protocols.broadcast import DIGEST, HEAD, about_body
from dkg_node.protocols.session import Ledger, stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dkg_node.offline.chunk import Batch
    from dkg_node.offline.evidence import Charge, Fault
    from dkg_node.offline.judge import Verify
    from dkg_node.offline.king import Post
    from dkg_node.protocols.broadcast import Signed
    from dkg_node.protocols.session import Group, Role


def verify_evidence(
    fault: Fault,
    conviction: Conviction,
    plan: tuple[Group, Batch],
    verify: Verify,
    fetch: Callable[[bytes], bytes | None],
) -> bool:
    """Whether the record proves that this party is Corrupt for this reason. Never raises for what is in the record.

    ``plan``: the group and the batch as the terms have them; ``verify`` knows the enrolled keys; ``fetch`` is a store
    of public bodies by SHA-256 that needs no trust: it must have the wrong V.
    """
    return conviction in convictions_of(fault, plan, verify, fetch)


def convictions_of(
    fault: Fault, plan: tuple[Group, Batch], verify: Verify, fetch: Callable[[bytes], bytes | None]
) -> frozenset[Conviction]:
    """Everybody whom the record convicts. Only what is validly signed is read; nobody when that is too little.

    n-t signed check shares vouch for list, coin and public states; t+1 equal reports of its members fix every key.
    """
    group, batch = plan
    charge = _checked_charge(fault.charge, group, batch, verify)
    if charge is None:
        return frozenset()
    keys_slot = charge.w_slot + group.t + 2
    said = _signed(charge, keys_slot, fault.keys, verify)
    revealed = {role: one.content for role, one in said.items() if len(one.content) == keys_limit(group)}
    found = majority_keys(group, revealed)
    if found is None:
        return frozenset()
    again = Recomputation(plan, charge, found[0], fetch)
    for step in again.steps():
        step()
    truth = again.truth()
    if truth is None:
        return frozenset()
    shown = _signed(charge, keys_slot + group.t + 1, fault.showing, verify)
    convictions, _ = judge_showing(batch, charge, truth, {role: s.content for role, s in shown.items()}, verify)
    return convictions | {
        *(Conviction(role, "key") for role in found[1]),
        *(Conviction(role, "check share") for role in wrong_shares(charge, truth)),
    }


def _checked_charge(charge: Charge, group: Group, batch: Batch, verify: Verify) -> Charge | None:
    """The charge with its valid check shares only; None unless n-t of them vouch for it."""
    entries = [(post.chunk, digest) for post, digest in charge.opened]
    known = all(_is_post(group, batch, post) for post, _ in charge.opened)
    if not known or labels.list_digest(charge, batch, charge.generation, entries) != charge.listing:
        return None
    if charge.y.where != _where(charge, charge.w_slot - group.t - 5):
        return None
    parts = charge.stamp
    judged = labels.judged_state(parts.state, charge.listing, charge.coin, charge.y.state)
    stamp = stamp_of(parts.before, judged, Ledger(parts.absent, {}, parts.history))
    valid = _signed(charge, charge.w_slot, charge.w, verify)
    shares = {role: one for role, one in valid.items() if one.stamp == stamp and len(one.content) == w_bytes(batch.k)}
    return replace(charge, w=shares) if len(shares) >= group.quorum else None


def _is_post(group: Group, batch: Batch, post: Post) -> bool:
    """Whether there can be such a post: king and 2t+1 senders of this group for a chunk of this batch."""
    senders = set(post.senders)
    whole = len(senders) == group.degree2_quorum and senders <= set(group.roles) and post.king in senders
    return whole and 0 <= post.chunk < len(batch.chunks)


def _where(charge: Charge, slot: int) -> bytes:
    """Prefix of what is signed in a slot (see ``Session.where``)."""
    return enc(charge.sid, charge.era, charge.segment, max(slot, 0))


def _signed(charge: Charge, slot: int, said: Mapping[Role, Signed], verify: Verify) -> dict[Role, Signed]:
    """What is validly signed for the Broadcast that begins in a slot, under the stamp that most have."""
    where = _where(charge, slot)
    valid = {
        role: one
        for role, one in said.items()
        if len(one.body) >= HEAD
        and verify(role, "broadcast", about_body(where, role, sha256(one.body).digest()), one.signature)
    }
    common = Counter(one.body[:DIGEST] for one in valid.values()).most_common(1)
    return {role: one for role, one in valid.items() if one.stamp == common[0][0]} if common else {}
