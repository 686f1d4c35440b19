"""Modes `hand-over` and `take-over`: a share goes from the old release's enclave to the new one's (03, "New release").

Both read the same desired state. The terms before the last succession say who gives, the last one who takes; all
organisations signed for its releases. Each appraises the other under the terms it must run under, key included.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_node.algebra.kernel import Shares
from dkg_node.attestation.policy import Expected, Policy, releases_of
from dkg_node.attestation.verifier import appraise
from dkg_node.errors import UsageError
from dkg_node.sealing.reasons import Reason, SealingRefusal
from dkg_node.sealing.reseal import Exchange, Giver, Taker
from dkg_node.sealing.sealer import LONG_LIVED, OTHERS
from dkg_node.service.clock import milliseconds
from dkg_node.service.command import DONE, EnvironmentFault
from dkg_node.service.identity import EPOCH as IDENTITY_EPOCH
from dkg_node.service.identity import NAME as IDENTITY
from dkg_node.service.keeping import SHARE, SHARE_EPOCH, check_share, keeper_of
from dkg_node.transport.handover import HandOverUnreachable, TakeOverPort, hand_over

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from dkg_api.desired_state import DesiredState
    from dkg_api.user_data import UserData
    from dkg_node.algebra.kernel import Secret
    from dkg_node.sealing.reseal import Appraise
    from dkg_node.service.build import Build
    from dkg_node.service.keeping import Keeper, Standing
    from dkg_node.transport.handover import Ask


@dataclass(frozen=True, slots=True)
class Handed:
    """An object that goes over."""

    name: str
    epoch: int
    attempt: int


def objects_of(state: DesiredState) -> tuple[Handed, ...]:
    """The identity key, by which the party signs a receipt one day, and the share."""
    return (Handed(IDENTITY, IDENTITY_EPOCH, LONG_LIVED), Handed(SHARE, SHARE_EPOCH, state.attempt))


@dataclass(frozen=True, slots=True)
class Side:
    """One enclave of a hand-over."""

    build: Build
    state: DesiredState
    keeper: Keeper
    """Of its own objects."""
    old: Standing
    new: Standing

    def exchange(self, handed: Handed) -> Exchange:
        """What both sides must agree on."""
        old, new = self.old.terms.digest, self.new.terms.digest
        return Exchange(old, new, self.state.party, handed.name, handed.epoch)

    def statement(self, handed: Handed) -> UserData:
        """What this side says about itself."""
        return self.keeper.statement("reseal", handed.attempt)

    def appraiser(self, other: Standing, handed: Handed) -> Appraise:
        """The policy for the other side's documents: its terms' releases, this party, its key as the terms want it."""
        expected = Expected(
            purpose="reseal",
            terms_digest=other.terms.digest,
            attempt=handed.attempt,
            party=self.state.party,
            identity_keys=None,
            sealing=other.sealing,
        )
        root, releases = self.build.root, releases_of(other.terms)

        def judge(document: bytes, nonce: bytes, public_key: bytes) -> UserData:
            policy = Policy(root=root, releases=releases, expected=expected, public_key=public_key)
            return appraise(document, policy, nonce, milliseconds()).statement

        return judge

    def give(self, ask: Ask) -> tuple[str, ...]:
        """Hand everything over; SHA-256 in hex of the blobs that the new enclave keeps now."""
        return tuple(self._give(ask, handed) for handed in objects_of(self.state))

    def _give(self, ask: Ask, handed: Handed) -> str:
        attester = self.keeper.service.attester
        giver = Giver(self.exchange(handed), attester, self.statement(handed), self.appraiser(self.new, handed))
        # before the first message, for KMS may take longer than the other side waits for this one to prove itself
        shares = self.keeper.sealer(handed.attempt).unseal_shares(handed.name, handed.epoch)
        return giver.fourth(ask(giver.third(ask(giver.first()), shares)))

    def demand_own_store(self) -> None:
        """SealingRefusal when the store holds what this side did not take over: sealing there would write over it."""
        own = {self.keeper.sealer(handed.attempt).place(handed.name): handed for handed in objects_of(self.state)}
        for name in self.keeper.store.names():
            if name not in own:
                raise SealingRefusal(Reason.OCCUPIED, name)
            try:
                self.keeper.sealer(own[name].attempt).unseal_shares(own[name].name, own[name].epoch)
            except SealingRefusal as refusal:
                if refusal.reason in OTHERS:
                    raise SealingRefusal(Reason.OCCUPIED, f"{name}: {refusal.reason.code}") from None
                raise

    def take(self, messages: Iterator[bytes], proven: Callable[[], None]) -> Iterator[bytes]:
        """Take everything over, and look whether it opens before the conversation ends.

        ``proven`` is called when an object opens: only the enclave whose document was accepted can have made it.
        """

        def opened(key: Secret, aad: bytes, content: bytes) -> Shares:
            shares = Shares.unsealed(key, aad, content)
            proven()
            return shares

        self.demand_own_store()
        for handed in objects_of(self.state):
            attester = self.keeper.service.attester
            taker = Taker(self.exchange(handed), attester, self.statement(handed), self.appraiser(self.old, handed))
            yield taker.second(_next(messages))
            yield taker.receipt(_next(messages), self.keeper.sealer(handed.attempt), opened)
        check_share(self.state, self.keeper, None)


def run_hand_over(
    build: Build, options: argparse.Namespace, state: DesiredState, known: tuple[Standing, ...]
) -> int:  # fmt: skip
    """The old enclave's part. EnvironmentFault when the new one can't be reached."""
    old, new = _last_two(known)
    side = Side(build, state, keeper_of(build, options, state, old), old, new)
    to = state.successions[-1]
    try:
        kept = hand_over(f"{to.host}:{to.port}", side.give)
    except HandOverUnreachable as error:
        raise EnvironmentFault(str(error)) from None
    lines = [f"{handed.name} kept as {digest}" for handed, digest in zip(objects_of(state), kept, strict=True)]
    sys.stdout.write("\n".join(lines) + "\n")
    return DONE


def run_take_over(
    build: Build, options: argparse.Namespace, state: DesiredState, known: tuple[Standing, ...]
) -> int:  # fmt: skip
    """The new enclave's part, until everything is taken over."""
    old, new = _last_two(known)
    side = Side(build, state, keeper_of(build, options, state, new), old, new)
    side.demand_own_store()  # whoever starts it is told at once; what comes meanwhile, each conversation sees
    port = TakeOverPort(options.listen or f"0.0.0.0:{state.successions[-1].port}", side.take)
    sys.stdout.write(f"party {state.party}: taking over on port {port.start()}\n")
    sys.stdout.flush()
    port.done.wait()
    port.stop()
    sys.stdout.write(f"party {state.party}: its share opens\n")
    return DONE


def _last_two(known: tuple[Standing, ...]) -> tuple[Standing, Standing]:
    if len(known) == 1:
        raise UsageError("put signed successor terms into the desired state as the last of successions: there are none")
    return known[-2], known[-1]


def _next(messages: Iterator[bytes]) -> bytes:
    """SealingRefusal when the other side has ended."""
    message = next(messages, None)
    if message is None:
        raise SealingRefusal(Reason.RESEAL, "it broke off")
    return message
