"""Errors: which answers are replaced, by what page, and what travels to the page's service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gevent
import pytest
from gevent.event import Event

from config.middlewares_responses import Errors
from tests.playbook import Stage, respond
from tests.upstreams import Peer, Script, Upstream, answering, echo
from tests.waiting import wait_until
from tests.workers.middlewares.around import behind, context, noted, ok, post, service
from workers.building import BuildError
from workers.errors import UNREACHABLE, ProxyError
from workers.exchange import Exchange, Handler, ResponseHead
from workers.middlewares import bodies
from workers.middlewares.errors import errors

BROKEN = ok(b"broken", b"X-Broken: 1", b"Retry-After: 5", status=b"503 Service Unavailable")
GET = b"GET /p?q=1 HTTP/1.1\r\nHost: h\r\n\r\n"


@contextmanager
def stage(
    script: Script | None = None, page: Script = echo, handler: Handler | None = None, **options: object
) -> Iterator[Stage]:
    with Upstream(page) as pages:
        values = {"status": ["500-599"], "query": "/{status}.html", "service": "page"} | options
        with behind(
            errors,
            Errors(**values),  # type: ignore[arg-type]
            script,
            handler=handler,
            services=lambda transport: {"page": service(pages.url, transport)},
        ) as where:
            where.pages = pages  # type: ignore[attr-defined]
            yield where


@pytest.mark.behaviour("MW-147")
def test_page_takes_the_place_of_the_answer() -> None:
    page = ok(b"sorry", b"X-Page: 1")
    with stage(answering(BROKEN), answering(page)) as where:
        response = where.client().get()
        assert (response.status, response.body, response[b"x-page"]) == (503, b"sorry", b"1")
        assert response[b"x-broken"] is None
        assert response[b"retry-after"] is None
    with stage(answering(BROKEN)) as where:
        assert where.client().get().body.startswith(b"GET /503.html HTTP/1.1\r\nHost: a.example\r\n")


@pytest.mark.behaviour("MW-148")
@pytest.mark.parametrize(
    ("page", "body"),
    [
        (ok(b"nope", status=b"404 Not Found"), b"nope"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\nEtag: x\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", b"Internal Server Error"),
        (b"", b"Bad Gateway"),
    ],
)
def test_status_of_the_page_does_not_matter(page: bytes, body: bytes) -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(page)

    with stage(answering(BROKEN), server) as where:
        response = where.client().get()
        assert (response.status, response.body) == (503, body)


@pytest.mark.behaviour("MW-149")
def test_rewritten_status() -> None:
    pot = ok(b"tea", status=b"418 Teapot")
    with stage(
        answering(pot), status=["418"], status_rewrites={"418": 404}, query="/{status}-{originalStatus}"
    ) as where:
        response = where.client().get()
        assert response.status == 404
        assert response.body.startswith(b"GET /404-418 ")


@pytest.mark.behaviour("MW-150")
def test_page_is_fetched_with_get_and_without_body() -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.read_exactly(5)
        peer.send(BROKEN)

    with stage(server) as where:
        client = where.client()
        client.send(post(b"hello", b"Content-Type: a/b"))
        body = client.response().body
        assert body.startswith(b"GET /503.html ")
        assert body.endswith(b"\r\n\r\n")
        assert b"ontent-Length" not in body


@pytest.mark.behaviour("MW-151")
def test_url_in_the_query() -> None:
    with stage(answering(BROKEN), query="/?u={url}") as where:
        client = where.client()
        client.send(GET)
        assert client.response().body.startswith(b"GET /?u=http%3A%2F%2Fh%2Fp%3Fq%3D1 HTTP/1.1\r\n")


@pytest.mark.behaviour("MW-152")
@pytest.mark.behaviour("ADV-I-5")
def test_headers_that_go_along() -> None:
    """ADV-I: an empty list keeps credentials from the page's service."""
    lines = [b"Cookie: c", b"Authorization: a", b"X-A: 1"]
    with stage(answering(BROKEN)) as where:
        body = where.client().get(b"/", *lines).body
        assert all(line in body for line in lines)
        assert b"X-Forwarded-For" not in body
    with stage(answering(BROKEN), error_request_headers=[]) as where:
        assert where.client().get(b"/", *lines).body.split(b"\r\n")[1:] == [
            b"Host: a.example",
            b"Accept-Encoding: gzip",
            b"",
            b"",
        ]
    with stage(answering(BROKEN), error_request_headers=["x-a"]) as where:
        assert where.client().get(b"/", *lines).body.split(b"\r\n")[2:] == [
            b"X-A: 1",
            b"Accept-Encoding: gzip",
            b"",
            b"",
        ]


