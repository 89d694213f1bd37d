"""The compiled codec reads what the twins read, with the same result, and leaves everything else to them."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.static import EntryPoint
from workers.errors import Failure
from workers.exchange import Request
from workers.forwarded import Client, ForwardedPolicy
from workers.headers import KINDS, classify, kinds_by_name
from workers.http1 import heads
from workers.http1.codec import parse_request, parse_request_slowly, parse_request_uncompiled
from workers.http1.responses import parse_response, parse_response_slowly, parse_response_uncompiled
from workers.http1.target import TargetPolicy

compiled = pytest.mark.skipif(not heads.is_compiled, reason="the compiled codec was not built here")

CLIENT = Client("127.0.0.1", 1, False, "web", ForwardedPolicy(EntryPoint(address=":80")))
POLICY = TargetPolicy()

NAMES = st.sampled_from(
    [
        b"Host",
        b"host",
        b"Content-Length",
        b"Transfer-Encoding",
        b"Connection",
        b"Expect",
        b"Upgrade",
        b"X-Forwarded-For",
        b"X_Real_Ip",
        b"Keep-Alive",
        b"Te",
        b"Trailer",
        b"Date",
        b"Pragma",
        b"Accept",
        b"X-A",
        b"x\x00",
        b"",
        b"A B",
    ]
)
VALUES = st.sampled_from(
    [
        b"",
        b"a.example:80",
        b"0",
        b"5",
        b"+5",
        b"9" * 18,
        b"9" * 19,
        b"chunked",
        b"Chunked",
        b"gzip, chunked",
        b"keep-alive",
        b"close",
        b"100-continue",
        b"websocket",
        b" x ",
        b"\tx\t",
        b"\xff\x80",
        b"a\x7f",
        b"no-cache",
        b"a\rb",
    ]
)
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b" \r\n", b"\r\n "])
LINES = st.lists(st.tuples(NAMES, st.sampled_from([b": ", b":", b" : "]), VALUES, ENDS), max_size=5)
FIRST_OF_REQUEST = st.builds(
    lambda method, target, version: b"%b %b %b" % (method, target, version),
    st.sampled_from([b"GET", b"POST", b"CONNECT", b"get", b"G\xff", b"", b"OPTIONS"]),
    st.sampled_from(
        [
            b"/",
            b"/a?b=1",
            b"/?",
            b"/a//b",
            b"/./a",
            b"/a/.",
            b"/%41",
            b"/a;b",
            b"*",
            b"http://h/x",
            b"/a#b",
            b"//",
            b"",
        ]
    ),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b" HTTP/1.1"]),
)
FIRST_OF_RESPONSE = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 200 OK",
        b"HTTP/1.1 204",
        b"HTTP/1.1 099 X",
        b"HTTP/1.1 20 X",
        b"HTTP/1.1 2000 X",
        b"HTTP/1.1 404 \xff",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 101 Switching",
        b"HTTP/2.0 200 OK",
    ]
)


def shown(made: Request | Failure | None) -> Any:
    if made is None or isinstance(made, Failure):
        return made
    names = {name for kind in type(made).__mro__ for name in getattr(kind, "__slots__", ())}
    return {name: getattr(made, name, None) for name in names - {"client"}}


def message(first: bytes, lines: list[tuple[bytes, bytes, bytes, bytes]], body: bytes, cut: int) -> bytes:
    whole = first + b"\r\n" + b"".join(b"".join(line) for line in lines) + b"\r\n" + body
    return whole[: len(whole) - cut]


@given(FIRST_OF_REQUEST, LINES, st.sampled_from([b"", b"hello", b"\r\n"]), st.integers(0, 3))
def test_requests(first: bytes, lines: list[Any], body: bytes, cut: int) -> None:
    data = message(first, lines, body, cut)
    found = shown(parse_request(data, CLIENT, POLICY))
    assert found == shown(parse_request_uncompiled(data, CLIENT, POLICY))
    if not isinstance(found, Failure):  # the twin may have another word for what is wrong
        assert found == shown(parse_request_slowly(data, CLIENT, POLICY))


@given(FIRST_OF_RESPONSE, LINES, st.sampled_from([b"", b"hello", b"\r\n"]), st.integers(0, 3))
def test_responses(first: bytes, lines: list[Any], body: bytes, cut: int) -> None:
    data = message(first, lines, body, cut)
    made = parse_response(data)
    found = made if made is None or isinstance(made, Failure) else shown(made)  # type: ignore[arg-type]
    for other in (parse_response_uncompiled(data), parse_response_slowly(data)):
        assert found == (other if other is None or isinstance(other, Failure) else shown(other))  # type: ignore[arg-type]


@compiled
def test_the_common_heads_are_read() -> None:
    read_request, read_response = heads.reader("request", KINDS), heads.reader("response", KINDS)
    assert read_request is not None
    assert read_response is not None
    request = b"GET /a?b HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
    assert read_request(request, kinds_by_name, classify) is not None
    post = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert read_request(post, kinds_by_name, classify)[9] == heads.CHUNKED
    response = b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok"
    assert read_response(response, kinds_by_name, classify) == (
        200,
        1,
        [(b"Date", b"x")],
        2,
        True,
        len(response) - 2,
    )


@compiled
@given(st.binary(max_size=200))
def test_any_bytes_do_no_harm(data: bytes) -> None:
    for name in ("request", "response"):
        read = heads.reader(name, KINDS)
        assert read is not None
        for start in (b"", b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", b"GET / HTTP/1.1\r\nHost: "):
            read(start + data, kinds_by_name, classify)


@compiled
def test_nothing_is_lost_or_held() -> None:
    read = heads.reader("request", KINDS)
    assert read is not None
    bad = [
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    ]
    good = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: x\r\n\r\n"
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(2000):
        for data in (*bad, good):
            read(data, kinds_by_name, classify)
        heads.message(b"x", [(b"a", b"b")], b"\r\n")
        with pytest.raises(TypeError):
            heads.message(b"x", [b"a"])
        with pytest.raises(ZeroDivisionError):
            read(b"GET / HTTP/1.1\r\nNo-Such-Header: a\r\n\r\n", {}, lambda name: 1 // 0)
    gc.collect()
    assert sys.getallocatedblocks() - before < 1000


@compiled
@pytest.mark.parametrize(
    "arguments", [(), (b"", {}), ("", {}, classify), (b"", [], classify), (b"", {}, classify, 1)]
)
def test_wrong_arguments(arguments: tuple[Any, ...]) -> None:
    for name in ("request", "response"):
        read = heads.reader(name, KINDS)
        assert read is not None
        with pytest.raises(TypeError):
            read(*arguments)


def test_one_built_for_other_kinds_is_not_used() -> None:
    assert heads.reader("request", [*KINDS[:-1], 1 << 30]) is None


@given(
    st.binary(max_size=20),
    st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9)), max_size=5),
    st.binary(),
)
def test_messages(first: bytes, lines: list[tuple[bytes, bytes]], rest: bytes) -> None:
    assert heads.message(first, lines, rest, rest) == heads.plain_message(first, lines, rest, rest)
