"""HTTP/2 frames as bytes: the nine-byte head, the rules of each type, and writers for what we send.

No state and no I/O (RFC 9113 sections 4 and 6). Frame rules are one table, indexed by type: how long a payload may
be, and whether the frame belongs to a stream or to the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from typing import Final, NamedTuple

from workers.http2.codes import ConnectionFault, ErrorCode

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITIZED: Final = 0x20

HEADER_TABLE_SIZE: Final = 1
ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""The first bytes of every client connection (RFC 9113 section 3.4)."""

PREFACE_HEAD: Final = b"PRI * HTTP/2.0\r\n\r\n"
"""What an HTTP/1 parser takes for a request head."""

HEAD_BYTES: Final = 9
FRAME_BYTES: Final = 16384
"""The largest payload that is accepted: we never announce more than the default."""
LARGEST_FRAME_BYTES: Final = (1 << 24) - 1
DEFAULT_WINDOW: Final = 65535
LARGEST_WINDOW: Final = (1 << 31) - 1
LARGEST_STREAM: Final = (1 << 31) - 1

_HEAD: Final = Struct(">IBI")
unpack_head: Final = _HEAD.unpack_from
"""(payload length << 8 | type, flags, reserved bit and stream) at an offset."""
_LONG: Final = Struct(">I")
_HEAD_AND_LONG: Final = Struct(">IBII")
_SETTING: Final = Struct(">HI")
_GOAWAY: Final = Struct(">IBIII")
unpack_long: Final = _LONG.unpack_from

ON_CONNECTION: Final = 0
ON_STREAM: Final = 1
ON_EITHER: Final = 2


class Rule(NamedTuple):
    """Payload sizes in bytes and the place of one frame type."""

    name: str
    smallest: int
    largest: int
    place: int


RULES: Final = (
    Rule("DATA", 0, FRAME_BYTES, ON_STREAM),
    Rule("HEADERS", 0, FRAME_BYTES, ON_STREAM),
    Rule("PRIORITY", 5, 5, ON_STREAM),
    Rule("RST_STREAM", 4, 4, ON_STREAM),
    Rule("SETTINGS", 0, FRAME_BYTES, ON_CONNECTION),
    Rule("PUSH_PROMISE", 4, FRAME_BYTES, ON_STREAM),
    Rule("PING", 8, 8, ON_CONNECTION),
    Rule("GOAWAY", 8, FRAME_BYTES, ON_CONNECTION),
    Rule("WINDOW_UPDATE", 4, 4, ON_EITHER),
    Rule("CONTINUATION", 0, FRAME_BYTES, ON_STREAM),
)
KINDS: Final = len(RULES)
"""Frames with this type or a higher one are unknown: they are ignored (RFC 9113 section 5.5)."""


def check(kind: int, length: int, stream_id: int) -> None:
    """Hold a known frame against its rule. Raises ConnectionFault."""
    name, smallest, largest, place = RULES[kind]
    if not smallest <= length <= largest:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"{name} of {length} bytes")
    if place not in (ON_EITHER, stream_id != 0):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"{name} on stream {stream_id}")


# Reading payloads


def unpadded(kind: int, flags: int, payload: bytes) -> bytes:
    """The payload without padding (and priority fields, for HEADERS). Raises ConnectionFault."""
    start, end = 0, len(payload)
    if flags & PADDED:
        if not end:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "no room for the pad length")
        start, end = 1, end - payload[0]
    if kind == HEADERS and flags & PRIORITIZED:
        if len(payload) < start + 5:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "no room for the priority")
        start += 5
    if end < start:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
    return payload[start:end]


def dependency(flags: int, payload: bytes) -> int:
    """The stream that a HEADERS or PRIORITY payload depends on; -1 if it does not say."""
    start = 1 if flags & PADDED else 0
    if len(payload) < start + 5:
        return -1
    found: int = unpack_long(payload, start)[0]
    return found & LARGEST_STREAM


def settings_in(payload: bytes) -> list[tuple[int, int]]:
    """(identifier, value) pairs in order. Raises ConnectionFault."""
    if len(payload) % 6:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"SETTINGS of {len(payload)} bytes")
    return list(_SETTING.iter_unpack(payload))


# Writing


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One frame; `payload` must fit."""
    return _HEAD.pack(len(payload) << 8 | kind, flags, stream_id) + payload


pack_head: Final[Callable[[int, int, int], bytes]] = _HEAD.pack
"""Head of a frame from (length << 8 | type, flags, stream)."""


def settings(values: Iterable[tuple[int, int]]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join([_SETTING.pack(*pair) for pair in values]))


SETTINGS_ACK: Final = frame(SETTINGS, ACK, 0)


def window_update(stream_id: int, increment: int) -> bytes:
    return _HEAD_AND_LONG.pack(4 << 8 | WINDOW_UPDATE, 0, stream_id, increment)


def rst_stream(stream_id: int, code: int) -> bytes:
    return _HEAD_AND_LONG.pack(4 << 8 | RST_STREAM, 0, stream_id, code)


def goaway(last_stream: int, code: int, debug: bytes = b"") -> bytes:
    return _GOAWAY.pack((8 + len(debug)) << 8 | GOAWAY, 0, 0, last_stream, code) + debug


def ping(payload: bytes, flags: int = 0) -> bytes:
    return frame(PING, flags, 0, payload)


def header_frames(stream_id: int, block: bytes, flags: int, largest_bytes: int) -> bytes:
    """HEADERS, and CONTINUATION where the block does not fit into one frame. `flags`: END_STREAM or none."""
    if len(block) <= largest_bytes:
        return _HEAD.pack(len(block) << 8 | HEADERS, flags | END_HEADERS, stream_id) + block
    pieces = [block[start : start + largest_bytes] for start in range(0, len(block), largest_bytes)]
    kinds = [HEADERS] + [CONTINUATION] * (len(pieces) - 1)
    ends = [flags] + [0] * (len(pieces) - 2) + [END_HEADERS]
    return b"".join(
        [frame(kind, end, stream_id, piece) for kind, end, piece in zip(kinds, ends, pieces, strict=True)]
    )


def data_frames(stream_id: int, data: bytes | memoryview, end_stream: bool, largest_bytes: int) -> Sequence[bytes]:
    """DATA frames in pieces to be joined; one empty frame for no data."""
    size = len(data)
    flags = END_STREAM if end_stream else 0
    if size <= largest_bytes:
        return (_HEAD.pack(size << 8 | DATA, flags, stream_id), data)  # type: ignore[return-value]
    view = memoryview(data)
    pieces: list[bytes | memoryview] = []
    for start in range(0, size, largest_bytes):
        piece = view[start : start + largest_bytes]
        last = start + largest_bytes >= size
        pieces += (_HEAD.pack(len(piece) << 8 | DATA, flags if last else 0, stream_id), piece)
    return pieces  # type: ignore[return-value]