@pytest.mark.behaviour("MW-153")
def test_answers_of_middlewares_inside_are_caught() -> None:
    def refuse(exchange: Exchange) -> None:
        exchange.respond(401, [(b"WWW-Authenticate", b"Basic")], b"no")

    with stage(handler=refuse, status=["401"]) as where:
        response = where.client().get()
        assert response.status == 401
        assert response[b"www-authenticate"] is None
        assert response.body.startswith(b"GET /401.html ")


@pytest.mark.behaviour("MW-154")
def test_other_answers_are_streamed_and_bad_lists_refused() -> None:
    gate = Event()

    def with_gate(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\n")
        peer.send(b"HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        gate.wait()
        peer.send(b"1\r\nb\r\n0\r\nX-T: 1\r\n\r\n")

    with stage(with_gate) as where:
        client = where.client()
        client.send(GET)
        assert client.head().status == 103
        assert client.head().status == 200
        assert client.read_until(b"a\r\n") == b"1\r\na\r\n"
        gate.set()
        assert client.chunks() == (b"b", [(b"X-T", b"1")])
    with pytest.raises(BuildError, match='parsing "500,502": invalid syntax'):
        errors(Errors(status=["500,502"], service="page"), context(services={"page": respond()}))


def test_failures_are_caught_too() -> None:
    def fail(exchange: Exchange) -> None:
        raise ProxyError(UNREACHABLE)

    with stage(handler=fail) as where:
        response = where.client().get()
        assert response.status == 502
        assert response.body.startswith(b"GET /502.html ")


def test_pages_are_not_replaced_again() -> None:
    with stage(answering(BROKEN), answering(ok(b"bad page", status=b"500 E"))) as where:
        response = where.client().get()
        assert (response.status, response.body) == (503, b"bad page")


def test_page_that_is_no_url() -> None:
    with stage(answering(BROKEN), query="/%zz") as where:
        response = where.client().get()
        assert (response.status, response.body) == (503, b"Service Unavailable\n")
        assert response[b"content-type"] == b"text/plain; charset=utf-8"


def test_query_cannot_break_out_of_its_line() -> None:
    with stage(answering(BROKEN), query="/a\r\nX-Evil: 1") as where:
        assert b"X-Evil" not in where.client().get().body
    with stage(answering(BROKEN), query="/a b?c d{url}") as where:
        client = where.client()
        client.send(b"GET /%0d%0aX:y HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.response().body.startswith(b"GET /a%20b?c%20dhttp%3A%2F%2Fh%2F%250D%250AX%3Ay HTTP/1.1\r\n")


def test_endless_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """ADV-F"""
    monkeypatch.setattr(bodies, "_DROPPED_BYTES", 100_000)

    def endless(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 500 E\r\n\r\n")
        while True:
            peer.send(b"x" * 10_000)

    with stage(endless) as where:
        assert where.client().get().status == 500


def test_client_that_left_gets_no_page() -> None:
    gate = Event()

    def slow(peer: Peer) -> None:
        peer.read_head()
        gate.wait()
        peer.send(BROKEN)

    with stage(slow, status=["400-599"]) as where:
        exchanges = noted(where)
        client = where.client()
        client.send(GET)
        assert where.upstream is not None
        wait_until(lambda: where.upstream.connections, pause=gevent.sleep)  # type: ignore[union-attr]
        client.close()
        wait_until(lambda: exchanges[0].client_gone, pause=gevent.sleep)
        gate.set()
        wait_until(lambda: not where.server.open_connections, pause=gevent.sleep)
        assert not where.pages.connections  # type: ignore[attr-defined]


def test_upgrades_pass() -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        peer.send(peer.read_exactly(4))

    with stage(server, status=["100-599"]) as where:
        client = where.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert client.head().status == 101
        client.send(b"ping")
        assert client.read_exactly(4) == b"ping"


@pytest.mark.parametrize("code", [0, 101, 1000])
def test_status_that_is_none(code: int) -> None:
    with pytest.raises(BuildError, match="from 200 to 999"):
        errors(Errors(status_rewrites={"500": code}, service="page"), context(services={"page": respond()}))


def test_broken_page_service() -> None:
    with pytest.raises(BuildError, match='the service "page" does not exist'):
        errors(Errors(service="page"), context())


def test_hooks_of_outer_middlewares_see_the_page() -> None:
    def mark(exchange: Exchange, head: ResponseHead) -> None:
        head.headers.append((b"X-Seen", b"%d" % head.status))

    with stage(answering(BROKEN), answering(ok(b"sorry"))) as where:
        inner = where.table.handler
        assert inner is not None

        def outer(exchange: Exchange) -> None:
            exchange.add_hook(mark)
            inner(exchange)

        where.table.handler = outer
        assert where.client().get()[b"x-seen"] == b"503"
