"""Buffering: whole bodies both ways, limits at every place, and asking again."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

from config.middlewares_traffic import Buffering
from tests.playbook import Stage
from tests.upstreams import Peer, answering, body_of, echo
from tests.waiting import wait_until
from tests.workers.middlewares.around import behind, context, noted, ok, post
from workers.building import BuildError
from workers.errors import UNREACHABLE, ProxyError
from workers.exchange import Exchange
from workers.middlewares.buffering import MOST_ATTEMPTS, buffering
from workers.middlewares.spool import Cursor, Spool

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def stage(script: Any = None, handler: Any = None, **options: Any) -> Stage:
    return behind(buffering, Buffering(**options), script, handler=handler)


def _read_all(peer: Peer) -> None:
    peer.read_to_end()


@pytest.mark.behaviour("MW-141")
@pytest.mark.parametrize("chunked", [False, True])
def test_request_limit(chunked: bool) -> None:
    with stage(echo, max_request_body_bytes=10) as where:
        client = where.client()
        client.send(post(b"0123456789", chunked=chunked))
        assert client.response().status == 200
        assert where.upstream is not None
        before = where.upstream.connections
        client = where.client()
        client.send(post(b"0123456789x", chunked=chunked))
        response = client.response()
        assert (response.status, response.body) == (413, b"Request Entity Too Large")
        assert response[b"content-type"] is None
        assert where.upstream.connections == before


def test_length_that_is_too_large_is_not_waited_for() -> None:
    with stage(echo, max_request_body_bytes=10) as where:
        client = where.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n")
        assert client.response().status == 413


@pytest.mark.behaviour("MW-142")
@pytest.mark.parametrize("size", [0, 5, 300_000, 3_000_000])
def test_server_sees_a_length(size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    with stage(echo) as where:
        client = where.client()
        client.send(post(body, chunked=True))
        seen = client.response().body
        assert b"\r\nContent-Length: %d\r\n" % size in seen
        assert b"ransfer-Encoding" not in seen
        assert seen.endswith(b"\r\n\r\n" + body)


def test_what_does_not_fit_into_memory_is_in_a_file_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    body = bytes(range(256)) * 4000
    with stage(echo, mem_request_body_bytes=1000, mem_response_body_bytes=7) as where:
        client = where.client()
        client.send(post(body))
        assert client.response().body.endswith(body)
    assert not list(tmp_path.iterdir())


def test_disk_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with stage(echo, mem_request_body_bytes=10) as where:
        client = where.client()
        client.send(post(b"x" * 300_000))
        response = client.response()
        assert (response.status, response.body) == (500, b"Internal Server Error")
    with stage(answering(ok(b"x" * 300_000)), mem_response_body_bytes=10) as where:
        assert where.client().get().status == 500


def test_server_waits_for_the_whole_body() -> None:
    with stage(echo) as where:
        client = where.client()
        request = post(b"x" * 100)
        client.send(request[:-50])
        assert where.upstream is not None
        wait_until(lambda: where.table.requests, pause=gevent.sleep)
        client.send(request[-50:-1])
        assert not where.upstream.connections
        client.send(request[-1:])
        assert client.response().body.endswith(b"x" * 100)


@pytest.mark.parametrize("chunked", [False, True])
def test_client_that_leaves_in_the_midst_of_its_body(chunked: bool) -> None:
    """ADV-F"""
    with stage(echo) as where:
        exchanges = noted(where)
        client = where.client()
        client.send(post(b"x" * 100, chunked=chunked)[:-20])
        wait_until(lambda: exchanges, pause=gevent.sleep)
        client.close()
        wait_until(lambda: not where.server.open_connections, pause=gevent.sleep)
        assert exchanges[0].failure is not None
        assert exchanges[0].failure.kind == "client_gone"
        assert where.upstream is not None
        assert not where.upstream.connections


def test_client_that_stops_in_the_midst_of_its_body() -> None:
    """ADV-F"""
    with stage(echo) as where:
        client = where.client()
        client.send(post(b"x" * 100)[:-20])
        wait_until(lambda: where.table.requests, pause=gevent.sleep)
        where.clock.advance(61)
        assert client.response().status == 504
        assert client.is_closed()


def test_broken_chunks() -> None:
    with stage(echo) as where:
        client = where.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        assert client.response().status == 400


@pytest.mark.behaviour("MW-143")
@pytest.mark.parametrize(
    "answer",
    [
        ok(b"0123456789x"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789x\r\n0\r\n\r\n",
        b"HTTP/1.1 503 B\r\n\r\n0123456789x",
    ],
)
def test_response_limit(answer: bytes) -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(answer)

    with stage(server, max_response_body_bytes=10) as where:
        response = where.client().get()
        assert (response.status, response.body) == (500, b"Internal Server Error")
        assert response[b"content-type"] is None


def test_exactly_the_limit_and_no_body_at_all() -> None:
    with stage(answering(ok(b"0123456789")), max_response_body_bytes=10) as where:
        assert where.client().get().body == b"0123456789"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    with stage(answering(head), max_response_body_bytes=10) as where:
        client = where.client()
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response(b"HEAD")[b"content-length"] == b"100"
    with stage(answering(b"HTTP/1.1 304 N\r\nContent-Length: 100\r\n\r\n"), max_response_body_bytes=10) as where:
        assert where.client().get().status == 304


def test_endless_response_ends() -> None:
    """ADV-F"""

    def endless(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            peer.send(b"x" * 10_000)

    with stage(endless, max_response_body_bytes=100_000) as where:
        assert where.client().get().status == 500


@pytest.mark.behaviour("MW-144")
def test_events_are_held_to_the_end() -> None:
    gate = Event()

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 103 Early\r\n\r\n")
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        gate.wait()
        peer.send(b"data: 2\n\n")

    with stage(server) as where:
        client = where.client()
        client.send(GET)
        assert client.hears_nothing(0.1)
        gate.set()
        response = client.response()
        assert response.body == b"data: 1\n\ndata: 2\n\n"
        assert response[b"content-length"] == b"18"


def test_response_that_breaks_off_is_none() -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")

    with stage(server) as where:
        response = where.client().get()
        assert (response.status, response.body) == (500, b"Internal Server Error\n")


def test_trailers_stay() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\n\r\n"
    with stage(answering(answer)) as where:
        response = where.client().get()
        assert (response.body, response.trailers) == (b"a", [(b"X-T", b"1")])


def test_grpc_failure_has_no_body() -> None:
    with stage(answering(ok(b"abc", b"Grpc-Status: 5"))) as where:
        assert where.client().get().body == b""
    with stage(answering(ok(b"abc", b"Grpc-Status: 0"))) as where:
        assert where.client().get().body == b"abc"


class Counting:
    """Answers with `answers` in turn, the last one for ever; remembers the requests."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.seen: list[bytes] = []

    def __call__(self, peer: Peer) -> None:
        while data := peer.read_some():
            peer.unread = data
            head = peer.read_head()
            self.seen.append(head + body_of(head, peer))
            peer.send(self.answers[min(len(self.seen), len(self.answers)) - 1])


