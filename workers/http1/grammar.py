"""The pure twin of the C parser: HTTP/1 heads by regular expressions, and what to answer to those that are none.

Slower than the C parser and without its limits on counts; it decides wherever the C parser refuses. Nothing here
looks at what headers mean, except for the length of a request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from workers import errors
from workers.errors import Failure
from workers.exchange import Header

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE: Final = re.compile(rb"(" + _TOKEN + rb") ([!-~\x80-\xff]+) HTTP/([0-9])\.([0-9])")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t -~\x80-\xff]*))?")
_STATUS_START: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})[ \r]")
_NAME: Final = re.compile(_TOKEN)
_VALUE: Final = re.compile(rb"[\t -~\x80-\xff]*")
_BARE_LINE_FEED: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)(?=.)|\x00", re.DOTALL)
_START: Final = re.compile(rb"(?:\r\n?)?(?:" + _TOKEN + rb"(?: [!-~\x80-\xff]*(?: [HTP/0-9.]*)?\r?)?)?")
_FIRST_LINE_BYTES: Final = 4096
LONGEST_LENGTH_DIGITS: Final = 18
"""Of a Content-Length: so much fits into every machine's integers."""


MOST_LINES: Final = 16384
"""Header lines of one head; with a megabyte of the shortest ones a worker would stand still."""


class RequestParts(NamedTuple):
    """A well-formed request head."""

    method: bytes
    target: bytes
    minor_version: int
    headers: list[Header]
    consumed: int


class ResponseParts(NamedTuple):
    """A well-formed response head."""

    status: int
    minor_version: int
    headers: list[Header]
    consumed: int


def request_head(data: bytes) -> RequestParts | Failure | None:
    """The head at the start of `data`, behind at most one empty line; None if it is not complete."""
    start = 2 if data.startswith(b"\r\n") else 0
    end = data.find(b"\r\n\r\n", start)
    if end < 0:
        return early_refusal(data)
    if data.count(b"\r\n", start, end) > MOST_LINES:
        return errors.HEADERS_TOO_LARGE
    first, *lines = data[start:end].split(b"\r\n")
    if _BARE_LINE_FEED.search(data, start, end):
        return _refusal_of(first, lines)
    return _request_parts(first, lines, end + 4)


def _request_parts(first: bytes, lines: list[bytes], consumed: int) -> RequestParts | Failure:
    match = _REQUEST_LINE.fullmatch(first)
    if match is None:
        return errors.MALFORMED_REQUEST
    method, target, major, minor = match.groups()
    if major != b"1" or minor not in (b"0", b"1"):
        return errors.UNSUPPORTED_VERSION
    headers = _header_lines(lines)
    if isinstance(headers, Failure):
        return headers
    return RequestParts(method, target, int(minor), headers, consumed)


