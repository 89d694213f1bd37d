"""The proxy step as client and server see it: plain HTTP on both sides."""

from __future__ import annotations

import contextlib
import gzip

import gevent
import pytest

from config.static import EntryPoint
from config.static_entrypoint import RespondingTimeouts
from config.static_entrypoint import Transport as EntryPointTransport
from tests.playbook import Stage
from tests.upstreams import Peer, Script, Upstream, answering, body_of, echo
from tests.waiting import wait_until
from workers.upstream.transport import Transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


def silent(peer: Peer) -> None:
    peer.read_to_end()


def test_request_and_response_pass_through() -> None:
    with Stage(echo) as stage:
        response = stage.client().get(b"/x?y=1", b"Cookie: a", b"Cookie: b")
        assert response.status == 200
        first, *lines = response.body.split(b"\r\n")
        assert first == b"GET /x?y=1 HTTP/1.1"
        assert lines[0] == b"Host: a.example"
        assert lines.index(b"Cookie: a") + 1 == lines.index(b"Cookie: b")


@pytest.mark.behaviour("DP-4")
def test_http_1_0_without_host_gets_the_servers() -> None:
    with Stage(echo) as stage:
        client = stage.client()
        client.send(b"GET /x HTTP/1.0\r\n\r\n")
        body = client.response().body
        assert stage.upstream is not None
        assert b"\r\nHost: 127.0.0.1:%d\r\n" % stage.upstream.port in body
        assert b"X-Forwarded-Host" not in body


@pytest.mark.behaviour("DP-12")
@pytest.mark.behaviour("ADV-D-4")
def test_connect_is_501_and_ends_the_connection() -> None:
    """ADV-D"""
    with Stage(echo) as stage:
        client = stage.client()
        client.send(b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n")
        response = client.response()
        assert (response.status, response.body, response[b"connection"]) == (501, b"", b"close")
        assert client.is_closed()
        assert stage.request.path == b"/"
        assert stage.upstream is not None
        assert not stage.upstream.connections


@pytest.mark.behaviour("DP-61")
def test_host_of_the_server_url() -> None:
    with Stage(echo, pass_host_header=False) as stage:
        body = stage.client().get().body
        assert stage.upstream is not None
        assert b"\r\nHost: 127.0.0.1:%d\r\n" % stage.upstream.port in body
        assert b"\r\nX-Forwarded-Host: a.example\r\n" in body


@pytest.mark.behaviour("DP-62")
def test_path_and_query_of_the_server_url_are_ignored() -> None:
    with Upstream(echo) as upstream, Stage(url=upstream.url + "/base?x=1") as stage:
        assert stage.client().get(b"/y").body.startswith(b"GET /y HTTP/1.1\r\n")


def test_compressed_bodies_are_not_touched() -> None:
    packed = gzip.compress(b"hello")
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(packed), packed)
    with Stage(answering(answer)) as stage:
        response = stage.client().get(b"/", b"Accept-Encoding: gzip")
        assert (response.body, response[b"content-encoding"]) == (packed, b"gzip")


# Bodies


