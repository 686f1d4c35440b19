"""The control layer of one party: go exchange, segments, certificates, eras, resume, restart (01 section 2).

Letters come in through ``take``, time through the loop's timers and the network's clock; all else is synchronous, so
that each rule reads a state that no other one is changing. The same object runs under the real loop and under the
virtual-time loop of the model-based tests. Nothing raises for what a peer does.
"""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING

from dkg_node.ceremony import letters, segment
from dkg_node.ceremony.adoption import Adoption
from dkg_node.ceremony.book import Book, Kind, Statement
from dkg_node.ceremony.chain import (
    RESUME,
    SEGMENT_PURPOSE,
    Chain,
    EraProof,
    Position,
    extended,
    last,
    next_position,
    proves,
    results,
)
from dkg_node.ceremony.evidence import Evidence
from dkg_node.ceremony.letters import Ask, Contents, Inquire, Letter, Reply, Say, Show, Sign, Want
from dkg_node.ceremony.program import Setting
from dkg_node.ceremony.voice import Voice
from dkg_node.errors import DkgError, QuorumLost, StateDiverged
from dkg_node.protocols.state import PublicState

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg_node.ceremony.program import Outcome, Ports, Sealed
    from dkg_node.ceremony.segment import Running
    from dkg_node.protocols.session import Role


