"""Large bodies between plain sockets: the same bytes, ends and deadlines as for bodies that are looked at."""

from __future__ import annotations

import errno
import os

import gevent
import pytest

from config.static import EntryPoint
from config.static_entrypoint import RespondingTimeouts
from config.static_entrypoint import Transport as EntryPointTransport
from tests.playbook import Stage
from tests.upstreams import Peer, body_of
from tests.waiting import wait_until
from workers import splicing
from workers.stream import Stream

SIZE = 5_000_000
BODY = bytes(range(256)) * (SIZE // 256 + 1)
BODY = BODY[:SIZE]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % SIZE


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each splice has moved."""
    counts: list[int] = []
    real = splicing.Splice.run

    def run(self: splicing.Splice) -> None:
        try:
            real(self)
        finally:
            counts.append(self.moved)

    monkeypatch.setattr(splicing.Splice, "run", run)
    return counts


def test_download_and_what_follows_it(moved: list[int]) -> None:
    def server(peer: Peer) -> None:
        for _ in range(3):
            peer.read_head()
            peer.send(HEAD + BODY)
        peer.read_to_end()

    with Stage(server) as stage:
        client = stage.client()
        for _ in range(3):
            assert client.get().body == BODY
        assert stage.upstream is not None
        assert stage.upstream.connections == 1
    assert len(moved) == 3
    assert all(count > SIZE - 200_000 for count in moved)


def test_upload_and_what_follows_it(moved: list[int]) -> None:
    seen: list[bytes] = []

    def server(peer: Peer) -> None:
        while True:
            seen.append(body_of(peer.read_head(), peer))
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            if len(seen) == 3:
                peer.read_to_end()
                return

    with Stage(server) as stage:
        client = stage.client()
        client.send(POST + BODY + POST + BODY + GET)
        assert [client.response().body for _ in range(3)] == [b"ok"] * 3
    assert seen == [BODY, BODY, b""]
    assert len(moved) == 2
    assert all(count > 3_000_000 for count in moved)


def test_surplus_of_a_server_meets_no_request(moved: list[int]) -> None:
    """ADV-D"""

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(HEAD + BODY + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        peer.read_to_end()

    with Stage(server) as stage:
        client = stage.client()
        assert client.get().body == BODY
        assert client.get().body == BODY
        assert stage.upstream is not None
        assert stage.upstream.connections == 2
    assert len(moved) == 2


@pytest.mark.behaviour("DP-74")
@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_server_that_breaks_off(how: str, moved: list[int]) -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(HEAD + BODY[:3_000_000])
        if how == "reset":
            peer.reset()

    with Stage(server) as stage:
        client = stage.client()
        client.send(GET)
        assert client.head().status == 200
        received = client.read_to_end()
        assert BODY.startswith(received)
        assert how == "reset" or len(received) == 3_000_000
    assert len(moved) == 1


@pytest.mark.behaviour("DP-86")
def test_a_client_that_leaves_ends_the_download(moved: list[int]) -> None:
    ended: list[bool] = []

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(HEAD + BODY[:1_000_000])
        try:
            ended.append(peer.read_to_end() == b"")
        except ConnectionResetError:
            ended.append(True)

    with Stage(server) as stage:
        client = stage.client()
        client.send(GET)
        client.read_exactly(1_000_000)
        client.reset()
        wait_until(lambda: ended, pause=gevent.sleep)


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_client_that_breaks_off_its_upload(how: str, moved: list[int]) -> None:
    ended: list[int] = []

    def server(peer: Peer) -> None:
        peer.read_head()
        received = len(peer.unread)
        try:
            while data := peer.socket.recv(65536):
                received += len(data)
        except ConnectionResetError:
            pass
        ended.append(received)

    with Stage(server) as stage:
        client = stage.client()
        client.send(POST + BODY[:2_000_000])
        wait_until(lambda: stage.server.active, pause=gevent.sleep)
        if how == "end":
            client.close()
        else:
            client.reset()
        wait_until(lambda: ended, pause=gevent.sleep)
        assert ended[0] <= 2_000_000
        wait_until(lambda: not stage.server.active, pause=gevent.sleep)


@pytest.mark.behaviour("DP-85")
def test_a_slow_upload_has_its_time(moved: list[int]) -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.read_exactly(1_000_000)
        arrived.append(True)
        with pytest.raises(AssertionError):
            peer.read_exactly(SIZE)

    arrived: list[bool] = []
    times = RespondingTimeouts(read_timeout_seconds=60)
    options = EntryPoint(address=":80", transport=EntryPointTransport(responding_timeouts=times))
    with Stage(server, options=options) as stage:
        client = stage.client()
        client.send(POST + BODY[:1_000_000])
        wait_until(lambda: arrived, pause=gevent.sleep)
        stage.clock.advance(61)
        response = client.response()
        assert (response.status, response[b"connection"]) == (504, b"close")
    assert moved
    assert moved[0] < 1_000_000


def test_an_answer_before_the_end_of_an_upload(moved: list[int]) -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.read_exactly(500_000)
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        peer.half_close()
        peer.socket.settimeout(5)
        while peer.read_some():
            pass

    with Stage(server) as stage:
        client = stage.client()
        client.send(POST + BODY[:1_000_000])
        response = client.response()
        assert (response.status, response.body, response[b"connection"]) == (413, b"big", b"close")


def test_what_a_server_dribbles_arrives_at_once(moved: list[int]) -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(HEAD + BODY[:-3])
        for byte in BODY[-3:]:
            wait_until(lambda: len(turn), pause=gevent.sleep)
            turn.pop()
            peer.send(bytes([byte]))
        peer.read_to_end()

    turn: list[bool] = []
    with Stage(server) as stage:
        client = stage.client()
        client.send(GET)
        assert client.head().status == 200
        client.read_exactly(SIZE - 3)
        for byte in BODY[-3:]:
            turn.append(True)
            assert client.read_exactly(1) == bytes([byte])


def test_bodies_that_are_framed_anew_or_small_are_not_spliced(moved: list[int]) -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n0\r\n\r\n" % (SIZE, BODY)

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(chunks)
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + BODY[:200_000])
        peer.read_to_end()

    with Stage(server) as stage:
        client = stage.client()
        assert client.get().body == BODY
        assert client.get().body == BODY[:200_000]
    assert not moved


def test_only_plain_streams_are_spliced() -> None:
    class Other(Stream):
        """Something in between."""

    plain, other = Stream.__new__(Stream), Other.__new__(Other)
    assert splicing.can_splice(plain, plain)
    assert not splicing.can_splice(plain, other)
    assert not splicing.can_splice(other, plain)


def test_without_a_free_descriptor_bodies_go_through_memory(
    moved: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> tuple[int, int]:
        raise OSError(errno.EMFILE, "Too many open files")

    seen: list[bytes] = []

    def server(peer: Peer) -> None:
        seen.append(body_of(peer.read_head(), peer))
        peer.send(HEAD + BODY)
        peer.read_head()
        peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        peer.read_to_end()

    monkeypatch.setattr(os, "pipe2", refuse)
    with Stage(server) as stage:
        client = stage.client()
        client.send(POST + BODY)
        assert client.response().body == BODY
        assert client.get().status == 204
    assert seen == [BODY]
    assert len(moved) == 2
    assert all(count > SIZE - 200_000 for count in moved)