@pytest.mark.behaviour("MW-145")
def test_asking_again() -> None:
    server = Counting(ok(b"bad", status=b"502 B"))
    with stage(server, retry_expression="IsNetworkError() && Attempts() <= 2") as where:
        client = where.client()
        client.send(post(b"hello"))
        response = client.response()
        assert (response.status, response.body) == (502, b"bad")
    assert len(server.seen) == 3
    assert len(set(server.seen)) == 1
    assert server.seen[0].endswith(b"hello")


def test_last_answer_is_the_clients() -> None:
    server = Counting(ok(b"bad", b"X-Bad: 1", status=b"503 B"), ok(b"good"))
    with stage(server, retry_expression='ResponseCode() == 503 && RequestMethod() == "GET"') as where:
        client = where.client()
        client.send(post(b"hello", method=b"GET"))
        response = client.response()
        assert (response.status, response.body, response[b"x-bad"]) == (200, b"good", None)
    assert len(server.seen) == 2


def test_nothing_without_a_body_is_asked_again() -> None:
    server = Counting(ok(b"bad", status=b"503 B"), ok(b"good"))
    with stage(server, retry_expression="Attempts() < 3") as where:
        assert where.client().get().status == 503
    assert len(server.seen) == 1


def test_asking_ends_after_a_while() -> None:
    """ADV-F"""
    asked: list[object] = []

    def fail(exchange: Exchange) -> None:
        asked.append(exchange)
        raise ProxyError(UNREACHABLE)

    with stage(handler=fail, retry_expression="Attempts() > 0") as where:
        client = where.client()
        client.send(post(b"hello"))
        assert client.response().status == 502
    assert len(asked) == MOST_ATTEMPTS == 11


