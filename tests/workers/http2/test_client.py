"""Servers that speak HTTP/2, as a client of the entry point and the server itself see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest
from h2 import events
from h2.errors import ErrorCodes

from tests.playbook import Client, Stage
from tests.upstreams import Peer, Script, Upstream
from tests.waiting import wait_until
from tests.workers.http2.client import converse
from tests.workers.http2.peer import Http2Peer
from tests.workers.upstream.secured import Handshake, authority, secured, server_context
from tls.client import client_settings
from workers.upstream.probe import fetch
from workers.upstream.transport import Transport, UpstreamServer

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
Talk = Callable[[Http2Peer], None]


def speaking(talk: Talk, limits: dict[str, int] | None = None) -> Script:
    """A script that speaks HTTP/2, and then waits for the end."""

    def script(peer: Peer) -> None:
        talk(Http2Peer(peer, limits))
        peer.read_to_end()

    return script


def stage_for(upstream: Upstream, scheme: str = "h2c", **options: Any) -> Stage:
    options.setdefault("tls", client_settings(root_cas=[authority().pem]))
    return Stage(
        url=upstream.url.replace("http", scheme), transport=lambda wheel: Transport(wheel=wheel, **options)
    )


def serve(peer: Http2Peer) -> None:
    peer.serve()


def answered(client: Client) -> tuple[int, bytes]:
    response = client.get()
    return response.status, response.body


# What server and client see


def test_request_and_response() -> None:
    seen: list[dict[bytes, bytes]] = []

    def talk(peer: Http2Peer) -> None:
        stream, fields = peer.request()
        seen.append(fields)
        peer.answer(stream, b"hello", 201, x_a=b"1", content_type=b"text/plain")

    with Upstream(speaking(talk)) as upstream, stage_for(upstream) as stage:
        response = stage.client().get(b"/x?y", b"Te: trailers", b"Keep-Alive: 1", b"X-B: 2")
        assert (response.status, response.body) == (201, b"hello")
        assert (response[b"x-a"], response[b"transfer-encoding"]) == (b"1", b"chunked")
        assert (b"Content-Type", b"text/plain") in response.headers
    fields = seen[0]
    assert list(fields)[:4] == [b":method", b":scheme", b":authority", b":path"]
    assert list(fields.values())[:4] == [b"GET", b"http", b"a.example", b"/x?y"]
    assert (fields[b"te"], fields[b"x-b"], fields[b"x-forwarded-for"]) == (b"trailers", b"2", b"127.0.0.1")
    assert not {b"host", b"keep-alive", b"connection"} & fields.keys()


@pytest.mark.parametrize(("disabled", "protocol"), [(False, "h2"), (True, "http/1.1")])
def test_protocol_is_agreed_on_in_the_handshake(disabled: bool, protocol: str) -> None:
    seen: list[Handshake] = []

    def script(peer: Peer) -> None:
        if seen[-1].alpn == "h2":
            Http2Peer(peer).serve()
        else:
            peer.read_head()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            peer.read_to_end()

    context = server_context(alpn=["h2", "http/1.1"])
    with (
        Upstream(secured(script, context, seen)) as upstream,
        stage_for(upstream, "https", disable_http2=disabled) as stage,
    ):
        assert answered(stage.client()) == (200, b"ok")
        assert seen[0].alpn == protocol


def test_upgrades_have_connections_of_their_own() -> None:
    seen: list[Handshake] = []

    def script(peer: Peer) -> None:
        if seen[-1].alpn == "h2":
            Http2Peer(peer).serve()
        else:
            assert b"\r\nUpgrade: x\r\n" in peer.read_head()
            peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            peer.read_to_end()

    context = server_context(alpn=["h2", "http/1.1"])
    with Upstream(secured(script, context, seen)) as upstream, stage_for(upstream, "https") as stage:
        client = stage.client()
        assert client.get().body == b"ok"
        assert client.get(b"/", b"Connection: Upgrade", b"Upgrade: x").status == 403
        assert client.get().body == b"ok"
        assert [one.alpn for one in seen] == ["h2", "http/1.1"]


def test_trailers() -> None:
    def talk(peer: Http2Peer) -> None:
        stream, _ = peer.request()
        peer.answer(stream, b"ok", trailers=[(b"x-t", b"1"), (b"content-length", b"9")], trailer=b"x-t")
        stream, _ = peer.request()
        peer.answer(stream, b"", trailers=[(b"grpc-status", b"0")])

    with Upstream(speaking(talk)) as upstream, stage_for(upstream) as stage:
        client = stage.client()
        response = client.get()
        assert (response.body, response[b"trailer"]) == (b"ok", b"x-t")
        assert response.trailers == [(b"X-T", b"1")]
        assert client.get().trailers == [(b"Grpc-Status", b"0")]


def test_interim_responses() -> None:
    def talk(peer: Http2Peer) -> None:
        stream, _ = peer.request()
        peer.h2.send_headers(stream, [(b":status", b"103"), (b"link", b"</a>")])
        peer.flush()
        peer.answer(stream)

    with Upstream(speaking(talk)) as upstream, stage_for(upstream) as stage:
        client = stage.client()
        client.send(GET)
        hints = client.head()
        assert (hints.status, hints.headers) == (103, [(b"Link", b"</a>")])
        assert client.response().body == b"ok"


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
def test_responses_without_a_body(method: bytes, status: int) -> None:
    def talk(peer: Http2Peer) -> None:
        for _ in range(2):
            stream, _ = peer.request()
            headers = [(b"content-length", b"5")] if method == b"HEAD" else []
            peer.head(stream, status, *headers, end=True)

    with Upstream(speaking(talk)) as upstream, stage_for(upstream) as stage:
        client = stage.client()
        for _ in range(2):
            client.send(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
            response = client.response(method)
            assert (response.status, response.body) == (status, b"")
            assert response[b"content-length"] == (b"5" if method == b"HEAD" else None)
        assert upstream.connections == 1


# Bodies


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 65536, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_both_ways(size: int, chunked: bool) -> None:
    def talk(peer: Http2Peer) -> None:
        stream, fields = peer.request()
        assert fields.get(b"content-length") == (None if chunked else b"%d" % size)
        peer.answer(stream, peer.body(stream))

    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    with Upstream(speaking(talk)) as upstream, stage_for(upstream) as stage:
        client = stage.client()
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % framing)
        data = (b"%x\r\n%b\r\n" % (size, body) if size else b"") + b"0\r\n\r\n" if chunked else body
        sender = gevent.spawn(client.send, data)
        assert client.response().body == body
        sender.join()


def test_a_client_that_does_not_read_stops_the_server() -> None:
    """ADV-E: no more than a window is kept, and other requests of the same connection go on."""
    sent, is_held = [0], []

    def talk(peer: Http2Peer) -> None:
        stream, _ = peer.request()
        peer.head(stream, 200)
        while room := min(peer.h2.local_flow_control_window(stream), 16384):
            peer.h2.send_data(stream, b"x" * room)
            peer.flush()
            sent[0] += room
            gevent.sleep(0)
            if not peer.peer.hears_nothing(0.01):
                peer.h2.receive_data(peer.peer.read_some())
        is_held.append(True)
        peer.serve()

    with Upstream(speaking(talk)) as upstream, stage_for(upstream) as stage:
        stalled = stage.client()
        stalled.send(GET)
        wait_until(lambda: is_held, pause=gevent.sleep)
        assert sent[0] < 30_000_000
        assert answered(stage.client()) == (200, b"ok")
        assert upstream.connections == 1
        stalled.close()


def test_an_early_answer_ends_the_upload() -> None:
    def talk(peer: Http2Peer) -> None:
        stream, _ = peer.request()
        peer.answer(stream, b"too large", 413)
        peer.h2.reset_stream(stream, ErrorCodes.NO_ERROR)
        peer.flush()
        peer.serve()

    with Upstream(speaking(talk)) as upstream, stage_for(upstream) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nstart")
        response = client.response()
        assert (response.status, response.body) == (413, b"too large")
        assert answered(stage.client()) == (200, b"ok")
        assert upstream.connections == 1


@pytest.mark.behaviour("DP-80")
def test_expect_continue() -> None:
    def talk(peer: Http2Peer) -> None:
        stream, fields = peer.request()
        assert fields[b"expect"] == b"100-continue"
        peer.answer(stream, b"no", 401)
        stream, _ = peer.request()
        peer.h2.send_headers(stream, [(b":status", b"100")])
        peer.flush()
        peer.answer(stream, peer.body(stream))

    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    with Upstream(speaking(talk)) as upstream, stage_for(upstream) as stage:
        client = stage.client()
        client.send(head)
        assert client.response().status == 401
        client = stage.client()
        client.send(head)
        assert client.head().status == 100
        client.send(b"abc")
        assert client.response().body == b"abc"


def test_expected_body_is_sent_after_a_second_without_answer() -> None:
    def talk(peer: Http2Peer) -> None:
        stream, _ = peer.request()
        arrived.append(True)
        peer.answer(stream, peer.body(stream))

    arrived: list[bool] = []
    with Upstream(speaking(talk)) as upstream, stage_for(upstream) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        wait_until(lambda: arrived, pause=gevent.sleep)
        stage.clock.advance(1.5)
        assert client.head().status == 100
        client.send(b"abc")
        assert client.response().body == b"abc"


def test_both_sides_stream_at_the_same_time() -> None:
    def talk(peer: Http2Peer) -> None:
        stream, _ = peer.request()
        peer.head(stream, 200)
        for _ in range(3):
            event = peer.next(events.DataReceived)
            peer.data(stream, b"<" + (event.data or b"") + b">")
        peer.next(events.StreamEnded)
        peer.h2.send_headers(stream, [(b"x-t", b"1")], end_stream=True)
        peer.flush()

    with Upstream(speaking(talk)) as upstream, stage_for(upstream) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert client.head().status == 200
        for word in (b"a", b"b", b"c"):
            client.send(b"1\r\n%b\r\n" % word)
            assert client.read_exactly(8) == b"3\r\n<%b>\r\n" % word
        client.send(b"0\r\n\r\n")
        assert client.read_exactly(13) == b"0\r\nX-T: 1\r\n\r\n"


# One connection for many


def test_requests_share_a_connection_up_to_the_servers_limit() -> None:
    waiting: list[tuple[Http2Peer, int]] = []

    def talk(peer: Http2Peer) -> None:
        try:
            while True:
                waiting.append((peer, peer.request()[0]))
        except AssertionError:
            return

    with Upstream(speaking(talk, {"MAX_CONCURRENT_STREAMS": 3})) as upstream, stage_for(upstream) as stage:
        first = stage.client()
        first.send(GET)
        wait_until(lambda: len(waiting) == 1, pause=gevent.sleep)
        others = [stage.client() for _ in range(6)]
        for client in others:
            client.send(GET)
        wait_until(lambda: len(waiting) == 7, pause=gevent.sleep)
        assert upstream.connections == 3
        for peer, stream in waiting:
            peer.answer(stream)
        for client in (first, *others):
            assert client.response().body == b"ok"


def test_many_at_once_make_one_connection() -> None:
    with Upstream(speaking(serve)) as upstream, stage_for(upstream) as stage:
        clients = [stage.client() for _ in range(20)]
        for client in clients:
            client.send(GET)
        for client in clients:
            assert client.response().body == b"ok"
        assert upstream.connections == 1


@pytest.mark.parametrize("answer", [b"", None])
def test_a_failed_connection_fails_all_who_waited(answer: bytes | None) -> None:
    with Upstream(speaking(serve)) as gone:
        pass
    with stage_for(gone) as stage:
        clients = [stage.client() for _ in range(5)]
        for client in clients:
            client.send(GET)
        for client in clients:
            assert client.response().status == 502


def test_connections_end_when_idle_for_long() -> None:
    ended: list[Any] = []

    def talk(peer: Http2Peer) -> None:
        peer.answer(peer.request()[0])
        ended.append(peer.next(events.ConnectionTerminated).error_code)

    with Upstream(speaking(talk)) as upstream, stage_for(upstream, idle_conn_timeout_seconds=90) as stage:
        assert answered(stage.client()) == (200, b"ok")
        stage.clock.advance(89)
        assert not ended
        stage.clock.advance(2)
        wait_until(lambda: ended, pause=gevent.sleep)
        assert ended == [0]


def test_pings_do_not_shorten_the_life_of_an_idle_connection() -> None:
    with (
        Upstream(speaking(serve)) as upstream,
        stage_for(upstream, read_idle_timeout_seconds=5, ping_timeout_seconds=2) as stage,
    ):
        client = stage.client()
        assert answered(client) == (200, b"ok")
        stage.clock.advance(60)
        assert answered(client) == (200, b"ok")
        assert upstream.connections == 1


def test_reuse_can_be_switched_off() -> None:
    with Upstream(speaking(serve)) as upstream, stage_for(upstream, max_idle_per_host=-1) as stage:
        client = stage.client()
        assert [answered(client) for _ in range(3)] == [(200, b"ok")] * 3
        assert upstream.connections == 3


# What goes wrong


def raw(data: bytes) -> Talk:
    """Bytes that no library would send, once a request is there."""

    def talk(peer: Http2Peer) -> None:
        peer.request()
        peer.peer.send(data)

    return talk


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def refusing(peer: Http2Peer) -> None:
    stream, _ = peer.request()
    peer.h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
    peer.flush()
    peer.serve()


def leaving(peer: Http2Peer) -> None:
    peer.request()
    peer.h2.close_connection(last_stream_id=0)
    peer.flush()


@pytest.mark.parametrize("failure", [refusing, leaving])
def test_what_was_not_processed_is_sent_again(failure: Talk) -> None:
    def script(peer: Peer) -> None:
        if upstream.connections == 1:
            failure(Http2Peer(peer))
        else:
            Http2Peer(peer).serve()
        peer.read_to_end()

    with Upstream(script) as upstream, stage_for(upstream) as stage:
        assert answered(stage.client()) == (200, b"ok")


def test_a_server_that_always_refuses_is_not_asked_for_ever() -> None:
    def talk(peer: Http2Peer) -> None:
        try:
            while True:
                stream, _ = peer.request()
                asked.append(stream)
                peer.h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
                peer.flush()
        except AssertionError:
            return

    asked: list[int] = []
    with Upstream(speaking(talk)) as upstream, stage_for(upstream) as stage:
        assert answered(stage.client()) == (502, b"Bad Gateway")
        assert 1 < len(asked) < 10


def test_a_body_is_never_sent_twice() -> None:
    with Upstream(speaking(refusing)) as upstream, stage_for(upstream) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        assert client.response().status == 502


def test_requests_under_way_survive_a_farewell() -> None:
    def script(peer: Peer) -> None:
        http2 = Http2Peer(peer)
        stream, _ = http2.request()
        if upstream.connections == 1:
            http2.peer.send(frame(7, 0, 0, stream.to_bytes(4, "big") + bytes(4)))
            gate.append(True)
            wait_until(lambda: len(gate) == 2, pause=gevent.sleep)
        http2.answer(stream, b"%d" % upstream.connections)
        peer.read_to_end()

    gate: list[bool] = []
    with Upstream(script) as upstream, stage_for(upstream) as stage:
        one = stage.client()
        one.send(GET)
        wait_until(lambda: gate, pause=gevent.sleep)
        assert answered(stage.client()) == (200, b"2")
        gate.append(True)
        assert one.response().status == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (frame(3, 0, 1, (2).to_bytes(4, "big")), 500),
        (frame(3, 0, 1, (8).to_bytes(4, "big")), 500),
        (frame(0, 1, 1, b"x"), 500),
        (frame(1, 5, 1, b"\x80"), 500),
        (frame(1, 5, 1, b"\x88" + b"\x00\x01A\x011"), 500),
        (frame(1, 5, 1, b"\x88" + b"\x00\x01a\x03b\r\n"), 500),
        (frame(1, 5, 1, b"\x00\x01a\x01b"), 500),
        (frame(1, 5, 1, b"\x08\x03101"), 500),
        (frame(1, 5, 1, b"\x08\x03103"), 500),
        (frame(1, 5, 1, b"\x88\x0f\x0d\x01x"), 500),
        (frame(5, 4, 1, bytes(8)), 500),
        (frame(6, 0, 1, bytes(8)), 500),
        (frame(4, 0, 0, b"xxx"), 500),
        (b"\xff" * 9, 500),
    ],
)
def test_nonsense_is_500(data: bytes, status: int) -> None:
    with Upstream(speaking(raw(data))) as upstream, stage_for(upstream) as stage:
        assert answered(stage.client()) == (status, b"Internal Server Error")


def test_a_server_of_another_protocol_is_500() -> None:
    def script(peer: Peer) -> None:
        peer.read_until(b"SM\r\n\r\n")
        peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        peer.read_to_end()

    with Upstream(script) as upstream, stage_for(upstream) as stage:
        assert answered(stage.client()) == (500, b"Internal Server Error")


def test_h2c_needs_http2() -> None:
    with Upstream(speaking(serve)) as upstream, stage_for(upstream, disable_http2=True) as stage:
        assert answered(stage.client()) == (500, b"Internal Server Error")
        assert not upstream.connections


def test_fields_of_the_connection_are_left_out() -> None:
    """Some servers send them; the original takes no offence."""
    head = frame(1, 5, 1, b"\x88" + b"\x00\x0aconnection\x01a" + b"\x00\x01a\x01b")
    with Upstream(speaking(raw(head))) as upstream, stage_for(upstream) as stage:
        response = stage.client().get()
        assert (response.status, response[b"connection"], response[b"a"]) == (200, None, b"b")


@pytest.mark.parametrize(("how", "status"), [("in order", 500), ("reset", 502)])
def test_a_connection_that_ends_early(how: str, status: int) -> None:
    """As in the original, which tells the two apart."""

    def script(peer: Peer) -> None:
        Http2Peer(peer).request()
        if how == "reset":
            peer.reset()

    with Upstream(script) as upstream, stage_for(upstream) as stage:
        assert stage.client().get().status == status


@pytest.mark.parametrize("how", ["end", "reset", "short"])
def test_an_answer_that_breaks_off_is_cut(how: str) -> None:
    def script(peer: Peer) -> None:
        http2 = Http2Peer(peer)
        stream, _ = http2.request()
        http2.head(stream, 200, (b"content-length", b"100"))
        http2.data(stream, b"x" * 50)
        if how == "reset":
            http2.h2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
        if how == "short":
            http2.peer.send(frame(0, 1, stream))
        http2.flush()
        if how != "end":
            peer.read_to_end()

    with Upstream(script) as upstream, stage_for(upstream) as stage:
        client = stage.client()
        client.send(GET)
        assert client.head().status == 200
        assert client.read_to_end() == b"x" * 50


def test_a_client_that_leaves_cancels_its_stream_only() -> None:
    def talk(peer: Http2Peer) -> None:
        stream, _ = peer.request()
        begun.append(stream)
        event = peer.next(events.StreamReset)
        assert (event.stream_id, event.error_code) == (stream, ErrorCodes.CANCEL)
        peer.serve()

    begun: list[int] = []
    with Upstream(speaking(talk)) as upstream, stage_for(upstream) as stage:
        client = stage.client()
        client.send(GET)
        wait_until(lambda: begun, pause=gevent.sleep)
        client.close()
        assert answered(stage.client()) == (200, b"ok")
        assert upstream.connections == 1


def test_response_header_timeout() -> None:
    def talk(peer: Http2Peer) -> None:
        begun.append(peer.request()[0])
        peer.next(events.StreamReset)
        peer.serve()

    begun: list[int] = []
    with Upstream(speaking(talk)) as upstream, stage_for(upstream, response_header_timeout_seconds=1) as stage:
        client = stage.client()
        client.send(GET)
        wait_until(lambda: begun, pause=gevent.sleep)
        stage.clock.advance(1.5)
        response = client.response()
        assert (response.status, response.body) == (504, b"Gateway Timeout")
        assert answered(client) == (200, b"ok")


@pytest.mark.parametrize("answers", [True, False])
def test_a_silent_server_is_asked_whether_it_is_there(answers: bool) -> None:
    def script(peer: Peer) -> None:
        http2 = Http2Peer(peer)
        stream, _ = http2.request()
        pings.append(b"")
        while (data := peer.read_some())[3] != 6:
            pass
        pings.append(data)
        if answers:
            http2.peer.send(frame(6, 1, 0, data[9:17]))
            http2.answer(stream)
        peer.read_to_end()

    pings: list[bytes] = []
    with (
        Upstream(script) as upstream,
        stage_for(upstream, read_idle_timeout_seconds=5, ping_timeout_seconds=2) as stage,
    ):
        client = stage.client()
        client.send(GET)
        wait_until(lambda: len(pings) == 1, pause=gevent.sleep)
        stage.clock.advance(4.5)
        gevent.sleep(0)
        assert len(pings) == 1
        stage.clock.advance(1)
        wait_until(lambda: len(pings) == 2, pause=gevent.sleep)
        if not answers:
            stage.clock.advance(2.5)
        assert client.response().status == (200 if answers else 500)


@pytest.mark.parametrize(
    "flood",
    [
        frame(6, 0, 0, bytes(8)),
        frame(4, 0, 0),
        frame(8, 0, 1, (1).to_bytes(4, "big")),
        frame(0, 0, 1),
        frame(2, 0, 1, bytes(5)),
        frame(99, 0, 1),
    ],
)
def test_floods_of_a_server_are_bounded(flood: bytes) -> None:
    """ADV-E"""

    def script(peer: Peer) -> None:
        http2 = Http2Peer(peer)
        stream, _ = http2.request()
        if flood[3] == 0:
            http2.head(stream, 200)
        try:
            for _ in range(10_000):
                peer.send(flood * 500)
            sent.append("all")
        except OSError:
            sent.append("cut")

    sent: list[str] = []
    with Upstream(script) as upstream, stage_for(upstream) as stage:
        client = stage.client()
        client.send(GET)
        if flood[3] != 0:
            assert client.response().status == 500
        wait_until(lambda: sent, pause=gevent.sleep)
        assert sent == ["cut"]


def test_a_head_without_end_is_bounded() -> None:
    """ADV-E: CONTINUATION frames."""

    def script(peer: Peer) -> None:
        Http2Peer(peer).request()
        try:
            peer.send(frame(1, 0, 1, b"\x88"))
            for _ in range(1000):
                peer.send(frame(9, 0, 1, b"\x00\x01a\x7f\x81\x7e" + bytes([97]) * 16000))
            sent.append("all")
        except OSError:
            sent.append("cut")

    sent: list[str] = []
    with Upstream(script) as upstream, stage_for(upstream) as stage:
        assert stage.client().get().status == 500
        wait_until(lambda: sent, pause=gevent.sleep)
        assert sent == ["cut"]


def test_requests_of_our_own() -> None:
    def talk(peer: Http2Peer) -> None:
        for _ in range(2):
            stream, fields = peer.request()
            body = peer.body(stream) if fields[b":method"] == b"POST" else b""
            peer.answer(stream, b"got " + body, x_a=b"1")

    with Upstream(speaking(talk)) as upstream, stage_for(upstream) as stage:
        server = UpstreamServer(upstream.url.replace("http", "h2c"))
        answer = fetch(stage.transport, server, b"GET", b"/", b"a", [], 5, 100)
        assert answer[:3] == (200, [(b"X-A", b"1")], b"got ")
        answer = fetch(stage.transport, server, b"POST", b"/", b"a", [], 5, 100, b"form")
        assert answer.body == b"got form"


# Both sides HTTP/2


def test_from_end_to_end() -> None:
    def talk(peer: Http2Peer) -> None:
        stream, fields = peer.request()
        assert b"content-length" not in fields
        peer.answer(stream, peer.body(stream), trailers=[(b"x-t", b"1")])

    with Upstream(speaking(talk)) as upstream, stage_for(upstream) as stage:
        answer = converse(stage).get(method=b"POST", body=b"abc" * 5_000)
        assert answer.body == b"abc" * 5_000
        assert (b"x-t", b"1") in answer.trailers


def test_a_request_that_began_before_its_transport_was_replaced_is_still_sent() -> None:
    """Middlewares and bodies take their time: the old transport has to serve who still holds it."""
    with Upstream(speaking(serve)) as upstream, stage_for(upstream) as stage:
        client = stage.client()
        assert answered(client) == (200, b"ok")
        stage.transport.close()
        assert answered(client) == (200, b"ok")
        assert answered(client) == (200, b"ok")
