"""The setup of one party as the ceremony keeps it: own draws, the contributions it holds, keys, how it regains them.

A party signs the setup certificate only when the contributions it counted are sealed: n-t parties hold them for whoever
was cut off by the certificate or lost its disk. Such a party takes the certified hash table, asks the other members of
each of its sets, and derives the same keys (01 section 3). Values go to members of their set alone, over the channel of
the one that asked; they are kept until all have the key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING

from dkg_node.algebra.kernel import Contributions
from dkg_node.ceremony.contents import HASH, decode_setup, encode_setup
from dkg_node.ceremony.letters import QUESTION_LIMIT, REPLY_LIMIT
from dkg_node.errors import ProtocolError, SealingError
from dkg_node.protocols.prss import ANSWER, ENTRY, answer, fill, keys_of, lacking, questions, setup_from, transfer

if TYPE_CHECKING:
    from dkg_node.algebra.kernel import Keys
    from dkg_node.ceremony.ports import Entropy, Sealer
    from dkg_node.ceremony.program import Peers, Setting
    from dkg_node.protocols.prss import Lacking
    from dkg_node.protocols.session import Group, Role, Session

FINAL = 0
"""Epoch of objects that are sealed once."""
DRAWS, KEYS, HELD = "setup-draws", "setup-keys-", "setup-held-"
"""Names of sealed objects: the seed of own draws; keys and contributions by the contents of the certificate."""
NAMED = 16
"""Hex digits of a digest in the name of a sealed object."""
MOST = min((QUESTION_LIMIT - HASH) // ENTRY, REPLY_LIMIT // ANSWER)
"""Contributions that one question asks for."""


@dataclass(slots=True)
class SetupKeeper:
    """One party's setups, by the digest of what a certificate names: an era can end with another than one's own."""

    group: Group
    me: Role
    sid: bytes
    sealer: Sealer
    entropy: Entropy
    _keys: dict[bytes, Keys] = field(default_factory=dict, repr=False)
    _held: dict[bytes, Contributions] = field(default_factory=dict, repr=False)
    _latest: Contributions | None = field(default=None, repr=False)
    """Of the setup that ran last, certified or not."""

    async def run(self, session: Session, setting: Setting) -> bytes:
        """Make keys with the others; returns the contents that the certificate names.

        ProtocolError when this party is silent and its draws are gone: others may hold what it drew before, so it
        draws no second time; it takes over what they certify.
        """
        draws = self._latest = self._own(silent=setting.silent)
        made = await setup_from(session, draws)
        body = encode_setup(self.group, made.certified)
        digest = sha256(body).digest()
        self._keys[digest], self._held[digest] = made.keys, draws
        return body

    def draw(self) -> None:
        """Draw this party's randomness and seal it, unless that is done: before anything is sent."""
        if not self.sealer.has(DRAWS):
            self.sealer.seal_secret(DRAWS, FINAL, self.entropy.draw())

    def _own(self, *, silent: bool) -> Contributions:
        if silent and not self.sealer.has(DRAWS):
            raise ProtocolError(
                "the setup draws of this party are lost: it waits until others have certified the setup"
            )
        self.draw()
        seed = self.sealer.unseal_secret(DRAWS, FINAL)
        return Contributions(self.group.n, self.group.t, self.me, seed)

    # --- what is kept

    def keep(self, digest: bytes) -> None:
        """Seal what these contents name: the contributions first, so that whoever has keys can help others."""
        self.sealer.seal_contributions(_name(HELD, digest), FINAL, self._held[digest])
        self.sealer.seal_keys(_name(KEYS, digest), FINAL, self._keys[digest])

    def holds(self, digest: bytes) -> bool:
        """Whether keys and contributions are sealed, and this boot has made or opened them."""
        sealed = self.sealer.has(_name(HELD, digest)) and self.sealer.has(_name(KEYS, digest))
        return sealed and digest in self._keys and digest in self._held

    def found(self, digest: bytes) -> bool:
        """Open what an earlier boot sealed. False, or SealingError, when it is missing or damaged: peers replace it."""
        self.keys(digest)
        self._find(digest)
        return self.holds(digest)

    def keys(self, digest: bytes) -> Keys:
        """The PRSS keys of a certified setup. SealingError when they are not sealed."""
        if digest not in self._keys:
            self._keys[digest] = self.sealer.unseal_keys(_name(KEYS, digest), FINAL, self.group.n, self.group.t)
        return self._keys[digest]

    def finish(self, *, everybody: bool) -> None:
        """The key is made: draws and the keys of all setups go, and if ``everybody`` has its share the contributions.

        Until then who comes back late regains its keys from them. They tell nothing that the PRSS keys, which stay,
        do not.
        """
        for prefix in (DRAWS, KEYS):
            self.sealer.erase_all(prefix)
        self._latest = None
        if everybody:
            self.forget()

    def forget(self) -> None:
        """Nobody is helped any more: the contributions go."""
        self.sealer.erase_all(HELD)
        self._held.clear()

    # --- taking over

    async def adopt(self, era: int, digest: bytes, contents: bytes, peers: Peers) -> None:
        """Regain the keys of the setup certified in ``era``: ask the members of each set until all is there."""
        certified = decode_setup(self.group, contents)
        if certified is None:
            raise ProtocolError("n-t parties certified an unreadable setup table: they run another build")
        known, draws = self._find(digest), self._blank()
        self._held[digest] = draws
        if known is not None:
            transfer(self, known, draws, lacking(self, draws, certified))
        while wanted := lacking(self, draws, certified):
            some = dict(islice(wanted.items(), MOST))
            asked = {role: digest + places for role, places in questions(self.group, self.me, some).items()}
            await peers.inquire(asked, partial(self._take, draws, some))
        self._keys[digest] = keys_of(self, era, draws, certified)

    def _blank(self) -> Contributions:
        """This party's own draws if it still has them, else nothing: others hold those too."""
        if self.sealer.has(DRAWS):
            try:
                return self._own(silent=True)
            except SealingError:  # a damaged file
                pass
        return Contributions.empty(self.group.n, self.group.t, self.me)

    def _take(self, draws: Contributions, wanted: Lacking, _role: Role, body: bytes) -> bool:
        """See Peers.inquire. Who answers does not matter: the certified hashes tell what is right."""
        fill(self, draws, wanted, body)
        return not wanted

    # --- helping others

    def reply(self, role: Role, question: bytes) -> bytes | None:
        """See Program: contributions to sets that ``role`` is in. None when this party knows none of them."""
        digest = question[:HASH]
        draws = self._find(digest) if len(digest) == HASH else None
        if draws is None or role == self.me:
            return None
        found = answer(self.group, self.me, draws, role, question[HASH : HASH + MOST * ENTRY])
        return found or None

    def _find(self, digest: bytes) -> Contributions | None:
        """Those of a certified setup, from memory or disk; else the latest, which may be part of it: hashes tell."""
        name = _name(HELD, digest)
        if digest not in self._held and self.sealer.has(name):
            try:
                held = self.sealer.unseal_contributions(name, FINAL, self.group.n, self.group.t)
            except SealingError:  # a damaged file: others have them too
                return self._latest
            self._held[digest] = held
        return self._held.get(digest, self._latest)


def _name(prefix: str, digest: bytes) -> str:
    return f"{prefix}{digest.hex()[:NAMED]}"
