"""Attested channels over real sockets: who has not proven code, organisation and terms gets no stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import grpc
import grpc.aio
import pytest

from dkg_api.party_certificate import host_name
from dkg_node.attestation.binding import ChannelKey
from dkg_node.attestation.messages import MAX_MESSAGE
from dkg_node.errors import Superseded
from dkg_node.protocols.session import Group
from dkg_node.service.channels import Boots, Channels, Identities
from dkg_node.testing.enclaves import Enclave, terms_of
from dkg_node.testing.forge import AT
from dkg_node.testing.world import World, ask, eventually, until
from dkg_node.transport.attest import METHOD, SERVICE, AttestPort, Limit, Reply
from dkg_node.transport.bind import BIND_BYTES, MAGIC
from dkg_node.transport.frames import Boot, Greeting, encode_greeting
from dkg_node.transport.network import NetworkThread, Peer, PeerNetwork, PeerSettings, TlsIdentity
from dkg_node.transport.settings import Letter, Lifetimes
from dkg_node.transport.tls import Pin, client_credentials

TERMS = terms_of()
SID = bytes(range(32))


@dataclass
class AttestedWorld(World):
    """A world in which pins come from handshakes alone."""

    enclaves: dict[int, Enclave] = field(default_factory=dict)
    channels: dict[int, Channels] = field(default_factory=dict)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    changes: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """Of the enclaves, by role."""
    greeted_as: dict[int, Boot] = field(default_factory=dict)
    """Boots that streams name, where they are not the attested ones."""

    async def boot(self, role: int, port: int = 0) -> PeerNetwork:
        self.boots[role] = self.boots.get(role, 0) + 1
        enclave = self.enclaves.get(role) or Enclave(TERMS, role)
        key = ChannelKey.fresh()
        changed: dict[str, Any] = {**self.changes.get(role, {}), "boot_number": self.boots[role], "channel_key": key}
        enclave = self.enclaves[role] = replace(enclave, **changed)
        boots = Boots()
        identities = Identities(role, self.lifetimes)
        speaker = enclave.speaker(newer=boots.newer)
        channels = self.channels[role] = Channels(speaker, key, identities, boots, clock=lambda: AT)
        self.tls[role] = identities.current()
        network = PeerNetwork(
            self.settings(role, port), self.peers(role), clock=self.clock, thread=self.thread, handshakes=channels
        )
        await network.start()
        self.networks[role] = network
        await self.introduce()
        return network

    def settings(self, role: int, port: int = 0) -> PeerSettings:
        usual = super().settings(role, port)
        boot = self.greeted_as.get(role, usual.boot)
        return replace(usual, boot=boot, attest_listen="127.0.0.1:0", lifetimes=self.lifetimes)

    def peers(self, me: int) -> dict[int, Peer]:
        """Addresses only: no certificate is told to anybody."""
        return {
            role: Peer("127.0.0.1", self._port(me, role), attest_port=network.attest_port)
            for role, network in self.networks.items()
            if role != me
        }

    def pins(self, role: int, peer: int) -> tuple[Pin, ...]:
        """What a party has pinned of another."""
        hub = self.networks[role]._hub
        return hub._pins.get(peer, ()) if hub is not None else ()


Scene = Callable[[AttestedWorld], Awaitable[None]]
Play = Callable[..., None]


@pytest.fixture(scope="module")
def thread() -> Iterator[NetworkThread]:
    thread = NetworkThread()
    yield thread
    thread.close()


@pytest.fixture
def play(thread: NetworkThread) -> Play:
    def run(scene: Scene, **world: Any) -> None:  # noqa: ANN401 - fields of the world
        async def main() -> None:
            stage = AttestedWorld(Group(4, 1), thread, **world)
            try:
                async with asyncio.timeout(60):
                    await scene(stage)
            finally:
                await stage.stop()

        asyncio.run(main())

    return run


async def exchange(world: AttestedWorld, a: int, b: int, part: int) -> None:
    """One message each way."""
    one, two = world.networks[a], world.networks[b]
    heard = await asyncio.gather(
        one.exchange(ask({b: b"from a"}, {b}, part=part)), two.exchange(ask({a: b"from b"}, {a}, part=part))
    )
    assert (heard[0][b], heard[1][a]) == (b"from b", b"from a")


def test_parties_that_prove_themselves_talk_and_nobody_told_them_a_certificate(play: Play) -> None:
    async def scene(world: AttestedWorld) -> None:
        await world.start()
        await world.connected()
        world.open_all()
        await exchange(world, 1, 4, 0)
        assert world.pins(1, 4)[0].der != world.pins(1, 3)[0].der

    play(scene)


@pytest.mark.parametrize("liar", [1, 2])
def test_changed_code_gets_no_stream_and_is_named_by_both_sides(play: Play, liar: int) -> None:
    """The others go on among themselves."""

    async def scene(world: AttestedWorld) -> None:
        honest = world.enclaves[liar] = Enclave(TERMS, liar)
        changed = replace(honest, pcrs=(b"x" * 48, *honest.pcrs[1:]))
        changed.enrolment = honest.enrolment  # type: ignore[method-assign]
        await world.boot(1 if liar != 1 else 3)
        world.enclaves[liar] = changed
        await patched_boot(world, liar, honest)
        dialer = max(world.networks)
        listener = min(world.networks)
        network = world.networks[dialer]
        await until(network, lambda: "run a release that the terms list" in network.status()[listener].reason)
        assert network.connected() == frozenset()
        assert world.pins(1, dialer) == ()

    play(scene)


async def patched_boot(world: AttestedWorld, role: int, honest: Enclave) -> None:
    """Boot changed code that was enrolled when it still was a release."""
    original = Enclave.enrolment

    def enrolment(self: Enclave, **changes: Any) -> Any:  # noqa: ANN401 - as the original
        return original(replace(self, pcrs=honest.pcrs), **changes)

    Enclave.enrolment = enrolment  # type: ignore[method-assign]
    try:
        await world.boot(role)
    finally:
        Enclave.enrolment = original  # type: ignore[method-assign]


def test_a_party_that_starts_again_attests_again_and_goes_on(play: Play) -> None:
    """Listener and dialer, each with new keys and a greater boot number; the old boot's pins are gone."""

    async def scene(world: AttestedWorld) -> None:
        await world.start([1, 2])
        await world.connected()
        for role in (1, 2):
            other = 3 - role
            before = world.pins(other, role)
            await world.networks.pop(role).stop(linger=0)
            await world.boot(role)
            await world.connected()
            after = world.pins(other, role)
            assert not set(before) & set(after)
            assert all(pin.attested is not None and pin.attested.boot.number == 2 for pin in after)
        world.open_all()
        await exchange(world, 1, 2, 0)

    play(scene)


