"""The online phase in lock-step on ideal preprocessing, for tests of layouts and of attacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg_node.keygen.online import OnlineResult, online_slots, run_online
from dkg_node.keygen.plan import plan_of
from dkg_node.testing.lockstep import run_lockstep

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_node.keygen.parameters import ParameterSet
    from dkg_node.protocols.session import Session, Tag
    from dkg_node.sharing.sets import Group, Role
    from dkg_node.testing.ideal import Ideal
    from dkg_node.testing.lockstep import Adversary, Run


@dataclass(slots=True)
class MemorySink:
    """Bodies in memory."""

    parts: dict[str, bytearray] = field(default_factory=dict)

    def write(self, key: str, data: bytes) -> None:
        """See Sink."""
        self.parts.setdefault(key, bytearray()).extend(data)

    @property
    def bodies(self) -> dict[str, bytes]:
        """By key name."""
        return {name: bytes(part) for name, part in self.parts.items()}


@dataclass(frozen=True, slots=True)
class OnlineRun:
    """What came of it: results, errors and traffic, and every party's bodies."""

    run: Run[OnlineResult]
    sinks: dict[Role, MemorySink]


def online_in_lockstep(
    group: Group,
    params: ParameterSet,
    dealt: Ideal,
    adversary: Adversary | None = None,
    stop_at: Callable[[Role, Tag], bool] | None = None,
) -> OnlineRun:
    """Run the whole online phase of a set at every party."""
    plan = plan_of(params)
    slots = online_slots(group, params, plan)
    sinks = {role: MemorySink() for role in group.roles}

    async def program(session: Session) -> OnlineResult:
        me = session.me
        entered = session.enter(1, slots)
        return await run_online(entered, params, plan, dealt.keys[me], dealt.preprocessing[me], sinks[me])

    return OnlineRun(run_lockstep(group, program, adversary, stop_at=stop_at), sinks)
