"""Plaintext and TLS on one entry point: sniffing, refusals with their alerts, stalls, drain."""

from __future__ import annotations

import socket as plain_socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import ssl

from config.static import EntryPoint
from config.static_entrypoint import RespondingTimeouts, Transport
from tests.playbook import Client, Stage, respond
from tests.tls.handshakes import client_context as threads_context
from tests.waiting import wait_until
from tests.workers.secure import TLS12, TLS13, authority, client_context, engine, settings, table
from tls.options import ClientAuthType
from workers.exchange import Exchange
from workers.opening import Opening
from workers.tls_engine import TLSEngine

ENGINE = engine()
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


def stage(**members: Any) -> Stage:
    given: dict[str, Any] = {"handler": respond(), "tls": ENGINE, "tls_table": table()}
    return Stage(**(given | members))


def hello(name: str = "a.test") -> bytes:
    """The bytes of a ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context().wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    data: bytes = outgoing.read()
    return data


def alert_to(here: Stage, data: bytes) -> bytes:
    """What comes back for these first bytes, until the end."""
    client = here.client()
    client.send(data)
    return client.read_to_end()


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_plaintext_and_tls_on_one_port(version: ssl.TLSVersion) -> None:
    with stage() as here:
        assert here.client().get().status == 200
        secure = here.secure_client(client_context(only=version), "a.test")
        assert [secure.get().status for _ in range(3)] == [200, 200, 200]
        assert here.request.is_tls
        assert here.request.client.admission == ("default", ClientAuthType.NONE, ())
        assert here.request.client.tls is not None


@pytest.mark.behaviour("DP-65")
def test_the_server_is_told_of_tls() -> None:
    def show(exchange: Exchange) -> None:
        lines = [name + b": " + value for name, value in exchange.request.headers]
        exchange.respond(200, (), b"\n".join(lines))

    with stage(handler=show) as here:
        client = here.secure_client(client_context(), "a.test")
        plain = client.get(b"/", host=b"a.test").body
        assert b"X-Forwarded-Proto: https\n" in plain
        assert b"X-Forwarded-Port: 443\n" in plain
        assert b"X-Forwarded-Port: 8443\n" in client.get(b"/", host=b"a.test:8443").body
        upgrade = (b"Connection: Upgrade", b"Upgrade: websocket")
        assert b"X-Forwarded-Proto: wss\n" in client.get(b"/", *upgrade, host=b"a.test").body


def test_each_has_its_own_table() -> None:
    with stage() as here:
        here.server.secure_table = None
        assert here.client().get().status == 200
        assert here.secure_client(client_context(), "a.test").get().status == 404


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_a_hello_in_pieces(size: int) -> None:
    """ADV-C: no part of a fragmented ClientHello is ever taken for one without a server name."""
    strict = settings("strict", sni_strict=True)
    with stage(tls_table=table(options=[strict], hosts={"a.test": "strict"})) as here:
        client = here.client()
        client.dribble(hello("A.test."), size)
        assert client.read_to_end() == bytes((21, 3, 1, 0, 2, 2, 112))


def test_a_hello_over_several_records() -> None:
    whole = hello()
    body = whole[5:]
    records = b"".join(
        b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece
        for piece in (body[:1], body[1:9], body[9:100], body[100:])
    )
    with stage() as here:
        client = here.client()
        client.send(records[:20])
        gevent.sleep(0.01)
        client.send(records[20:])
        assert client.read_some()[:3] == b"\x16\x03\x03"


def test_a_large_hello_is_served() -> None:
    """Larger than the first look."""
    many = [f"protocol-{number:03}" for number in range(400)]
    with stage() as here:
        client = here.secure_client(client_context(alpn=[*many, "http/1.1"]), "a.test")
        assert client.get().status == 200


@pytest.mark.behaviour("DP-104")
def test_the_default_certificate_when_there_is_none() -> None:
    with Stage(handler=None, tls=ENGINE, tls_table=table()) as here:
        for name in ("a.test", None):
            client = here.secure_client(client_context(), name)
            assert b"default.test" in client.socket.getpeercert(True)
            assert client.get().status == 404


@pytest.mark.behaviour("DP-105")
def test_exact_beats_wildcard_beats_default() -> None:
    pairs = {"w": authority().issue("*.a.test"), "x": authority().issue("x.a.test")}
    with stage(tls_table=table(pairs)) as here:
        for name, expected in (
            ("x.a.test", b"x.a.test"),
            ("y.a.test", b"*.a.test"),
            ("x.y.a.test", b"default.test"),
            (None, b"default.test"),
        ):
            client = here.secure_client(client_context(), name)
            assert expected in client.socket.getpeercert(True)


def test_the_address_stands_in_for_a_missing_name() -> None:
    with stage(tls_table=table({"ip": authority().issue("127.0.0.1", common_name="by address")})) as here:
        assert b"by address" in here.secure_client(client_context()).socket.getpeercert(True)


@pytest.mark.behaviour("DP-106")
def test_sni_strict_refuses_unknown_names_with_an_alert() -> None:
    with stage(tls_table=table(options=[settings(sni_strict=True)])) as here:
        assert alert_to(here, hello("unknown.test")) == bytes((21, 3, 1, 0, 2, 2, 112))
        with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
            here.secure_client(client_context(), "unknown.test")


@pytest.mark.behaviour("DP-107")
def test_the_version_of_the_hosts_option() -> None:
    newest = settings("newest", min_version="VersionTLS13")
    with stage(tls_table=table(options=[newest], hosts={"a.test": "newest"})) as here:
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
            here.secure_client(client_context(only=TLS12), "a.test")
        assert here.secure_client(client_context(only=TLS12), "b.test").get().status == 200
        assert here.secure_client(client_context(), "a.test").get().status == 200


@pytest.mark.behaviour("DP-110")
def test_a_missing_option_closes_without_a_word() -> None:
    with stage(tls_table=table(hosts={"u.test": "gone"})) as here:
        assert alert_to(here, hello("u.test")) == b""
        assert here.secure_client(client_context(), "b.test").get().status == 200


@pytest.mark.behaviour("DP-111")
def test_alpn() -> None:
    with stage() as here:
        with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
            here.secure_client(client_context(alpn=["foo"]), "a.test")
        none = here.secure_client(client_context(), "a.test")
        assert (none.socket.selected_alpn_protocol(), none.get().status) == (None, 200)
        older = here.secure_client(client_context(alpn=["foo", "http/1.1"]), "a.test")
        assert (older.socket.selected_alpn_protocol(), older.get().status) == ("http/1.1", 200)
        mqtt = settings("mqtt", alpn_protocols=["mqtt"])
        here.server.tls_table = table(options=[mqtt], hosts={"m.test": "mqtt"})
        assert here.secure_client(client_context(alpn=["mqtt"]), "m.test").is_closed()
        assert here.secure_client(client_context(), "m.test").get().status == 200
        both = here.secure_client(client_context(alpn=["http/1.1", "h2"]), "a.test")
        assert both.socket.selected_alpn_protocol() == "h2"


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x2e\x01\x00\x02",
        b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00",
        b"\x16\x04\x00\x00\x05",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x00",
    ],
)
def test_what_is_no_hello_is_refused_with_an_alert(data: bytes) -> None:
    with stage() as here:
        assert alert_to(here, data) == bytes((21, 3, 1, 0, 2, 2, 50))


def test_garbage_behind_a_hello_ends_the_handshake_alone() -> None:
    with stage() as here:
        answer = alert_to(here, hello() + b"\x17\x03\x03\x00\x05junk!")
        assert answer[:1] in (b"\x16", b"\x15")
        assert here.secure_client(client_context(), "a.test").get().status == 200


def test_a_context_that_cannot_be_made_is_an_internal_error() -> None:
    class Broken(TLSEngine):
        def connect(self, *_: object) -> Any:
            from OpenSSL import SSL

            raise SSL.Error("no context")

    with stage(tls=Broken(ENGINE.default)) as here:
        assert alert_to(here, hello()) == bytes((21, 3, 1, 0, 2, 2, 80))


# Stalls


def timeouts(read: float = 5, write: float = 0) -> EntryPoint:
    responding = RespondingTimeouts(read_timeout_seconds=read, write_timeout_seconds=write)
    return EntryPoint(address=":443", transport=Transport(responding_timeouts=responding))


def opening_at(here: Stage, tls: bool) -> Callable[[], bool]:
    return lambda: any(isinstance(one, Opening) and one.is_secure is tls for one in here.server._connections)


@pytest.mark.parametrize(
    "sent", [b"", b"\x16", hello()[:50], hello()[:-1]], ids=["nothing", "byte", "half", "most"]
)
@pytest.mark.behaviour("ADV-F-4")
def test_a_client_that_stalls_before_the_end_of_its_hello_is_closed(sent: bytes) -> None:
    """ADV-F."""
    with stage(options=timeouts()) as here:
        client = here.client()
        client.send(sent)
        wait_until(opening_at(here, tls=False), pause=gevent.sleep)
        here.clock.advance(4.5)
        assert client.hears_nothing(0.05)
        here.clock.advance(1.5)
        assert client.is_closed()


def test_a_hello_of_one_byte_a_second_is_cut_at_the_deadline() -> None:
    """ADV-F: bytes that keep coming buy no time, and cost the others nothing."""
    with stage(options=timeouts()) as here:
        slow = here.client()
        wait_until(opening_at(here, tls=False), pause=gevent.sleep)
        for byte in hello()[:5]:
            slow.send(bytes((byte,)))
            here.clock.advance(1)
            other = here.secure_client(client_context(), "a.test")
            assert other.get().status == 200
            other.close()
        here.clock.advance(1)
        assert slow.is_closed()


@pytest.mark.parametrize(("read", "write", "limit"), [(5, 0, 5), (60, 3, 3), (2, 9, 2), (0, 4, 4)])
@pytest.mark.behaviour("ADV-F-4")
def test_a_client_that_stalls_in_the_handshake_is_closed(read: float, write: float, limit: float) -> None:
    """ADV-F: the smaller of both limits counts."""
    with stage(options=timeouts(read, write)) as here:
        client = here.client()
        client.send(hello())
        client.read_some()
        wait_until(opening_at(here, tls=True), pause=gevent.sleep)
        here.clock.advance(limit - 0.5)
        assert here.server.open_connections == 1
        here.clock.advance(1.5)
        wait_until(lambda: not here.server.open_connections, pause=gevent.sleep)


def test_a_client_that_says_nothing_after_the_handshake_is_closed() -> None:
    with stage(options=timeouts()) as here:
        client = here.secure_client(client_context(), "a.test")
        here.clock.advance(6)
        assert client.is_closed()


@pytest.mark.behaviour("ADV-F-4")
def test_stalled_handshakes_hold_up_nobody() -> None:
    """ADV-F."""
    with stage() as here:
        stalled = [here.client() for _ in range(50)]
        for position, client in enumerate(stalled):
            client.send(hello()[: position * 10])
        assert here.client().get().status == 200
        assert here.secure_client(client_context(), "a.test").get().status == 200


def test_a_client_that_leaves_within_its_hello_is_forgotten() -> None:
    with stage() as here:
        for sent in (b"", hello()[:50]):
            client = here.client()
            client.send(sent)
            wait_until(lambda: here.server.open_connections, pause=gevent.sleep)
            client.close()
            wait_until(lambda: not here.server.open_connections, pause=gevent.sleep)


def test_a_client_that_leaves_during_the_answer_is_noticed() -> None:
    """Its close_notify are bytes, too: a look at the socket alone would not tell."""
    gone: list[bool] = []

    def slow(exchange: Exchange) -> None:
        wait_until(lambda: exchange.client_gone, pause=gevent.sleep)
        gone.append(True)

    with stage(handler=slow) as here:
        client = here.secure_client(client_context(), "a.test")
        client.send(GET)
        wait_until(lambda: here.server.active, pause=gevent.sleep)
        gevent.spawn(client.socket.unwrap)
        wait_until(lambda: gone, pause=gevent.sleep)


# The end


def test_a_handshake_under_way_is_served_before_the_end() -> None:
    with stage() as here:
        client = here.client()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context().wrap_bio(incoming, outgoing, server_hostname="a.test")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        client.send(outgoing.read())
        incoming.write(client.read_some())
        here.server.stop_accepting()
        here.server.close_idle()
        assert not here.server.is_settled
        tls.do_handshake()
        tls.write(GET)
        client.send(outgoing.read())
        incoming.write(client.read_to_end())
        answer = tls.read(65536)
        assert b"200 OK" in answer
        assert b"Connection: close" in answer
        wait_until(lambda: here.server.is_settled, pause=gevent.sleep)


def test_a_fresh_connection_that_asks_nothing_holds_up_the_end_for_a_moment_only() -> None:
    with stage() as here:
        silent = here.secure_client(client_context(), "a.test")
        wait_until(lambda: not opening_at(here, tls=True)(), pause=gevent.sleep)
        here.server.close_idle()
        assert not here.server.is_settled
        here.clock.advance(1.5)
        assert silent.is_closed()
        assert here.server.is_settled


@pytest.mark.parametrize("secure", [False, True])
def test_a_connection_just_accepted_is_served_before_the_end(secure: bool) -> None:
    """Its client has not got round to saying anything."""
    with stage() as here:
        client = here.client()
        wait_until(lambda: here.server.open_connections, pause=gevent.sleep)
        here.server.stop_accepting()
        here.server.close_idle()
        assert not here.server.is_settled
        if secure:
            client.socket = client_context().wrap_socket(client.socket, server_hostname="a.test")
        answer = client.get()
        assert (answer.status, answer[b"connection"]) == (200, b"close")
        wait_until(lambda: here.server.is_settled, pause=gevent.sleep)


@pytest.mark.parametrize("sent", [b"", hello()[:50], hello()], ids=["nothing", "half", "hello"])
def test_a_connection_that_does_not_go_on_holds_up_the_end_for_a_moment_only(sent: bytes) -> None:
    with stage() as here:
        client = here.client()
        client.send(sent)
        wait_until(lambda: here.server.open_connections, pause=gevent.sleep)
        wait_until(opening_at(here, tls=len(sent) > 50), pause=gevent.sleep)
        here.server.close_idle()
        here.clock.advance(1.5)
        wait_until(lambda: here.server.is_settled, pause=gevent.sleep)


def test_an_idle_connection_is_closed_at_the_end_and_says_so() -> None:
    with stage() as here:
        client = here.secure_client(client_context(), "a.test")
        client.get()
        here.server.close_idle()
        assert client.read_to_end() == b""


def test_abort_cuts_handshakes_too() -> None:
    with stage() as here:
        clients = [here.client() for _ in range(3)]
        for client, sent in zip(clients, (b"", hello()[:20], hello()), strict=True):
            client.send(sent)
        wait_until(lambda: here.server.open_connections == 3, pause=gevent.sleep)
        wait_until(opening_at(here, tls=True), pause=gevent.sleep)
        here.server.abort()
        wait_until(lambda: not here.server.open_connections, pause=gevent.sleep)


# Bodies, and clients of another kind


@pytest.fixture
def echo() -> Iterator[Stage]:
    def back(exchange: Exchange) -> None:
        body = b""
        while piece := exchange.read_body():
            body += piece
        exchange.respond(200, (), body)

    with stage(handler=back) as here:
        yield here


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_large_bodies_both_ways(echo: Stage, version: ssl.TLSVersion) -> None:
    body = bytes(range(256)) * 8192
    client = echo.secure_client(client_context(only=version), "a.test")
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    sending = gevent.spawn(client.send, head + body)
    assert client.response().body == body
    sending.get()


def test_blocking_clients_in_threads(echo: Stage) -> None:
    """Handshakes of many clients at once, as the operating system schedules them."""
    answers: list[bytes] = []

    def visit(name: str) -> None:
        raw = plain_socket.create_connection(("127.0.0.1", echo.port), timeout=15)
        with threads_context().wrap_socket(raw, server_hostname=name) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi")
            received = b""
            while piece := client.recv(1000):
                received += piece
            answers.append(received)

    threads = [threading.Thread(target=visit, args=(f"n{number}.test",)) for number in range(20)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answers) == len(threads), pause=gevent.sleep)
    for thread in threads:
        thread.join()
    assert all(answer.endswith(b"\r\n\r\nhi") for answer in answers)


def test_http_on_tls_is_not_taken_for_tls() -> None:
    with stage() as here:
        client = Client(gevent.socket.create_connection(("127.0.0.1", here.port)))
        client.dribble(GET)
        assert client.response().status == 200
        client.close()
