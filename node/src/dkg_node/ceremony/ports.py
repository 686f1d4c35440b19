"""What a ceremony needs from outside, as interfaces. Adapters sit above and are joined in ``service/wire.py`` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dkg_node.protocols.session import Link

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dkg_api.enrolment import Enrolment
    from dkg_api.user_data import UserData
    from dkg_node.algebra.kernel import Contributions, Keys, Secret, Shares
    from dkg_node.protocols.session import Role


class Clock(Protocol):
    """Wall time of this machine, for people; deadlines use ``Network.now``."""

    def utc(self) -> str:
        """The instant as RFC 3339 UTC with milliseconds."""
        ...


class Usage(Protocol):
    """What this process has used of the machine."""

    def cpu_seconds(self) -> float:
        """Core-seconds of the process and of the children that it waited for."""
        ...

    def peak_rss_bytes(self) -> int:
        """The most memory it ever held."""
        ...


class Entropy(Protocol):
    """Randomness of this party."""

    def draw(self) -> Secret:
        """32 fresh secret bytes."""
        ...


class Attester(Protocol):
    """Evidence of this party's code, from the module that measured it (03)."""

    def attest(self, user_data: bytes, nonce: bytes | None, public_key: bytes | None) -> bytes:
        """A fresh attestation document.

        ``user_data``: at most 512 bytes, see ``dkg_api.user_data``; ``nonce``: the verifier's, at most 512 bytes;
        ``public_key``: a key the document vouches for, DER SPKI, at most 1024 bytes. AttestationError when the module
        has no document to give. Takes some milliseconds.
        """
        ...


class Appraiser(Protocol):
    """The policy for evidence of any party, out of the terms (03). AttestationError for what it refuses."""

    def enrolment(self, enrolment: Enrolment, at: int) -> None:
        """Judge an enrolment: by its organisation, its document at that document's own time."""
        ...

    def channel(self, document: bytes, enrolment: Enrolment, nonce: bytes, public_key: bytes, at: int) -> UserData:
        """The statement of a document made for one channel, at ``at`` (ms since 1970)."""
        ...


class Sealer(Protocol):
    """Keeps secrets over the life of the process; every object is bound to (ceremony, terms, party, attempt, epoch).

    Writing is durable when a call returns; SealingError when it can't be done. Results: SHA-256 of the file, hex.
    """

    def seal_shares(self, name: str, epoch: int, shares: Shares) -> str:
        """Seal a vector of shares."""
        ...

    def seal_secret(self, name: str, epoch: int, secret: Secret) -> str:
        """Seal 32 secret bytes."""
        ...

    def seal_keys(self, name: str, epoch: int, keys: Keys) -> str:
        """Seal the PRSS keys."""
        ...

    def seal_contributions(self, name: str, epoch: int, contributions: Contributions) -> str:
        """Seal the setup contributions that this party holds."""
        ...

    def has(self, name: str) -> bool:
        """Whether an object is there."""
        ...

    def unseal_shares(self, name: str, epoch: int) -> Shares:
        """Open a vector of shares; SealingError when it is missing, damaged or another's."""
        ...

    def unseal_secret(self, name: str, epoch: int) -> Secret:
        """Open 32 secret bytes."""
        ...

    def unseal_keys(self, name: str, epoch: int, n: int, t: int) -> Keys:
        """Open PRSS keys."""
        ...

    def unseal_contributions(self, name: str, epoch: int, n: int, t: int) -> Contributions:
        """Open setup contributions."""
        ...

    def erase(self, name: str) -> None:
        """Remove an object that has had its day (setup draws, checkpoints)."""
        ...

    def erase_all(self, prefix: str) -> None:
        """Remove every object whose name begins so."""
        ...


class Archive(Protocol):
    """Public contents of certificates by SHA-256, durable when ``keep`` returns."""

    def keep(self, digest: bytes, body: bytes) -> None:
        """Write; OSError or SealingError when it can't be done."""
        ...

    def get(self, digest: bytes) -> bytes | None:
        """What was kept under that digest, checked, or None."""
        ...


class Letter(Protocol):
    """A message outside of any slot."""

    @property
    def role(self) -> Role:
        """Who it is from."""
        ...

    @property
    def payload(self) -> bytes | None:
        """None: the peer bound a new boot and needs again what was posted before."""
        ...


class Traffic(Protocol):
    """Bytes exchanged with one peer in one slot; slot -1 is what belongs to none."""

    @property
    def segment(self) -> int:
        """Index of the segment."""
        ...

    @property
    def slot(self) -> int:
        """Index of the slot."""
        ...

    @property
    def sent_payload(self) -> int:
        """Bytes of messages sent."""
        ...

    @property
    def sent_total(self) -> int:
        """The same with framing."""
        ...

    @property
    def received_total(self) -> int:
        """Bytes received, framing included."""
        ...


class PeerStatus(Protocol):
    """What is known about the way to a peer."""

    @property
    def reason(self) -> str:
        """One line for a person; empty when all is well."""
        ...


class Network(Link, Protocol):
    """Ordered, resumable, authenticated streams to every peer, and the link of the open segment."""

    def now(self) -> float:
        """The monotonic clock that deadlines are on, seconds."""
        ...

    def open_segment(self, segment: int, deadlines: Sequence[float], era: int = 0) -> None:
        """Begin a segment: slot k ends at ``deadlines[k]`` on ``now``."""
        ...

    def close_segment(self, segment: int, era: int = 0) -> None:
        """End it: nothing more is taken for it, its bodies are dropped."""
        ...

    def post(self, role: Role, payload: bytes) -> None:
        """Queue a message outside of any slot."""
        ...

    async def inbox(self) -> Letter:
        """The next letter."""
        ...

    def connected(self) -> frozenset[Role]:
        """Peers with a live stream."""
        ...

    def status(self) -> Mapping[Role, PeerStatus]:
        """Why a peer is not connected."""
        ...

    def traffic(self) -> Sequence[Traffic]:
        """Counters by peer, segment and slot."""
        ...


class Bodies(Protocol):
    """Files of opened bodies, one a key. Not secret, not trusted: readers check hashes."""

    def write(self, key: str, data: bytes) -> None:
        """Append; the first time after ``close`` the key's file begins anew."""
        ...

    def close(self, key: str) -> None:
        """All that was written of a key is durable when it returns. Other keys may be under way."""
        ...

    def resize(self, key: str, size: int) -> None:
        """Give a key's file this length, in bytes, whatever it holds."""
        ...

    def patch(self, key: str, start: int, data: bytes) -> None:
        """Write in the middle of a key's file."""
        ...

    def read(self, key: str, start: int, size: int) -> bytes:
        """Bytes of a key's file; fewer, or none, where there are no more."""
        ...


class Assembler(Protocol):
    """Turns opened bodies and the public seed into the files stock tfhe-rs loads (02)."""

    async def assemble(self, bodies: Path, seed: bytes, out: Path) -> Mapping[str, str]:
        """SHA-256 in hex by name (keyset, public_key, server_key) of the files written into ``out``."""
        ...
