"""Who gets in: exactly the pinned certificate of the claimed party, over fresh TLS 1.3 sessions, and nobody else."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from dkg_api.party_certificate import host_name
from dkg_node.errors import AttestationError
from dkg_node.testing.world import World, ask, until
from dkg_node.transport.frames import Address, Boot, Frame, Greeting, Kind, encode_greeting, encode_header, wrap
from dkg_node.transport.hub import _age
from dkg_node.transport.network import NetworkThread, Peer
from dkg_node.transport.tls import Pin, PinnedRoots, TlsIdentity, admit, client_credentials

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SID = bytes(range(32))
Play = Callable[..., None]
SigningKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def certificate(
    role: int = 2,
    *,
    ca: bool = False,
    names: list[str] | None = None,
    key: SigningKey | None = None,
    issuer: ec.EllipticCurvePrivateKey | None = None,
    issued_by: int | None = None,
) -> tuple[str, str]:
    """A certificate with one thing wrong, and its key, as PEM."""
    own = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host_name(role))])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host_name(issued_by or role))]))
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(n) for n in names or [host_name(role)]]), critical=False
        )
    )
    made = builder.sign(issuer or own, None if isinstance(own, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    pem = own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(serialization.Encoding.PEM).decode(), pem.decode()


def refused_pin(pem: str, role: int = 2) -> str:
    with pytest.raises(AttestationError) as error:
        Pin.of(role, pem)
    assert f"party {role}" in str(error.value)
    return str(error.value)


def test_a_fresh_certificate_is_pinned_and_its_key_never_shown() -> None:
    own = TlsIdentity.fresh(2, NOW)
    assert Pin.of(2, own.certificate).role == 2
    assert "PRIVATE KEY" in own.key.decode()
    assert "PRIVATE KEY" not in repr(own)
    assert own.certificate != TlsIdentity.fresh(2, NOW).certificate


def test_a_certificate_that_may_sign_others_is_not_pinned() -> None:
    assert "CA:TRUE" in refused_pin(certificate(ca=True)[0])


def test_another_partys_certificate_is_not_pinned() -> None:
    assert "party-3" in refused_pin(TlsIdentity.fresh(2, NOW).certificate, role=3)


def test_a_certificate_with_a_second_name_is_not_pinned() -> None:
    assert "alone" in refused_pin(certificate(names=["party-2", "party-3"])[0])


def test_other_key_types_are_not_pinned() -> None:
    assert "P-256" in refused_pin(certificate(key=ec.generate_private_key(ec.SECP384R1()))[0])
    assert "P-256" in refused_pin(certificate(key=ed25519.Ed25519PrivateKey.generate())[0])


def test_a_certificate_of_another_signer_is_not_pinned() -> None:
    assert "own key" in refused_pin(certificate(issuer=ec.generate_private_key(ec.SECP256R1()))[0])


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_not_pinned(text: str) -> None:
    assert "can't be read" in refused_pin(text)


def test_a_bad_pin_is_one_line_when_a_network_is_made_or_updated(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        await world.connected()
        with pytest.raises(AttestationError, match="CA:TRUE"):
            world.networks[1].update_peers({2: Peer("127.0.0.1", 1, certificate(ca=True)[0])})
        assert world.networks[1].connected() == {2}, "and nothing has changed"

    play(scene)


# --- the listener's second look, by gRPC's words about a connection

OWN = TlsIdentity.fresh(2, NOW)
TWO = TlsIdentity.fresh(3, NOW)
GOOD: Mapping[str, list[bytes]] = {
    "transport_security_type": [b"ssl"],
    "ssl_tls_version": [b"TLSv1.3"],
    "ssl_session_reused": [b"false"],
    "x509_pem_cert": [OWN.certificate.encode()],
}


def test_the_pinned_certificate_is_its_party() -> None:
    pin = Pin.of(2, OWN.certificate)
    assert admit(GOOD, [Pin.of(1, TlsIdentity.fresh(1, NOW).certificate), pin]) == (pin,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("transport_security_type", [b"insecure"]),
        ("ssl_tls_version", [b"TLSv1.2"]),
        ("ssl_tls_version", []),
        ("ssl_session_reused", [b"true"]),
        ("ssl_session_reused", []),
        ("x509_pem_cert", [certificate(2)[0].encode()]),
        ("x509_pem_cert", [b"junk"]),
        ("x509_pem_cert", [OWN.certificate.encode(), certificate(2)[0].encode()]),
    ],
)
def test_anything_else_is_refused(name: str, value: list[bytes]) -> None:
    assert isinstance(admit({**GOOD, name: value}, [Pin.of(2, OWN.certificate)]), str)
    assert isinstance(admit({key: v for key, v in GOOD.items() if key != name}, [Pin.of(2, OWN.certificate)]), str)


# --- over real sockets


def raw_channel(world: World, own: TlsIdentity, listener: int = 1) -> grpc.aio.Channel:
    credentials = client_credentials(own, Pin.of(listener, world.tls[listener].certificate))
    options = [("grpc.ssl_target_name_override", host_name(listener)), ("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.secure_channel(f"127.0.0.1:{world.networks[listener].port}", credentials, options)


async def outcome(world: World, own: TlsIdentity, messages: list[bytes], listener: int = 1) -> tuple[str, str, int]:
    """What an attacker with that key gets: status code, words, number of answers."""
    answers = 0
    async with raw_channel(world, own, listener) as channel:
        call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream("/dkg_api.v1.Peer/Exchange")()
        try:
            for message in messages:
                await call.write(message)
            while isinstance(await call.read(), bytes):
                answers += 1
        except grpc.aio.AioRpcError:
            pass
        return (await call.code()).name, await call.details() or "", answers


def greeting(sender: int, receiver: int = 1, boot: int = 9) -> bytes:
    return encode_greeting(Greeting(SID, sender, receiver, Boot(boot, bytes(16)), bytes(16), 0))


def test_a_certificate_that_is_not_pinned_gets_no_byte(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        stranger = TlsIdentity.fresh(2, datetime.now(UTC))
        code, _, answers = await outcome(world, stranger, [greeting(2)])
        assert (code, answers) == ("UNAVAILABLE", 0)
        await world.connected()

    play(scene)


def test_a_listener_with_another_certificate_gets_no_greeting_and_is_named(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.boot(1)
        world.tls[1] = TlsIdentity.fresh(1, datetime.now(UTC))  # what party 2 is told
        two = await world.boot(2)
        await until(two, lambda: "another certificate than the pinned one" in two.status()[1].reason)
        assert two.connected() == frozenset()

    play(scene)


def test_a_party_cannot_speak_as_another(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2, 3])
        await world.connected()
        code, words, answers = await outcome(world, world.tls[3], [greeting(2)])
        assert (code, answers) == ("FAILED_PRECONDITION", 0)
        assert "speaks as party 2" in words
        assert world.networks[1].connected() >= {2}, "party 2's stream is untouched"

    play(scene)


def test_the_lower_index_does_not_call(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        await world.connected()
        code, words, _ = await outcome(world, world.tls[1], [greeting(1, 2)], listener=2)
        assert (code, words) == ("UNAUTHENTICATED", "the party with the higher index calls")

    play(scene)


def test_a_dropped_pin_cuts_the_stream_and_lets_nobody_in_again(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        await world.connected()
        one = world.networks[1]
        one.update_peers({})
        await until(one, lambda: not one.connected())
        code, _, answers = await outcome(world, world.tls[2], [greeting(2)])
        assert (code, answers) == ("UNAVAILABLE", 0)

    play(scene)


def test_a_new_certificate_takes_the_place_of_the_old_one_without_a_restart(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        await world.connected()
        await world.networks.pop(2).stop(linger=0)
        old = world.tls[2]
        await world.boot(2)
        await world.connected()
        code, _, answers = await outcome(world, old, [greeting(2)])
        assert (code, answers) == ("UNAVAILABLE", 0)

    play(scene)


def tls_client(own: TlsIdentity, folder: Path, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    both = folder / "own.pem"
    both.write_bytes(own.certificate.encode() + own.key)
    context.load_cert_chain(both)
    return context


H2_SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


def call_headers() -> bytes:
    """A HEADERS frame that calls the peer service and says nothing, all fields literal."""

    def literal(name: bytes, value: bytes) -> bytes:
        return bytes([0, len(name)]) + name + bytes([len(value)]) + value

    block = b"".join(
        literal(name, value)
        for name, value in (
            (b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/dkg_api.v1.Peer/Exchange"),
            (b":authority", b"party-1"), (b"te", b"trailers"), (b"content-type", b"application/grpc"),
        )
    )  # fmt: skip
    return len(block).to_bytes(3, "big") + bytes([1, 5]) + (1).to_bytes(4, "big") + block


def shake(context: ssl.SSLContext, port: int, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    """Connect by hand and read once: by then the listener has given its session tickets, if it gives any."""
    line = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=20), session=session)
    line.sendall(H2_SETTINGS)
    assert line.recv(65536)
    return line


def talk(context: ssl.SSLContext, port: int, session: ssl.SSLSession | None = None) -> bytes:
    """Call the service by hand; all it says up to its status."""
    with shake(context, port, session) as line:
        line.sendall(call_headers())
        said = b""
        while b" here" not in said and (more := line.recv(65536)):
            said += more
        return said


def test_tls_1_2_is_refused_even_with_the_pinned_certificate(play: Play, tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.start([1, 2])
        context = tls_client(world.tls[2], tmp_path, ssl.TLSVersion.TLSv1_2)
        try:
            said = await asyncio.to_thread(talk, context, world.networks[1].port)
        except (ssl.SSLError, ConnectionError):
            return  # gRPC was told to offer no cipher of TLS 1.2
        assert b"only TLS 1.3 is spoken here" in said

    play(scene)


def test_a_resumed_session_is_refused_and_a_new_pin_forgets_all_sessions(play: Play, tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.start([1])
        world.tls[2] = TlsIdentity.fresh(2, datetime.now(UTC))
        await world.introduce()
        context, port = tls_client(world.tls[2], tmp_path, ssl.TLSVersion.TLSv1_3), world.networks[1].port
        with await asyncio.to_thread(shake, context, port) as first:
            session = first.session
        assert session is not None
        said = await asyncio.to_thread(talk, context, port, session)
        assert b"sessions are not resumed here: connect anew" in said
        world.tls[3] = TlsIdentity.fresh(3, datetime.now(UTC))
        await world.introduce()
        with await asyncio.to_thread(shake, context, port, session) as third:
            assert not third.session_reused

    play(scene)


def test_the_systems_roots_are_never_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, play: Play) -> None:
    """What the environment vouches for is worth nothing: only the pinned certificate counts."""
    root_pem, _ = certificate(1, ca=True)
    roots = tmp_path / "roots.pem"
    for variable in ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "SSL_CERT_FILE"):
        monkeypatch.setenv(variable, str(roots))

    async def scene(world: World) -> None:
        await world.boot(1)
        roots.write_text(root_pem + world.tls[1].certificate)  # the true listener, vouched for by the environment only
        world.tls[1] = TlsIdentity.fresh(1, datetime.now(UTC))
        two = await world.boot(2)
        await until(two, lambda: "another certificate than the pinned one" in two.status()[1].reason)

    play(scene)


def test_without_a_pin_there_are_no_credentials() -> None:
    with pytest.raises(AttestationError, match="system's roots"):
        client_credentials(OWN, Pin(1, b"", b""))


def test_the_fetcher_never_raises_and_then_lets_nobody_in(caplog: pytest.LogCaptureFixture) -> None:
    readable = True

    def pins() -> list[Pin]:
        if not readable:
            raise OSError("disk")
        return [Pin.of(3, TWO.certificate)]

    roots = PinnedRoots(lambda: OWN, pins)
    assert roots() is not None
    assert roots() is None, "the same pins: nothing is replaced"
    readable = False
    assert roots() is not None, "the roots of before are replaced by none"
    assert "nobody is let in" in caplog.text


# --- damage on an authenticated stream


def frame(number: int = 0, payload: bytes = b"x", **changes: Any) -> bytes:  # noqa: ANN401 any field of a frame
    made = replace(Frame(Address(Kind.SLOT, 0, 0, 0, 0), number, 0, len(payload), 0, payload), **changes)
    return wrap([encode_header(made), payload])


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([b"junk"], "no greeting"),
        ([encode_greeting(Greeting(bytes(32), 2, 1, Boot(9, bytes(16)), bytes(16), 0))], "another ceremony"),
        ([greeting(2), b"junk"], "no envelope"),
        ([greeting(2), frame(number=7)], "frame 7 where 0 was due"),
        ([greeting(2), frame(length=1 << 40)], "more than"),
        ([greeting(2), frame(ack=5)], "which can't be"),
        ([greeting(2), frame(), frame()], "frame 0 where 1 was due"),
    ],
)
def test_damage_ends_the_stream_with_one_clear_line_and_a_count(
    play: Play, caplog: pytest.LogCaptureFixture, messages: list[bytes], words: str
) -> None:
    async def scene(world: World) -> None:
        await world.start([1])
        world.tls[2] = TlsIdentity.fresh(2, datetime.now(UTC))
        await world.introduce()
        code, said, _ = await outcome(world, world.tls[2], messages)
        assert code == "FAILED_PRECONDITION"
        assert words in said
        assert world.networks[1].counters()["damaged"] == 1
        lines = [record.getMessage() for record in caplog.records if words in record.getMessage()]
        assert len(lines) == 1
        assert "party 2" in lines[0]

    play(scene)


def test_a_grpc_message_over_the_limit_ends_the_stream_only(play: Play) -> None:
    async def scene(world: World) -> None:
        await world.start([1])
        world.tls[2] = TlsIdentity.fresh(2, datetime.now(UTC))
        await world.introduce()
        code, _, _ = await outcome(world, world.tls[2], [greeting(2), bytes(3 << 20)])
        assert code != "OK"
        world.boots[2] = 20
        await world.boot(2)
        world.open_all()
        got, _ = await asyncio.gather(
            world.networks[1].exchange(ask({}, [2])), world.networks[2].exchange(ask({1: b"good"}, []))
        )
        assert got == {2: b"good"}, "and the party itself can still come"

    play(scene)


# --- facts about gRPC that the design rests on


def test_a_pinned_authority_would_let_in_whom_it_signs_for(thread: NetworkThread) -> None:
    """Why Pin.of looks for CA:TRUE: gRPC itself lets a sub-certificate in."""
    authority = ec.generate_private_key(ec.SECP256R1())
    root, _ = certificate(1, ca=True, key=authority)
    below, key = certificate(2, names=[host_name(1)], issuer=authority, issued_by=1)
    assert "CA:TRUE" in refused_pin(root, role=1)
    listener = TlsIdentity(1, below, key.encode())

    async def scene() -> None:
        own = TlsIdentity.fresh(2, datetime.now(UTC))
        server = grpc.aio.server()
        pair = [(listener.key, listener.certificate.encode())]
        port = server.add_secure_port(
            "127.0.0.1:0", grpc.ssl_server_credentials(pair, own.certificate.encode(), require_client_auth=True)
        )
        await server.start()
        options = [("grpc.ssl_target_name_override", host_name(1)), ("grpc.use_local_subchannel_pool", 1)]
        careless = client_credentials(own, Pin(1, root.encode(), b""))
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", careless, options) as channel:
            await asyncio.wait_for(channel.channel_ready(), 20)
        await server.stop(None)

    asyncio.run(thread.run(scene()))


def test_a_connection_has_an_age_and_its_streams_a_grace() -> None:
    """With the age alone, a stream that never ends would keep its connection for ever."""
    assert dict(_age(3600.0)) == {"grpc.max_connection_age_ms": 3_600_000, "grpc.max_connection_age_grace_ms": 5_000}
    assert _age(None) == []
