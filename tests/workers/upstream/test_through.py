"""Servers behind other proxies: what is said to the proxy, what to the server, and what the client sees."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.playbook import Stage
from tests.upstreams import Peer, Script, Upstream, answering, echo
from tests.workers.http2.peer import Http2Peer
from tests.workers.upstream.secured import authority, secured, server_context
from tls.client import client_settings
from workers.timers import TimerWheel
from workers.upstream.outgoing import Outgoing
from workers.upstream.transport import Transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CONNECTED = b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n"
SERVER = "10.1.2.3"


def through(environ: dict[str, str]) -> Callable[[TimerWheel], Transport]:
    trusting = client_settings(root_cas=[authority().pem], server_name="localhost")
    return lambda wheel: Transport(wheel=wheel, tls=trusting, outgoing=Outgoing(environ))


@contextmanager
def proxied(
    script: Script, url: str, scheme: str = "http", user: str = "me:secret@", **more: str
) -> Iterator[Stage]:
    """A stage whose one server is at `url`, and a proxy that plays `script`."""
    with Upstream(script) as proxy:
        where = f"{scheme}://{user}127.0.0.1:{proxy.port}"
        environ = {"HTTP_PROXY": where, "HTTPS_PROXY": where}
        with Stage(url=url, transport=through(environ)) as stage:
            stage.upstream = proxy
            yield stage


def tunnel(heads: list[bytes], behind: Script, answer: bytes = CONNECTED) -> Script:
    """A proxy for CONNECT; `behind` plays the server."""

    def script(peer: Peer) -> None:
        heads.append(peer.read_head())
        peer.send(answer)
        behind(peer)

    return script


# Plaintext HTTP/1: requests in absolute form


def test_absolute_form_names_the_server_and_not_what_the_client_says() -> None:
    with proxied(echo, f"http://{SERVER}:8080") as stage:
        seen = stage.client().get(b"/x?y=1", b"Proxy-Authorization: Basic mine", host=b"inner.test").body
    assert seen.startswith(
        b"GET http://10.1.2.3:8080/x?y=1 HTTP/1.1\r\nHost: 10.1.2.3:8080\r\n"
        b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"
    )
    assert b"X-Forwarded-Host: inner.test\r\n" in seen
    assert seen.lower().count(b"proxy-authorization") == seen.count(b"\r\nHost: ") == 1


def test_connections_to_the_proxy_are_used_again() -> None:
    with proxied(answering(OK, OK), f"http://{SERVER}", user="") as stage:
        assert [stage.client().get().body for _ in range(2)] == [b"ok", b"ok"]
        assert stage.upstream is not None
        assert stage.upstream.connections == 1


def test_bodies_and_upgrades_go_the_same_way() -> None:
    with proxied(echo, f"http://{SERVER}", user="") as stage:
        client = stage.client()
        client.send(b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        assert client.response().body.startswith(b"POST http://10.1.2.3/p HTTP/1.1\r\nHost: 10.1.2.3\r\n")

    def switch(peer: Peer) -> None:
        assert peer.read_head().startswith(b"GET http://10.1.2.3/ws HTTP/1.1\r\n")
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        peer.send(peer.read_exactly(4).upper())
        peer.read_to_end()

    with proxied(switch, f"h2c://{SERVER}") as stage:
        client = stage.client()
        client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        assert client.head().status == 101
        client.send(b"ping")
        assert client.read_exactly(4) == b"PING"


def test_a_stale_connection_is_replaced() -> None:
    def once(peer: Peer) -> None:
        peer.read_head()
        peer.send(OK)

    with proxied(once, f"http://{SERVER}") as stage:
        assert [stage.client().get().body for _ in range(3)] == [b"ok"] * 3


def test_who_is_exempt_is_asked_directly() -> None:
    with Upstream(echo) as server, proxied(answering(), server.url) as stage:
        assert stage.client().get().body.startswith(b"GET / HTTP/1.1\r\nHost: a.example\r\n")
    with proxied(answering(), "http://127.0.0.1:1") as stage:
        assert stage.client().get().status == 502


# Tunnels


def http2_server(peer: Peer) -> None:
    server = Http2Peer(peer)
    stream, _ = server.request()
    server.h2.send_headers(stream, [(b":status", b"200")])
    server.h2.send_data(stream, b"two", end_stream=True)
    server.flush()
    peer.read_to_end()


def test_tls_is_the_servers_own() -> None:
    heads: list[bytes] = []
    with proxied(tunnel(heads, secured(echo)), f"https://{SERVER}:444") as stage:
        client = stage.client()
        assert client.get(b"/x").body.startswith(b"GET /x HTTP/1.1\r\nHost: a.example\r\n")
        assert client.get(b"/y").body.startswith(b"GET /y HTTP/1.1\r\nHost: a.example\r\n")
    assert heads == [
        b"CONNECT 10.1.2.3:444 HTTP/1.1\r\nHost: 10.1.2.3:444\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n"
    ]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", 500),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", 500),
        (b"HTTP/1.1 301 Moved\r\nLocation: http://b\r\n\r\n", 500),
        (b"garbage\r\n\r\n", 500),
        (b"", 500),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000, 500),
        (CONNECTED, 502),
    ],
)
def test_a_tunnel_that_does_not_come_about(answer: bytes, status: int) -> None:
    """As the original answers: what the proxy says is our failure, an end within TLS the server's."""
    with proxied(tunnel([], lambda peer: None, answer), f"https://{SERVER}") as stage:
        assert stage.client().get().status == status