def test_an_older_boot_is_refused_when_a_newer_one_is_known(play: Play) -> None:
    async def scene(world: AttestedWorld) -> None:
        world.boots[2] = 5
        await world.start([1, 2])
        await world.connected()
        copy = Enclave(TERMS, 2, boot_number=5)
        boots = Boots()
        copied = Channels(
            copy.speaker(newer=boots.newer), copy.channel_key, Identities(2, Lifetimes()), boots, lambda: AT
        )
        reply = await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(dial(world, copied), world.thread.loop)
        )  # fmt: skip
        assert "newer start" in reply.refusal
        assert world.networks[1].connected() == {2}, "the live one is untouched"

    play(scene)


def test_of_two_live_copies_the_newer_stays_and_the_older_stops(play: Play) -> None:
    """The same identity, the same disk: the second start binds, the first is told by its streams. Nobody else is."""

    async def scene(world: AttestedWorld) -> None:
        await world.start()
        await world.connected()
        first = world.networks[2]
        second = await world.boot(2)
        try:
            end = await first.ended()
            assert isinstance(end, Superseded)
            assert "stop all but one copy" in str(end)
            await world.connected()
            assert second.connected() == {1, 3, 4}
            untroubled(*world.networks.values())
        finally:
            await first.stop(linger=0)

    play(scene)


@pytest.mark.parametrize("role", [1, 4], ids=["called by its peers", "calls its peers"])
def test_an_older_boot_without_any_stream_stops_by_word_of_t_plus_1_peers(play: Play, role: int) -> None:
    """A copy comes late, say from a snapshot: no peer gives it a stream, each signs that it knows a newer start."""

    async def scene(world: AttestedWorld) -> None:
        world.boots[role] = 5
        await world.start()
        await world.connected()
        newer = world.networks.pop(role)
        world.boots[role] = 2
        older = await world.boot(role)  # from now on the peers are sent to this one
        try:
            assert isinstance(await older.ended(), Superseded)
            assert older.connected() == frozenset()
            assert len(older._refused_by) > 1
            others = [network for one, network in world.networks.items() if one != role]
            untroubled(newer, *others)
        finally:
            await newer.stop(linger=0)

    play(scene)


