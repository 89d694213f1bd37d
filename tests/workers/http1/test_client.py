"""What may become of a server's connection: only one with nothing left on it is used again."""

from __future__ import annotations

import gevent
import pytest

from tests.playbook import Stage
from tests.upstreams import Peer
from tests.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
UPGRADE = b"Host: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"


def filling_a_read(size: int = 65536) -> bytes:
    """A response of exactly `size` bytes."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    return head % (size - len(head % size)) + b"x" * (size - len(head % size))


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_second_answer_behind_a_full_read_meets_no_request(pieces: int) -> None:
    """ADV-D: the first read takes the answer exactly and leaves the surplus in the kernel."""
    answer = filling_a_read(65536 * pieces)

    def server(peer: Peer) -> None:
        first = not stage.table.requests[1:]
        peer.read_head()
        peer.send(answer + EVIL if first else GOOD)
        peer.read_to_end()

    with Stage(server) as stage:
        client = stage.client()
        client.send(GET + GET)
        assert len(client.response().body) > 65000
        assert client.response().body == b"good"
        assert stage.upstream is not None
        assert stage.upstream.connections == 2


def test_a_204_that_announces_a_body_ends_its_connection() -> None:
    """ADV-D"""

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n")
        assert peer.read_to_end() == b""

    with Stage(server) as stage:
        client = stage.client()
        assert client.get().status == 204
        assert client.get().status == 204
        assert stage.upstream is not None
        assert stage.upstream.connections == 2


@pytest.mark.parametrize("framing", [b"Content-Length: 3", b"Transfer-Encoding: chunked"])
def test_a_switch_in_the_middle_of_the_request_body_is_refused(framing: bytes) -> None:
    """ADV-D: the rest of the body must not be taken for the tunnel's bytes."""
    got: list[bytes] = []

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(SWITCH)
        got.append(peer.read_to_end())

    with Stage(server) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\n%b%b\r\n\r\n" % (UPGRADE, framing))
        assert client.response().status == 500
        wait_until(lambda: got, pause=gevent.sleep)
        assert got == [b""]


def test_what_follows_a_request_body_is_the_tunnels() -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        assert peer.read_exactly(3) == b"abc"
        peer.send(SWITCH)
        peer.send(peer.read_to_end().upper())

    with Stage(server) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\n%bContent-Length: 3\r\n\r\nabcearly" % UPGRADE)
        assert client.head().status == 101
        client.half_close()
        assert client.read_to_end() == b"EARLY"


def test_the_wait_for_a_100_does_not_limit_the_response_body() -> None:
    may_end: list[bool] = []

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nab")
        wait_until(lambda: may_end, pause=gevent.sleep)
        peer.send(b"cd")
        peer.read_to_end()

    with Stage(server) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        client.read_until(b"ab")
        stage.clock.advance(2)
        may_end.append(True)
        assert client.read_exactly(2) == b"cd"