def test_inner_rewrites_do_not_pile_up() -> None:
    paths: list[bytes] = []

    def strip(exchange: Exchange) -> None:
        exchange.request.set_target(exchange.request.path[1:], None)
        exchange.request.headers.append((b"X-A", b"1"))
        paths.append(exchange.request.path)
        assert exchange.request.header_values(b"x-a") == [b"1"]
        exchange.respond(502, (), b"")

    with stage(handler=strip, retry_expression="Attempts() < 3") as where:
        client = where.client()
        client.send(post(b"hello", target=b"/abc"))
        client.response()
    assert paths == [b"abc"] * 3


def test_client_that_left_is_not_asked_for_again() -> None:
    asked: list[object] = []

    def leave(exchange: Exchange) -> None:
        asked.append(exchange)
        exchange.client_gone = True
        exchange.respond(502, (), b"")

    with stage(handler=leave, retry_expression="Attempts() < 3") as where:
        client = where.client()
        client.send(post(b"hello"))
        assert client.response().status == 499
    assert len(asked) == 1


def test_websocket() -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        peer.send(peer.read_exactly(4))

    with stage(server, retry_expression="Attempts() < 3") as where:
        client = where.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert client.head().status == 101
        client.send(b"ping")
        assert client.read_exactly(4) == b"ping"


@pytest.mark.behaviour("MW-146")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_request_body_bytes": -1}, "max bytes should be >= 0 got -1"),
        ({"mem_request_body_bytes": -2}, "mem bytes should be >= 0 got -2"),
        ({"max_response_body_bytes": -1}, "max bytes"),
        ({"mem_response_body_bytes": -1}, "mem bytes"),
        ({"retry_expression": "Attempts() <= 2.0"}, "2.0"),
        ({"retry_expression": "Attempts()"}, "has to be compared"),
        ({"retry_expression": "IsNetworkError() == 1"}, "not compared"),
        ({"retry_expression": "NetworkErrorRatio() > 0.1"}, "unsupported function"),
        ({"retry_expression": "(" * 10_000}, "at most"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BuildError, match=words):
        buffering(Buffering(**options), context())


@pytest.mark.parametrize("memory", [0, 1, 100, 1 << 20])
def test_spool_gives_back_what_was_put_in(memory: int) -> None:
    spool = Spool(memory)
    body = b""
    for size in (0, 1, 99, 100_000, 5, 262_144, 1):
        piece = bytes(size % 251 for _ in range(size))
        spool.append(piece)
        body += piece
    assert spool.size == len(body)
    for _ in range(2):
        cursor = Cursor(spool)
        assert b"".join(iter(cursor.read, b"")) == body
        assert cursor.left == 0
    assert spool.content() == body
    spool.close()
    spool.close()
    assert spool.content() == b""


def test_spool_closed_while_a_read_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pump may still wait for the disk when its request is over; no other file may be read in its place."""
    gate = threading.Event()
    read = os.pread

    def slow(descriptor: int, size: int, position: int) -> bytes:
        gate.wait(15)
        return read(descriptor, size, position)

    spool = Spool(0)
    spool.append(b"x" * 300_000)
    monkeypatch.setattr(os, "pread", slow)
    reading = gevent.spawn(spool.read_at, 0)
    gevent.sleep(0)
    spool.close()
    gate.set()
    assert reading.get(timeout=15) == b"x" * 65536
    assert spool._file is None
    assert spool.read_at(0) == b""


def test_disk_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", broken)
    with stage(_read_all, mem_request_body_bytes=10) as where:
        client = where.client()
        client.send(post(b"x" * 300_000))
        response = client.response()
        assert (response.status, response.body) == (500, b"Internal Server Error")
