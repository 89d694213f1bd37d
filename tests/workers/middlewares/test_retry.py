"""Retry: what is tried again, what never is, and that a discarded try leaves no trace."""

from __future__ import annotations

import socket as plain_socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.event import Event

from config.middlewares_traffic import Retry
from tests.playbook import Rigid, Stage
from tests.upstreams import Peer, Upstream, answering, body_of
from tests.waiting import wait_until
from tests.workers.middlewares.around import behind, context, noted, ok, post, service
from workers import errors
from workers.building import BuildError
from workers.errors import ProxyError
from workers.exchange import Exchange, Handler
from workers.middlewares import bodies
from workers.middlewares.retry import retry
from workers.wrapping import WrappedExchange

module = import_module("workers.middlewares.retry")
BUSY = ok(b"busy", b"X-Busy: 1", status=b"503 Service Unavailable")
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Server:
    """Answers with `answers` in turn, the last one for ever; remembers what it was asked."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = answers
        self.seen: list[bytes] = []

    def __call__(self, peer: Peer) -> None:
        while data := peer.read_some():
            peer.unread = data
            head = peer.read_head()
            self.seen.append(head + body_of(head, peer))
            answer = self.answers[min(len(self.seen), len(self.answers)) - 1]
            peer.send(answer)
            if not answer:
                return


def stage(script: Any = None, handler: Handler | None = None, **options: Any) -> Stage:
    return behind(retry, Retry(**({"attempts": 3} | options)), script, handler=handler)


@contextmanager
def dead_port() -> Iterator[int]:
    """Nobody listens there, and nobody else will."""
    with plain_socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


def failing(*failures: errors.Failure | None) -> tuple[Handler, list[Exchange]]:
    """A handler that fails so in turn; None answers with 200."""
    seen: list[Exchange] = []

    def handler(exchange: Exchange) -> None:
        seen.append(exchange)
        failure = failures[min(len(seen), len(failures)) - 1]
        if failure is not None:
            raise ProxyError(failure)
        exchange.respond(200, (), b"ok")

    return handler, seen


@pytest.mark.behaviour("MW-133")
@pytest.mark.parametrize("request_bytes", [GET, post(b"hello"), post(b"hello", chunked=True)])
def test_next_server_is_tried(request_bytes: bytes) -> None:
    server = Server(ok(b"fine"))
    with dead_port() as port, Upstream(server) as living, stage(handler=failing(None)[0], attempts=2) as where:
        urls = [f"http://127.0.0.1:{port}", living.url]
        handler = service(living.url, where.transport)
        handler.balancer = Rigid(urls)  # type: ignore[attr-defined]
        where.table.handler = retry(Retry(attempts=2), context())(handler)
        client = where.client()
        for _ in range(6):
            client.send(request_bytes)
            assert client.response().body == b"fine"
    assert len(server.seen) == 6
    assert all(seen.endswith((b"\r\n\r\n", b"hello", b"hello\r\n0\r\n\r\n")) for seen in server.seen)


@pytest.mark.behaviour("MW-134")
def test_attempts_are_the_total() -> None:
    handler, seen = failing(errors.UNREACHABLE)
    with stage(handler=handler) as where:
        response = where.client().get()
        assert (response.status, response.body) == (502, b"Bad Gateway")
    assert len(seen) == 3


@pytest.mark.behaviour("MW-135")
def test_server_that_has_the_request_is_not_asked_twice() -> None:
    server = Server(b"")
    with stage(server) as where:
        assert where.client().get().status == 502
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("failure", "tries"),
    [
        (errors.DIAL_TIMEOUT, 3),
        (errors.TLS_TIMEOUT, 3),
        (errors.UNTRUSTED_SERVER, 3),
        (errors.STREAM_REFUSED, 3),
        (errors.CLOSED_EARLY, 1),
        (errors.RESPONSE_TIMEOUT, 1),
        (errors.NO_SERVER, 1),
        (errors.MALFORMED_RESPONSE, 1),
        (errors.CLIENT_GONE, 1),
    ],
)
def test_only_what_reached_nobody_is_tried_again(failure: errors.Failure, tries: int) -> None:
    handler, seen = failing(failure)
    with stage(handler=handler) as where:
        assert where.client().get().status == failure.status
    assert len(seen) == tries


def test_failure_turned_into_an_answer_by_a_middleware_inside() -> None:
    handler, seen = failing(errors.UNREACHABLE, None)

    def with_page(exchange: Exchange) -> None:
        from workers.wrapping import answered

        answered(handler, WrappedExchange(exchange))

    with stage(handler=with_page) as where:
        assert where.client().get().status == 200
    assert len(seen) == 2


def test_failure_of_an_earlier_try_does_not_count_for_a_later_one() -> None:
    seen: list[Exchange] = []

    def handler(exchange: Exchange) -> None:
        seen.append(exchange)
        if len(seen) == 1:
            raise ProxyError(errors.UNREACHABLE)
        exchange.respond(502, (), b"own")

    with stage(handler=handler) as where:
        assert where.client().get().body == b"own"
    assert len(seen) == 2


@pytest.mark.behaviour("MW-136")
@pytest.mark.parametrize(
    ("method", "options", "status"),
    [
        (b"GET", {}, 200),
        (b"PUT", {}, 200),
        (b"DELETE", {}, 200),
        (b"POST", {}, 503),
        (b"PATCH", {}, 503),
        (b"LOCK", {}, 503),
        (b"POST", {"retry_non_idempotent_method": True}, 200),
    ],
)
def test_listed_status(method: bytes, options: dict[str, Any], status: int) -> None:
    server = Server(BUSY, ok(b"fine"))
    with stage(server, status=["503"], **options) as where:
        client = where.client()
        client.send(post(b"hello", method=method))
        response = client.response()
        assert response.status == status
        assert (response[b"x-busy"] is None) is (status == 200)
    assert len(server.seen) == (2 if status == 200 else 1)
    assert all(one.endswith(b"hello") for one in server.seen)


def test_body_larger_than_memory_is_sent_again() -> None:
    server = Server(BUSY, ok(b"fine"))
    body = bytes(range(256)) * 6000  # 1.5 MB
    with stage(server, status=["503"]) as where:
        for chunked in (False, True):
            server.seen.clear()
            client = where.client()
            client.send(post(body, method=b"PUT", chunked=chunked))
            assert client.response().body == b"fine"
            assert [one.count(bytes(range(256)) * 100) > 10 for one in server.seen] == [True, True]


@pytest.mark.behaviour("MW-137")
@pytest.mark.parametrize("chunked", [False, True])
def test_body_that_is_too_large_goes_once_and_whole(chunked: bool) -> None:
    server = Server(BUSY)
    body = b"0123456789" * 20_000
    with stage(server, status=["503"], max_request_body_bytes=100) as where:
        client = where.client()
        client.send(post(body, method=b"PUT", chunked=chunked))
        assert client.response().status == 503
    (seen,) = server.seen
    assert seen.count(b"0123456789") >= 19_990 if chunked else seen.endswith(body)


@pytest.mark.behaviour("MW-138")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Retry(attempts=0), r"incorrect \(or empty\) value for attempt \(0\)"),
        (Retry(attempts=2, disable_retry_on_network_error=True), "requires at least HTTP status codes"),
        (Retry(attempts=2, status=["500,502"]), "creating HTTP code ranges"),
        (Retry(attempts=2, initial_interval="soon"), "initialInterval: 'soon' is not a duration"),
        (Retry(attempts=2, timeout="5"), "timeout: '5' is not a duration"),
    ],
)
def test_options_that_cannot_be(options: Retry, words: str) -> None:
    with pytest.raises(BuildError, match=words):
        retry(options, context())


@pytest.mark.behaviour("MW-139")
def test_each_try_starts_from_the_request_as_it_came() -> None:
    paths: list[bytes] = []

    def strip(exchange: Exchange) -> None:
        request = exchange.request
        assert not request.header_values(b"x-prefix")
        request.headers.append((b"X-Prefix", b"/a"))
        request.set_target(request.path[2:], None)
        paths.append(request.path)
        raise ProxyError(errors.UNREACHABLE)

    with stage(handler=strip) as where:
        where.client().get(b"/a/b/c")
        assert where.request.path == b"/a/b/c"
    assert paths == [b"/b/c"] * 3


@pytest.mark.behaviour("MW-140")
def test_no_try_begins_after_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow(exchange: Exchange) -> None:
        now[0] += 0.06
        exchange.respond(503, (), b"slow")

    seen: list[bytes] = []
    with stage(handler=slow, status=["503"], timeout="50ms") as where:
        where.table.handler = _counted(where.table.handler, seen)
        assert where.client().get().body == b"slow"
    assert now[0] == pytest.approx(1000.06)


def _counted(handler: Handler | None, seen: list[bytes]) -> Handler:
    assert handler is not None

    def counted(exchange: Exchange) -> None:
        seen.append(exchange.request.path)
        handler(exchange)

    return counted


def test_network_errors_may_be_final() -> None:
    handler, seen = failing(errors.UNREACHABLE)
    with stage(handler=handler, status=["404"], disable_retry_on_network_error=True) as where:
        assert where.client().get().status == 502
    assert len(seen) == 1


def test_no_trace_of_a_discarded_try() -> None:
    """A stream that is discarded sends nothing early, neither head nor interim response nor flush."""

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 503 B\r\nX-Busy: 1\r\n")
        peer.send(b"Trailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")

    with stage(server, status=["503"]) as where:
        response = where.client().get()
        assert (response.status, response.body, response.trailers) == (200, b"ok", [])
        assert response[b"x-busy"] is None


def test_interim_responses_of_the_last_try_pass() -> None:
    hints = b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\n" + BUSY
    with stage(Server(hints), status=["503"]) as where:
        client = where.client()
        client.send(GET)
        assert client.head().status == 103
        assert client.head().status == 503


def test_endless_answer_of_a_discarded_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """ADV-F"""
    monkeypatch.setattr(bodies, "_DROPPED_BYTES", 100_000)
    connections: list[Peer] = []

    def endless(peer: Peer) -> None:
        connections.append(peer)
        peer.read_head()
        if len(connections) == 3:
            peer.send(ok(b"fine"))
            return
        peer.send(b"HTTP/1.1 503 B\r\n\r\n")
        while True:
            peer.send(b"x" * 10_000)

    with stage(endless, status=["503"]) as where:
        assert where.client().get().body == b"fine"


def test_answers_that_are_kept_are_streamed() -> None:
    gate = Event()

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        gate.wait()
        peer.send(b"1\r\nb\r\n0\r\n\r\n")

    with stage(server, status=["503"]) as where:
        client = where.client()
        client.send(GET)
        client.head()
        assert client.read_until(b"a\r\n") == b"1\r\na\r\n"
        gate.set()
        assert client.chunks()[0] == b"b"


def test_answer_that_breaks_off_is_not_tried_again() -> None:
    server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")

    def once(peer: Peer) -> None:
        head = peer.read_head()
        server.seen.append(head)
        peer.send(server.answers[0])

    with stage(once, status=["200"], attempts=1) as where:
        client = where.client()
        client.send(GET)
        client.head()
        assert client.read_to_end() == b"abc"
    assert len(server.seen) == 1


def test_client_that_leaves_during_a_pause() -> None:
    handler, seen = failing(errors.UNREACHABLE)
    with stage(handler=handler, initial_interval="1h") as where:
        exchanges = noted(where)
        client = where.client()
        client.send(GET)
        wait_until(lambda: seen, pause=gevent.sleep)
        client.close()
        wait_until(lambda: not where.server.open_connections, pause=gevent.sleep)
        assert exchanges[0].client_gone
    assert len(seen) == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_client_that_leaves_in_the_midst_of_its_body(chunked: bool) -> None:
    handler, seen = failing(None)
    with stage(handler=handler, status=["503"]) as where:
        exchanges = noted(where)
        client = where.client()
        client.send(post(b"hello", method=b"PUT", chunked=chunked)[:-2])
        wait_until(lambda: exchanges, pause=gevent.sleep)
        client.close()
        wait_until(lambda: not where.server.open_connections, pause=gevent.sleep)
    assert not seen


def test_body_that_cannot_be_read() -> None:
    handler, seen = failing(None)
    with stage(handler=handler, status=["503"]) as where:
        client = where.client()
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        response = client.response()
        assert (response.status, response.body) == (500, b"Internal Server Error\n")
    assert not seen


def test_body_that_is_still_coming_is_not_waited_for() -> None:
    """Without `status` nothing is read ahead; what had arrived is kept for another server."""
    server = Server(ok(b"fine"))
    request = post(b"x" * 200_000)
    with dead_port() as port, Upstream(server) as living, stage(handler=failing(None)[0]) as where:
        handler = service(living.url, where.transport)
        handler.balancer = Rigid([f"http://127.0.0.1:{port}", living.url])  # type: ignore[attr-defined]
        where.table.handler = retry(Retry(attempts=2), context())(handler)
        for _ in range(2):
            client = where.client()
            client.send(request[:5000])
            wait_until(lambda: living.connections, pause=gevent.sleep)
            client.send(request[5000:])
            assert client.response().body == b"fine"
    assert all(one.endswith(b"x" * 200_000) for one in server.seen)


def test_websocket() -> None:
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
        assert client.is_closed()


def test_pauses_grow_to_the_double(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = module._Policy(Retry(attempts=5, initial_interval="100ms"))
    middle: Callable[..., float] = lambda low, high: (low + high) / 2  # noqa: E731
    monkeypatch.setattr(module, "random", SimpleNamespace(uniform=middle))
    pauses = [policy.pause_seconds(tried) for tried in range(1, 5)]
    assert pauses == pytest.approx([0.1, 0.1 * 2**0.25, 0.1 * 2**0.5, 0.1 * 2**0.75])


def test_one_attempt_is_no_retry() -> None:
    handler, _ = failing(None)
    assert retry(Retry(attempts=1), context())(handler) is handler


def test_own_answers_pass_with_their_body() -> None:
    with stage(answering(ok(b"fine")), status=["404"]) as where:
        assert where.client().get().body == b"fine"
