"""HTTP/3 frames (RFC 9114 section 7): variable-length integers, frames out, and what may stand where on a stream.

A reader takes the bytes of one stream as they come and gives whole header blocks and pieces of bodies. Of what it
does not give on it keeps no more than the head of a frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Final

from workers.http3.codes import ConnectionFault, ErrorCode

DATA: Final = 0x0
HEADERS: Final = 0x1
CANCEL_PUSH: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
GOAWAY: Final = 0x7
MAX_PUSH_ID: Final = 0xD
FROM_HTTP2: Final = frozenset({0x2, 0x6, 0x8, 0x9})
"""Frame types of HTTP/2 without a meaning here: an error wherever they stand."""
_NEVER_ON_REQUESTS: Final = FROM_HTTP2 | {CANCEL_PUSH, SETTINGS, PUSH_PROMISE, GOAWAY, MAX_PUSH_ID}

MAX_FIELD_SECTION_SIZE: Final = 0x6
_SETTINGS_OF_HTTP2: Final = frozenset({0x0, 0x2, 0x3, 0x4, 0x5})

LARGEST_STREAM: Final = (1 << 62) - 4
"""The greatest id that a client's request stream can have."""
_ONE_BYTE: Final = 1 << 6
_TWO_BYTES: Final = 1 << 14
_FOUR_BYTES: Final = 1 << 30


def integer(value: int) -> bytes:
    """A variable-length integer (RFC 9000 section 16), as short as it can be.

    >>> integer(37).hex(), integer(15293).hex()
    ('25', '7bbd')
    """
    if value < _ONE_BYTE:
        return bytes((value,))
    if value < _TWO_BYTES:
        return (value | 0x4000).to_bytes(2, "big")
    if value < _FOUR_BYTES:
        return (value | 0x8000_0000).to_bytes(4, "big")
    return (value | 0xC000_0000_0000_0000).to_bytes(8, "big")


def integer_at(data: bytes, position: int) -> tuple[int, int]:
    """(value, position behind it); the position is -1 if the integer is not all there."""
    if position >= len(data):
        return 0, -1
    first = data[position]
    size = 1 << (first >> 6)
    if size == 1:
        return first, position + 1
    end = position + size
    if end > len(data):
        return 0, -1
    return int.from_bytes(data[position:end], "big") & ((1 << (8 * size - 2)) - 1), end


def frame(kind: int, payload: bytes) -> bytes:
    return integer(kind) + integer(len(payload)) + payload


def settings(values: Mapping[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, b"".join(integer(name) + integer(value) for name, value in values.items()))


def settings_in(payload: bytes) -> dict[int, int]:
    """The settings of a SETTINGS frame. Raises ConnectionFault."""
    found: dict[int, int] = {}
    position = 0
    while position < len(payload):
        name, position = integer_at(payload, position)
        value, position = integer_at(payload, position) if position >= 0 else (0, -1)
        if position < 0:
            raise ConnectionFault(ErrorCode.FRAME_ERROR, "truncated settings")
        if name in found or name in _SETTINGS_OF_HTTP2:
            raise ConnectionFault(ErrorCode.SETTINGS_ERROR, f"setting {name:#x} twice, or one of HTTP/2")
        found[name] = value
    return found


class Part(IntEnum):
    """What a request stream has brought so far."""

    NOTHING = 0
    HEAD = 1
    TRAILERS = 2


class RequestReader:
    """The frames of one request stream. `feed` gives (HEADERS, whole block) and (DATA, piece) in order."""

    __slots__ = ("_block", "_head", "_kind", "_left", "_most_block_bytes", "idle_frames", "part")

    def __init__(self, most_block_bytes: int) -> None:
        self.part = Part.NOTHING
        self.idle_frames = 0
        """So many frames brought nothing."""
        self._most_block_bytes = most_block_bytes
        self._head = b""
        self._kind = -1
        self._left = 0
        self._block: bytearray | None = None

    @property
    def held_bytes(self) -> int:
        """What waits here for the rest of a header block."""
        return len(self._block) if self._block is not None else 0

    @property
    def is_between_frames(self) -> bool:
        """May the stream end here?"""
        return self._kind < 0 and not self._head

    def feed(self, data: bytes) -> Iterable[tuple[int, bytes]]:
        """Raises ConnectionFault, as early as it can be known."""
        found: list[tuple[int, bytes]] = []
        position, end = 0, len(data)
        while position < end:
            if self._kind < 0:
                if self._head:  # at most once: the bytes behind a frame are never copied for the sake of its head
                    data, end, self._head = self._head + data, end + len(self._head), b""
                position = self._begin(data, position)
                if position < 0:
                    return found
            piece = data[position : position + self._left]
            position += len(piece)
            self._left -= len(piece)
            self._take(piece, found)
        return found

    def _begin(self, data: bytes, start: int) -> int:
        """The head of a frame, which is kept if it is not all there; the position behind it, or -1."""
        kind, position = integer_at(data, start)
        size, position = integer_at(data, position) if position >= 0 else (0, -1)
        if position < 0:
            self._head = data[start:]
            return -1
        self._check(kind, size)
        if not size or kind > HEADERS:
            self.idle_frames += 1
        self._kind, self._left = kind, size
        if kind == HEADERS:
            self._block = bytearray()
        if not size and kind > HEADERS:
            self._kind = -1
        return position

    def _check(self, kind: int, size: int) -> None:
        if kind in _NEVER_ON_REQUESTS:
            raise ConnectionFault(ErrorCode.FRAME_UNEXPECTED, f"frame {kind:#x} on a request stream")
        if (kind == DATA and self.part is not Part.HEAD) or (kind == HEADERS and self.part is Part.TRAILERS):
            raise ConnectionFault(ErrorCode.FRAME_UNEXPECTED, f"frame {kind:#x} out of order")
        if kind == HEADERS and size > self._most_block_bytes:
            raise ConnectionFault(ErrorCode.EXCESSIVE_LOAD, f"a header block of {size} bytes")
        if kind == HEADERS and not size:
            raise ConnectionFault(ErrorCode.QPACK_DECOMPRESSION_FAILED, "an empty header block")

    def _take(self, piece: bytes, found: list[tuple[int, bytes]]) -> None:
        if self._kind == DATA and piece:
            found.append((DATA, piece))
        elif self._block is not None:
            self._block += piece
            if not self._left:
                found.append((HEADERS, bytes(self._block)))
                self._block = None
                self.part = Part.HEAD if self.part is Part.NOTHING else Part.TRAILERS
        if not self._left:
            self._kind = -1

    def __repr__(self) -> str:
        return f"<RequestReader {self.part.name} {self._left} left of frame {self._kind}>"
