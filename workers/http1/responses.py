"""HTTP/1 response heads from bytes: the other half of the codec, under the same rules.

The C parser is lenient here: bare LF, folded lines, odd first lines. It is believed only where the bytes show that
none of that was needed; everything else goes to the pure twin, which refuses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import gunicorn_h1c

from workers import errors
from workers.errors import Failure
from workers.exchange import UNKNOWN_LENGTH, Header, ResponseHead
from workers.headers import (
    CHALLENGE,
    CONNECTION,
    CONTENT_LENGTH,
    DATE,
    HOP,
    KINDS,
    NAMELESS,
    PRAGMA,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    add_cache_control,
    authenticates_connection,
    classify,
    connection_tokens,
    kinds_by_name,
    values_of,
)
from workers.http1 import grammar
from workers.http1.grammar import LONGEST_LENGTH_DIGITS
from workers.http1.heads import reader

_parse_response = gunicorn_h1c.parse_response
_read = reader("response", KINDS)
_PERSISTENCE: Final = frozenset({b"close", b"keep-alive"})


class IncomingHead(ResponseHead):
    """A response head as it came from a server."""

    __slots__ = ("consumed", "keep_alive", "length_given", "upgrade")

    consumed: int
    keep_alive: bool
    length_given: bool  # the body's end is known without the end of the connection
    upgrade: bytes


class ChallengeHead(IncomingHead):
    """One that asks for, or completes, authentication of the connection it came on: nobody else may have that.

    `keep_alive` is False, so that it goes to no pool by itself; the connection does persist.
    """

    __slots__ = ()


def parse_response(data: bytes) -> IncomingHead | Failure | None:
    """Read one response head from the start of `data`; None if it is not complete yet.

    `content_length` is UNKNOWN_LENGTH for chunks (`length_given`) and for bodies that end with the connection.
    """
    if _read is not None:
        parts = _read(data, kinds_by_name, classify)
        if parts is not None:
            head = IncomingHead.__new__(IncomingHead)
            head.status, minor_version, head.headers, length, head.has_date, head.consumed = parts
            head.content_length = length if length >= 0 else UNKNOWN_LENGTH
            head.length_given = length != UNKNOWN_LENGTH
            head.trailer = head.upgrade = b""
            head.keep_alive = minor_version == 1
            return head
    return parse_response_uncompiled(data)


def parse_response_uncompiled(data: bytes) -> IncomingHead | Failure | None:
    """As parse_response, by the C parser that every installation has."""
    try:
        parsed = _parse_response(data)
    except gunicorn_h1c.IncompleteError:
        return parse_response_slowly(data)
    except ValueError:
        return parse_response_slowly(data)
    headers, consumed, status = parsed["headers"], parsed["consumed"], parsed["status"]
    first = data[:13]
    known = _FIRST.get(first)
    if known is None:
        known = _first_line(first)
    if known != status or data.count(b"\r\n", 0, consumed) != len(headers) + 2:
        return parse_response_slowly(data)
    return _received(status, first[7] - 48, headers, consumed)


def parse_response_slowly(data: bytes) -> IncomingHead | Failure | None:
    """As parse_response, by the pure twin alone."""
    head = grammar.response_head(data)
    if head is None or isinstance(head, Failure):
        return head
    return _received(head.status, head.minor_version, head.headers, head.consumed)


_FIRST: Final[dict[bytes, int]] = {}


def _first_line(first: bytes) -> int:
    """Status in the first 13 bytes if they are `HTTP/1.x nnn` and a blank or line end, else -1."""
    status = grammar.status_of(first)
    if status >= 0 and len(_FIRST) < 2000:
        _FIRST[first] = status
    return status


def _received(status: int, minor_version: int, headers: Sequence[Header], consumed: int) -> IncomingHead | Failure:
    head = IncomingHead.__new__(IncomingHead)
    kept: list[Header] = []
    keep = kept.append
    kind_of = kinds_by_name.get
    marks = 0
    length = -1
    head.has_date = head.length_given = False
    head.trailer = head.upgrade = b""
    for header in headers:
        kind = kind_of(header[0])
        if kind is None:
            kind = classify(header[0])
        if not kind:
            keep(header)
        elif kind == DATE:
            head.has_date = True
            keep(header)
        elif kind == CONTENT_LENGTH:
            value = header[1]
            if length >= 0 or not value.isdigit() or len(value) > LONGEST_LENGTH_DIGITS:
                return errors.MALFORMED_RESPONSE
            length = int(value)
            head.length_given = True
        elif kind != CONNECTION or header[1] != b"keep-alive":
            marks |= kind
            if not kind & _NOT_PASSED_ON:
                keep(header)
    head.status = status
    head.headers = kept
    head.content_length = length
    head.consumed = consumed
    head.keep_alive = minor_version == 1
    if marks & _SPECIAL_IN_RESPONSE:
        return _special_response(head, headers, marks)
    return head


_NOT_PASSED_ON: Final = CONNECTION | TRANSFER_ENCODING | UPGRADE | TRAILER | HOP | TE
_SPECIAL_IN_RESPONSE: Final = CONNECTION | TRANSFER_ENCODING | UPGRADE | TRAILER | PRAGMA | NAMELESS | CHALLENGE


def _special_response(head: IncomingHead, headers: Sequence[Header], marks: int) -> IncomingHead | Failure:
    if marks & NAMELESS:
        return errors.MALFORMED_RESPONSE
    if marks & TRANSFER_ENCODING:
        codings = values_of(headers, TRANSFER_ENCODING)
        if head.length_given or not head.keep_alive or len(codings) > 1 or codings[0].lower() != b"chunked":
            return errors.MALFORMED_RESPONSE
        head.length_given = True
    connection = [token for value in values_of(headers, CONNECTION) for token in connection_tokens(value)]
    if b"close" in connection:
        head.keep_alive = False
    if marks & UPGRADE:
        head.upgrade = values_of(headers, UPGRADE)[0]
    if marks & TRAILER:
        head.trailer = b", ".join(values_of(headers, TRAILER))
    if not _PERSISTENCE.issuperset(connection):
        head.headers = [header for header in head.headers if header[0].lower() not in connection]
    if marks & PRAGMA:
        add_cache_control(head.headers)
    if marks & CHALLENGE and head.keep_alive and authenticates_connection(values_of(headers, CHALLENGE)):
        head.__class__ = ChallengeHead
        head.keep_alive = False
    return head
