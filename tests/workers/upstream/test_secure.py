"""Servers behind TLS, option by option, against real sockets; failures as the client sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import ssl

from tests.playbook import Clock, Stage
from tests.tls.pki import DAY, Authority
from tests.upstreams import Peer, Script, Upstream, answering, echo
from tests.waiting import wait_until
from tests.workers.secure import TLS12, TLS13
from tests.workers.upstream.connections import connection_to
from tests.workers.upstream.secured import Handshake, authority, local_pair, secured, server_context
from tls.client import ClientContext, client_settings
from workers.errors import ProxyError
from workers.timers import TimerWheel
from workers.upstream.transport import Transport, UpstreamServer

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"


def silent(peer: Peer) -> None:
    peer.read_to_end()


def https(upstream: Upstream) -> str:
    return upstream.url.replace("http", "https")


def transport(**options: Any) -> Callable[[TimerWheel], Transport]:
    """Trusts the test's authority unless told otherwise."""
    options.setdefault("root_cas", [authority().pem])
    return lambda wheel: Transport(wheel=wheel, tls=client_settings(**options))


def answer(script: Script, make: Callable[[TimerWheel], Transport]) -> tuple[int, bytes]:
    """Status and body that a client gets."""
    with Upstream(script) as upstream, Stage(url=https(upstream), transport=make) as stage:
        response = stage.client().get()
        if response.status >= 500:
            assert response[b"content-type"] is None
        return response.status, response.body


FAILED = (500, b"Internal Server Error")
REFUSED = (502, b"Bad Gateway")
SERVED = (200, b"ok")


def test_request_through_tls() -> None:
    with Upstream(secured(echo)) as upstream, Stage(url=https(upstream), transport=transport()) as stage:
        client = stage.client()
        assert client.get(b"/x?y").body.startswith(b"GET /x?y HTTP/1.1\r\nHost: a.example\r\n")
        assert client.get().status == 200
        assert upstream.connections == 1


@pytest.mark.behaviour("DP-70")
def test_unknown_authority_is_500_unless_nobody_looks() -> None:
    script = secured(answering(OK))
    assert answer(script, transport(root_cas=[])) == FAILED
    assert answer(script, transport(root_cas=[Authority().pem])) == FAILED
    assert answer(script, transport(root_cas=[], insecure_skip_verify=True)) == SERVED
    assert answer(script, transport()) == SERVED


@pytest.mark.behaviour("DP-71")
@pytest.mark.parametrize("nonsense", [OK, b"220 mail.test ESMTP, no TLS here\r\n"])
def test_server_that_speaks_no_tls_is_500(nonsense: bytes) -> None:
    def plain(peer: Peer) -> None:
        peer.read_some()
        peer.send(nonsense)
        peer.read_some()

    assert answer(plain, transport()) == FAILED


def test_wrong_name_and_expired_certificate_are_500() -> None:
    other = authority().issue("b.test")
    assert answer(secured(answering(OK), server_context(other)), transport()) == FAILED
    assert answer(secured(answering(OK), server_context(other)), transport(server_name="b.test")) == SERVED
    expired = authority().issue("127.0.0.1", valid=-DAY)
    assert answer(secured(answering(OK), server_context(expired)), transport()) == FAILED


@pytest.mark.parametrize(("name", "sni"), [("", None), ("b.test", "b.test")])
def test_server_name_is_sent_for_names_only(name: str, sni: str | None) -> None:
    seen: list[str | None] = []
    context = server_context(authority().issue("b.test", "127.0.0.1"))
    context.sni_callback = lambda _socket, asked, _context: seen.append(asked)
    assert answer(secured(answering(OK), context), transport(server_name=name)) == SERVED
    assert set(seen) == {sni}


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_client_certificate(version: ssl.TLSVersion) -> None:
    ours = authority().issue("me", usage="client", common_name="me")
    context = server_context(client_ca=authority().pem, only=version)
    seen: list[Handshake] = []
    script = secured(answering(OK), context, seen)
    assert answer(script, transport(certificates=[ours.loaded()])) == SERVED
    assert seen[0].subject == ((("commonName", "me"),),)
    assert answer(script, transport()) == REFUSED


@pytest.mark.parametrize(("uri", "expected"), [("spiffe://test/web", SERVED), ("spiffe://test/we", FAILED)])
@pytest.mark.parametrize("skip", [False, True])
def test_peer_uri(uri: str, expected: tuple[int, bytes], skip: bool) -> None:
    def server(peer: Peer) -> None:
        if peer.read_some():
            peer.send(OK)

    make = transport(peer_cert_uri=uri, insecure_skip_verify=skip)
    assert answer(secured(server), make) == expected


def test_versions() -> None:
    old = secured(answering(OK), server_context(only=TLS12))
    assert answer(old, transport(min_version="VersionTLS13")) == REFUSED
    assert answer(old, transport(max_version="VersionTLS12")) == SERVED
    new = secured(answering(OK), server_context(only=TLS13))
    assert answer(new, transport(max_version="VersionTLS12")) == REFUSED


def test_cipher_suites() -> None:
    seen: list[Handshake] = []
    script = secured(answering(OK), server_context(only=TLS12), seen)
    assert answer(script, transport(cipher_suites=["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"])) == SERVED
    assert seen[0].cipher == "ECDHE-ECDSA-AES256-GCM-SHA384"


def test_server_that_hangs_up_in_the_handshake_is_502() -> None:
    def hang_up(peer: Peer) -> None:
        peer.read_some()

    assert answer(hang_up, transport()) == REFUSED
    assert answer(Peer.reset, transport()) == REFUSED