def test_t_peers_can_stop_no_boot(play: Play) -> None:
    """One liar of four says that it knows a newer start; the party goes on with the others."""

    async def scene(world: AttestedWorld) -> None:
        await world.start([1, 2, 3])
        world.channels[1].boots._known[4] = Boot(99, bytes(16))
        four = await world.boot(4)
        await until(four, lambda: "newer start" in four.status()[1].reason)
        assert four._refused_by == {1}
        untroubled(four)
        await until(four, lambda: four.connected() == {2, 3})

    play(scene)


def untroubled(*networks: PeerNetwork) -> None:
    """None of them was told to stop, by t+1 peers or at all."""
    for network in networks:
        assert not network._refused.is_set()


async def dial(world: AttestedWorld, channels: Channels, listener: int = 1) -> Reply:
    """One handshake by hand."""
    port = world.networks[listener].attest_port
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(f"/{SERVICE}/{METHOD}")()
        handshake = channels.dial(listener)
        await call.write(handshake.hello())
        reply = handshake.response(await call.read())  # type: ignore[arg-type]
        if reply.message is not None:
            await call.write(reply.message)
        return reply if reply.refusal else handshake.confirmed(await call.read())  # type: ignore[arg-type]


def on_network(world: AttestedWorld, coroutine: Any) -> Any:  # noqa: ANN401 - any result
    return world.thread.run(coroutine)


def test_evidence_and_certificates_renew_without_losing_a_message(play: Play) -> None:
    """Shortened lives: every stream is cut again and again, its messages come in full and in order."""

    async def scene(world: AttestedWorld) -> None:
        await world.start([1, 2])
        await world.connected()
        world.open_all()
        first = world.pins(1, 2)[-1]
        attest = world.networks[2]._attest
        assert attest is not None
        part = 0
        while attest.made < 6 or first in world.pins(1, 2):
            await exchange(world, 1, 2, part)
            part += 1
        assert len({pin.der for pin in (first, *world.pins(1, 2))}) > 1, "new certificates, too"

    play(scene, lifetimes=Lifetimes(pin=0.4, renew=0.2))


async def round_of_all(world: AttestedWorld, segment: int, part: int) -> None:
    """Everybody to everybody, a message of several frames and a letter; nothing may be missing or another's."""
    roles = sorted(world.networks)

    def said(role: int) -> bytes:
        return bytes([role, segment % 256, part % 256]) * 70_000

    async def one(me: int) -> None:
        network, others = world.networks[me], [role for role in roles if role != me]
        for role in others:
            network.post(role, said(me)[:3])
        heard = await network.exchange(ask(dict.fromkeys(others, said(me)), others, part=part, segment=segment))
        assert heard == {role: said(role) for role in others}
        letters = sorted([(letter.role, letter.payload) for letter in [await network.inbox() for _ in others]])
        assert letters == [(role, said(role)[:3]) for role in others]

    await asyncio.gather(*(one(role) for role in roles))


def test_a_long_exchange_of_four_renews_all_evidence_and_outlives_parties_that_are_killed(play: Play) -> None:
    """Lives of a second, in each of three spans all pins end and are made anew; a party starts again between two spans.

    Nothing is lost and nothing comes twice, and who starts again attests again: nobody keeps a pin of its older boot.
    """

    async def scene(world: AttestedWorld) -> None:
        await world.start()
        await world.connected()
        for segment, killed in enumerate((2, 4, None)):
            world.open_all(segment)
            await spans(world, segment)
            if killed is not None:
                await world.delivered()
                await world.networks.pop(killed).stop(linger=0)
                await world.boot(killed)
                await world.connected()
                for other in set(world.networks) - {killed}:
                    assert await world.networks[other].inbox() == Letter(killed, None), (
                        "its peers know that it began anew"
                    )
                    boots = {pin.attested.boot.number for pin in world.pins(other, killed) if pin.attested}
                    assert boots == {2}

    play(scene, lifetimes=Lifetimes(pin=1.0, renew=0.5))


