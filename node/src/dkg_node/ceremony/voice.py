"""What a party says outside of slots, and says again to every new boot of a peer (01 section 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_node.ceremony import letters
from dkg_node.ceremony.book import Statement
from dkg_node.ceremony.letters import Letter, Say

if TYPE_CHECKING:
    from dkg_node.ceremony.book import Kind
    from dkg_node.ceremony.chain import Position
    from dkg_node.ceremony.program import Ports
    from dkg_node.protocols.session import Role


class Voice:
    """One party's."""

    def __init__(self, ports: Ports) -> None:
        """Nothing said yet."""
        self._ports = ports
        self._others = [role for role in ports.group.roles if role != ports.me]
        self._said: list[Statement] = []

    def send(self, role: Role, letter: Letter) -> None:
        """To one peer."""
        self._ports.send(role, letters.encode(letter))

    def to_all(self, letter: Letter) -> None:
        """To every peer."""
        data = letters.encode(letter)
        for role in self._others:
            self._ports.send(role, data)

    def say(self, kind: Kind, position: Position) -> Statement:
        """Sign a ``ready`` or ``go`` and send it to all."""
        statement = Statement.sign(self._ports.identity, self._ports.sid, kind, position)
        self._said.append(statement)
        self.to_all(Say(statement))
        return statement

    def forget_before(self, position: Position) -> None:
        """What was said of older positions is of no use to anybody: certificates are shown instead."""
        self._said = [statement for statement in self._said if statement.position >= position]

    def said(self) -> list[Say]:
        """All that was said and is still of use, in order."""
        return [Say(statement) for statement in self._said]
