"""GrpcWeb: both directions of a call, trailers as a frame, and what the browser asks first."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import gevent
import grpc
import pytest
from gevent.event import Event

from config.middlewares_responses import GrpcWeb
from tests.playbook import Response, Stage
from tests.upstreams import Peer, Script, answering, body_of, echo
from tests.waiting import wait_until
from tests.workers.middlewares.around import behind, context, noted, ok, post
from workers import errors
from workers.errors import ProxyError
from workers.exchange import Exchange
from workers.middlewares.grpc_web import grpc_web

FRAME = b"\0\0\0\0\x05hello"
TRAILERS = b"grpc-status: 0\r\ngrpc-message: fine\r\n"
TRAILER_FRAME = b"\x80" + len(TRAILERS).to_bytes(4, "big") + TRAILERS
CALL = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc+proto\r\nTrailer: Grpc-Status, Grpc-Message\r\nX-A: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\na\r\n" + FRAME + b"\r\n0\r\nGrpc-Status: 0\r\nGrpc-Message: fine\r\n\r\n"
)


class Server:
    """Answers with CALL and keeps what it was asked."""

    def __init__(self, answer: bytes = CALL) -> None:
        self.answer = answer
        self.seen = b""

    def __call__(self, peer: Peer) -> None:
        head = peer.read_head()
        self.seen = head + body_of(head, peer)
        peer.send(self.answer)


def stage(script: Script, *origins: str) -> Stage:
    return behind(grpc_web, GrpcWeb(allow_origins=list(origins)), script)


def call(script: Script, kind: bytes, body: bytes, *lines: bytes, chunked: bool = False) -> Response:
    with stage(script, "https://a") as where:
        client = where.client()
        client.send(post(body, b"Content-Type: " + kind, *lines, chunked=chunked))
        return client.response()


@pytest.mark.behaviour("MW-159")
@pytest.mark.parametrize("chunked", [False, True])
def test_call(chunked: bool) -> None:
    server = Server()
    response = call(server, b"application/grpc-web+proto", FRAME, b"Origin: https://a", chunked=chunked)
    assert b"\r\nContent-Type: application/grpc+proto\r\n" in server.seen
    assert b"\r\nTe: trailers\r\n" in server.seen
    assert b"ontent-Length" not in server.seen
    assert server.seen.endswith(b"\r\n\r\na\r\n" + FRAME + b"\r\n0\r\n\r\n")
    assert response.status == 200
    assert response[b"content-type"] == b"application/grpc-web+proto"
    assert response.body == FRAME + TRAILER_FRAME
    assert (response[b"trailer"], response.trailers) == (None, [])
    assert response[b"access-control-allow-origin"] == b"https://a"
    assert response[b"access-control-allow-credentials"] == b"true"
    exposed = response[b"access-control-expose-headers"]
    assert exposed is not None
    assert {b"X-A", b"Content-Type", b"grpc-status", b"grpc-message"} <= set(exposed.split(b", "))


@pytest.mark.behaviour("MW-159")
def test_text_call() -> None:
    server = Server()
    text = base64.b64encode(FRAME)
    response = call(server, b"application/grpc-web-text", text[:5] + b"\r\n" + text[5:])
    assert b"\r\nContent-Type: application/grpc\r\n" in server.seen
    assert server.seen.endswith(FRAME + b"\r\n0\r\n\r\n")
    assert response[b"content-type"] == b"application/grpc-web-text+proto"
    assert response.body == base64.b64encode(FRAME) + base64.b64encode(TRAILER_FRAME)


def test_disallowed_origin_is_not_blocked() -> None:
    response = call(Server(), b"application/grpc-web", FRAME, b"Origin: https://b")
    assert response.status == 200
    assert response[b"vary"] == b"Origin"
    assert response[b"access-control-allow-origin"] is None


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
def test_text_in_pieces(size: int) -> None:
    server = Server()
    body = bytes(range(200))
    text = base64.b64encode(body)
    with stage(server) as where:
        client = where.client()
        lines = [b"Content-Type: application/grpc-web-text", b"Transfer-Encoding: chunked"]
        client.send(b"\r\n".join([b"POST / HTTP/1.1", b"Host: a", *lines, b"", b""]))
        for start in range(0, len(text), size):
            piece = text[start : start + size]
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            gevent.sleep(0)
        client.send(b"0\r\n\r\n")
        assert client.response().status == 200
    assert _unchunked(server.seen.partition(b"\r\n\r\n")[2]) == body


def _unchunked(data: bytes) -> bytes:
    body = b""
    while data:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        body, data = body + data[:size], data[size + 2 :]
    return body


@pytest.mark.parametrize("body", [b"AAA", b"AAAA=", b"!!!!", b"AA==AAAA", b"\xff" * 8, b"A" * 70_001])
def test_text_that_is_none(body: bytes) -> None:
    """ADV-F: a body that cannot be decoded ends the call; the server sees it cut, never whole."""
    whole: list[bytes] = []
    with stage(lambda peer: _keep_whole(peer, whole)) as where:
        client = where.client()
        client.send(post(body, b"Content-Type: application/grpc-web-text"))
        assert client.response().status in (400, 502)
    assert not whole


def _keep_whole(peer: Peer, whole: list[bytes]) -> None:
    """Keep what came if it came whole."""
    data = peer.read_to_end()
    if data.endswith(b"\r\n0\r\n\r\n"):
        whole.append(data)


def test_client_that_leaves_in_the_midst_of_its_text() -> None:
    whole: list[bytes] = []
    with stage(lambda peer: _keep_whole(peer, whole)) as where:
        exchanges = noted(where)
        client = where.client()
        client.send(post(b"AAAA" * 10, b"Content-Type: application/grpc-web-text")[:-6])
        wait_until(lambda: exchanges, pause=gevent.sleep)
        client.close()
        wait_until(lambda: not where.server.open_connections, pause=gevent.sleep)
    assert not whole


def test_streams_arrive_at_once() -> None:
    gate = Event()

    def server(peer: Peer) -> None:
        head = peer.read_head()
        body_of(head, peer)
        peer.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
        )
        gate.wait()
        peer.send(b"1\r\nb\r\n0\r\n\r\n")

    with stage(server) as where:
        client = where.client()
        client.send(post(b"AAAA", b"Content-Type: application/grpc-web-text"))
        client.head()
        assert client.read_until(b"==\r\n") == b"4\r\nYQ==\r\n"
        gate.set()
        frame = b"\x80\0\0\0\0"
        assert client.chunks()[0] in (b"Yg==" + base64.b64encode(frame), base64.b64encode(b"b" + frame))


def test_trailers_that_came_as_headers() -> None:
    answer = ok(b"", b"Content-Type: application/grpc", b"Grpc-Status: 5")
    response = call(Server(answer), b"application/grpc-web", FRAME)
    assert (response[b"grpc-status"], response.body) == (b"5", b"\x80\0\0\0\0")


def test_server_that_is_not_there() -> None:
    def fail(exchange: Exchange) -> None:
        raise ProxyError(errors.UNREACHABLE)

    with behind(grpc_web, GrpcWeb(allow_origins=["*"]), handler=fail) as where:
        client = where.client()
        client.send(post(FRAME, b"Content-Type: application/grpc-web", b"Origin: https://x"))
        response = client.response()
        assert response.status == 502
        assert response[b"access-control-allow-origin"] == b"https://x"


@pytest.mark.behaviour("MW-159")
@pytest.mark.parametrize(
    ("origin", "method", "allowed"),
    [(b"https://a", b"POST", True), (b"https://b", b"POST", False), (b"https://a", b"PUT", False)],
)
def test_preflight(origin: bytes, method: bytes, allowed: bool) -> None:
    with stage(echo, "https://a") as where:
        client = where.client()
        lines = [
            b"Origin: " + origin,
            b"Access-Control-Request-Method: " + method,
            b"Access-Control-Request-Headers: X-GRPC-Web,content-type",
        ]
        client.send(b"\r\n".join([b"OPTIONS / HTTP/1.1", b"Host: a", *lines, b"", b""]))
        response = client.response()
        assert (response.status, response.body) == (200, b"")
        assert [value for name, value in response.headers if name == b"Vary"] == [
            b"Origin",
            b"Access-Control-Request-Method",
            b"Access-Control-Request-Headers",
        ]
        assert response[b"access-control-max-age"] == (b"600" if allowed else None)
        assert response[b"access-control-allow-origin"] == (origin if allowed else None)
        assert response[b"access-control-allow-headers"] == (b"X-Grpc-Web, Content-Type" if allowed else None)


def test_a_preflight_that_asks_for_too_much_gets_nothing() -> None:
    with stage(Server(), "*") as where:
        client = where.client()
        client.send(
            b"OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nAccess-Control-Request-Method: POST\r\n"
            b"Access-Control-Request-Headers: x-grpc-web%b\r\n\r\n" % (b",a" * 100_000)
        )
        response = client.response()
        assert response.status == 200
        assert response[b"access-control-allow-origin"] is None
        assert response[b"access-control-allow-headers"] is None


def test_everything_else_passes() -> None:
    with stage(answering(*[ok(b"ok")] * 3), "https://a") as where:
        client = where.client()
        assert client.get(b"/", b"Content-Type: application/grpc-web").body == b"ok"
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n\r\n")
        assert client.response()[b"vary"] is None
        client.send(b"OPTIONS / HTTP/1.1\r\nHost: a\r\nAccess-Control-Request-Method: GET\r\n\r\n")
        assert client.response()[b"vary"] is None


def test_options_without_a_method_asked_for_is_a_call() -> None:
    with stage(answering(ok(b"ok")), "https://a") as where:
        client = where.client()
        client.send(b"OPTIONS / HTTP/1.1\r\nHost: a\r\nAccess-Control-Request-Headers: x-grpc-web\r\n\r\n")
        response = client.response()
        assert (response[b"vary"], response.body) == (b"Origin", b"ok\x80\0\0\0\0")


def test_what_the_server_says_about_origins_is_said_once() -> None:
    answer = ok(b"ok", b"Access-Control-Allow-Origin: https://s", b"Vary: Accept, Origin")
    response = call(Server(answer), b"application/grpc-web", FRAME, b"Origin: https://a")
    said = [header for header in response.headers if header[0].startswith((b"Access-Control-Allow", b"Vary"))]
    assert sorted(said) == [
        (b"Access-Control-Allow-Credentials", b"true"),
        (b"Access-Control-Allow-Origin", b"https://s"),
        (b"Vary", b"Accept, Origin"),
    ]


@pytest.mark.behaviour("MW-159")
def test_real_grpc_server() -> None:
    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata((("x-trailer", "1"),))
        if request == b"no":
            context.abort(grpc.StatusCode.NOT_FOUND, "nothing there")
        return b"hello " + request

    method = grpc.unary_unary_rpc_method_handler(answer)
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("s", {"m": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with Stage(url=f"h2c://127.0.0.1:{port}") as where:
            assert where.table.handler is not None
            where.table.handler = grpc_web(GrpcWeb(), context(where.transport))(where.table.handler)
            kind = b"Content-Type: application/grpc-web"
            client = where.client()
            client.send(post(b"\0\0\0\0\x03you", kind, target=b"/s/m"))
            response = client.response()
            assert response.body.startswith(b"\0\0\0\0\x09hello you\x80")
            assert b"grpc-status: 0\r\n" in response.body
            assert b"x-trailer: 1\r\n" in response.body
            client.send(post(b"\0\0\0\0\x02no", kind, target=b"/s/m"))
            response = client.response()
            assert (response.status, response[b"grpc-status"]) == (200, b"5")
    finally:
        server.stop(None).wait()
