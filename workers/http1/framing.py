"""Where a body ends: RFC 9112 section 6 as small machines fed with bytes, for requests and responses alike.

No I/O and no buffering beyond an unfinished line. Body bytes come out as slices of what went in. Every line
ends with CRLF, sizes are plain hex, extensions and trailers are bounded and extensions are thrown away:
a chunk header that two parsers could read differently is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

from workers.errors import Failure
from workers.exchange import Header
from workers.http1 import grammar

LONGEST_CHUNK_LINE_BYTES: Final = 256
"""Size and extensions of one chunk."""
LONGEST_TRAILERS_BYTES: Final = 65536
MOST_EXTENSION_BYTES: Final = 16384
"""Extensions of one whole body that were paid for by nothing: more is an attack on the CPU."""

_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*|;[\t -~\x80-\xff]*)")
_FORBIDDEN_TRAILERS: Final = frozenset(
    {
        b"host",
        b"content-length",
        b"content-encoding",
        b"content-type",
        b"content-range",
        b"transfer-encoding",
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"trailer",
        b"te",
        b"upgrade",
        b"authorization",
        b"proxy-authorization",
        b"cookie",
        b"set-cookie",
        b"cache-control",
        b"expect",
        b"max-forwards",
    }
)


def passable_trailers(trailers: Sequence[Header]) -> Sequence[Header]:
    """Those that may be passed on: nothing that frames, routes or authorises."""
    return [header for header in trailers if header[0].lower() not in _FORBIDDEN_TRAILERS]


class FramingError(Exception):
    """The bytes are no body of the announced kind; the connection cannot be used any further."""


class Decoder(Protocol):
    """`done` once the body's last byte went in; `rest` then holds what came after it."""

    done: bool
    rest: bytes

    def feed(self, data: bytes) -> bytes:
        """Body bytes in `data`. Raises FramingError."""
        ...

    def trailers(self) -> Sequence[Header]:
        """Trailer fields, once done."""
        ...


class LengthDecoder:
    """A body of a known number of bytes; `left` of them are missing."""

    __slots__ = ("done", "left", "rest")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        left = self.left - len(data)
        if left > 0:
            self.left = left
            return data
        self.done = True
        end = self.left
        self.left = 0
        if not left:
            return data
        self.rest = data[end:]
        return data[:end]

    def skip(self, size: int) -> bool:
        """So many bytes, not more than are left, went elsewhere. Returns `done`."""
        self.left -= size
        self.done = not self.left
        return self.done

    def trailers(self) -> Sequence[Header]:
        return ()


class CloseDecoder:
    """A body that ends with its connection: it is never done by itself."""

    __slots__ = ("done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        return data

    def trailers(self) -> Sequence[Header]:
        return ()


_SIZE, _DATA, _DATA_END, _TRAILERS = range(4)


class ChunkedDecoder:
    """A chunked body. One call of `feed` returns the data of all chunks in it, joined."""

    __slots__ = ("_block", "_extension_bytes", "_left", "_line", "_state", "done", "rest")

    def __init__(self) -> None:
        self._state = _SIZE
        self._line = b""  # an unfinished line, or the unfinished trailer section
        self._left = 0
        self._extension_bytes = 0
        self._block = b""
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        if self._line:
            data, self._line = self._line + data, b""
        pieces: list[bytes] = []
        position = 0
        while position < len(data) and not self.done:
            if self._state == _DATA:
                piece = data[position : position + self._left]
                pieces.append(piece)
                position += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = _DATA_END
            elif self._state == _DATA_END:
                if not b"\r\n".startswith(data[position : position + 2]):
                    raise FramingError("chunk data is not followed by CRLF")
                if position + 2 > len(data):
                    self._line = data[position:]
                    break
                position += 2
                self._state = _SIZE
            elif self._state == _SIZE:
                position = self._size_line(data, position)
            else:
                position = self._trailer_section(data, position)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _size_line(self, data: bytes, position: int) -> int:
        end = data.find(b"\r\n", position, position + LONGEST_CHUNK_LINE_BYTES + 2)
        if end < 0:
            self._line = data[position:]
            if len(self._line) > LONGEST_CHUNK_LINE_BYTES:
                raise FramingError("chunk header too long")
            if not _SIZE_LINE.fullmatch(self._line.removesuffix(b"\r")):
                raise FramingError("malformed chunk size")
            return len(data)
        match = _SIZE_LINE.fullmatch(data, position, end)
        if match is None:
            raise FramingError("malformed chunk size")
        self._extension_bytes += end - match.end(1)
        if self._extension_bytes > MOST_EXTENSION_BYTES:
            raise FramingError("too many chunk extensions")
        self._left = int(match[1], 16)
        self._state = _DATA if self._left else _TRAILERS
        return end + 2

    def _trailer_section(self, data: bytes, position: int) -> int:
        if data.startswith(b"\r\n", position):
            end = position
        else:
            found = data.find(b"\r\n\r\n", position, position + LONGEST_TRAILERS_BYTES + 4)
            if found < 0:
                self._line = data[position:]
                if len(self._line) > LONGEST_TRAILERS_BYTES:
                    raise FramingError("trailers too large")
                return len(data)
            end = found + 2
        self._block = data[position:end]
        self.rest = data[end + 2 :]
        self.done = True
        if isinstance(grammar.parse_header_lines(self._block), Failure):
            raise FramingError("malformed trailers")
        return len(data)

    def trailers(self) -> Sequence[Header]:
        """Those that may be passed on: nothing that frames, routes or authorises."""
        found = grammar.parse_header_lines(self._block)
        if isinstance(found, Failure):
            return ()
        return passable_trailers(found)


LAST_CHUNK: Final = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of `data`, which must not be empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Sequence[Header]) -> bytes:
    """The end of a chunked body."""
    if not trailers:
        return LAST_CHUNK
    return b"0\r\n%b\r\n" % b"".join([b"%b: %b\r\n" % header for header in trailers])