@pytest.mark.parametrize("size", [1, 65535, 65536, 1 << 20])
def test_body_of_known_length(size: int) -> None:
    with Stage(echo) as stage:
        client = stage.client()
        body = bytes(range(256)) * (size // 256 + 1)
        gevent.spawn(
            client.send, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (size, body[:size])
        )
        head, _, echoed = client.response().body.partition(b"\r\n\r\n")
        assert b"\r\nContent-Length: %d" % size in head
        assert echoed == body[:size]
        assert client.get().status == 200


@pytest.mark.behaviour("DP-63")
def test_chunked_body_in_pieces() -> None:
    with Stage(echo) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.dribble(b"3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\nX-Trailer: never\r\n\r\n")
        head, _, echoed = client.response().body.partition(b"\r\n\r\n")
        assert b"\r\nTransfer-Encoding: chunked" in head
        assert b"".join(line for line in echoed.split(b"\r\n")[1::2]) == b"abcdefgh"
        assert b"X-Trailer" not in echoed
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        assert client.response().body.endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")


@pytest.mark.parametrize("bad", [b"3\r\nabcX", b"zz\r\n", b"3\nabc\r\n"])
def test_malformed_chunks_are_400_and_end_both_connections(bad: bytes) -> None:
    """ADV-D"""
    seen: list[bytes] = []

    def server(peer: Peer) -> None:
        seen.append(peer.read_to_end())

    with Stage(server) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        wait_until(lambda: stage.server.active, pause=gevent.sleep)
        client.send(bad)
        assert client.read_to_end().startswith(b"HTTP/1.1 400 Bad Request\r\n")
        wait_until(lambda: seen, pause=gevent.sleep)
        assert not seen[0].endswith(b"0\r\n\r\n")


def test_early_answer_to_an_upload() -> None:
    """The server refuses before it has read the body; the client may go on sending."""

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        peer.half_close()
        peer.read_to_end()

    with Stage(server) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nstart")
        response = client.response()
        assert (response.status, response.body) == (413, b"big")
        client.send(b"x" * 99995)
        client.send(GET)
        assert client.response().status == 413


def test_full_duplex() -> None:
    """Pieces go both ways while neither body is over."""

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            size = int(peer.read_until(b"\r\n"), 16)
            peer.send(b"%x\r\n%b" % (size, peer.read_exactly(size + 2)))
        assert peer.read_exactly(5) == b"0\r\n\r\n"
        peer.send(b"0\r\n\r\n")
        peer.read_to_end()

    with Stage(server) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.read_head()
        for piece in (b"3\r\none\r\n", b"3\r\ntwo\r\n", b"5\r\nthree\r\n"):
            client.send(piece)
            assert client.read_exactly(len(piece)) == piece
        client.send(b"0\r\n\r\n")
        assert client.read_exactly(5) == b"0\r\n\r\n"


@pytest.mark.behaviour("DP-85")
@pytest.mark.behaviour("ADV-F-2")
def test_slow_upload_is_504_and_closed() -> None:
    seen: list[bytes] = []
    with Stage(lambda peer: seen.append(peer.read_to_end())) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        for _ in range(3):
            client.send(b"x")
            gevent.sleep(0.02)
            stage.clock.advance(25)
        response = client.response()
        assert (response.status, response.body, response[b"connection"]) == (504, b"Gateway Timeout", b"close")
        assert client.is_closed()
        wait_until(lambda: seen, pause=gevent.sleep)


@pytest.mark.behaviour("DP-85")
def test_slow_upload_without_read_timeout() -> None:
    timeouts = RespondingTimeouts(read_timeout_seconds=0.0)
    options = EntryPoint(address=":80", transport=EntryPointTransport(responding_timeouts=timeouts))
    with Stage(echo, options=options) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
        for _ in range(3):
            client.send(b"x")
            gevent.sleep(0.02)
            stage.clock.advance(25)
        assert client.response().body.endswith(b"xxx")


# Expect: 100-continue

EXPECT = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"


def test_100_is_relayed_and_then_the_body() -> None:
    with Stage(echo) as stage:
        client = stage.client()
        client.send(EXPECT)
        assert client.head().status == 100
        client.send(b"abc")
        response = client.response()
        assert b"\r\nExpect: 100-continue\r\n" in response.body
        assert response.body.endswith(b"abc")


def test_body_is_sent_without_100_after_a_second() -> None:
    def server(peer: Peer) -> None:
        head = peer.read_head()
        assert body_of(head, peer) == b"abc"
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
        peer.read_to_end()

    with Stage(server) as stage:
        client = stage.client()
        client.send(EXPECT)
        wait_until(lambda: stage.server.active, pause=gevent.sleep)
        gevent.sleep(0.02)
        stage.clock.advance(1.5)
        assert client.head().status == 100
        client.send(b"abc")
        assert client.response().status == 200


@pytest.mark.behaviour("DP-80")
def test_refused_expectation_brings_no_100() -> None:
    with Stage(answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")) as stage:
        client = stage.client()
        client.send(EXPECT)
        response = client.response()
        assert (response.status, response[b"connection"]) == (401, b"close")
        assert client.is_closed()


def test_body_that_does_not_wait_for_its_100() -> None:
    with Stage(echo) as stage:
        client = stage.client()
        client.send(EXPECT + b"abc")
        assert client.head().status == 100
        assert client.response().body.endswith(b"abc")
        assert client.get().status == 200


# Responses


@pytest.mark.parametrize("size", [2, 65536, 1 << 20])
@pytest.mark.parametrize("close", [False, True])
def test_response_of_known_length_in_pieces(size: int, close: bool) -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        connection = b"Connection: close\r\n" if close else b""
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n" % (size, connection))
        peer.dribble(b"x" * size, max(size // 10, 1))
        if not close:
            peer.read_to_end()

    with Stage(server) as stage:
        client = stage.client()
        response = client.get()
        assert response.body == b"x" * size
        assert response[b"connection"] is None
        client.send(b"HEAD")


def test_chunked_response_stays_chunked() -> None:
    wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    with Stage(answering(wire, wire)) as stage:
        client = stage.client()
        for _ in range(2):
            response = client.get()
            assert (response.body, response[b"transfer-encoding"]) == (b"abcdefg", b"chunked")
        assert stage.upstream is not None
        assert stage.upstream.connections == 1


def test_chunked_response_byte_by_byte() -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.dribble(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")
        peer.read_to_end()

    with Stage(server) as stage:
        response = stage.client().get()
        assert (response.body, response.trailers) == (b"abc", [(b"X-T", b"1")])


def test_response_that_ends_with_its_connection() -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.0 200 OK\r\n\r\nab")
        gevent.sleep(0.01)
        peer.send(b"cd")

    with Stage(server) as stage:
        client = stage.client()
        response = client.get()
        assert (response.body, response[b"transfer-encoding"], response.line) == (
            b"abcd",
            b"chunked",
            b"HTTP/1.1 200 OK",
        )
        assert client.get().body == b"abcd"


@pytest.mark.behaviour("DP-74")
def test_response_cut_short_cuts_the_client() -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 50)

    with Stage(server) as stage:
        client = stage.client()
        client.send(GET)
        data = client.read_to_end()
        assert data.startswith(b"HTTP/1.1 200 OK")
        assert data.endswith(b"\r\n\r\n" + b"x" * 50)


@pytest.mark.parametrize("tail", [b"", b"5\r\nabc", b"zz\r\n"], ids=["end", "cut chunk", "nonsense"])
def test_chunked_response_cut_short_has_no_last_chunk(tail: bytes) -> None:
    """ADV-D"""

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        gevent.sleep(0.02)
        peer.send(tail)

    with Stage(server) as stage:
        client = stage.client()
        client.send(GET)
        data = client.read_to_end()
        assert b"3\r\nabc\r\n" in data
        assert not data.endswith(b"0\r\n\r\n")


def test_cut_response_to_http_1_0_is_a_reset() -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        gevent.sleep(0.02)

    with Stage(server) as stage:
        client = stage.client()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.read_to_end()


@pytest.mark.behaviour("DP-75")
@pytest.mark.behaviour("DP-76")
@pytest.mark.parametrize("framing", [b"Content-Type: text/event-stream\r\n", b"Content-Length: 6\r\n"])
def test_every_piece_is_passed_on_at_once(framing: bytes) -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\n%b\r\n" % framing)
        for piece in (b"ab", b"cd", b"ef"):
            peer.send(piece)
            turn.wait()
            turn.clear()

    turn = gevent.event.Event()
    with Stage(server) as stage:
        client = stage.client()
        client.send(GET)
        client.read_head()
        for piece in (b"ab", b"cd", b"ef"):
            assert client.read_until(piece).endswith(piece)
            turn.set()


@pytest.mark.behaviour("DP-77")
def test_content_type_is_never_guessed() -> None:
    with Stage(answering(OK)) as stage:
        response = stage.client().get()
        assert response[b"content-type"] is None
        assert response[b"server"] is None
        assert response[b"date"]


def test_date_and_server_of_the_server_are_kept() -> None:
    date = b"Thu, 01 Jan 1970 00:00:00 GMT"
    answer = b"HTTP/1.1 200 Whatever\r\nDate: %b\r\nServer: x\r\nContent-Length: 0\r\n\r\n" % date
    with Stage(answering(answer)) as stage:
        response = stage.client().get()
        assert (response[b"date"], response[b"server"], response.line) == (date, b"x", b"HTTP/1.1 200 OK")


def test_hop_by_hop_headers_of_a_response_stop_here() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
        b"Proxy-Authenticate: x\r\nUpgrade: h2c\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n"
    )
    with Stage(answering(answer)) as stage:
        names = {name.lower() for name, _ in stage.client().get().headers}
        assert names == {b"x-kept", b"content-length", b"date"}


@pytest.mark.behaviour("DP-78")
def test_interim_responses_are_relayed() -> None:
    def server(peer: Peer) -> None:
        for _ in range(2):
            peer.read_head()
            peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            peer.send(b"HTTP/1.1 102 Processing\r\n\r\n" + OK)
        peer.read_to_end()

    with Stage(server) as stage:
        client = stage.client()
        client.send(GET)
        early = client.head()
        assert (early.status, early.headers) == (103, [(b"Link", b"</x>")])
        assert client.head().status == 102
        assert client.response().body == b"ok"
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.response().status == 200


def test_endless_interim_responses_are_an_error() -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
        peer.read_to_end()

    with Stage(server) as stage:
        client = stage.client()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.response().status == 500


@pytest.mark.behaviour("DP-79")
def test_trailers_announced_and_not() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
        b"2\r\nok\r\n0\r\nX-T: 1\r\nX-U: 2\r\nContent-Length: 9\r\n\r\n"
    )
    with Stage(answering(answer)) as stage:
        response = stage.client().get()
        assert response[b"trailer"] == b"X-T"
        assert response.trailers == [(b"X-T", b"1"), (b"X-U", b"2")]


@pytest.mark.behaviour("DP-81")
def test_head_keeps_the_length_and_the_connection() -> None:
    with Stage(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", OK)) as stage:
        client = stage.client()
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response(b"HEAD")[b"content-length"] == b"5"
        assert client.get().body == b"ok"
        assert stage.upstream is not None
        assert stage.upstream.connections == 1


@pytest.mark.parametrize("status", [204, 304])
def test_responses_without_body(status: int) -> None:
    answer = b"HTTP/1.1 %d X\r\nETag: x\r\n\r\n" % status
    with Stage(answering(answer, OK)) as stage:
        client = stage.client()
        response = client.get()
        assert (response.status, response[b"etag"], response[b"transfer-encoding"]) == (status, b"x", None)
        assert client.get().body == b"ok"
        assert stage.upstream is not None
        assert stage.upstream.connections == 1


# Connections to the server


@pytest.mark.behaviour("ADV-D-3")
def test_surplus_bytes_never_meet_the_next_request() -> None:
    """ADV-D: response poisoning."""
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    with Stage(answering(OK + poison)) as stage:
        client = stage.client()
        assert client.get().body == b"ok"
        assert client.get().body == b"ok"
        assert stage.upstream is not None
        assert stage.upstream.connections == 2


def test_bytes_behind_a_head_response_never_meet_the_next_request() -> None:
    """ADV-D"""
    with Stage(answering(b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil")) as stage:
        client = stage.client()
        assert client.get().status == 204
        wait_until(lambda: not stage.server.active, pause=gevent.sleep)
        assert client.get().status == 204
        assert stage.upstream is not None
        assert stage.upstream.connections == 2


def test_late_bytes_on_an_idle_connection_discard_it() -> None:
    """ADV-D"""

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(OK)
        gevent.sleep(0.02)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        peer.read_to_end()

    with Stage(server) as stage:
        client = stage.client()
        client.get()
        pool = stage.transport.pool(stage.balancer.servers[0])
        assert len(pool) == 1
        wait_until(lambda: not len(pool), pause=gevent.sleep)
        assert client.get().body == b"ok"


def test_connection_closed_while_idle_is_not_used() -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(OK)

    with Stage(server) as stage:
        client = stage.client()
        client.get()
        pool = stage.transport.pool(stage.balancer.servers[0])
        wait_until(lambda: not len(pool), pause=gevent.sleep)
        assert client.get().body == b"ok"


def dies_on_reuse(peer: Peer) -> None:
    """The second request on a connection is read and dropped."""
    peer.read_head()
    peer.send(OK)
    if peer.socket.recv(65536):
        peer.reset()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (GET, 200),
        (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", 502),
        (b"POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: 1\r\n\r\n", 200),
        (b"POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: 1\r\nContent-Length: 1\r\n\r\nx", 502),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 502),
    ],
    ids=["GET", "POST", "POST with a key", "with key and body", "PUT"],
)
def test_reused_connection_that_dies_is_replaced_if_the_request_may_be_repeated(
    request_bytes: bytes, status: int
) -> None:
    with Stage(dies_on_reuse) as stage:
        client = stage.client()
        client.get()
        client.send(request_bytes)
        assert client.response().status == status


def test_fresh_connection_that_dies_is_not_retried() -> None:
    with Stage(reads_and()) as stage:
        assert stage.client().get().status == 502
        assert stage.upstream is not None
        assert stage.upstream.connections == 1


def test_close_of_the_server_ends_only_its_own_connection() -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    with Stage(answering(answer)) as stage:
        client = stage.client()
        assert client.get()[b"connection"] is None
        assert client.get().body == b"ok"
        assert stage.upstream is not None
        assert stage.upstream.connections == 2


# Failures


@pytest.mark.behaviour("DP-66")
def test_refused_connection_is_502() -> None:
    with Upstream(silent) as gone:
        url = gone.url
    with Stage(url=url) as stage:
        response = stage.client().get()
        assert (response.status, response.body) == (502, b"Bad Gateway")
        assert (response[b"content-type"], response[b"content-length"]) == (None, b"11")


def reads_and(*, sends: bytes = b"", reset: bool = False) -> Script:
    def script(peer: Peer) -> None:
        peer.read_head()
        peer.send(sends)
        if reset:
            gevent.sleep(0.01)
            peer.reset()

    return script


@pytest.mark.parametrize(
    ("sends", "reset", "status"),
    [
        pytest.param(b"", False, 502, marks=pytest.mark.behaviour("DP-67")),
        (b"", True, 502),
        pytest.param(b"HTTP/1.1 200 OK\r\nX:", False, 500, marks=pytest.mark.behaviour("DP-67")),
        (b"HTTP/1.1 200 OK\r\nX:", True, 500),
        (b"HTTP", False, 500),
        pytest.param(b"hello, I am not HTTP\r\n\r\n", False, 500, marks=pytest.mark.behaviour("DP-72")),
        (b"HTTP/1.1 103 Early\r\n\r\n", False, 500),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", False, 500),
        (b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx", False, 500),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", False, 500),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", False, 500),
    ],
)
def test_failures_before_the_response(sends: bytes, reset: bool, status: int) -> None:
    with Stage(reads_and(sends=sends, reset=reset)) as stage:
        client = stage.client()
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        response = client.response()
        body = b"Bad Gateway" if status == 502 else b"Internal Server Error"
        assert (response.status, response.body, response[b"content-type"]) == (status, body, None)
        assert response[b"connection"] == b"keep-alive"


def test_response_head_above_10_mib_is_500() -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\n")
        for _ in range(170):
            peer.send(b"A: " + b"x" * 65536 + b"\r\n")
        peer.read_to_end()

    with Stage(server) as stage:
        assert stage.client().get().status == 500


@pytest.mark.behaviour("DP-68")
def test_response_header_timeout_is_504() -> None:
    def transport(wheel: object) -> Transport:
        return Transport(response_header_timeout_seconds=1.0, wheel=wheel)  # type: ignore[arg-type]

    def server(peer: Peer) -> None:
        if b"POST" in peer.read_head():
            peer.read_exactly(3)
        peer.read_to_end()

    with Stage(server, transport=transport) as stage:
        client = stage.client()
        client.send(GET)
        wait_until(lambda: stage.server.active, pause=gevent.sleep)
        gevent.sleep(0.02)
        stage.clock.advance(0.9)
        gevent.sleep(0.01)
        assert stage.server.active
        stage.clock.advance(0.3)
        response = client.response()
        assert (response.status, response.body) == (504, b"Gateway Timeout")
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
        gevent.sleep(0.02)
        stage.clock.advance(5)
        client.send(b"abc")
        gevent.sleep(0.02)
        assert stage.server.active, "the time runs from the end of the request"
        stage.clock.advance(1.3)
        assert client.response().status == 504


@pytest.mark.behaviour("DP-73")
def test_no_server_is_503() -> None:
    from tests.playbook import Rigid
    from workers.proxy import ServiceHandler
    from workers.timers import current_wheel

    handler = ServiceHandler("web@test", Rigid([]), Transport(wheel=current_wheel()))
    with Stage(handler=handler) as stage:
        response = stage.client().get()
        assert (response.status, response.body) == (503, b"no available server\n")
        assert response[b"content-length"] == b"20"
        assert response[b"x-content-type-options"] == b"nosniff"


@pytest.mark.behaviour("DP-86")
@pytest.mark.parametrize("half", [False, True], ids=["closed", "half closed"])
def test_client_that_leaves_takes_the_upstream_request_along(half: bool) -> None:
    ended: list[bytes] = []

    def server(peer: Peer) -> None:
        peer.read_head()
        ended.append(peer.read_to_end())

    with Stage(server) as stage:
        client = stage.client()
        client.send(GET)
        wait_until(lambda: stage.server.active, pause=gevent.sleep)
        if half:
            client.half_close()
            assert client.read_to_end().startswith(b"HTTP/1.1 499 ")
        else:
            client.close()
        wait_until(lambda: ended == [b""], 1.0, pause=gevent.sleep)


def test_client_that_resets_in_its_upload_takes_the_upstream_request_along() -> None:
    ended: list[bytes] = []

    def server(peer: Peer) -> None:
        peer.read_head()
        ended.append(peer.read_to_end())

    with Stage(server) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        wait_until(lambda: stage.server.active, pause=gevent.sleep)
        gevent.sleep(0.02)
        client.reset()
        wait_until(lambda: ended == [b"abc"], pause=gevent.sleep)


def test_client_that_leaves_in_the_response_closes_the_server() -> None:
    ended: list[bool] = []

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                peer.send(b"5\r\nhello\r\n")
                gevent.sleep(0.005)
        except OSError:
            ended.append(True)

    with Stage(server) as stage:
        client = stage.client()
        client.send(GET)
        client.read_until(b"hello")
        client.reset()
        wait_until(lambda: ended, pause=gevent.sleep)


def test_memory_stays_flat_where_the_client_does_not_read() -> None:
    """ADV-F: a fast server is slowed down to its client."""
    sent = 0

    def server(peer: Peer) -> None:
        nonlocal sent
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        while True:
            peer.socket.sendall(b"x" * 65536)
            sent += 65536

    with Stage(server) as stage:
        client = stage.client()
        client.send(GET)
        client.read_head()
        last = -1
        while sent != last:
            last = sent
            gevent.sleep(0.1)
        assert sent < 64 << 20
        client.reset()


def test_memory_stays_flat_where_the_server_does_not_read() -> None:
    """ADV-F"""

    def server(peer: Peer) -> None:
        peer.read_head()
        gevent.sleep(60)

    with Stage(server) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        sent = 0
        client.socket.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            while sent < 1 << 30:
                sent += client.socket.send(b"x" * 65536)
        assert sent < 64 << 20
        client.reset()


@pytest.mark.behaviour("DP-69")
def test_dial_timeout_is_504() -> None:
    import socket

    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = full.getsockname()[1]
    fillers = []
    try:
        # A full backlog drops further SYNs: the connect hangs, as it does with an unroutable address.
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        with Stage(
            url=f"http://127.0.0.1:{port}",
            transport=lambda wheel: Transport(dial_timeout_seconds=1.0, wheel=wheel),
        ) as stage:
            client = stage.client()
            client.send(GET)
            wait_until(lambda: stage.server.active, pause=gevent.sleep)
            gevent.sleep(0.02)
            stage.clock.advance(1.3)
            response = client.response()
            assert (response.status, response.body) == (504, b"Gateway Timeout")
    finally:
        for filler in fillers:
            filler.close()
        full.close()