def test_a_proxy_that_is_not_there() -> None:
    with Stage(url=f"http://{SERVER}", transport=through({"HTTP_PROXY": "http://127.0.0.1:1"})) as stage:
        assert stage.client().get().status == 502


def test_a_silent_proxy() -> None:
    def silent(peer: Peer) -> None:
        peer.read_head()
        stage.clock.advance(61)
        peer.read_to_end()

    with proxied(silent, f"https://{SERVER}") as stage:
        assert stage.client().get().status == 504


def test_http2_without_tls_is_tunnelled() -> None:
    heads: list[bytes] = []
    with proxied(tunnel(heads, http2_server), f"h2c://{SERVER}:9000") as stage:
        assert stage.client().get().body == b"two"
    assert heads[0].startswith(b"CONNECT 10.1.2.3:9000 HTTP/1.1\r\n")


# Proxies behind TLS


def test_a_server_behind_tls_behind_a_proxy_behind_tls() -> None:
    def script(peer: Peer) -> None:
        assert peer.read_head().startswith(b"CONNECT 10.1.2.3:443 ")
        peer.send(CONNECTED)
        arriving, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        inner = server_context().wrap_bio(arriving, leaving, server_side=True)
        _served(peer, arriving, leaving, inner.do_handshake)
        head = _served(peer, arriving, leaving, lambda: inner.read(65536))
        assert head.startswith(b"GET /x HTTP/1.1\r\nHost: a.example\r\n")
        inner.write(OK)
        peer.send(leaving.read())
        peer.read_to_end()

    with proxied(secured(script), f"https://{SERVER}", "https") as stage:
        assert stage.client().get(b"/x").body == b"ok"


def _served(peer: Peer, arriving: Any, leaving: Any, step: Callable[[], Any]) -> Any:
    """What `step` gives once the bytes that it wants have come through the tunnel."""
    while True:
        try:
            return step()
        except ssl.SSLWantReadError:
            peer.send(leaving.read())
            arriving.write(peer.read_some())


def test_a_proxy_behind_tls() -> None:
    with proxied(secured(echo), f"http://{SERVER}", "https") as stage:
        client = stage.client()
        assert client.get().body.startswith(b"GET http://10.1.2.3/ HTTP/1.1\r\n")
        assert client.get().body.startswith(b"GET http://10.1.2.3/ HTTP/1.1\r\n")
        assert stage.upstream is not None
        assert stage.upstream.connections == 1