async def spans(world: AttestedWorld, segment: int) -> None:
    """Rounds until no party is held to by a pin, nor shows a certificate, of the beginning; three of them at least."""
    pairs = [(one, two) for one in world.networks for two in world.networks if one != two]
    first = {pair: set(world.pins(*pair)) for pair in pairs}
    shown = {role: world.channels[role].shown() for role in world.networks}
    part = 0
    while (
        part < 3
        or any(first[pair] & set(world.pins(*pair)) for pair in pairs)
        or any(shown[role] == world.channels[role].shown() for role in world.networks)
    ):
        part += 1
        await round_of_all(world, segment, part)


def test_two_pins_overlap_while_a_new_one_is_made(play: Play) -> None:
    async def scene(world: AttestedWorld) -> None:
        await world.start([1, 2])
        await world.connected()
        await eventually(lambda: len(world.pins(2, 1)) == 2 and len(world.pins(1, 2)) == 2)
        assert world.networks[1].connected() == {2}

    play(scene, lifetimes=Lifetimes(pin=60.0, renew=0.1))


def test_a_pin_that_ends_without_a_new_one_cuts_the_stream(play: Play) -> None:
    """The peer's module has gone: its evidence can't be renewed, and it is let in no more."""

    async def scene(world: AttestedWorld) -> None:
        await world.start([1, 2])
        await world.connected()
        world.enclaves[1].fields = {"pcrs": {index: bytes(48) for index in range(16)}}
        two = world.networks[2]
        await until(two, lambda: not two.connected())
        await until(two, lambda: "debug" in two.status()[1].reason)
        assert world.pins(2, 1) == ()

    play(scene, lifetimes=Lifetimes(pin=0.5, renew=0.2))


# --- inside TLS: the bond


async def outcome(world: AttestedWorld, own: TlsIdentity, pin: Pin, messages: list[bytes]) -> tuple[str, int]:
    """What a holder of a pinned TLS key gets that speaks by hand: words, number of answers."""
    options = [("grpc.ssl_target_name_override", host_name(1)), ("grpc.use_local_subchannel_pool", 1)]
    target, answers = f"127.0.0.1:{world.networks[1].port}", 0
    async with grpc.aio.secure_channel(target, client_credentials(own, pin), options) as channel:
        call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream("/dkg_api.v1.Peer/Exchange")()
        try:
            for message in messages:
                await call.write(message)
            while isinstance(await call.read(), bytes):
                answers += 1
        except grpc.aio.AioRpcError:
            pass
        return await call.details() or "", answers


HELLO = encode_greeting(Greeting(SID, 2, 1, Boot(9, bytes(16)), bytes(16), 0))


@pytest.mark.parametrize(
    "first",
    [HELLO, MAGIC + bytes(32), b"x" * BIND_BYTES, b""],
    ids=["greeting", "wrong MAC", "no bind", "nothing"],
)
def test_a_stolen_tls_key_alone_gets_no_byte(play: Play, first: bytes) -> None:
    """Without the boot's X25519 key the connection is not the one that was attested."""

    async def scene(world: AttestedWorld) -> None:
        await world.start([1, 2])
        await world.connected()
        pin = world.pins(2, 1)[0]
        assert pin.attested is not None
        words, answers = await on_network(world, outcome(world, pin.attested.own, pin, [first, HELLO]))
        assert answers == 0
        assert "party 2 is refused" in words
        assert world.networks[1].connected() == {2}, "the true stream is untouched"

    play(scene)


def test_a_listener_that_can_not_answer_the_bond_gets_no_greeting(play: Play) -> None:
    """Whoever has stolen the listener's TLS key, but not its X25519 key, is found out by the dialer."""

    async def scene(world: AttestedWorld) -> None:
        await world.start([1, 2])
        await world.connected()
        hub = world.networks[1]._hub
        assert hub is not None
        stolen = {
            role: tuple(replace(pin, attested=replace(pin.attested, bond=Liar())) for pin in pins if pin.attested)
            for role, pins in hub._pins.items()
        }
        two = world.networks[2]
        world.thread.call(hub.update, hub._peers, stolen)
        await until(two, lambda: "the TLS connection is not the one that was agreed on" in two.status()[1].reason)

    play(scene)


