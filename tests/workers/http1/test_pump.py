"""The pump never reads beside the connection's own greenlet."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from tests.playbook import Stage
from tests.upstreams import Peer
from tests.waiting import wait_until
from workers.errors import CLIENT_GONE, Failure, ProxyError

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_final_answer_in_one_piece_with_the_100() -> None:
    """ADV-D-18: the pump is stopped before it ever ran; the connection reads the unwanted body itself."""

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
