"""ContentType: which responses get one, and which one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from config.middlewares_responses import ContentType
from tests.workers.middlewares.calls import Answered, call, made, request, server
from workers import errors
from workers.errors import ProxyError
from workers.exchange import UNKNOWN_LENGTH, Exchange, Handler, Header, ResponseHead
from workers.middlewares.content_type import content_type
from workers.middlewares.sniffing import media_type_of

ON = made(content_type, ContentType())
TEXT = b"text/plain; charset=utf-8"


def pieces(*bodies: bytes, length: int = UNKNOWN_LENGTH, trailers: Sequence[Header] = ()) -> Handler:
    """Sends a head without a body, then the pieces, the last one with the end."""

    def handler(exchange: Exchange) -> None:
        exchange.send(ResponseHead(200, [], length), b"", False)
        for body in bodies[:-1]:
            exchange.write(body)
        exchange.finish(bodies[-1], trailers)

    return handler


def by(handler: Handler) -> Callable[[Answered], Handler]:
    return lambda seen: handler


@pytest.mark.behaviour("MW-158")
def test_with_and_without() -> None:
    assert call(ON, request()).headers == [(b"Content-Type", TEXT)]
    for off in (made(content_type, ContentType(auto_detect=False)), lambda handler: handler):
        assert call(off, request()).headers == []


@pytest.mark.parametrize(
    ("status", "header", "body"),
    [
        (200, (b"content-type", b"x/y"), b"ok"),
        (200, (b"Content-Encoding", b"br"), b"ok"),
        (200, (b"X-A", b"1"), b""),
        (304, (b"X-A", b"1"), b""),
        (204, (b"X-A", b"1"), b""),
    ],
)
def test_responses_that_need_none(status: int, header: Header, body: bytes) -> None:
    assert call(ON, request(), server(status, header, body=body)).headers == [header]


@pytest.mark.parametrize(
    "handler",
    [
        pieces(b"<html>", b"x"),
        pieces(b"", b"<html>x"),
        pieces(b"<html>x"),
        pieces(b"<html>x", trailers=[(b"X", b"y")]),
        pieces(b"<html>", b"x", length=7),
    ],
)
def test_a_body_that_comes_later(handler: Handler) -> None:
    answer = call(ON, request(), by(handler))
    assert (answer.headers, answer.body) == ([(b"Content-Type", b"text/html; charset=utf-8")], b"<html>x")


@pytest.mark.parametrize("handler", [pieces(b""), pieces(b"", trailers=[(b"X", b"y")])])
def test_a_body_that_never_comes(handler: Handler) -> None:
    answer = call(ON, request(), by(handler))
    assert (answer.status, answer.headers, answer.body) == (200, [], b"")


def test_head() -> None:
    assert call(ON, request(method="HEAD"), by(pieces(b""))).headers == []


def test_answers_of_the_proxy_get_one() -> None:
    def fails(exchange: Exchange) -> None:
        raise ProxyError(errors.UNREACHABLE)

    answer = call(ON, request(), by(fails))
    assert (answer.status, answer.headers, answer.body) == (502, [(b"Content-Type", TEXT)], b"Bad Gateway")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", TEXT),
        (b"{}", TEXT),
        (b"\x1b[1m", TEXT),
        (b"a\x00", b"application/octet-stream"),
        (b" \t\r\n<!doctype html>", b"text/html; charset=utf-8"),
        (b"<htmlx>", TEXT),
        (b"<p", TEXT),
        (b"<!-- x", b"text/html; charset=utf-8"),
        (b" <?xml?>", b"text/xml; charset=utf-8"),
        (b"%PDF-1", b"application/pdf"),
        (b" %PDF-1", TEXT),
        (b"\xfe\xff\x00a", b"text/plain; charset=utf-16be"),
        (b"\xef\xbb\xbf\x01", TEXT),
        (b"GIF89a", b"image/gif"),
        (b"RIFF1234WEBPVP8 ", b"image/webp"),
        (b"RIFF1234WAVE", b"audio/wave"),
        (b"RIFF1234WAV", TEXT),
        (b"\x89PNG\r\n\x1a\n", b"image/png"),
        (b"\xff\xd8\xff", b"image/jpeg"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp41isom", b"video/mp4"),
        (b"\x00\x00\x00\x14ftypisom\x00\x00\x00\x00mp41", b"video/mp4"),
        (b"\x00\x00\x00\x10ftypisommp41", b"application/octet-stream"),
        (b"\x00\x00\x00\x00" * 8 + b"\x00\x00LP", b"application/vnd.ms-fontobject"),
        (b"\x1f\x8b\x08", b"application/x-gzip"),
        (b"PK\x03\x04", b"application/zip"),
        (b"\x00asm", b"application/wasm"),
        (b"a" * 512 + b"\x00", TEXT),
    ],
)
def test_media_types(body: bytes, expected: bytes) -> None:
    assert media_type_of(body) == expected