class Liar:
    """Accepts everything, knows nothing."""

    def mac(self, side: str, shown: bytes, seen: bytes) -> bytes:
        return bytes(32)

    def check(self, mac: bytes, side: str, shown: bytes, seen: bytes) -> None:
        return


def test_a_certificate_of_the_desired_state_is_worth_nothing(play: Play) -> None:
    """The own host may write what it likes into the node's input: pins come from handshakes."""

    async def scene(world: AttestedWorld) -> None:
        await world.start([1, 2])
        await world.connected()
        stranger = TlsIdentity.fresh(3, datetime.now(UTC))
        one = world.networks[1]
        one.update_peers({**world.peers(1), 3: Peer("127.0.0.1", 1, stranger.certificate)})
        await world.thread.run(asyncio.sleep(0))
        assert world.pins(1, 3) == ()

    play(scene)


# --- the attest port


async def raw(port: int, messages: list[bytes]) -> tuple[str, list[bytes]]:
    """Status code and answers on the attest port."""
    answers: list[bytes] = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(f"/{SERVICE}/{METHOD}")()
        try:
            for message in messages:
                await call.write(message)
            while isinstance(data := await call.read(), bytes):
                answers.append(data)
        except grpc.aio.AioRpcError:
            pass
        return (await call.code()).name, answers


def test_junk_and_long_messages_on_the_attest_port_change_nothing(play: Play) -> None:
    async def scene(world: AttestedWorld) -> None:
        await world.start([1, 2])
        await world.connected()
        port = world.networks[1].attest_port
        code, answers = await on_network(world, raw(port, [b"junk"]))
        assert code == "OK"
        assert len(answers) == 1
        code, answers = await on_network(world, raw(port, [bytes(MAX_MESSAGE + 1)]))
        assert (code, answers) == ("RESOURCE_EXHAUSTED", [])
        assert world.networks[1].connected() == {2}

    play(scene)


def test_who_asks_too_often_is_turned_away_before_any_document_is_made(play: Play) -> None:
    async def scene(world: AttestedWorld) -> None:
        one = await world.boot(1)
        assert one._attest is not None
        one._attest._buckets.limit = Limit(rate=0.0, burst=2.0)
        caller = Enclave(TERMS, 2)
        boots = Boots()
        channels = Channels(
            caller.speaker(newer=boots.newer), caller.channel_key, Identities(2, Lifetimes()), boots, lambda: AT
        )
        hello = channels.dial(1).hello()
        made = world.enclaves[1].documents
        for _ in range(5):
            code, answers = await on_network(world, raw(one.attest_port, [hello, b""]))
            assert code == "OK"
        assert b"busy" in answers[0]
        assert world.enclaves[1].documents == made + 2

    play(scene)


def test_an_older_boot_that_is_held_last_evicts_no_pin_of_the_newer(play: Play) -> None:
    """Two handshakes end in two threads: which of them is held last is chance."""

    async def scene(world: AttestedWorld) -> None:
        world.boots[2] = 4
        await world.start([1, 2])
        await world.connected()
        (newer,) = world.pins(1, 2)
        assert newer.attested is not None
        port = world.networks[1]._attest
        assert port is not None
        older = replace(newer, attested=replace(newer.attested, boot=Boot(4, bytes(16))))
        copy = replace(newer, attested=replace(newer.attested, boot=Boot(5, b"c" * 16)))
        await on_network(world, held(port, older, copy))
        assert world.pins(1, 2) == (newer,)
        assert world.networks[1].connected() == {2}

    play(scene)


async def held(port: AttestPort, *pins: Pin) -> None:
    """As handshakes that end."""
    for pin in pins:
        port._hold(pin)


@pytest.mark.parametrize("liar", [1, 2], ids=["the listener", "the dialer"])
def test_a_greeting_in_the_name_of_another_boot_than_the_attested_one_is_refused(play: Play, liar: int) -> None:
    """What an enclave proved binds its stream: another boot, also a newer one, has to attest."""

    async def scene(world: AttestedWorld) -> None:
        world.greeted_as[liar] = Boot(9, b"9" * 16)
        await world.start([1, 2])
        honest = world.networks[3 - liar]
        await until(honest, lambda: "another start than the one that was attested" in honest.status()[liar].reason)
        assert honest.connected() == frozenset()

    play(scene)
