"""The pump never reads beside the connection's own greenlet."""

from __future__ import annotations

import logging
from typing import Any

import gevent
import pytest

from tests.playbook import Stage
from tests.upstreams import Peer, Upstream
from tests.waiting import wait_until
from tests.workers.http2.peer import Http2Peer
from workers.errors import CLIENT_GONE, Failure, ProxyError
from workers.upstream.transport import Transport
from workers.wrapping import WrappedExchange

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_final_answer_in_one_piece_with_the_100() -> None:
    """ADV-D: the pump is stopped before it ever ran; the connection reads the unwanted body itself."""

    def server(peer: Peer) -> None:
        if b"POST" in peer.read_head():
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
        else:
            peer.send(OK)
        peer.read_to_end()

    with Stage(server) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert client.head().status == 100
        assert client.response().status == 200
        client.send(b"abc" + GET)
        assert client.response().status == 200
        assert stage.request.method == b"GET"


def test_a_client_that_is_gone_before_it_is_told_to_go_on_holds_nothing() -> None:
    """The 100 cannot be written: that is the client's end, and no reason to wait for the server's answer."""
    failures: list[Failure] = []

    def handler(exchange: Any) -> None:
        wait_until(lambda: exchange.client_gone, pause=gevent.sleep)
        with pytest.raises(ProxyError) as caught:
            exchange.read_body()
        failures.append(caught.value.failure)
        raise caught.value

    with Stage(handler=handler) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        wait_until(lambda: stage.server.active, pause=gevent.sleep)
        client.reset()
        wait_until(lambda: failures and not stage.server.active, pause=gevent.sleep)
    assert failures == [CLIENT_GONE]


class Breaking(WrappedExchange):
    """A middleware's view of a body that cannot be read for a reason of its own."""

    def read_body(self) -> bytes:
        raise RuntimeError("a bug")


def break_bodies(stage: Stage) -> None:
    inner = stage.table.handler
    assert inner is not None

    def handler(exchange: Any) -> None:
        inner(Breaking(exchange) if exchange.request.method == b"POST" else exchange)

    stage.table.handler = handler


HALF = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc"


def test_a_bug_behind_the_body_fails_its_own_request_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the hub nor another connection hears of it, and the server does not take the half for the whole."""
    ends: list[bytes] = []

    def server(peer: Peer) -> None:
        if b"POST" in peer.read_head():
            ends.append(peer.read_to_end())
        else:
            peer.send(OK)
            peer.read_to_end()

    with Stage(server) as stage, caplog.at_level(logging.ERROR):
        break_bodies(stage)
        client, other = stage.client(), stage.client()
        client.send(HALF)
        assert client.response().status == 500
        assert other.get().status == 200
    assert ends == [b"abc"]
    assert "a bug" in caplog.text


def test_a_bug_behind_a_body_for_a_server_that_speaks_http2(caplog: pytest.LogCaptureFixture) -> None:
    resets: list[int] = []

    def server(peer: Peer) -> None:
        h2 = Http2Peer(peer)
        stream, _ = h2.request()
        resets.append(stream)
        peer.read_to_end()

    with (
        Upstream(server) as upstream,
        Stage(url=upstream.url.replace("http", "h2c"), transport=lambda wheel: Transport(wheel=wheel)) as stage,
        caplog.at_level(logging.ERROR),
    ):
        break_bodies(stage)
        client = stage.client()
        client.send(HALF)
        assert client.response().status == 500
    assert resets
    assert "a bug" in caplog.text


def _phases() -> list[bytes]:
    request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    return [request[:end] for end in range(0, len(request) + 1, 7)]


@pytest.mark.parametrize("how", ["reset", "close", "half-close"])
def test_clients_that_end_in_any_phase_leave_nothing(how: str) -> None:
    """ADV-F: whatever of a request has come, its end frees both connections; the next client is served."""

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(OK)
        peer.read_to_end()

    with Stage(server) as stage:
        for part in _phases():
            client = stage.client()
            client.send(part)
            if how == "reset":
                client.reset()
            elif how == "close":
                client.close()
            else:
                client.half_close()
                assert client.read_to_end().count(b"HTTP/1.1 ") <= 1
        assert stage.client().get().status == 200


@pytest.mark.parametrize("how", ["reset", "close"])
def test_servers_that_end_in_any_phase_leave_nothing(how: str) -> None:
    """ADV-F"""
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    ends = list(range(0, len(answer), 5))

    def server(peer: Peer) -> None:
        peer.read_head()
        end = ends.pop(0) if ends else len(answer)
        peer.send(answer[:end])
        if end < len(answer):
            peer.reset() if how == "reset" else peer.close()
        else:
            peer.read_to_end()

    with Stage(server) as stage:
        for _ in range(len(ends)):
            client = stage.client()
            client.send(GET)
            received = b""
            try:
                received = client.read_until(b"\r\n\r\n")
            except (AssertionError, ConnectionError):
                continue
            assert received.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 500 ", b"HTTP/1.1 502 "))
            client.close()
        assert stage.client().get().body == b"hello"
