"""HTTP/1 heads from bytes: a C parser for the common message, its pure twin for the rest, one strict policy.

`parse_request` and `parse_response` are the only doors. The C parser (gunicorn_h1c) is fast but opinionated:
it counts headers, and its errors do not say what a client must be told. So it is only ever believed when it
accepts, and then only within the checks made here; whatever it refuses goes to the twin (`grammar`), which
decides. Both must accept the same messages with the same result: tests run one corpus through both.

RFC 9112 with every leniency switched off: CRLF alone ends a line, one blank separates the parts of a first line,
no folding, no blank before the colon, one Host, one length, `chunked` alone as transfer coding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import gunicorn_h1c
from gunicorn_h1c._parser_fast import IncompleteError as IncompleteRequest

from workers import errors
from workers.errors import Failure
from workers.exchange import UNKNOWN_LENGTH, Header, Request, ResponseHead
from workers.headers import (
    CONNECTION,
    CONTENT_LENGTH,
    DATE,
    EXPECT,
    HOP,
    HOST,
    MANAGED,
    NAMELESS,
    PRAGMA,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UNDERSCORE,
    UPGRADE,
    Client,
    add_cache_control,
    admit,
    classify,
    connection_tokens,
    kinds_by_name,
)
from workers.http1 import grammar
from workers.http1.grammar import LONGEST_LENGTH_DIGITS
from workers.http1.target import TargetPolicy, resolve_target

_parse = gunicorn_h1c.parse_request_fast
_parse_response = gunicorn_h1c.parse_response
_UNLIMITED: Final = 1 << 40


class IncomingRequest(Request):
    """A request with the number of bytes its head took."""

    __slots__ = ("consumed",)

    consumed: int


def parse_request(data: bytes, client: Client, policy: TargetPolicy) -> IncomingRequest | Failure | None:
    """Read one request head from the start of `data`; None if it is not complete yet.

    The request comes back admitted: target normalised, headers under the policy of `client`. Whatever is
    behind `consumed` bytes of `data` belongs to the body or to the next request.
    """
    try:
        parsed = _parse(data, 0, _UNLIMITED, 256, _UNLIMITED, True)
        method, target, consumed = parsed.method, parsed.path, parsed.consumed
        if data.find(b"\r\n") == len(method) + len(target) + 10:
            return _admitted(
                method,
                target,
                parsed.minor_version,
                parsed.headers,
                parsed.content_length,
                consumed,
                client,
                policy,
            )
    except IncompleteRequest:
        if data.find(b"\r\n\r\n") < 0:
            return grammar.early_refusal(data)
    except ValueError:
        pass  # the twin knows what to answer
    return parse_request_slowly(data, client, policy)


def parse_request_slowly(data: bytes, client: Client, policy: TargetPolicy) -> IncomingRequest | Failure | None:
    """As parse_request, by the pure twin alone."""
    head = grammar.request_head(data)
    if head is None or isinstance(head, Failure):
        return head
    length = grammar.request_length(head)
    if isinstance(length, Failure):
        return length
    return _admitted(
        head.method, head.target, head.minor_version, head.headers, length, head.consumed, client, policy
    )


def _admitted(
    method: bytes,
    target: bytes,
    minor_version: int,
    headers: Sequence[Header],
    content_length: int,
    consumed: int,
    client: Client,
    policy: TargetPolicy,
) -> IncomingRequest | Failure:
    """Policy over a head that is well-formed: sort the headers by what they mean, then target and admission.

    `content_length` is -1 where there is no Content-Length; that there is only one, without a
    Transfer-Encoding beside it, and one Host at most, has been checked.
    """
    request = IncomingRequest()
    kept: list[Header] = []
    keep = kept.append
    kind_of = kinds_by_name.get
    marks = 0
    host: bytes | None = None
    for header in headers:
        kind = kind_of(header[0])
        if kind is None:
            kind = classify(header[0])
        if not kind:
            keep(header)
        elif kind == HOST:
            host = header[1]
        elif kind == CONNECTION:
            if header[1] != b"keep-alive" or not minor_version:
                marks |= CONNECTION
        else:
            marks |= kind
            if kind != TRANSFER_ENCODING:
                keep(header)
    request.method = method
    request.raw_target = target
    request.minor_version = minor_version
    request.consumed = consumed
    request.client = client
    request.headers_touched = request.expect_continue = False
    request._headers = kept
    request._query_values = None
    request.keep_alive = minor_version == 1
    request.upgrade = b""
    request.content_length = content_length if content_length > 0 else 0
    request.marks = marks
    if host is None:
        if minor_version:
            return errors.MISSING_HOST
        host = b""
    request.host_header = host
    failure = resolve_target(request, policy)
    if failure is None and marks & _NEEDS_ADMISSION:
        failure = _special(request, headers)
    return failure or request


_NEEDS_ADMISSION: Final = TRANSFER_ENCODING | CONNECTION | EXPECT | UPGRADE | MANAGED | UNDERSCORE | PRAGMA
_PERSISTENCE: Final = frozenset({b"close", b"keep-alive"})


def _values(headers: Sequence[Header], kind: int) -> list[bytes]:
    return [value for name, value in headers if kinds_by_name.get(name, 0) & kind or classify(name) & kind]


def _special(request: Request, headers: Sequence[Header]) -> Failure | None:
    """What headers that are not simply passed on ask for; None if the request is to be served."""
    marks = request.marks
    if marks & TRANSFER_ENCODING:
        if request.minor_version == 0:
            return errors.MALFORMED_REQUEST
        codings = _values(headers, TRANSFER_ENCODING)
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            return errors.UNSUPPORTED_CODING
        request.content_length = UNKNOWN_LENGTH
    connection = [token for value in _values(headers, CONNECTION) for token in connection_tokens(value)]
    if b"close" in connection:
        request.keep_alive = False
    elif request.minor_version == 0:
        request.keep_alive = b"keep-alive" in connection
    if marks & UPGRADE and b"upgrade" in connection and request.minor_version == 1:
        request.upgrade = _values(headers, UPGRADE)[0]
    if marks & EXPECT:
        if any(value.lower() != b"100-continue" for value in _values(headers, EXPECT)):
            return errors.UNKNOWN_EXPECTATION
        request.expect_continue = request.minor_version == 1 and request.content_length != 0
    if not request.upgrade and _PERSISTENCE.issuperset(connection):
        connection = []
    return admit(request, connection)


class IncomingHead(ResponseHead):
    """A response head as it came from a server."""

    __slots__ = ("consumed", "keep_alive", "length_given", "upgrade")

    consumed: int
    keep_alive: bool
    length_given: bool  # the body's end is known without the end of the connection
    upgrade: bytes


def parse_response(data: bytes) -> IncomingHead | Failure | None:
    """Read one response head from the start of `data`; None if it is not complete yet.

    `content_length` is UNKNOWN_LENGTH for chunks (`length_given`) and for bodies that end with the connection.
    """
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
_SPECIAL_IN_RESPONSE: Final = CONNECTION | TRANSFER_ENCODING | UPGRADE | TRAILER | PRAGMA | NAMELESS


def _special_response(head: IncomingHead, headers: Sequence[Header], marks: int) -> IncomingHead | Failure:
    if marks & NAMELESS:
        return errors.MALFORMED_RESPONSE
    if marks & TRANSFER_ENCODING:
        codings = _values(headers, TRANSFER_ENCODING)
        if head.length_given or not head.keep_alive or len(codings) > 1 or codings[0].lower() != b"chunked":
            return errors.MALFORMED_RESPONSE
        head.length_given = True
    connection = [token for value in _values(headers, CONNECTION) for token in connection_tokens(value)]
    if b"close" in connection:
        head.keep_alive = False
    if marks & UPGRADE:
        head.upgrade = _values(headers, UPGRADE)[0]
    if marks & TRAILER:
        head.trailer = b", ".join(_values(headers, TRAILER))
    if not _PERSISTENCE.issuperset(connection):
        head.headers = [header for header in head.headers if header[0].lower() not in connection]
    if marks & PRAGMA:
        add_cache_control(head.headers)
    return head
