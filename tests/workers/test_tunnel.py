"""Protocol switches: the handshake, bytes both ways, half-close, and what is no switch."""

from __future__ import annotations

import gevent
import pytest

from tests.playbook import Stage
from tests.upstreams import Peer, answering
from tests.waiting import wait_until
from workers import tunnel as tunnels
from workers.stream import Stream

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Extra: 1\r\n\r\n"


def echoing(peer: Peer) -> None:
    """Accept the upgrade, then send back every byte."""
    head = peer.read_head()
    assert b"\r\nX-Forwarded-Proto: ws\r\n" in head
    assert b"\r\nUpgrade: websocket\r\n" in head
    assert b"\r\nConnection: Upgrade\r\n" in head
    peer.send(SWITCH)
    while data := peer.read_some():
        peer.send(data)


@pytest.mark.behaviour("DP-82")
def test_echo_through_a_tunnel_that_stays_open() -> None:
    with Stage(echoing) as stage:
        client = stage.client()
        client.send(HANDSHAKE)
        head = client.head()
        assert head.line == b"HTTP/1.1 101 Switching Protocols"
        assert sorted(head.headers) == [
            (b"Connection", b"Upgrade"),
            (b"Upgrade", b"websocket"),
            (b"X-Extra", b"1"),
        ]
        client.send(b"\x81\x05hello")
        assert client.read_exactly(7) == b"\x81\x05hello"
        assert stage.server.active == 1
        stage.clock.advance(300)
        stage.clock.advance(300)
        client.send(b"again")
        assert client.read_exactly(5) == b"again"
        client.half_close()
        assert client.is_closed()
        wait_until(lambda: not stage.server.active, pause=gevent.sleep)


def test_bytes_around_the_switch_are_not_lost() -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(SWITCH + b"early")
        assert peer.read_exactly(5) == b"first"

    with Stage(server) as stage:
        client = stage.client()
        client.send(HANDSHAKE + b"first")
        client.read_head()
        assert client.read_to_end() == b"early"


@pytest.mark.parametrize("side", ["client", "server"])
def test_half_close_is_passed_on_and_the_other_direction_drains(side: str) -> None:
    seen: list[bytes] = []

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(SWITCH)
        if side == "server":
            peer.send(b"bye")
            peer.half_close()
            seen.append(peer.read_to_end())
        else:
            seen.append(peer.read_to_end())
            peer.send(b"answer" * 1000)

    with Stage(server) as stage:
        client = stage.client()
        client.send(HANDSHAKE)
        client.read_head()
        if side == "client":
            client.send(b"bye")
            client.half_close()
            assert client.read_to_end() == b"answer" * 1000
        else:
            assert client.read_to_end() == b"bye"
            client.send(b"answer" * 1000)
            client.close()
        wait_until(lambda: seen, pause=gevent.sleep)
        assert seen == [b"bye" if side == "client" else b"answer" * 1000]


def test_reset_of_one_side_ends_the_other() -> None:
    with Stage(echoing) as stage:
        client = stage.client()
        client.send(HANDSHAKE)
        client.read_head()
        client.reset()
        wait_until(lambda: not stage.server.active, pause=gevent.sleep)


def test_drain_waits_for_a_tunnel_and_abort_cuts_it() -> None:
    with Stage(echoing) as stage:
        client = stage.client()
        client.send(HANDSHAKE)
        client.read_head()
        stage.server.stop_accepting()
        stage.server.close_idle()
        client.send(b"still here")
        assert client.read_exactly(10) == b"still here"
        assert stage.server.active == 1
        stage.server.abort()
        assert client.is_closed()
        wait_until(lambda: not stage.server.active, pause=gevent.sleep)


@pytest.mark.behaviour("DP-83")
def test_refused_upgrade_is_a_normal_response() -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    with Stage(answering(refusal, refusal)) as stage:
        client = stage.client()
        for _ in range(2):
            client.send(HANDSHAKE)
            response = client.response()
            assert (response.status, response.body, response[b"connection"]) == (403, b"no", None)


@pytest.mark.behaviour("DP-87")
def test_h2c_upgrade_with_a_plain_server() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with Stage(answering(answer)) as stage:
        client = stage.client()
        client.send(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n"
        )
        assert client.response().status == 200


@pytest.mark.parametrize("token", [b"other", b""])
def test_switch_to_another_protocol_is_500(token: bytes) -> None:
    """ADV-D"""
    answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n" % token
    with Stage(answering(answer)) as stage:
        client = stage.client()
        client.send(HANDSHAKE)
        assert client.response().status == 500


def test_token_is_compared_without_case() -> None:
    answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n"
    with Stage(answering(answer)) as stage:
        client = stage.client()
        client.send(HANDSHAKE)
        assert client.head().status == 101
        client.half_close()
        assert client.is_closed()


def test_unprintable_token_is_500() -> None:
    with Stage(echoing) as stage:
        client = stage.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: \xff\r\n\r\n")
        response = client.response()
        assert (response.status, response.body) == (500, b"Internal Server Error")


def test_a_failure_that_nobody_has_thought_of_ends_the_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the direction that runs in a greenlet of its own; the connection must not wait for it for ever."""
    failures: list[type[BaseException]] = []
    monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda _, kind, *more: failures.append(kind))
    copy, ended = tunnels._copy, list[bool]()

    def failing(source: Stream, target: Stream) -> None:
        copy(source, target)
        ended.append(True)
        if len(ended) == 2:
            raise ZeroDivisionError

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(SWITCH)
        peer.half_close()
        peer.read_to_end()

    monkeypatch.setattr(tunnels, "_copy", failing)
    with Stage(server) as stage:
        client = stage.client()
        client.send(HANDSHAKE)
        client.read_head()
        assert client.is_closed()
        client.half_close()
        wait_until(lambda: not stage.server.active, pause=gevent.sleep)
    assert failures == [ZeroDivisionError]
