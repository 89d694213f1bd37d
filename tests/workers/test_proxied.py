"""PROXY headers in front of HTTP, TLS and TCP routers: whose are believed, slow ones, wrong ones."""

from __future__ import annotations

import pytest

from config.static import EntryPoint
from config.static_entrypoint import RespondingTimeouts, Transport
from config.static_protocols import ProxyProtocol
from tests.playbook import Stage
from tests.upstreams import Peer, Upstream
from tests.workers.secure import client_context
from tests.workers.tcp.staging import ENGINE, https, router, runtime, service, stage, transport
from workers.exchange import Exchange
from workers.proxy_protocol import Endpoint, write

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
V1 = b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"
V2 = write(2, Endpoint("2001:db8::1", 4000), Endpoint("2001:db8::2", 443))


def show(exchange: Exchange) -> None:
    """Answer with the lines that tell the server of the client."""
    lines = [name + b": " + value for name, value in exchange.request.headers]
    exchange.respond(200, (), b"\n".join(lines))


def proxied(policy: ProxyProtocol, *, read_timeout_seconds: float = 60.0) -> Stage:
    timeouts = RespondingTimeouts(read_timeout_seconds=read_timeout_seconds)
    options = EntryPoint(address=":80", proxy_protocol=policy, transport=Transport(responding_timeouts=timeouts))
    return Stage(handler=show, tls=ENGINE, tls_table=https(), options=options)


TRUSTED = ProxyProtocol(trusted_ips=["127.0.0.0/8"])
FOREIGN = ProxyProtocol(trusted_ips=["192.0.2.0/24"])


@pytest.mark.behaviour("DP-64")
@pytest.mark.parametrize(
    ("policy", "header", "seen"),
    [
        (TRUSTED, V1, b"1.2.3.4"),
        (ProxyProtocol(insecure=True), V1, b"1.2.3.4"),
        (TRUSTED, V2, b"2001:db8::1"),
        (FOREIGN, V1, b"127.0.0.1"),
        (FOREIGN, V2, b"127.0.0.1"),
        (TRUSTED, b"", b"127.0.0.1"),
        (FOREIGN, b"", b"127.0.0.1"),
        (TRUSTED, b"PROXY UNKNOWN\r\n", b"127.0.0.1"),
    ],
    ids=["v1", "insecure", "v2", "foreign v1", "foreign v2", "none", "foreign none", "unknown"],
)
def test_the_server_is_told_of_the_real_client(policy: ProxyProtocol, header: bytes, seen: bytes) -> None:
    with proxied(policy) as here:
        client = here.client()
        client.send(header + GET)
        assert b"X-Real-Ip: " + seen + b"\n" in client.response().body


@pytest.mark.parametrize(
    "header", [V1, V2, V2[:14] + b"\x40\x24" + V2[16:] + bytes(16384)], ids=["v1", "v2", "tlvs"]
)
def test_header_in_pieces_and_with_much_behind_its_addresses(header: bytes) -> None:
    with proxied(TRUSTED) as here:
        client = here.client()
        client.dribble(header[:60])
        client.send(header[60:] + GET)
        assert b"127.0.0.1" not in client.response().body


def test_what_follows_the_header_may_be_tls() -> None:
    with proxied(TRUSTED) as here:
        client = here.client()
        client.send(V1)
        client.socket = client_context().wrap_socket(client.socket, server_hostname="a.test")
        assert b"X-Real-Ip: 1.2.3.4\n" in client.get(b"/").body


@pytest.mark.parametrize("policy", [TRUSTED, FOREIGN])
@pytest.mark.parametrize(
    "header",
    [b"PROXY TCP5 1 2\r\n", V2[:12] + b"\x31" + V2[13:], b"PROXY " + b"a" * 200],
    ids=["family", "version", "long"],
)
def test_wrong_header_closes(policy: ProxyProtocol, header: bytes) -> None:
    """Also one that would not be believed."""
    with proxied(policy) as here:
        client = here.client()
        client.send(header)
        assert client.is_closed()


def test_second_header_is_what_the_client_sent() -> None:
    with proxied(TRUSTED) as here:
        client = here.client()
        client.send(V1 + V1 + GET)
        assert client.response().status == 400


def test_without_the_option_a_header_is_no_http() -> None:
    with Stage(handler=show, tls=ENGINE, tls_table=https()) as here:
        client = here.client()
        client.send(V1 + GET)
        assert client.response().status == 400


def test_slow_header_is_bounded_by_the_read_timeout() -> None:
    with proxied(TRUSTED, read_timeout_seconds=5) as here:
        silent, slow = here.client(), here.client()
        slow.send(V2[:30])
        assert slow.hears_nothing(0.05)
        here.clock.advance(4)
        assert slow.hears_nothing(0.05)
        here.clock.advance(2)
        assert slow.is_closed()
        here.clock.advance(1)
        assert silent.is_closed()


def test_end_within_a_header_closes() -> None:
    with proxied(TRUSTED) as here:
        for begun in (b"", V1[:9], V2[:20], V2[:30]):
            client = here.client()
            client.send(begun)
            client.half_close()
            assert client.is_closed()


def test_tcp_router_and_its_server_see_the_real_client() -> None:
    seen: list[bytes] = []

    def script(peer: Peer) -> None:
        seen.append(peer.read_until(b"\r\n"))
        peer.send(b"banner")

    with Upstream(script) as server:
        running = runtime(
            {"r": router("ClientIP(`1.2.3.4`)")},
            {"s": service(server.port, servers_transport="t")},
            transports={"t": transport(proxy=1)},
        )
        with proxied(TRUSTED) as here:
            here.server.tcp_table = running.tables["web"]
            client = here.client()
            client.send(V1)
            assert client.read_exactly(6) == b"banner"
            assert seen == [V1]
            other = here.client()
            other.send(GET)
            assert other.response().status == 200


def test_silent_peer_without_a_header_hears_a_server_that_speaks_first() -> None:
    """As long as a header may come it is waited for."""

    def script(peer: Peer) -> None:
        peer.send(b"banner")
        peer.read_to_end()

    with Upstream(script) as server, proxied(TRUSTED, read_timeout_seconds=5) as here:
        here.server.tcp_table = runtime({"r": router()}, {"s": service(server.port)}).tables["web"]
        client = here.client()
        assert client.hears_nothing(0.05)
        here.clock.advance(6)
        assert client.read_exactly(6) == b"banner"


@pytest.mark.parametrize("version", [1, 2])
def test_server_is_told_before_its_tls_begins(version: int) -> None:
    seen: list[bytes] = []

    def script(peer: Peer) -> None:
        seen.append(peer.read_exactly(len(expected) + 1))

    with Upstream(script) as server:
        running = runtime(
            {"r": router()},
            {"s": service(server.port, is_tls=True, servers_transport="t")},
            transports={"t": transport(proxy=version, tls={"insecure_skip_verify": True})},
        )
        with stage(running) as here:
            client = here.client()
            expected = write(version, Endpoint(*client.socket.getsockname()), Endpoint("127.0.0.1", here.port))
            assert client.is_closed()
        assert seen == [expected + b"\x16"]