def test_handshake_has_ten_seconds() -> None:
    with Upstream(silent) as upstream, Stage(url=https(upstream), transport=transport()) as stage:
        client = stage.client()
        client.send(GET)
        wait_until(lambda: upstream.connections, pause=gevent.sleep)
        stage.clock.advance(9.5)
        assert client.hears_nothing(0.05)
        stage.clock.advance(1)
        response = client.response()
        assert (response.status, response.body) == (504, b"Gateway Timeout")


# Connections


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    yield clock
    clock.wheel.close()


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_sessions_are_resumed_within_a_pool_only(version: ssl.TLSVersion) -> None:
    seen: list[Handshake] = []

    def once(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        peer.read_some()

    context = server_context(only=version)
    with Upstream(secured(once, context, seen)) as upstream:
        for _ in range(2):
            make = transport(peer_cert_uri="spiffe://test/web")
            with Stage(url=https(upstream), transport=make) as stage:
                client = stage.client()
                for number in range(3):
                    assert client.get().status == 200
                    pool = next(iter(stage.transport._pools.values()))
                    wait_until(lambda pool=pool: len(pool) == 1, pause=gevent.sleep)  # type: ignore[misc]
                    pool.discard(pool.idle[0])
                    assert seen[-1].resumed == (number > 0)


def test_surplus_bytes_end_a_secured_connection() -> None:
    """ADV-D: an answer that nobody asked for, in a record of its own, meets no request."""
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(OK)
        if upstream.connections == 1:
            peer.send(evil)
        peer.read_to_end()

    with Upstream(secured(server)) as upstream, Stage(url=https(upstream), transport=transport()) as stage:
        client = stage.client()
        client.send(GET + GET)
        assert client.response().body == b"ok"
        assert client.response().body == b"ok"
        assert upstream.connections == 2


def test_session_tickets_do_not_end_an_idle_connection(clock: Clock) -> None:
    """They come after the handshake, when nobody reads."""

    with Upstream(secured(silent, server_context(only=TLS13))) as upstream:
        made = Transport(wheel=clock.wheel, tls=client_settings(root_cas=[authority().pem]))
        one = connection_to(made, UpstreamServer(https(upstream)))
        wait_until(lambda: one.stream.ready, pause=gevent.sleep)
        one.pool.put(one)
        assert not one.stream.closed
        assert not one.stream.ready
        made.close()


def test_idle_timeout_and_limit_of_secured_connections(clock: Clock) -> None:
    with Upstream(secured(silent)) as upstream:
        settings = client_settings(root_cas=[authority().pem])
        made = Transport(wheel=clock.wheel, tls=settings, idle_conn_timeout_seconds=90, max_idle_per_host=1)
        server = UpstreamServer(https(upstream))
        one, two = connection_to(made, server), connection_to(made, server)
        one.pool.put(one)
        two.pool.put(two)
        assert two.stream.closed
        clock.advance(89)
        assert not one.stream.closed
        clock.advance(2)
        assert one.stream.closed


def test_pools_are_apart_where_anything_differs(clock: Clock) -> None:
    server = UpstreamServer("https://a:443")
    settings = [
        client_settings(),
        client_settings(server_name="b"),
        client_settings(insecure_skip_verify=True),
        client_settings(root_cas=[authority().pem]),
        client_settings(certificates=[local_pair().loaded()]),
        client_settings(peer_cert_uri="spiffe://x"),
        client_settings(max_version="VersionTLS12"),
        client_settings(cipher_suites=["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]),
    ]
    keys = {Transport(wheel=clock.wheel, tls=one).pool(server).key for one in settings}
    assert len(keys) == len(settings)
    made = Transport(wheel=clock.wheel)
    assert made.pool(server) is not made.pool(UpstreamServer("http://a:443"))
    assert made.pool(server).key != made.pool(UpstreamServer("h2c://a:443")).key


def test_upgrade_through_tls() -> None:
    def server(peer: Peer) -> None:
        assert b"\r\nUpgrade: x\r\n" in peer.read_head()
        peer.send(SWITCH)
        peer.send(peer.read_exactly(4))
        assert peer.read_to_end() == b""

    with Upstream(secured(server)) as upstream, Stage(url=https(upstream), transport=transport()) as stage:
        client = stage.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        assert client.head().status == 101
        client.send(b"ping")
        assert client.read_exactly(4) == b"ping"
        client.half_close()
        assert client.read_to_end() == b""


def test_an_end_without_close_notify_cuts_the_answer() -> None:
    """ADV-D: who cuts the connection must not decide where a body ends."""

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nbegun")  # and TCP ends, without a word of TLS

    with Upstream(secured(server)) as upstream, Stage(url=https(upstream), transport=transport()) as stage:
        client = stage.client()
        client.send(GET)
        assert client.head().status == 200
        assert client.read_exactly(10) == b"5\r\nbegun\r\n"
        assert client.is_closed()


def test_bad_names_cost_the_request_only(clock: Clock) -> None:
    with Upstream(secured(answering(OK))) as upstream:
        made = Transport(wheel=clock.wheel, tls=client_settings(server_name="a..b"))
        with pytest.raises(ProxyError) as caught:
            connection_to(made, UpstreamServer(https(upstream)))
        assert caught.value.failure.status == 500


def test_nothing_is_left_open_whatever_goes_wrong_before_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    clock = Clock()
    monkeypatch.setattr(ClientContext, "connect", fail)
    with Upstream(silent) as upstream:
        made = Transport(wheel=clock.wheel, tls=client_settings())
        with pytest.raises(ZeroDivisionError):
            made.acquire(UpstreamServer(https(upstream)))
        assert "0 users" in repr(clock.wheel)
    clock.wheel.close()