def response_head(data: bytes) -> ResponseParts | Failure | None:
    """The head at the start of `data`; None if it is not complete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return early_response_refusal(data)
    if data.count(b"\r\n", 0, end) > MOST_LINES or _BARE_LINE_FEED.search(data, 0, end):
        return errors.MALFORMED_RESPONSE
    first, *lines = data[:end].split(b"\r\n")
    match = _STATUS_LINE.fullmatch(first)
    headers = _header_lines(lines)
    if match is None or isinstance(headers, Failure):
        return errors.MALFORMED_RESPONSE
    return ResponseParts(int(match[2]), int(match[1]), headers, end + 4)


def _header_lines(lines: list[bytes]) -> list[Header] | Failure:
    headers = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or line[0] in b" \t":
            return errors.MALFORMED_REQUEST
        if not _NAME.fullmatch(name):
            has_blanks = _NAME.fullmatch(name.replace(b" ", b""))
            return errors.INVALID_HEADER_NAME if has_blanks else errors.MALFORMED_REQUEST
        if not _VALUE.fullmatch(value):
            return errors.MALFORMED_REQUEST
        headers.append((name, value.strip(b" \t")))
    return headers


def parse_header_lines(block: bytes) -> list[Header] | Failure:
    """Lines of a trailer section, each ended by CRLF; an empty block has none."""
    if not block:
        return []
    if not block.endswith(b"\r\n") or _BARE_LINE_FEED.search(block):
        return errors.MALFORMED_REQUEST
    return _header_lines(block[:-2].split(b"\r\n"))


def _refusal_of(first: bytes, lines: list[bytes]) -> Failure:
    """What to say about a head that holds a stray CR, LF or NUL."""
    if not _REQUEST_LINE.fullmatch(first):
        return errors.MALFORMED_REQUEST
    found = _header_lines(lines)
    return found if isinstance(found, Failure) else errors.MALFORMED_REQUEST


def request_length(head: RequestParts) -> int | Failure:
    """Content-Length, -1 if there is none. Two, one beside a Transfer-Encoding, and two Hosts are refused."""
    lengths, hosts, coded = [], 0, False
    for name, value in head.headers:
        lower = name.lower()
        if lower == b"content-length":
            lengths.append(value)
        elif lower == b"transfer-encoding":
            coded = True
        elif lower == b"host":
            hosts += 1
    if hosts > 1 or len(lengths) > 1 or (lengths and coded):
        return errors.MALFORMED_REQUEST
    if not lengths:
        return -1
    return int(lengths[0]) if is_length(lengths[0]) else errors.MALFORMED_REQUEST


def is_length(value: bytes) -> bool:
    """Digits alone, and no more than any machine counts."""
    return value.isdigit() and len(value) <= LONGEST_LENGTH_DIGITS


def early_refusal(data: bytes) -> Failure | None:
    """A head without its end: what can be refused already, so that nobody waits for a timeout."""
    if data.startswith(b"\r\n\r\n"):
        return errors.MALFORMED_REQUEST
    if _BARE_LINE_FEED.search(data):
        first, *lines = data.removeprefix(b"\r\n").split(b"\r\n", MOST_LINES)
        return _refusal_of(first, lines)
    end = data.find(b"\r\n", 2, _FIRST_LINE_BYTES)
    if end < 0:
        is_possible = _START.fullmatch(data, 0, _FIRST_LINE_BYTES)
    else:
        is_possible = _REQUEST_LINE.fullmatch(data, 2 if data.startswith(b"\r\n") else 0, end)
    return None if is_possible else errors.MALFORMED_REQUEST


def early_response_refusal(data: bytes) -> Failure | None:
    """As early_refusal, for what a server sent."""
    first = data[:13]
    if not b"HTTP/1.".startswith(first[:7]) or (len(first) == 13 and status_of(first) < 0):
        return errors.MALFORMED_RESPONSE
    return errors.MALFORMED_RESPONSE if _BARE_LINE_FEED.search(data) else None


class PartialHead:
    """Collects a head that comes in pieces; each byte is looked at once, however small the pieces."""

    __slots__ = ("_buffer", "_refusal")

    def __init__(self, first: bytes, refusal: Callable[[bytes], Failure | None]) -> None:
        self._buffer = bytearray(first)
        self._refusal = refusal

    def feed(self, piece: bytes) -> bytes | Failure | None:
        """All bytes so far once the head may be complete; a refusal as soon as there is one; else None."""
        buffer, seen = self._buffer, len(self._buffer)
        buffer += piece
        if buffer.find(b"\r\n\r\n", max(seen - 3, 0)) >= 0:
            return bytes(buffer)
        if seen < _FIRST_LINE_BYTES or _BARE_LINE_FEED.search(buffer, seen - 1):
            return self._refusal(bytes(buffer))
        return None

    def __len__(self) -> int:
        return len(self._buffer)


def status_of(first: bytes) -> int:
    """Status in the first 13 bytes of a response, -1 if they do not begin one (100 to 999)."""
    match = _STATUS_START.fullmatch(first)
    return int(match[1]) if match else -1