def test_a_direction_that_ends_through_a_proxy_behind_tls_does_not_end_the_other() -> None:
    def switch(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        peer.send(peer.read_to_end().upper() * 1000)

    with proxied(secured(switch), f"http://{SERVER}", "https") as stage:
        client = stage.client()
        client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        assert client.head().status == 101
        client.send(b"ping")
        client.half_close()
        assert client.read_to_end() == b"PING" * 1000


def test_no_descriptors_for_a_proxy_behind_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with proxied(secured(answering()), f"http://{SERVER}", "https") as stage:
        client = stage.client()
        with monkeypatch.context() as patched:
            patched.setattr(socket, "socketpair", refuse)
            assert client.get().status == 502


# SOCKS


def socks(behind: Script, seen: list[bytes], code: int = 0, method: int = 2) -> Script:
    def script(peer: Peer) -> None:
        seen.append(peer.read_exactly(peer.read_exactly(2)[1]))
        peer.send(bytes([5, method]))
        if method == 2:
            head = peer.read_exactly(2)
            user = peer.read_exactly(head[1])
            seen.append(user + b":" + peer.read_exactly(peer.read_exactly(1)[0]))
            peer.send(b"\x01\x00")
        if method in (0, 2):
            seen.append(_place(peer))
            peer.send(bytes([5, code, 0, 3, 1]) + b"x\0\0")
            if not code:
                behind(peer)
        peer.read_to_end()

    return script


def _place(peer: Peer) -> bytes:
    kind = peer.read_exactly(4)[3]
    size = {1: 4, 4: 16}.get(kind) or peer.read_exactly(1)[0]
    return bytes([kind]) + peer.read_exactly(size + 2)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (f"http://{SERVER}:8080", b"\x01\x0a\x01\x02\x03\x1f\x90"),
        ("http://[fe80::1%25lo]", b"\x04\xfe\x80" + b"\0" * 13 + b"\x01\x00\x50"),
        ("http://[fd00::1]", b"\x04\xfd" + b"\0" * 14 + b"\x01\x00\x50"),
        ("http://a.test", b"\x03a.test\x00\x50"),
    ],
)
def test_through_socks_requests_are_the_servers(url: str, place: bytes) -> None:
    seen: list[bytes] = []
    with proxied(socks(echo, seen), url, "socks5") as stage:
        assert stage.client().get(b"/x").body.startswith(b"GET /x HTTP/1.1\r\nHost: a.example\r\n")
    assert seen == [b"\x00\x02", b"me:secret", place]


def test_socks_without_credentials() -> None:
    seen: list[bytes] = []
    with proxied(socks(echo, seen, method=0), f"http://{SERVER}", "socks5h", "") as stage:
        assert stage.client().get().status == 200
    assert seen[0] == b"\x00"


@pytest.mark.parametrize(("code", "method"), [(5, 0), (99, 0), (0, 255), (0, 1)])
def test_socks_refusals(code: int, method: int) -> None:
    with proxied(socks(echo, [], code, method), f"http://{SERVER}", "socks5") as stage:
        assert stage.client().get().status == 502


def test_no_socks_at_all() -> None:
    with proxied(
        lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), f"http://{SERVER}", "socks5"
    ) as stage:
        assert stage.client().get().status == 502


def test_an_address_of_no_known_kind_in_an_answer() -> None:
    def script(peer: Peer) -> None:
        peer.read_exactly(4)
        peer.send(b"\x05\x00")
        peer.read_exactly(10)
        peer.send(b"\x05\x00\x00\x02\x00\x00\x00" + OK)
        peer.read_to_end()

    with proxied(script, f"http://{SERVER}", "socks5") as stage:
        assert stage.client().get().status == 502
