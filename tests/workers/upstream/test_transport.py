"""Servers from URLs, pools by key, dialling and resolving."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.playbook import Clock
from tests.upstreams import Peer, Upstream
from tests.workers.upstream.connections import connection_to
from workers.errors import ProxyError
from workers.upstream import dial
from workers.upstream.transport import Transport, UpstreamServer


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    yield clock
    clock.wheel.close()


def silent(peer: Peer) -> None:
    peer.read_to_end()


@pytest.mark.parametrize(
    ("url", "key", "host"),
    [
        ("http://10.0.0.1:8080", ("http", "10.0.0.1", 8080), b"10.0.0.1:8080"),
        ("HTTP://Svc.Local/base?x=1", ("http", "svc.local", 80), b"Svc.Local"),
        ("http://[::1]:81", ("http", "::1", 81), b"[::1]:81"),
        ("http://user:secret@a", ("http", "a", 80), b"a"),
        ("https://a", ("https", "a", 443), b"a"),
        ("h2c://a", ("h2c", "a", 80), b"a"),
    ],
)
def test_server_from_url(url: str, key: tuple[str, str, int], host: bytes) -> None:
    server = UpstreamServer(url)
    assert (server.key, server.host_header, server.name) == (key, host, url)
    assert (server.address is not None) == (server.host[0] in "1:")


@pytest.mark.parametrize(
    ("path", "target", "sent"),
    [
        ("", b"/x?y", b"/x?y"),
        ("/", b"/x", b"/x"),
        ("/base", b"/x?y", b"/base/x?y"),
        ("/base/", b"/", b"/base/"),
        ("/a%2Fb c?q#f", b"/x", b"/a%2Fb%20c/x"),
    ],
)
def test_path_of_the_url_where_it_counts(path: str, target: bytes, sent: bytes) -> None:
    head = b"GET " + target + b" HTTP/1.1\r\nHost: b\r\n\r\n"
    kept = UpstreamServer(f"http://a{path}", preserve_path=True).with_path(head, b"GET")
    assert kept == b"GET " + sent + b" HTTP/1.1\r\nHost: b\r\n\r\n"
    assert UpstreamServer(f"http://a{path}").with_path(head, b"GET") == head


@pytest.mark.parametrize("url", ["", "a:80", "ftp://a", "http://", "http:///x", "http://a:b", "http://a:70000"])
def test_bad_urls(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        UpstreamServer(url)


def test_one_pool_for_each_server_and_transport(clock: Clock) -> None:
    one, two = Transport(wheel=clock.wheel), Transport(wheel=clock.wheel)
    server = UpstreamServer("http://a:80")
    assert one.pool(server) is one.pool(UpstreamServer("http://A/x"))
    assert one.pool(server) is not one.pool(UpstreamServer("http://a:81"))
    assert one.pool(server) is not two.pool(server)


@pytest.mark.parametrize(("given", "limit"), [(200, 200), (0, 2), (-1, 0)])
def test_idle_limit(given: int, limit: int, clock: Clock) -> None:
    transport = Transport(max_idle_per_host=given, wheel=clock.wheel)
    assert transport.pool(UpstreamServer("http://a"))._limit == limit


def test_names_are_resolved_and_remembered(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    with Upstream(silent) as upstream:
        asked: list[str] = []

        class Fake:
            def getaddrinfo(self, host: str, port: int, *_: object) -> list[tuple[object, ...]]:
                asked.append(host)
                refused = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))
                return [refused, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        class Hub:
            resolver = Fake()

        monkeypatch.setattr(dial, "get_hub", Hub)
        transport = Transport(wheel=clock.wheel)
        server = UpstreamServer(f"http://service.test:{upstream.port}")
        for _ in range(2):
            connection_to(transport, server).close()
        assert asked == ["service.test"]
        clock.advance(6)
        connection = connection_to(transport, server)
        clock.advance(6)
        connection_to(transport, server).close()
        assert asked == ["service.test"] * 3
        connection.close()


def test_unknown_name_is_unreachable(clock: Clock) -> None:
    transport = Transport(wheel=clock.wheel, dial_timeout_seconds=10)
    with pytest.raises(ProxyError) as caught:
        connection_to(transport, UpstreamServer("http://no-such-name.invalid"))
    assert caught.value.failure.status in (502, 504)


def test_refused_address_is_unreachable(clock: Clock) -> None:
    with Upstream(silent) as gone:
        server = UpstreamServer(gone.url)
    with pytest.raises(ProxyError) as caught:
        Transport(wheel=clock.wheel).acquire(server)
    assert (caught.value.failure.kind, caught.value.failure.status) == ("unreachable", 502)


def test_closed_transport_keeps_no_connection(clock: Clock) -> None:
    with Upstream(silent) as upstream:
        transport = Transport(wheel=clock.wheel)
        server = UpstreamServer(upstream.url)
        idle, used = connection_to(transport, server), connection_to(transport, server)
        idle.pool.put(idle)
        transport.close()
        assert idle.stream.closed
        assert not used.stream.closed
        used.pool.put(used)
        assert used.stream.closed


def test_servers_that_are_gone_are_forgotten(clock: Clock) -> None:
    """ADV-F: pods come and go for months, the transport stays."""
    with Upstream(silent) as upstream:
        transport = Transport(wheel=clock.wheel)
        server = UpstreamServer(upstream.url)
        idle, used = (
            connection_to(transport, server),
            connection_to(transport, UpstreamServer(upstream.url + "/other")),
        )
        idle.pool.put(idle)
        for port in range(1, 5001):
            transport.pool(UpstreamServer(f"http://192.0.2.1:{port}"))
        assert len(transport._pools) <= 128
        assert connection_to(transport, server) is idle
        for port in range(1, 5001):
            transport.pool(UpstreamServer(f"http://192.0.2.1:{port}"))
        for connection in (idle, used):
            connection.pool.put(connection)
            assert connection.stream.closed, "its pool was forgotten"
        transport.close()
