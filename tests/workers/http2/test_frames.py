"""Frames as bytes, against the `hyperframe` package: what we write it reads as we meant it."""

from __future__ import annotations

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from workers.http2 import frames
from workers.http2.codes import ConnectionFault, ErrorCode


def parsed(data: bytes) -> list[Frame]:
    found = []
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data[:9]))
        frame.parse_body(memoryview(data[9 : 9 + length]))
        found.append(frame)
        data = data[9 + length :]
    return found


def test_small_frames() -> None:
    data = (
        frames.settings([(frames.MAX_CONCURRENT_STREAMS, 7), (frames.INITIAL_WINDOW_SIZE, 1 << 20)])
        + frames.SETTINGS_ACK
        + frames.window_update(3, 77)
        + frames.rst_stream(5, ErrorCode.CANCEL)
        + frames.ping(b"12345678", frames.ACK)
        + frames.goaway(9, ErrorCode.ENHANCE_YOUR_CALM, b"why")
    )
    settings, ack, update, reset, ping, goaway = parsed(data)
    assert isinstance(settings, SettingsFrame)
    assert settings.settings == {3: 7, 4: 1 << 20}
    assert isinstance(ack, SettingsFrame)
    assert "ACK" in ack.flags
    assert isinstance(update, WindowUpdateFrame)
    assert (update.stream_id, update.window_increment) == (3, 77)
    assert isinstance(reset, RstStreamFrame)
    assert (reset.stream_id, reset.error_code) == (5, 8)
    assert isinstance(ping, PingFrame)
    assert ping.opaque_data == b"12345678"
    assert isinstance(goaway, GoAwayFrame)
    assert (goaway.last_stream_id, goaway.error_code, goaway.additional_data) == (9, 11, b"why")


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 30, 35])
@pytest.mark.parametrize("end", [False, True])
def test_header_blocks_are_split_where_they_must(size: int, end: bool) -> None:
    block = bytes(range(size))
    first, *rest = parsed(frames.header_frames(1, block, frames.END_STREAM if end else 0, 10))
    assert isinstance(first, HeadersFrame)
    assert ("END_STREAM" in first.flags) is end
    assert all(isinstance(frame, ContinuationFrame) for frame in rest)
    assert [("END_HEADERS" in frame.flags) for frame in [first, *rest]] == [False] * len(rest) + [True]
    assert first.data + b"".join(frame.data for frame in rest) == block  # type: ignore[attr-defined]
    assert all(len(frame.data) <= 10 for frame in [first, *rest])  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [0, 1, 10, 11, 20, 25])
@pytest.mark.parametrize("end", [False, True])
def test_data_is_split_where_it_must(size: int, end: bool) -> None:
    data = bytes(range(size))
    found = parsed(b"".join(frames.data_frames(1, data, end, 10)))
    assert all(isinstance(frame, DataFrame) for frame in found)
    assert [("END_STREAM" in frame.flags) for frame in found] == [False] * (len(found) - 1) + [end]
    assert b"".join(frame.data for frame in found) == data  # type: ignore[attr-defined]
    assert all(len(frame.data) <= 10 for frame in found)  # type: ignore[attr-defined]


def test_padding_and_priority_are_taken_off() -> None:
    flags = frames.PADDED | frames.PRIORITIZED
    assert frames.unpadded(frames.HEADERS, flags, b"\2" + bytes(5) + b"abc" + bytes(2)) == b"abc"
    assert frames.unpadded(frames.DATA, frames.PADDED, b"\0abc") == b"abc"
    assert frames.unpadded(frames.DATA, frames.PADDED, b"\3abc") == b""


@pytest.mark.parametrize(
    ("flags", "payload", "code"),
    [
        (frames.PADDED, b"", ErrorCode.FRAME_SIZE_ERROR),
        (frames.PADDED, b"\4abc", ErrorCode.PROTOCOL_ERROR),
        (frames.PRIORITIZED, b"1234", ErrorCode.FRAME_SIZE_ERROR),
        (frames.PRIORITIZED | frames.PADDED, b"\1" + bytes(4), ErrorCode.FRAME_SIZE_ERROR),
        (frames.PRIORITIZED | frames.PADDED, b"\1" + bytes(5), ErrorCode.PROTOCOL_ERROR),
    ],
)
def test_padding_that_does_not_fit(flags: int, payload: bytes, code: ErrorCode) -> None:
    with pytest.raises(ConnectionFault) as caught:
        frames.unpadded(frames.HEADERS, flags, payload)
    assert caught.value.code is code


def test_every_rule_is_at_its_place() -> None:
    """The table is indexed by frame type."""
    by_type = {frame.type: frame for frame in map(_class_of, range(frames.KINDS))}
    for kind, rule in enumerate(frames.RULES):
        assert by_type[kind].__name__.removesuffix("Frame").lower() == rule.name.replace("_", "").lower()


def _class_of(kind: int) -> type[Frame]:
    frame, _ = Frame.parse_frame_header(memoryview(bytes((0, 0, 0, kind, 0, 0, 0, 0, int(kind not in (4, 6, 7))))))
    return type(frame)
