"""The control layer of one party: go exchange, segments, certificates, eras, resume, restart (01 section 2).

Letters come in through ``take``, time through the loop's timers and the network's clock; all else is synchronous, so
that each rule reads a state that no other one is changing. The same object runs under the real loop and under the
virtual-time loop of the model-based tests. Nothing raises for what a peer does, and no error of a segment or of
catching up ends the party but one that only its operator can mend: its own disk, a setup that ended without a key, a
mistake in the program.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from dkg_node.ceremony import segment
from dkg_node.ceremony.adoption import Adoption
from dkg_node.ceremony.answers import Answers
from dkg_node.ceremony.chain import RESUME, Chain, EraProof, Position, extended, last
from dkg_node.ceremony.ears import Ears
from dkg_node.ceremony.evidence import Evidence
from dkg_node.ceremony.go import GoExchange, Returning, Stand, Standing
from dkg_node.ceremony.letters import Ask, Contents, Letter, Reply, Say, Show, Sign
from dkg_node.ceremony.program import Setting
from dkg_node.ceremony.silence import Silence
from dkg_node.ceremony.timers import Timers
from dkg_node.ceremony.voice import Voice
from dkg_node.errors import DkgError, ProtocolError, QuorumLost, SealingError, SetupIncomplete, StateDiverged

if TYPE_CHECKING:
    from dkg_node.ceremony.book import Statement
    from dkg_node.ceremony.program import Outcome, Ports, Sealed
    from dkg_node.ceremony.segment import Running
    from dkg_node.protocols.session import Role

FINAL = (SealingError, SetupIncomplete)
"""Errors on purpose that end a party: no fetch, no restart and no other era cures them."""


class Control(Standing):
    """One party, one boot. ``start`` it, hand it letters, await ``finished``."""

    def __init__(self, ports: Ports, sealed: Sealed) -> None:
        """``sealed``: what an earlier boot left."""
        self._timers = Timers()
        self._later = self._timers.later
        ask_later = lambda role, pause: self._later(pause, lambda: self._voice.send(role, Ask()))  # noqa: E731 - short
        self._ears = Ears(ports.group, ports.identity, ports.pace.round_timeout, ask_later)
        ports = replace(ports, identity=self._ears.identity)
        self._ports, self._how = ports, sealed.how
        self._stand = Stand(sealed.proof, sealed.chain, ports.program.segments)
        self.lost: ProtocolError | None = None
        """The last reason for an era to end: whom it missed, or what went wrong here."""
        self.finished: asyncio.Future[Chain] = asyncio.get_running_loop().create_future()
        """The whole chain, once all its results are held."""
        self._go = GoExchange(ports, lambda seconds: self._later(seconds, self._settle))
        self._voice = Voice(ports)
        self._answers = Answers(ports, self._all_said)
        self._closed = False
        self._started: set[Position] = set()
        self._running: Running | None = None
        self._silence = Silence(ports, self._later, lambda: self.position)
        self._silence.ask = self._ask_all
        if sealed.how != "fresh":  # not only in ``start``: a letter that came before it may start a segment
            self._silence.barred, self._silence.blind = self.position, sealed.how == "lost disk"
        self._evidence = Evidence(ports.group, ports.sid, ports.identity)
        self._adoption = Adoption(ports.program, ports.group, ports.me, self._voice.send, ports.pace.round_timeout / 2)

    @property
    def running(self) -> Running | None:
        """The segment under way."""
        return self._running

    def missing(self) -> list[Role]:
        """Whom this party waits for at a start; with a lost disk also those that have not shown where they stand."""
        return sorted(self._go.unready(self._stand) | self.awaited)

    @property
    def awaited(self) -> set[Role]:
        """Who could end the silence of this party's lost disk by showing where it stands."""
        return self._silence.awaited()

    # --- boot

    def start(self) -> None:
        """Begin, or come back: say where one stands."""
        if self._how == "fresh":
            self._keep(self._stand)
        else:
            self._voice.to_all(Show(self.proof, self.chain))
            self._silence.begin(self.position, blind=self._how == "lost disk")
            self._want(Position(self.era + 1, RESUME))
        self._want_next()
        self._settle()

    def close(self) -> None:
        """End this boot: no timer and no task is left, nothing more is said."""
        self._closed = True
        self._stop_running()
        self._adoption.stop()
        self._answers.close()
        self._timers.close()

    def _ask_all(self) -> bool:
        """A party that came back asks where the others stand; False once it is done."""
        if not self.done:
            self._voice.to_all(Ask())
        return not self.done

    # --- letters

    def take(self, role: Role, data: bytes | None) -> None:
        """A letter from a peer; None: the peer bound a new boot."""
        if role == self._ports.me or role not in self._ports.group.roles or self._closed:
            return
        if data is None:  # it knows nothing
            self._go.booted(role)
            for said in self._all_said():
                self._voice.send(role, said)
            return
        self._ears.hear(role, data, lambda proof: self._evidence.most(proof, self._stand), self._read)

    def _read(self, role: Role, letter: Letter) -> None:
        match letter:
            case Show():
                self._take_show(role, letter)
            case Say(statement):
                self._take_statement(role, statement)
            case Sign(core, signature):
                if core.position in self._stand.window:
                    self._evidence.note(role, core, signature)
            case Contents(body):
                if self._adoption.fetching:
                    self._adoption.take(role, sha256(body).digest(), body)
            case Reply(body):
                self._adoption.replied(role, body)
            case _:
                self._answers.read(role, letter)
        self._settle()

    def _all_said(self) -> list[Letter]:
        """Era, chain, and all that was said since: what a peer that asks, or boots anew, may have missed."""
        said: list[Letter] = [Show(self.proof, self.chain), *self._voice.said()]
        if self._running is not None and self._running.signed is not None:
            said.append(Sign(*self._running.signed))
        return said

    def _take_statement(self, role: Role, statement: Statement) -> None:
        if self.done:
            self._answers.read(role, Ask())
        elif not self._go.hear(role, statement, self._stand):
            self._voice.send(role, Ask())

    def _take_show(self, role: Role, show: Show) -> None:
        """Take a newer era, then a newer chain, if they prove themselves."""
        if self.done:
            return
        self._learn_era(show.proof)
        chain = extended(self.chain, show.chain)
        newer = last(show.chain) > last(self.chain)
        if chain is None and newer:
            self._voice.send(role, Ask())
            return
        self._silence.see(role)
        pending = () if self._running is None else self._running.pending or ()
        if chain is not None and self._stand.replaced_by(chain) and last(chain) > last(pending):
            self._ears.unproven = not self._evidence.proves(chain)
            if not self._ears.unproven:
                self._offer(chain)
        self._silence.look()

    def _learn_era(self, proof: EraProof) -> None:
        """Another's proof of a higher era ends the running one; its ``go`` start the resume here, too, at once.

        Nobody asks for yet another era for having learnt of this one: a liar that is quick to show proofs could make
        t+1 honest parties do so, for ever. A resume that ends without a certificate asks for it.
        """
        if proof.era > self.era and self._enter_era(proof):  # proven: see ``Evidence.most``
            self._go.learn(proof)
            self._want_next()

    # --- certificates

    def _offer(self, chain: Chain) -> bool:
        """Take a newer chain, at once or - if it ends the segment under way - after what this party may linger.

        Letters overtake messages of slots, so an honest party's last words may be on their way behind the certificate.
        True if it was taken at once.
        """
        running = self._running
        unfinished = running is not None and not running.over and running.setting.position == last(chain)
        if running is None or not unfinished or self._ports.linger <= 0:
            return self._adopt(chain)
        if running.pending is None:
            running.pending = chain
            self._later(self._ports.linger, lambda: self._adopt(chain))
        return False

    def _adopt(self, chain: Chain) -> bool:
        """Seal a newer chain and end what it settles; in the running era also tell everybody. False if it is no use."""
        if not self._stand.replaced_by(chain) or not self._keep(Stand(self.proof, chain, self._stand.segments)):
            return False
        if last(chain).era == self.era or self.done:
            self._ports.observe("certificate", last(chain))
            self._voice.to_all(Show(self.proof, chain[-1:]))
            self._stop_running()
            self._moved()
            self._want_next()
            self._settle()
        return True

    def _certify(self) -> bool:
        """Make a certificate of n-t signatures for this position; True if that moved the party."""
        running = self._running
        bases = [self.chain] if running is None else [self.chain, running.base]
        chain = self._evidence.certified(self.position, bases)
        return chain is not None and (running is None or running.pending is None) and self._offer(chain)

    def _end_lingering(self) -> bool:
        """Nobody lingers when the next segment starts: honest starts stay two message delays apart."""
        chain = None if self._running is None else self._running.pending
        if chain is None:
            return False
        after = Stand(self.proof, chain, self._stand.segments)
        return not after.done and self._go.book.started(after.position) and self._adopt(chain)

    # --- go exchange

    def _want_next(self) -> None:
        """Say ``ready`` for one's position, once what its segment reads is held; other results may come later."""
        held = self._adoption.complete(self.chain, self._held)
        if self.done:
            if held and not self.finished.done():
                self._ports.observe("done", last(self.chain))
                self.finished.set_result(self.chain)
        elif self._able() and (self._ports.remembered() or self.position.segment == RESUME):
            self._want(self.position)

    def _able(self) -> bool:
        """Whether all that the segment at one's position reads is held; it may run then."""
        able = segment.able(self._ports.program, self.position, self.chain)
        if able and self._running is not None:
            self._running.held.set()
        return able

    def remembered(self) -> None:
        """What was kept last counts now: ``Ports.remembered`` has become true."""
        self._want_next()
        self._settle()

    def _held(self, error: Exception | None) -> None:
        """What was missing of certified results is there."""
        match error:
            case None:
                self._want_next()
                self._settle()
            case DkgError() if not isinstance(error, FINAL):  # another peer, or this one later, may have what it takes
                self._ports.observe("not adopted", last(self.chain))
                self._later(self._ports.pace.round_timeout, self._want_next)
            case _:
                self._fail(error)

    def _want(self, position: Position) -> None:
        if not self.done and not self._go.said("ready", position):
            self._voice.to_all(Show(self.proof, self.chain[-1:]))
            self._go.say(self._voice.say("ready", position))

    def _settle(self) -> None:
        """Apply the rules until nothing more follows."""
        while self._moves():
            pass

    def _moves(self) -> bool:
        if self.done or self._closed:
            return False
        return self._end_lingering() or self._certify() or any(map(self._step, self._stand.window))

    def _step(self, position: Position) -> bool:
        """The go rules for one position; True if something was done."""
        if position in self._started:
            return False
        entry, mine = self._go.book.entry(position), position == self.position
        next_era = position.era > self.era
        if next_era and len(entry.ready) > self._ports.group.t and not self._go.said("ready", position):
            self._want(position)
            return True
        if not mine and not next_era and len(entry.go) <= self._ports.group.t:
            return False
        if not self._go.said("go", position) and self._go.may_go(position, self._stand):
            self._go.say(self._voice.say("go", position))
            return True
        if self._go.book.started(position) and (mine or next_era):
            if mine or self._enter_era(EraProof(position.era, dict(entry.go))):
                self._begin(position)
            return True
        return False

    def _enter_era(self, proof: EraProof) -> bool:
        """A higher era is proven: sealed before the first message under it. False if that can't be."""
        if not self._keep(Stand(proof, self.chain, self._stand.segments)):
            return False
        self._stop_running()
        self._moved()
        self._ports.observe("era", Position(proof.era, RESUME))
        return True

    def _keep(self, stand: Stand) -> bool:
        """Seal where one stands, then stand there. False if that can't be: this boot is over."""
        try:
            self._ports.vault.keep(stand.proof, stand.chain)
        except (DkgError, OSError) as error:
            self._fail(error)
            self.close()
            return False
        self._stand = stand
        return True

    def _moved(self) -> None:
        """The position has changed: forget what is over, and ask again for what lay too far ahead until now."""
        self._evidence.keep(self._stand.window)
        self._voice.forget_before(self.position)
        for role in sorted(self._go.moved(self._stand)):
            self._voice.send(role, Ask())

    # --- segments

    def _begin(self, position: Position) -> None:
        ports, state = self._ports, self._stand.state_at(position)
        self._started.add(position)
        silent = self._silence.at(position, state)
        returning = Returning(self._go.book, position, state.absent)
        running = segment.begin(ports, Setting(position, self.chain, state, silent), returning, silent=silent)
        self._running = running
        self._adoption.complete(self.chain, self._held)
        self._able()
        ports.observe("start", position)
        running.task = asyncio.get_running_loop().create_task(segment.run(ports, running))
        running.task.add_done_callback(lambda task: self._ended(running, task))

    def _ended(self, running: Running, task: asyncio.Task[Outcome]) -> None:
        """The program of a segment is over."""
        if task.cancelled() or running is not self._running:
            return
        running.over = True
        error = task.exception()
        if error is None:
            running.outcome = task.result()
            error = self._sign(running)
        match error:
            case None:
                pass
            case StateDiverged():
                self._ports.observe("diverged", running.setting.position)
                self._silence.begin(running.setting.position, blind=self._silence.blind)
            case DkgError() if running.silent:
                pass  # others do the segment, whatever this party gets; it takes its results from them
            case QuorumLost():
                self._lost(running, error)
            case ProtocolError() if not isinstance(error, FINAL):
                self._lost(running, error)
            case _:
                self._fail(error)
        segment.watch(self._ports, running, self._no_certificate)
        if running.pending is not None:
            self._adopt(running.pending)
        self._settle()

    def _sign(self, running: Running) -> DkgError | None:
        """Keep what the certificate will name, then sign; a silent party keeps it and signs nothing."""
        try:
            running.signed = segment.sign(self._ports, running)
        except DkgError as error:
            return error
        if running.signed is not None:
            self._ports.observe("signed", running.setting.position)
            self._voice.to_all(Sign(*running.signed))
            self._evidence.note(self._ports.me, *running.signed)
        return None

    def _lost(self, running: Running, error: ProtocolError) -> None:
        """A step did not get what it needs, or went wrong here: the era ends."""
        self.lost = error
        self._ports.observe("quorum lost", running.setting.position)
        self._want(Position(self.era + 1, RESUME))

    def _no_certificate(self, running: Running) -> None:
        if running is self._running:
            self._ports.observe("no certificate", running.setting.position)
            self._want(Position(self.era + 1, RESUME))
            self._settle()

    def _stop_running(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            segment.stop(self._ports, running)

    def _fail(self, error: BaseException) -> None:
        if not self.finished.done():
            self.finished.set_exception(error)
