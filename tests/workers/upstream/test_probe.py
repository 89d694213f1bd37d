"""Requests of our own: answers in memory, within bounds, over every kind of connection."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from tests.playbook import Clock
from tests.upstreams import Peer, Script, Upstream, answering, body_of, echo
from tests.waiting import wait_until
from tests.workers.upstream.secured import authority, secured
from tls.client import client_settings
from workers.errors import ProxyError
from workers.upstream.probe import Fetched, fetch
from workers.upstream.transport import Transport, UpstreamServer

OK = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    yield clock
    clock.wheel.close()


@pytest.fixture
def transport(clock: Clock) -> Iterator[Transport]:
    transport = Transport(wheel=clock.wheel, tls=client_settings(root_cas=[authority().pem]))
    yield transport
    transport.close()


def get(transport: Transport, url: str, limit: int = 1000, seconds: float = 5.0, **more: bytes) -> Fetched:
    method, body = more.get("method", b"GET"), more.get("body", b"")
    return fetch(
        transport, UpstreamServer(url), method, b"/check?x=1", b"a.test", [(b"X-B", b"2")], seconds, limit, body
    )


def failure(transport: Transport, url: str, limit: int = 1000) -> str:
    with pytest.raises(ProxyError) as caught:
        get(transport, url, limit)
    return caught.value.failure.kind


def test_request_and_answer(transport: Transport) -> None:
    with Upstream(echo) as upstream:
        answer = get(transport, upstream.url)
        asked = b"GET /check?x=1 HTTP/1.1\r\nHost: a.test\r\nX-B: 2\r\nAccept-Encoding: gzip\r\n\r\n"
        assert answer[:3] == (200, [], asked)
        answer = get(transport, upstream.url, method=b"POST", body=b"form")
        assert answer.body.endswith(b"\r\nContent-Length: 4\r\n\r\nform")
        assert upstream.connections == 1


def test_through_tls(transport: Transport) -> None:
    with Upstream(secured(answering(OK, OK))) as upstream:
        url = upstream.url.replace("http", "https")
        assert get(transport, url)[:3] == (200, [(b"X-A", b"1")], b"ok")
        assert get(transport, url).body == b"ok"
        assert upstream.connections == 1


def test_redirects_are_not_followed(transport: Transport) -> None:
    with Upstream(answering(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")) as upstream:
        assert get(transport, upstream.url)[:3] == (302, [(b"Location", b"/x")], b"")


def test_long_body_in_pieces(transport: Transport) -> None:
    def server(peer: Peer) -> None:
        body_of(peer.read_head(), peer)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n")
        peer.dribble(b"x" * 300_000, 50_000)
        peer.read_to_end()

    with Upstream(server) as upstream:
        assert len(get(transport, upstream.url, 300_000).body) == 300_000


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
    ],
)
def test_answer_above_the_limit_is_a_failure(answer: bytes, transport: Transport) -> None:
    """ADV-F: no sub-request's body is kept without a bound."""
    with Upstream(answering(answer)) as upstream:
        assert failure(transport, upstream.url) == "response_too_large"


def test_a_body_that_nobody_wants_is_not_waited_for(transport: Transport) -> None:
    with Upstream(answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as upstream:
        assert get(transport, upstream.url, 0)[:3] == (204, [], b"")
    with Upstream(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx")) as upstream:
        assert get(transport, upstream.url, 0)[:3] == (200, [], b"")


def stalling(answer: bytes, asked: list[bytes]) -> Script:
    def script(peer: Peer) -> None:
        asked.append(peer.read_head())
        peer.send(answer)
        peer.read_to_end()

    return script


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
def test_one_limit_for_everything(answer: bytes, scheme: str, transport: Transport, clock: Clock) -> None:
    seen: list[bytes] = []
    script = stalling(answer, seen)
    with Upstream(secured(script) if scheme == "https" else script) as upstream:
        asked = gevent.spawn(failure, transport, upstream.url.replace("http", scheme))
        wait_until(lambda: seen, pause=gevent.sleep)
        clock.advance(4.5)
        assert not asked.ready()
        clock.advance(1)
        assert asked.get(timeout=5) == "response_timeout"


def test_a_handshake_that_does_not_end(transport: Transport, clock: Clock) -> None:
    def silent(peer: Peer) -> None:
        peer.read_to_end()

    with Upstream(silent) as upstream:
        asked = gevent.spawn(failure, transport, upstream.url.replace("http", "https"))
        wait_until(lambda: upstream.connections, pause=gevent.sleep)
        clock.advance(5.5)
        assert asked.get(timeout=5) == "response_timeout"


def test_stale_connection_is_replaced(transport: Transport) -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(OK)
        if upstream.connections == 1:
            peer.read_head()
        else:
            peer.read_to_end()

    with Upstream(server) as upstream:
        assert get(transport, upstream.url).body == b"ok"
        assert get(transport, upstream.url).body == b"ok"
        assert upstream.connections == 2


@pytest.mark.parametrize("value", [b"a\r\nX-Evil: 1", b"a\nb"])
def test_values_that_break_their_line_are_refused(value: bytes, transport: Transport) -> None:
    server = UpstreamServer("http://127.0.0.1:9")
    with pytest.raises(ValueError, match="line break"):
        fetch(transport, server, b"GET", b"/", b"a", [(b"X", value)], 1, 0)
