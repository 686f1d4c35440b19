"""Catching up: results of certified segments that one did not finish oneself, by the hashes in their certificates."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg_node.ceremony.chain import Certificate, Chain, results
from dkg_node.ceremony.letters import Inquire, Want
from dkg_node.errors import SealingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dkg_node.ceremony.letters import Letter
    from dkg_node.ceremony.program import Program
    from dkg_node.protocols.session import Group, Role


QUICK_PART = 4
"""Who answered last is waited for alone for this part of ``patience``."""


@dataclass(frozen=True, slots=True)
class _Inquiry:
    """A question under way."""

    roles: frozenset[Role]
    take: Callable[[Role, bytes], bool]
    over: asyncio.Future[None]


class Adoption:
    """One party's catching up. Of any t+1 signers of a certificate one honestly holds what it names."""

    def __init__(
        self, program: Program, group: Group, me: Role, send: Callable[[Role, Letter], None], patience: float
    ) -> None:
        """``patience``: seconds until more peers are asked."""
        self._program, self._group, self._me = program, group, me
        self._send, self._patience = send, patience
        self._task: asyncio.Task[None] | None = None
        self._then: Callable[[Exception | None], None] = lambda _: None
        self._chain: Chain = ()
        self._now: Certificate | None = None
        """What is being adopted."""
        self._wanted: dict[bytes, asyncio.Future[bytes]] = {}
        self._inquiry: _Inquiry | None = None
        self._quick: Role = me
        """Who answered last."""
        self._slow: set[Role] = set()
        """Who was asked alone and let this party wait."""

    @property
    def fetching(self) -> bool:
        """Whether contents are waited for."""
        return bool(self._wanted)

    def complete(self, chain: Chain, then: Callable[[Exception | None], None]) -> bool:
        """Whether all results of a chain are held; if not, get them, first things first.

        ``then`` is called after each segment's, or with the error that ends the attempt.

        What is under way goes on when the chain grows: who is slower than the others must not begin anew with each of
        their certificates.
        """
        self._chain, self._then = chain, then
        if self._lacking() is None:
            self.stop()
            return True
        if self._now is not None and all(self._now.core != certificate.core for certificate in chain):
            self.stop()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._adopt_all())
            self._task.add_done_callback(lambda task: self._ended(task, then))
        return False

    def _lacking(self) -> Certificate | None:
        """The first certificate whose results are not held."""
        lacking = (certificate for certificate in results(self._chain) if not self._program.holds(certificate))
        return next(lacking, None)

    def take(self, role: Role, digest: bytes, body: bytes) -> None:
        """Contents came; those nobody asked for are dropped."""
        waiting = self._wanted.get(digest)
        if waiting is not None and not waiting.done():
            self._quick = role
            waiting.set_result(body)

    def replied(self, role: Role, body: bytes) -> None:
        """An answer came; one that nobody waits for is dropped."""
        inquiry = self._inquiry
        if inquiry is not None and role in inquiry.roles and not inquiry.over.done() and inquiry.take(role, body):
            inquiry.over.set_result(None)

    def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            self._task = self._now = None

    def _ended(self, task: asyncio.Task[None], then: Callable[[Exception | None], None]) -> None:
        if self._task is task:
            self._task = None
            error = task.exception() if not task.cancelled() else None
            then(error if isinstance(error, Exception) else None)

    async def _adopt_all(self) -> None:
        while (certificate := self._lacking()) is not None:
            self._now = certificate
            peers = _Peers(self, self._around(certificate))
            contents = await peers.fetch(certificate.core.contents)
            await self._program.adopt(certificate, self._chain, contents, peers)
            if not self._program.holds(certificate):
                raise SealingError("results that were adopted are not there: check the disk")
            if self._lacking() is not None:
                self._then(None)

    def _around(self, certificate: Certificate) -> list[Role]:
        """The signers in a circle from this party on: they hold what the certificate names."""
        signers = certificate.signatures.keys() - {self._me}
        return sorted(signers, key=lambda role: (role - self._me) % self._group.n)

    async def fetch(self, around: list[Role], digest: bytes) -> bytes:
        """A body from the own store, or from peers, for as long as it takes.

        The one that answered last is asked first, alone, and stands back for good if it lets this party wait; then t+1
        at once, among them one honest, and the others after ``patience``; and so on.
        """
        held = self._program.contents(digest)
        if held is not None:
            return held
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._wanted[digest] = waiting
        try:
            for group, patience in self._turns(around):
                for role in group:
                    self._send(role, Want(digest))
                await asyncio.wait([waiting], timeout=patience)
                if waiting.done():
                    return waiting.result()
                self._slow.update(group if len(group) == 1 else ())
        finally:
            if self._wanted.get(digest) is waiting:  # a later task may ask already
                del self._wanted[digest]
        raise AssertionError("turns do not end")

    def _turns(self, around: list[Role]) -> Iterator[tuple[list[Role], float]]:
        """Whom to ask and how long to wait for them, without end."""
        if self._quick in around and self._quick not in self._slow:
            yield [self._quick], self._patience / QUICK_PART
        many = self._group.t + 1
        while True:
            yield around[:many], self._patience
            yield around[many:], self._patience

    async def inquire(self, questions: Mapping[Role, bytes], take: Callable[[Role, bytes], bool]) -> None:
        """See Peers. One inquiry at a time: there is one task that adopts."""
        inquiry = _Inquiry(frozenset(questions), take, asyncio.get_running_loop().create_future())
        self._inquiry = inquiry
        try:
            while not inquiry.over.done():
                for role, question in questions.items():
                    self._send(role, Inquire(question))
                await asyncio.wait([inquiry.over], timeout=self._patience)
        finally:
            if self._inquiry is inquiry:  # a later task may ask already
                self._inquiry = None


@dataclass(frozen=True, slots=True)
class _Peers:
    """The Peers of one certificate: contents come from its signers."""

    adoption: Adoption
    around: list[Role]

    async def fetch(self, digest: bytes) -> bytes:
        """See Peers."""
        return await self.adoption.fetch(self.around, digest)

    async def inquire(self, questions: Mapping[Role, bytes], take: Callable[[Role, bytes], bool]) -> None:
        """See Peers."""
        await self.adoption.inquire(questions, take)