class Control:
    """One party, one boot. ``start`` it, hand it letters, await ``finished``."""

    def __init__(self, ports: Ports, sealed: Sealed) -> None:
        """``sealed``: what an earlier boot left."""
        self._ports, self._how = ports, sealed.how
        self.proof: EraProof = sealed.proof
        self.chain: Chain = sealed.chain
        self.done = len(results(self.chain)) >= ports.program.segments
        """Whether all certificates are there."""
        self.lost: QuorumLost | None = None
        """The last reason for an era to end: whom it missed."""
        self.finished: asyncio.Future[Chain] = asyncio.get_running_loop().create_future()
        """The whole chain, once all its results are held."""
        self._book = Book(ports.group, ports.me)
        self._voice = Voice(ports)
        self._started: set[Position] = set()
        self._running: Running | None = None
        self._barred: Position | None = None
        self._blind = False
        self._asking = False
        self._shown: set[Role] = {ports.me}
        self._evidence = Evidence(ports.group, ports.sid, ports.identity)
        self._timers: list[asyncio.TimerHandle] = []
        self._adoption = Adoption(ports.program, ports.group, ports.me, self._voice.send, ports.pace.round_timeout / 2)

    @property
    def era(self) -> int:
        """The newest proven era this party knows."""
        return self.proof.era

    @property
    def position(self) -> Position:
        """The segment that this party runs or waits for."""
        return next_position(self.era, self.chain)

    @property
    def running(self) -> Running | None:
        """The segment under way."""
        return self._running

    def missing(self) -> list[Role]:
        """Whom this party waits for at a start: not ready for the next era if it is, else not for its position."""
        position = Position(self.era + 1, RESUME)
        if self._ports.me not in self._book.entry(position).ready:
            position = self.position
        return sorted(set(self._ports.group.roles) - self._book.entry(position).ready)

    # --- boot

    def start(self) -> None:
        """Begin, or come back: say where one stands."""
        if self._how == "fresh":
            self._ports.vault.keep(self.proof, self.chain)
        else:
            self._barred = self.position
            self._blind = self._how == "lost disk"
            self._voice.to_all(Show(self.proof, self.chain))
            self._ask_again()
            self._want(Position(self.era + 1, RESUME))
        self._want_next()
        self._settle()

    def close(self) -> None:
        """End this boot: no timer and no task is left."""
        self._stop_running()
        self._adoption.stop()
        for timer in self._timers:
            timer.cancel()

    def _ask_again(self) -> None:
        """A restarted party asks until it is a full party again."""
        self._asking = True
        self._voice.to_all(Ask())
        self._later(self._ports.pace.round_timeout / 2, self._ask_while_needed)

    def _ask_while_needed(self) -> None:
        if self._asking and not self.done:
            self._ask_again()

    # --- letters

    def take(self, role: Role, data: bytes | None) -> None:
        """A letter from a peer; None: the peer bound a new boot."""
        if role == self._ports.me or role not in self._ports.group.roles:
            return
        if data is None:
            self._peer_booted(role)
            return
        letter = letters.decode(self._ports.group, data)
        if letter is not None:
            self._read(role, letter)
            self._settle()

    def _read(self, role: Role, letter: Letter) -> None:
        match letter:
            case Show():
                self._take_show(role, letter)
            case Say(statement):
                self._take_statement(role, statement)
            case Sign(core, signature):
                if core.position >= self.position:
                    self._evidence.note(role, core, signature)
            case Contents(body):
                self._adoption.take(sha256(body).digest(), body)
            case Reply(body):
                self._adoption.replied(role, body)
            case _:
                self._answer(role, letter)

    def _answer(self, role: Role, letter: Letter) -> None:
        """What a peer asks for."""
        match letter:
            case Ask():
                self._voice.send(role, Show(self.proof, self.chain))
            case Want(digest):
                body = self._ports.program.contents(digest)
                if body is not None:
                    self._voice.send(role, Contents(body))
            case Inquire(question):
                answer = self._ports.program.reply(role, question)
                if answer is not None:
                    self._voice.send(role, Reply(answer))

    def _peer_booted(self, role: Role) -> None:
        """A new boot knows nothing: show and say it all again."""
        self._voice.send(role, Show(self.proof, self.chain))
        self._voice.repeat(role)
        if self._running is not None and self._running.signed is not None:
            self._voice.send(role, Sign(*self._running.signed))

    def _take_statement(self, role: Role, statement: Statement) -> None:
        if self.done:
            self._voice.send(role, Show(self.proof, self.chain))
        known = statement.position.era < self.era or statement.position.segment > self._ports.program.segments
        if not known and statement.holds(self._ports.identity, self._ports.sid, role):
            self._book.note(role, statement, self._ports.network.now())

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
        self._shown.add(role)
        if chain is not None and newer and last(chain).era <= self.era and self._evidence.proves(chain):
            self._offer(chain)
        if self._blind and len(self._shown) >= self._ports.group.quorum:
            self._blind, self._barred = False, self.position

    def _learn_era(self, proof: EraProof) -> None:
        """Another's proof of a higher era ends the running one."""
        ports = self._ports
        if proof.era > self.era and proves(proof, ports.group, ports.sid, ports.identity):
            self._enter_era(proof)
            self._want(Position(self.era + 1, RESUME))
            self._want_next()

    # --- certificates

    def _offer(self, chain: Chain) -> None:
        """Take a newer chain, at once or - if it ends the segment under way - after what this party may linger."""
        running = self._running
        unfinished = running is not None and not running.over and running.setting.position == last(chain)
        if running is not None and unfinished and self._ports.linger > 0:
            if running.pending is None:
                self._later(self._ports.linger, lambda: self._adopt(chain))
            running.pending = chain
        else:
            self._adopt(chain)

    def _adopt(self, chain: Chain) -> None:
        """Seal a newer chain and end what it settles; in the running era also tell everybody."""
        if last(chain) <= last(self.chain) or last(chain).era > self.era:
            return
        self.chain = chain
        self._ports.vault.keep(self.proof, self.chain)
        if last(chain).era < self.era:
            return
        self._ports.observe("certificate", last(chain))
        self._voice.to_all(Show(self.proof, chain[-1:]))
        self._stop_running()
        self.done = len(results(chain)) >= self._ports.program.segments
        self._evidence.settled(last(chain))
        self._want_next()
        self._settle()

    def _certify(self) -> bool:
        """Make a certificate of n-t signatures for this position; True if there was one."""
        bases = [self.chain] if self._running is None else [self.chain, self._running.base]
        chain = self._evidence.certified(self.position, bases)
        if chain is not None:
            self._adopt(chain)
        return chain is not None

    # --- go exchange

    def _want_next(self) -> None:
        """Say ``ready`` for one's position, once the results before it are held."""
        held = self._adoption.complete(self.chain, self._held)
        if self.done:
            if held and not self.finished.done():
                self._ports.observe("done", last(self.chain))
                self.finished.set_result(self.chain)
        elif held or self.position.segment == RESUME:
            self._want(self.position)

    def _held(self, error: Exception | None) -> None:
        """What was missing of certified results is there."""
        if error is not None:
            self._fail(error)
        else:
            self._want_next()
            self._settle()

    def _want(self, position: Position) -> None:
        if not self.done and self._ports.me not in self._book.entry(position).ready:
            self._voice.to_all(Show(self.proof, self.chain[-1:]))
            self._say("ready", position)

    def _say(self, kind: Kind, position: Position) -> None:
        """Say it to all and count it."""
        self._book.note(self._ports.me, self._voice.say(kind, position), self._ports.network.now())

    def _settle(self) -> None:
        """Apply the rules until nothing more follows."""
        while not self.done and (self._certify() or any(map(self._step, sorted(self._book.entries)))):
            pass

    def _step(self, position: Position) -> bool:
        """The go rules for one position; True if something was done."""
        if position.era < self.era or position in self._started:
            return False
        me, entry, mine = self._ports.me, self._book.entry(position), position == self.position
        next_era = position.era > self.era and position.segment == RESUME
        if next_era and len(entry.ready) > self._ports.group.t and me not in entry.ready:
            self._want(position)
            return True
        if not mine and not next_era and len(entry.go) <= self._ports.group.t:
            return False
        if me not in entry.go and self._may_go(position):
            self._say("go", position)
            return True
        if self._book.started(position) and (mine or next_era):
            if next_era:
                self._enter_era(EraProof(position.era, dict(entry.go)))
            self._begin(position)
            return True
        return False

    def _may_go(self, position: Position) -> bool:
        now, grace = self._ports.network.now(), self._ports.pace.start_grace
        state = self._state_of(position)
        if self._book.should_go(position, state.active(self._ports.group), now, grace):
            return True
        entry = self._book.entry(position)
        if entry.quorum_at is not None and self._ports.me in entry.ready and not entry.timer:
            entry.timer = True
            self._later(max(0.0, entry.quorum_at + grace - now), self._settle)
        return False

    def _state_of(self, position: Position) -> PublicState:
        """Public state at the start of a position: an era starts with nobody Absent."""
        if position.segment == RESUME or not self.chain:
            return PublicState()
        return self.chain[-1].core.state

    def _enter_era(self, proof: EraProof) -> None:
        """A higher era is proven: sealed before the first message under it."""
        self.proof = proof
        self._ports.vault.keep(self.proof, self.chain)
        self._stop_running()
        self._book.forget_before(proof.era)
        self._voice.forget_before(proof.era)
        self._ports.observe("era", Position(proof.era, RESUME))

    # --- segments

    def _begin(self, position: Position) -> None:
        ports, state = self._ports, self._state_of(position)
        self._started.add(position)
        silent = self._blind or position == self._barred or ports.me in state.absent | state.corrupt
        self._asking = self._asking and (self._blind or position == self._barred)
        returning = state.absent & self._book.entry(position).ready
        running = segment.begin(ports, Setting(position, self.chain, state, silent), returning, silent=silent)
        self._running = running
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
        if isinstance(error, QuorumLost):
            self._lost(running, error)
        elif isinstance(error, StateDiverged):
            self._ports.observe("diverged", running.setting.position)
            self._barred = running.setting.position
            self._ask_again()
        elif error is not None and not (running.silent and isinstance(error, DkgError)):
            self._fail(error)
        self._watch(running)
        if running.pending is not None:
            self._adopt(running.pending)
        self._settle()

    def _sign(self, running: Running) -> DkgError | None:
        """Keep what the certificate will name, then sign; a silent party keeps it and signs nothing."""
        try:
            core = segment.core_of(running)
            if running.setting.position.segment != RESUME and running.outcome is not None:
                self._ports.program.durable(running.setting, running.outcome)
        except DkgError as error:
            return error
        if running.silent:
            return None
        signature = self._ports.identity.sign(SEGMENT_PURPOSE, core.signed(self._ports.sid))
        running.signed = core, signature
        self._ports.observe("signed", core.position)
        self._voice.to_all(Sign(core, signature))
        self._evidence.note(self._ports.me, core, signature)
        return None

    def _lost(self, running: Running, error: QuorumLost) -> None:
        """A step did not get what it needs: the era ends."""
        self.lost = error
        self._ports.observe("quorum lost", running.setting.position)
        self._want(Position(self.era + 1, RESUME))

    def _watch(self, running: Running) -> None:
        """No certificate one roundTimeout after the last slot ends the era."""
        patience = max(0.0, running.last_end - self._ports.network.now()) + self._ports.pace.round_timeout
        running.timers.append(asyncio.get_running_loop().call_later(patience, self._no_certificate, running))

    def _no_certificate(self, running: Running) -> None:
        if running is self._running:
            self._ports.observe("no certificate", running.setting.position)
            self._want(Position(self.era + 1, RESUME))
            self._settle()

    def _stop_running(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            for timer in running.timers:
                timer.cancel()
            if running.task is not None:
                running.task.cancel()
            era, number = running.setting.position
            self._ports.network.close_segment(number, era)

    # --- small things

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._timers = [timer for timer in self._timers if not timer.cancelled() and timer.when() >= loop.time()]
        self._timers.append(loop.call_later(seconds, call))

    def _fail(self, error: BaseException) -> None:
        if not self.finished.done():
            self.finished.set_exception(error)
