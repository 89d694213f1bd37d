"""Requests to and responses from HTTP/2 servers, between header lists and the words of all protocols.

What goes out is made from the very head that an HTTP/1 server would get, so both see the same header policy. What
comes in is held against RFC 9113 section 8: a response that HTTP/1 could not carry safely is no response.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from workers.exchange import Header, ResponseHead
from workers.headers import (
    CONTENT_LENGTH,
    DATE,
    HOP,
    HOP_BY_HOP,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    classify,
)
from workers.http1.framing import passable_trailers
from workers.http1.grammar import MOST_LINES, is_length
from workers.http2.hpack import Field
from workers.http2.names import NOT_ALLOWED, judge, outgoing, spellings

_STATUS: Final = re.compile(rb"[1-9][0-9]{2}")
_FORBIDDEN: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_PASSED_ON: Final = TRANSFER_ENCODING | UPGRADE | HOP | TE
_CARE: Final = CONTENT_LENGTH | TRAILER | DATE | _NOT_PASSED_ON


class Malformed(Exception):
    """The list is no response; the message says why."""


def request_fields(head: bytes, scheme: bytes) -> list[Field]:
    """The fields of a request whose HTTP/1 head, made by us, is `head`."""
    first, host, *lines = head.split(b"\r\n")
    method, target, _ = first.split(b" ")
    fields = [
        (b":method", method, False),
        (b":scheme", scheme, False),
        (b":authority", host[6:], False),
        (b":path", target, False),
    ]
    for line in lines[:-2]:
        name, _, value = line.partition(b": ")
        field = outgoing((name, value))
        if field is not None:
            fields.append(field)
    return fields


def response_head(fields: Sequence[Field]) -> ResponseHead:
    """A final or interim head. Raises Malformed."""
    if not fields or fields[0][0] != b":status" or not _STATUS.fullmatch(fields[0][1]) or len(fields) > MOST_LINES:
        raise Malformed("no status")
    if fields[0][1] == b"101":
        raise Malformed("HTTP/2 has no upgrades")
    headers, marks = _headers(fields[1:])
    head = ResponseHead(int(fields[0][1]), headers)
    if marks & _CARE:
        _with_care(head)
    return head


def trailers_in(fields: Sequence[Field]) -> Sequence[Header]:
    """Trailers that may be passed on. Raises Malformed."""
    if len(fields) > MOST_LINES:
        raise Malformed("too many trailers")
    return passable_trailers(_headers(fields)[0])


def _headers(fields: Sequence[Field]) -> tuple[list[Header], int]:
    """Fields under the names that HTTP/1 clients know, and all their kinds.

    Fields of the connection, which HTTP/2 does not have, are left out: some servers send them. Raises Malformed.
    """
    headers: list[Header] = []
    marks, known = 0, spellings.get
    for name, value, _ in fields:
        spelling, kind = known(name) or judge(name)
        if kind & NOT_ALLOWED:
            if name not in HOP_BY_HOP:
                raise Malformed(f"field name {name[:32]!r}")
            continue
        marks |= kind
        headers.append((spelling, value))
    if _FORBIDDEN.search(b"\t".join([value for _, value in headers])):
        raise Malformed("forbidden bytes in a value")
    return headers, marks


def _with_care(head: ResponseHead) -> None:
    """Read the headers that mean something here. Raises Malformed."""
    kept: list[Header] = []
    for header in head.headers:
        kind = classify(header[0])
        if kind & CONTENT_LENGTH:
            if head.content_length >= 0 or not is_length(header[1]):
                raise Malformed("no usable Content-Length")
            head.content_length = int(header[1])
        elif kind & TRAILER:
            head.trailer = b", ".join([part for part in (head.trailer, header[1]) if part])
        elif not kind & _NOT_PASSED_ON:
            head.has_date |= bool(kind & DATE)
            kept.append(header)
    head.headers = kept
