"""Heads: one corpus through the C parser and the pure twin, and laws over arbitrary bytes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config.static import EntryPoint
from tests.corpus.http1 import requests, responses
from workers.errors import Failure
from workers.forwarded import Client, ForwardedPolicy
from workers.http1 import grammar
from workers.http1.codec import IncomingRequest, parse_request, parse_request_slowly
from workers.http1.responses import IncomingHead, parse_response, parse_response_slowly
from workers.http1.target import TargetPolicy

CLIENT = Client("192.0.2.1", 4000, False, "web", ForwardedPolicy(EntryPoint(address=":80"), "proxy"))
POLICY = TargetPolicy()
PARSERS = {"fast": parse_request, "slow": parse_request_slowly}
RESPONSE_PARSERS = {"fast": parse_response, "slow": parse_response_slowly}


def outcome(result: IncomingRequest | Failure | None) -> object:
    """Everything of a result that can be compared."""
    if isinstance(result, IncomingRequest):
        return (
            result.method,
            result.target,
            result.host_header,
            result.minor_version,
            result.content_length,
            result.keep_alive,
            result.expect_continue,
            result.upgrade,
            result.headers,
            result.consumed,
        )
    return result


def response_outcome(result: IncomingHead | Failure | None) -> object:
    if isinstance(result, IncomingHead):
        return (
            result.status,
            result.headers,
            result.content_length,
            result.length_given,
            result.keep_alive,
            result.upgrade,
            result.trailer,
            result.consumed,
        )
    return result


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    ("data", "expected"), [case[1:] for case in requests.VALID], ids=[c[0] for c in requests.VALID]
)
def test_valid_request(parser: str, data: bytes, expected: tuple[bytes, bytes, list[tuple[bytes, bytes]]]) -> None:
    for tail in (b"", b"\x00body\r\n\r\nGET"):
        request = PARSERS[parser](data + tail, CLIENT, POLICY)
        assert isinstance(request, IncomingRequest), request
        assert (request.method, request.target, request._headers) == expected
        assert request.consumed == len(data)


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    ("data", "kind"), [case[1:] for case in requests.INVALID], ids=[c[0] for c in requests.INVALID]
)
def test_invalid_request(parser: str, data: bytes, kind: str) -> None:
    """ADV-D: whatever two parsers could read differently is refused."""
    for tail in (b"", b"body"):
        result = PARSERS[parser](data + tail, CLIENT, POLICY)
        assert isinstance(result, Failure), result
        assert result.kind == kind


@pytest.mark.parametrize("data", [case[1] for case in requests.VALID], ids=[c[0] for c in requests.VALID])
def test_every_prefix_of_a_valid_head_is_incomplete(data: bytes) -> None:
    step = max(len(data) // 300, 1)
    for end in range(1, len(data), step):
        assert parse_request(data[:end], CLIENT, POLICY) is None, data[:end]


@pytest.mark.parametrize("parser", RESPONSE_PARSERS)
@pytest.mark.parametrize(
    ("data", "expected"), [c[1:] for c in responses.VALID], ids=[c[0] for c in responses.VALID]
)
def test_valid_response(parser: str, data: bytes, expected: tuple[int, int, bool]) -> None:
    for tail in (b"", b"body"):
        head = RESPONSE_PARSERS[parser](data + tail)
        assert isinstance(head, IncomingHead)
        assert (head.status, head.content_length, head.length_given) == expected
        assert head.consumed == len(data)


@pytest.mark.parametrize("parser", RESPONSE_PARSERS)
@pytest.mark.parametrize("data", [case[1] for case in responses.INVALID], ids=[c[0] for c in responses.INVALID])
def test_invalid_response(parser: str, data: bytes) -> None:
    """ADV-D"""
    for tail in (b"", b"body"):
        result = RESPONSE_PARSERS[parser](data + tail)
        assert isinstance(result, Failure), result
        assert (result.kind, result.status) == ("malformed_response", 500)


@pytest.mark.parametrize("data", [case[1] for case in responses.VALID], ids=[c[0] for c in responses.VALID])
def test_every_prefix_of_a_valid_response_head_is_incomplete(data: bytes) -> None:
    for end in range(1, len(data), max(len(data) // 300, 1)):
        assert parse_response(data[:end]) is None, data[:end]


# Laws

_PIECES = st.sampled_from(
    [
        b"GET", b"POST", b"OPTIONS", b"CONNECT", b" ", b" ", b"/", b"*", b"/a/../b", b"?q=1", b"http://b.example",
        b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.1 200 OK", b"\r\n", b"\r\n", b"\r\n\r\n", b"\n", b"\r",
        b"Host", b"Host: a\r\n", b"Content-Length", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n", b"Connection: x, upgrade\r\n", b"Upgrade: y\r\n", b"Expect: 100-continue\r\n",
        b"X-Forwarded-For: 1\r\n", b"X_Real_Ip: 1\r\n", b":", b": ", b"\t", b"\x00", b"\xff", b"%2f", b"#", b";",
    ]
)  # fmt: skip
ANY_BYTES = st.one_of(st.binary(max_size=64), st.lists(_PIECES, max_size=20).map(b"".join))
HEADS = st.one_of(ANY_BYTES, ANY_BYTES.map(lambda junk: b"GET / HTTP/1.1\r\nHost: a\r\n" + junk + b"\r\n\r\n"))


def is_refusal(result: object) -> bool:
    return isinstance(result, Failure)


@given(HEADS)
@example(b"G / H\r\n\r\n")
@example(b"\r\n\r\n")
def test_any_bytes_give_a_request_or_our_error_and_both_parsers_agree(data: bytes) -> None:
    fast = outcome(parse_request(data, CLIENT, POLICY))
    slow = outcome(parse_request_slowly(data, CLIENT, POLICY))
    assert fast == slow


@given(HEADS)
def test_any_bytes_from_a_server_give_a_head_or_our_error_and_both_parsers_agree(data: bytes) -> None:
    for head in (data, b"HTTP/1.1 200 OK\r\n" + data):
        assert response_outcome(parse_response(head)) == response_outcome(parse_response_slowly(head))


@given(HEADS)
def test_request_all_at_once_equals_byte_by_byte(data: bytes) -> None:
    whole = parse_request(data, CLIENT, POLICY)
    result: IncomingRequest | Failure | None = None
    partial = grammar.PartialHead(b"", grammar.early_refusal)
    for number in range(len(data)):
        fed = partial.feed(data[number : number + 1])
        if fed is None:
            continue
        result = fed if isinstance(fed, Failure) else parse_request(fed, CLIENT, POLICY)
        if result is not None:
            break
    if is_refusal(whole) or is_refusal(result):
        assert is_refusal(whole)
        assert is_refusal(result)
    else:
        assert outcome(whole) == outcome(result)


@given(st.binary(max_size=200))
def test_accepted_heads_hold_no_control_bytes(junk: bytes) -> None:
    """ADV-D: nothing that could end a line early gets through in a name, a value or the target."""
    result = parse_request(b"GET / HTTP/1.1\r\nHost: a\r\nA: " + junk + b"\r\n\r\n", CLIENT, POLICY)
    if isinstance(result, IncomingRequest):
        for text in (result.target, *(part for header in result.headers for part in header)):
            assert not set(text) & {0, 10, 13}
