"""Compress: what is compressed, how it is framed, and that streams stay streams."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import gevent
import pytest
import zstandard
from gevent.event import Event

from config.middlewares_responses import COMPRESS_DEFAULTS, Compress
from tests.playbook import Response, respond
from tests.upstreams import Peer, Script, answering
from tests.waiting import wait_until
from tests.workers.middlewares.around import behind, context, ok
from workers.building import BuildError
from workers.exchange import Exchange
from workers.middlewares.compress import compress
from workers.middlewares.encoders import ENCODERS
from workers.middlewares.negotiation import negotiate

TEXT = b"some text " * 200
PLAIN = b"Content-Type: text/plain"
DECODERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.decompress,
    b"br": brotli.decompress,
    b"zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


def options(**changed: Any) -> Compress:
    return Compress(**({"encodings": COMPRESS_DEFAULTS.encodings} | changed))


def ask(answer: bytes, accept: bytes | None, method: bytes = b"GET", *lines: bytes, **changed: Any) -> Response:
    with behind(compress, options(**changed), answering(answer)) as where:
        client = where.client()
        accepted = [b"Accept-Encoding: " + accept] if accept is not None else []
        client.send(b"\r\n".join([method + b" / HTTP/1.1", b"Host: a", *accepted, *lines, b"", b""]))
        return client.response(method)


def unpacked(response: Response) -> bytes:
    coding = response[b"content-encoding"]
    return DECODERS[coding](response.body) if coding else response.body


@pytest.mark.behaviour("MW-122")
@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd"])
def test_text_is_compressed(coding: bytes) -> None:
    response = ask(ok(TEXT, PLAIN, b"Accept-Ranges: bytes", b'Etag: "x"'), coding)
    assert response[b"content-encoding"] == coding
    assert response[b"vary"] == b"Accept-Encoding"
    assert response[b"content-length"] is None
    assert response[b"etag"] == b'"x"'
    assert response[b"accept-ranges"] == (None if coding == b"gzip" else b"bytes")
    assert len(response.body) < 200
    assert unpacked(response) == TEXT


@pytest.mark.behaviour("MW-123")
@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd"])
def test_small_bodies_are_left_alone(coding: bytes) -> None:
    for size, packed in ((500, False), (1023, False), (1024, True)):
        response = ask(ok(TEXT[:size], PLAIN), coding)
        assert (response[b"content-encoding"] is not None) is packed
        assert response[b"vary"] == b"Accept-Encoding"
        assert unpacked(response) == TEXT[:size]
    assert ask(ok(TEXT[:500], PLAIN), coding, min_response_body_bytes=500)[b"content-encoding"] == coding


@pytest.mark.behaviour("MW-124")
@pytest.mark.parametrize("accept", [None, b"", b"identity", b"deflate", b"gzip;q=0"])
def test_clients_that_want_none(accept: bytes | None) -> None:
    response = ask(ok(TEXT, PLAIN), accept)
    assert (response.body, response[b"vary"]) == (TEXT, None)


@pytest.mark.behaviour("MW-125")
@pytest.mark.parametrize(
    ("accept", "coding"),
    [(b"gzip, br, zstd", b"gzip"), (b"br;q=0.8, gzip;q=0.6", b"br"), (b"gzip;q=0, br", b"br")],
)
def test_weights(accept: bytes, coding: bytes) -> None:
    assert ask(ok(TEXT, PLAIN), accept)[b"content-encoding"] == coding


@pytest.mark.behaviour("MW-126")
def test_anything() -> None:
    response = ask(ok(TEXT, PLAIN), b"*")
    assert (response.body, response[b"vary"]) == (TEXT, b"Accept-Encoding")
    assert ask(ok(TEXT, PLAIN), b"*", encodings=["br"])[b"content-encoding"] == b"br"


@pytest.mark.behaviour("MW-127")
def test_default() -> None:
    assert ask(ok(TEXT, PLAIN), None, default_encoding="br")[b"content-encoding"] == b"br"
    response = ask(ok(TEXT, PLAIN), None, default_encoding="gzip")
    assert (response.body, response[b"vary"]) == (TEXT, b"Accept-Encoding")


@pytest.mark.behaviour("MW-128")
@pytest.mark.parametrize(
    "line", [b"Content-Encoding: x", b"Content-Range: bytes 0-1/2", b"Content-Type: application/grpc"]
)
def test_what_is_not_touched(line: bytes) -> None:
    for coding in (b"gzip", b"br"):
        response = ask(ok(TEXT, line), coding)
        assert (response.body, response[b"vary"]) == (TEXT, b"Accept-Encoding")


def test_types_that_are_listed() -> None:
    html = b"Content-Type: text/HTML; charset=utf-8"
    for coding in (b"gzip", b"br"):
        assert ask(ok(TEXT, html), coding, excluded_content_types=["text/html; q=1"]).body == TEXT
        assert ask(ok(TEXT, PLAIN), coding, included_content_types=["text/html"]).body == TEXT
        assert ask(ok(TEXT, html), coding, included_content_types=["text/html"])[b"content-encoding"] == coding
    page = b"<html>" + TEXT
    assert ask(ok(page), b"gzip", included_content_types=["text/html"])[b"content-encoding"] == b"gzip"
    assert ask(ok(page), b"gzip", excluded_content_types=["text/html"])[b"content-encoding"] is None


def test_server_that_objects_to_gzip() -> None:
    response = ask(ok(TEXT, PLAIN, b"No-Gzip-Compression: 1"), b"gzip")
    assert (response.body, response[b"no-gzip-compression"]) == (TEXT, None)


@pytest.mark.behaviour("MW-129")
@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd"])
def test_unknown_length_is_compressed_whatever_its_size(coding: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    response = ask(answer, coding)
    assert response[b"content-encoding"] == coding
    assert unpacked(response) == b"hello"
    nothing = ask(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", coding)
    assert (nothing[b"content-encoding"], nothing.body) == (None, b"")


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_answers_without_body(status: bytes) -> None:
    response = ask(b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\n\r\n" % status, b"gzip")
    assert (response[b"content-encoding"], response[b"vary"]) == (None, b"Accept-Encoding")


@pytest.mark.behaviour("MW-130")
@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd"])
def test_events_arrive_at_once(coding: bytes) -> None:
    gate = Event()

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        gate.wait()
        peer.send(b"data: 2\n\n")

    with behind(compress, options(), server) as where:
        client = where.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: %b\r\n\r\n" % coding)
        assert client.head()[b"content-encoding"] == coding
        first = client.read_exactly(int(client.read_until(b"\r\n"), 16))
        assert _readable(coding, first) == b"data: 1\n\n"
        client.read_exactly(2)
        gate.set()
        rest, _ = client.chunks()
        assert DECODERS[coding](first + rest) == b"data: 1\n\ndata: 2\n\n"


def _readable(coding: bytes, data: bytes) -> bytes:
    """What a client can make of the start of a stream."""
    if coding == b"gzip":
        return zlib.decompressobj(wbits=31).decompress(data)
    if coding == b"br":
        return bytes(brotli.Decompressor().process(data))
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


@pytest.mark.behaviour("MW-131")
def test_head_and_grpc_requests() -> None:
    response = ask(ok(b"", PLAIN, b"X-A: 1"), b"gzip", b"HEAD")
    assert (response[b"vary"], response[b"content-encoding"], response[b"x-a"]) == (None, None, b"1")
    response = ask(ok(TEXT, PLAIN), b"gzip", b"GET", b"Content-Type: application/grpc")
    assert (response[b"vary"], response.body) == (None, TEXT)


@pytest.mark.behaviour("MW-132")
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"included_content_types": ["a/b"], "excluded_content_types": ["a/c"]}, "mutually exclusive"),
        ({"encodings": []}, "at least one encoding must be specified"),
        ({"encodings": ["deflate"]}, "unsupported encoding: deflate"),
        ({"encodings": ["gzip"], "default_encoding": "br"}, "unsupported default encoding: br"),
        ({"included_content_types": ["a b"]}, "no media type"),
        ({"min_response_body_bytes": -1}, "not negative"),
    ],
)
def test_options_that_cannot_be(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(BuildError, match=words):
        compress(options(**changed), context())


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd"])
def test_large_bodies_in_pieces(coding: bytes) -> None:
    body = b"".join(b"line %d\n" % number for number in range(100_000))
    response = ask(ok(body, PLAIN), coding)
    assert unpacked(response) == body


def test_others_have_a_turn_while_a_large_body_is_compressed() -> None:
    """ADV-F"""
    turns: list[int] = []

    def large(exchange: Exchange) -> None:
        counting = gevent.spawn(_count, turns)
        exchange.respond(200, [(b"Content-Type", b"text/plain")], b"x" * 1_000_000)
        counting.kill()

    with behind(compress, options(), handler=large) as where:
        response = where.client().get(b"/", b"Accept-Encoding: gzip")
        assert gzip.decompress(response.body) == b"x" * 1_000_000
    assert len(turns) >= 10


def _count(turns: list[int]) -> None:
    while True:
        turns.append(1)
        gevent.sleep(0)


def test_trailers_stay() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\n\r\n"
    response = ask(answer, b"gzip")
    assert response.trailers == [(b"X-T", b"1")]
    assert unpacked(response) == b"a"


def test_slow_client_stops_the_server() -> None:
    """Backpressure: nothing is gathered for a client that does not read."""
    sent: list[int] = []

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(2000):
            peer.send(os.urandom(65536))
            sent.append(65536)

    def stands_still() -> bool:
        before = len(sent)
        gevent.sleep(0.2)
        return bool(sent) and len(sent) == before

    with behind(compress, options(), server) as where:
        client = where.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: zstd\r\n\r\n")
        client.head()
        wait_until(stands_still, pause=gevent.sleep)
        assert len(sent) < 1000
        client.reset()
        wait_until(lambda: not where.server.open_connections, pause=gevent.sleep)


def test_answer_that_is_cut_is_cut_for_the_client() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5000\r\n\r\n" + TEXT

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(answer)

    with behind(compress, options(), server) as where:
        client = where.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        client.head()
        assert not client.read_to_end().endswith(b"0\r\n\r\n")


def test_websocket() -> None:
    script: Script = answering(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    with behind(compress, options(), script) as where:
        client = where.client()
        lines = [b"Connection: Upgrade", b"Upgrade: websocket", b"Accept-Encoding: br"]
        client.send(b"\r\n".join([b"GET / HTTP/1.1", b"Host: a", *lines, b"", b""]))
        head = client.head()
        assert (head.status, head[b"vary"]) == (101, b"Accept-Encoding")


def test_own_answers_are_compressed_too() -> None:
    with behind(compress, options(), handler=respond(503, TEXT)) as where:
        response = where.client().get(b"/", b"Accept-Encoding: br")
        assert (response.status, unpacked(response)) == (503, TEXT)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([b"gzip;q=2,br"], "gzip"),
        ([b"br", b"gzip"], "gzip"),
        ([b"", b"br"], "br"),
        ([b"identity;q=0.5, gzip;q=0.5"], "gzip"),
        ([b"*;q=0.5, br"], "br"),
        ([b"*, br"], "zstd"),
        ([b"br;a=b;q=0, gzip;q=0.9"], "br"),
        ([b"gzip;q=x"], "identity"),
        ([b"gzip;q=" + b"9" * 500], "identity"),
        ([b"gzip;q="], "identity"),
        ([b"gzip;q=."], "identity"),
        ([b"GZIP"], "identity"),
        ([b"\xff\xfe,;;,=,q=1"], "identity"),
        ([b"," * 100_000], "identity"),
    ],
)
def test_negotiation(values: list[bytes], found: str) -> None:
    assert negotiate(values, ["gzip", "br", "zstd"], "zstd") == found


@pytest.mark.parametrize("coding", sorted(ENCODERS))
def test_pieces_of_any_kind(coding: str) -> None:
    encoder = ENCODERS[coding]()
    pieces = [b"", b"a", b"b" * 100_000, b"", bytes(range(256)) * 50]
    packed = b"".join([encoder.feed(piece) + encoder.flush() for piece in pieces]) + encoder.finish()
    assert DECODERS[coding.encode()](packed) == b"".join(pieces)
