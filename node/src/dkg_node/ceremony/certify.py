"""The end of a ceremony: every party signs what was made, n-t signatures are the certificate (01 section 5, step 6)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg_api.certificate import Certificate, CertificateSignature
from dkg_node.errors import QuorumLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_api.enrolment import Keyring
    from dkg_node.ceremony.mailbox import Mailbox
    from dkg_node.protocols.session import Group, Identity, Role

PURPOSE = "certificate"
SIGNATURE = 64
PATIENCE = 8
"""Wrong signatures after which a party is not listened to: an honest one makes none."""


@dataclass(slots=True)
class Certifier:
    """One party's side of the exchange; signatures that come before its own content is known are kept, one a peer."""

    group: Group
    me: Role
    identity: Identity
    keyring: Keyring
    mailbox: Mailbox
    now: Callable[[], float]
    grace: float
    """How long to wait for the last t signatures once n-t are there, seconds."""
    _heard: dict[Role, bytes] = field(default_factory=dict)
    _good: dict[Role, CertificateSignature] = field(default_factory=dict)
    _wrong: Counter[Role] = field(default_factory=Counter)
    _signing: bool = False

    def __post_init__(self) -> None:
        """Read the topic from now on."""
        self.mailbox.on("certificate", self.take)

    def take(self, sender: Role, data: bytes) -> None:
        """Keep a peer's latest signature until its turn to be checked."""
        if len(data) == SIGNATURE and sender not in self._good and self._wrong[sender] < PATIENCE:
            self._heard[sender] = data

    def unsigned(self) -> list[Role]:
        """Whom it waits for: who has not signed, while fewer than n-t have."""
        waits = self._signing and len(self._good) < self.group.quorum
        return sorted(set(self.group.roles) - set(self._good)) if waits else []

    async def certify(self, contents: Certificate, until: float) -> Certificate:
        """Sign ``contents``, exchange signatures, return the certificate with all that are valid for the same contents.

        Raises QuorumLost when fewer than n-t parties signed the same by ``until`` (the terms' deadline on ``now``).
        """
        content = contents.content()
        own = self.identity.sign(PURPOSE, content)
        self.mailbox.send_to_all("certificate", own)
        self._heard[self.me], self._signing = own, True
        quorum_at: float | None = None
        while True:
            signatures = self._valid(content)
            now = self.now()
            if quorum_at is None and len(signatures) >= self.group.quorum:
                quorum_at = now
            end = until if quorum_at is None else min(until, quorum_at + self.grace)
            if len(signatures) == self.group.n or now >= end:
                break
            await self.mailbox.news(end - now)
        if len(signatures) < self.group.quorum:
            missing = sorted(set(self.group.roles) - {signature.party for signature in signatures})
            raise QuorumLost(
                f"parties {missing} did not sign the certificate before the deadline: bring them back", missing
            )
        return contents.model_copy(update={"signatures": signatures})

    def _valid(self, content: bytes) -> tuple[CertificateSignature, ...]:
        """Valid signatures in order of party; each is checked once."""
        for role, signature in self._heard.items():
            key = self.keyring.signer(role, PURPOSE, content, signature)
            if key is None:
                self._wrong[role] += 1
            else:
                self._good[role] = CertificateSignature(party=role, key=key.hex(), signature=signature.hex())
        self._heard.clear()
        return tuple(self._good[role] for role in sorted(self._good))
