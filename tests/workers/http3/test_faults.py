"""What a client must not do: each is answered with the code that RFC 9114 and 9204 have for it. ADV-E."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.http3_client import Http3Client
from tests.playbook import respond
from tests.workers.http3.stage import Http3Stage
from workers.http3 import frames
from workers.http3.codes import ErrorCode

pytestmark = pytest.mark.behaviour("ADV-E-8")

HEAD = frames.frame(frames.HEADERS, b"\0\0\xd1\xd7\x50\x01a\xc1")  # GET https a /
SETTINGS = frames.settings({})


class Fault(NamedTuple):
    data: bytes
    code: ErrorCode
    end: bool = False


ON_REQUESTS = {
    "a body first": Fault(frames.frame(frames.DATA, b"x"), ErrorCode.FRAME_UNEXPECTED),
    "settings": Fault(SETTINGS, ErrorCode.FRAME_UNEXPECTED),
    "a promise": Fault(HEAD + frames.frame(frames.PUSH_PROMISE, b"\0"), ErrorCode.FRAME_UNEXPECTED),
    "cut within a head": Fault(HEAD[:-1], ErrorCode.FRAME_ERROR, end=True),
    "cut within a body": Fault(HEAD + frames.frame(frames.DATA, b"abc")[:-1], ErrorCode.FRAME_ERROR, end=True),
    "cut within a type": Fault(HEAD + b"\x40", ErrorCode.FRAME_ERROR, end=True),
    "an unreadable block": Fault(frames.frame(frames.HEADERS, b"\2\0\x80"), ErrorCode.QPACK_DECOMPRESSION_FAILED),
}


def close_of(client: Http3Client) -> int:
    return client.end_of().code


@pytest.mark.parametrize("name", ON_REQUESTS)
def test_on_request_streams(name: str) -> None:
    fault = ON_REQUESTS[name]
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        client.send_raw(fault.data, end=fault.end)
        assert close_of(client) == fault.code


def test_our_bytes_are_a_request() -> None:
    """The one that the faults are made from."""
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        assert client.answer(client.send_raw(HEAD, end=True)).status == 200


def test_a_stream_that_ends_before_a_request_costs_itself_alone() -> None:
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        stream_id = client.send_raw(frames.frame(0x21, b"grease"), end=True)
        assert client.reset_of(stream_id) == ErrorCode.REQUEST_INCOMPLETE
        assert client.get().status == 200


CONTROL = {
    "settings again": Fault(SETTINGS, ErrorCode.FRAME_UNEXPECTED),
    "a body": Fault(frames.frame(frames.DATA, b""), ErrorCode.FRAME_UNEXPECTED),
    "a head": Fault(HEAD, ErrorCode.FRAME_UNEXPECTED),
    "ping of HTTP/2": Fault(frames.frame(6, bytes(8)), ErrorCode.FRAME_UNEXPECTED),
    "an end": Fault(b"", ErrorCode.CLOSED_CRITICAL_STREAM, end=True),
    "a push cancelled": Fault(frames.frame(frames.CANCEL_PUSH, b"\0"), ErrorCode.ID_ERROR),
    "fewer pushes": Fault(
        frames.frame(frames.MAX_PUSH_ID, b"\x09") + frames.frame(frames.MAX_PUSH_ID, b"\x08"), ErrorCode.ID_ERROR
    ),
    "two numbers": Fault(frames.frame(frames.GOAWAY, b"\0\0"), ErrorCode.FRAME_ERROR),
    "a frame too large": Fault(b"\x07\x80\x01\x00\x00", ErrorCode.EXCESSIVE_LOAD),
}


@pytest.mark.parametrize("name", CONTROL)
def test_on_the_control_stream(name: str) -> None:
    fault = CONTROL[name]
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        assert client.get().status == 200
        client.quic.send_stream_data(2, fault.data, fault.end)  # the client's control stream is its first
        client.flush()
        assert close_of(client) == fault.code


ONE_WAY = {
    "a push": Fault(b"\x01\x00", ErrorCode.STREAM_CREATION_ERROR),
    "a second control stream": Fault(b"\x00" + SETTINGS, ErrorCode.STREAM_CREATION_ERROR),
    "a second encoder stream": Fault(b"\x02", ErrorCode.STREAM_CREATION_ERROR),
    "a second decoder stream": Fault(b"\x03", ErrorCode.STREAM_CREATION_ERROR),
}


@pytest.mark.parametrize("name", ONE_WAY)
def test_on_streams_of_their_own(name: str) -> None:
    fault = ONE_WAY[name]
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        assert client.get().status == 200
        client.send_raw(fault.data, one_way=True)
        assert close_of(client) == fault.code


@pytest.mark.parametrize(
    ("stream_id", "data", "code"),
    [
        (6, b"\x3f\x01", ErrorCode.QPACK_ENCODER_STREAM_ERROR),
        (10, b"\x80", ErrorCode.QPACK_DECODER_STREAM_ERROR),
    ],
)
def test_on_the_streams_of_header_tables(stream_id: int, data: bytes, code: ErrorCode) -> None:
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        assert client.get().status == 200
        client.quic.send_stream_data(stream_id, data)
        client.flush()
        assert close_of(client) == code


def test_grease_is_passed_over() -> None:
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        assert client.get().status == 200
        client.quic.send_stream_data(2, frames.frame(0x21, b"x" * 5000))
        stream_id = client.send_raw(frames.integer(0x21) + b"whatever", one_way=True)
        client.pump(lambda: client.stream(stream_id).stop_code is not None)
        assert client.stream(stream_id).stop_code == ErrorCode.STREAM_CREATION_ERROR
        client.send_raw(frames.integer(0x21), one_way=True, end=True)
        grease = frames.frame(0x1F * 9 + 0x21, b"y" * 100)
        assert client.answer(client.send_raw(grease + HEAD + grease, end=True)).status == 200
        client.quic.send_stream_data(2, frames.frame(frames.GOAWAY, b"\0"))
        assert client.get().status == 200
