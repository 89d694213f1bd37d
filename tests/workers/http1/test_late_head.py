"""A body that waits for the server's 100, and heads that come in several parts."""

from __future__ import annotations

import pytest

from tests.playbook import Stage
from tests.upstreams import Peer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
EXPECTING = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"


@pytest.mark.parametrize("begun", [HINTS, HINTS[:30]])
def test_a_body_is_let_go_although_the_server_has_begun_to_speak(begun: bytes) -> None:
    rest = HINTS.removeprefix(begun)

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(begun)
        assert peer.read_exactly(3) == b"abc"
        peer.send(rest + OK)
        peer.read_to_end()

    with Stage(server) as stage:
        client = stage.client()
        client.send(EXPECTING)
        if not rest:
            assert client.head().status == 103
        else:
            server_has_spoken(stage)
        stage.clock.advance(2)
        assert client.head().status == 100
        client.send(b"abc")
        if rest:
            assert client.head().status == 103
        assert client.response().body == b"ok"


def server_has_spoken(stage: Stage) -> None:
    """Wait until the part of a head has been read."""
    import gevent

    from tests.waiting import wait_until

    wait_until(lambda: stage.upstream and stage.upstream.connections, pause=gevent.sleep)
    for _ in range(5):
        gevent.sleep(0.01)
